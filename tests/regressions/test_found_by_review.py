"""Defects that a reader of the code found and proved, each with the shortest story that shows it."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from pathlib import Path

import pytest

from holdfast.errors import UsageError
from holdfast.store.reporting.outcomes import Outcome
from tests.support import Machine, Rig, make_database, rows_in


def rot(place: Path) -> None:
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 1
    place.write_bytes(data)


def fresh_tree(rig: Rig, path: str = "outputs/d") -> dict[str, bytes]:
    machine = rig.machine()
    assert machine.keep.ensure(path).outcome is Outcome.RESTORED
    return machine.tree(path)


def payload(rig: Rig, part: str) -> Path:
    return next(p for p in rig.payloads() if part in p.name)


def test_a_folder_that_becomes_a_file_is_never_both(rig: Rig) -> None:
    one, two = rig.machine(), rig.machine()
    one.write("outputs/d/x/y", "1")
    one.write("outputs/d/z", "z")
    assert one.keep.backup("outputs/d")
    assert two.keep.ensure("outputs/d/z")
    two.write("outputs/d/x", "now a file")
    assert two.keeper().backup("outputs/d")
    assert fresh_tree(rig) == {"x": b"now a file", "z": b"z"}
    (two.outputs / "d/x").unlink()
    two.write("outputs/d/x/y", "a folder again")
    assert two.keeper().backup("outputs/d/x/y")
    assert fresh_tree(rig) == {"x/y": b"a folder again", "z": b"z"}
    assert not two.keeper().verify()


def test_a_lone_database_that_broke_writes_no_generation(rig: Rig) -> None:
    machine = rig.machine()
    make_database(machine.outputs / "s.db")
    assert machine.keep.backup("outputs/s.db")
    before = sorted(rig.drive.rglob("generations/*"))
    machine.write("outputs/s.db", b"")
    for _ in range(2):
        assert not machine.keeper().backup("outputs/s.db")
    assert sorted(rig.drive.rglob("generations/*")) == before
    assert rig.machine().keep.ensure("outputs/s.db").outcome is Outcome.RESTORED


def test_a_side_file_asked_for_by_name_is_refused(machine: Machine) -> None:
    make_database(machine.outputs / "s.db")
    machine.write("outputs/s.db-journal", b"")
    done = machine.keep.backup("outputs/s.db-journal")
    assert not done
    assert "side file" in done.results[0].error


def test_progress_is_a_number(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """What is none costs no backup and ends no loop, and never comes into the store."""
    machine.write("outputs/a", "a")
    for progress in (True, "7", float("inf"), float("nan"), 10**400):
        caplog.clear()
        done = machine.keep.backup("outputs/a", progress=progress)  # type: ignore[arg-type]
        assert done
        assert "backed up without it" in caplog.text
    assert [e.progress for e in machine.keep.history("outputs/a")] == [None]


def test_prune_sees_what_lies_in_a_twin_folder(rig: Rig) -> None:
    one, two = rig.machine(), rig.machine()
    one.write("outputs/d/A", b"1" * 1_200_000)
    one.write("outputs/d/b", "b")
    assert one.keep.backup("outputs/d")
    assert two.keep.ensure("outputs/d")
    two.write("outputs/d/b", "two")
    assert two.keeper().backup("outputs/d")
    twin = rig.store / "generations (1)"
    twin.mkdir()
    max(rig.manifests()).rename(twin / max(rig.manifests()).name)
    for n in range(5):
        one.write("outputs/d/A", bytes([n]) * 1_200_000)
        assert one.keeper().backup("outputs/d")
    assert not one.keeper().verify()
    assert len([e for e in one.keeper().history("outputs/d") if e.head]) == 2


def test_damaged_generations_are_no_reason_to_prune_the_good_one(rig: Rig) -> None:
    machine = rig.machine()
    for n in range(3):
        machine.write("outputs/d/A", bytes([n]) * 1_200_000)
        assert machine.keeper().backup("outputs/d")
    for place in rig.payloads():
        if "A@000001" not in place.name:
            rot(place)
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/d")
    assert fresh.read("outputs/d/A") == b"\0" * 1_200_000
    fresh.write("outputs/d/new", "x")
    assert fresh.keeper().backup("outputs/d")
    assert any("@000001-" in p.name for p in rig.manifests())
    fresh.keeper().prune(forks=True)
    assert rig.machine().keep.ensure("outputs/d/new").outcome is Outcome.RESTORED


def test_what_is_refused_as_a_mixture_once_is_refused_again(rig: Rig) -> None:
    machine = rig.machine()
    for n in (1, 2):
        machine.write("outputs/d/a", f"a{n}" * 600_000)
        machine.write("outputs/d/b", f"b{n}" * 600_000)
        assert machine.keeper().backup("outputs/d")
    rot(payload(rig, "b@000002"))
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/d/a")
    for _ in range(3):
        assert fresh.keeper().ensure("outputs/d/b").outcome is Outcome.FAILED
    assert list(fresh.tree("outputs/d")) == ["a"]
    payload(rig, "b@000002").unlink()
    other = rig.machine()
    assert other.keep.ensure("outputs/d").outcome is Outcome.RESTORED
    assert set(other.tree("outputs/d").values()) == {b"a1" * 600_000, b"b1" * 600_000}


def test_a_missing_payload_of_the_base_brings_no_older_file_beside_newer_ones(rig: Rig) -> None:
    machine = rig.machine()
    for n in (1, 2):
        machine.write("outputs/d/a", f"a{n}" * 600_000)
        machine.write("outputs/d/b", f"b{n}" * 600_000)
        assert machine.keeper().backup("outputs/d")
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/d/a")
    payload(rig, "b@000002").unlink()
    assert fresh.keeper().ensure("outputs/d/b").outcome is Outcome.FAILED
    assert list(fresh.tree("outputs/d")) == ["a"]


def test_an_explicit_choice_outlives_an_unchanged_backup(rig: Rig) -> None:
    machine = rig.machine()
    for n in range(3):
        machine.write("outputs/d/a", f"{n}")
        assert machine.keeper().backup("outputs/d")
    second = next(e.generation for e in machine.keeper().history("outputs/d") if e.sequence == 2)
    fresh = rig.machine()
    assert fresh.keep.restore("outputs/d", generation=second)
    assert fresh.keeper().backup("outputs/d").results[0].unchanged
    fresh.write("outputs/d/a", "goes on from 2")
    assert fresh.keeper().backup("outputs/d")
    assert fresh_tree(rig) == {"a": b"goes on from 2"}


def test_one_old_file_asked_for_does_not_take_the_rest_back(rig: Rig) -> None:
    machine = rig.machine()
    for n in range(3):
        machine.write("outputs/d/a", f"a{n}")
        machine.write("outputs/d/b", f"b{n}")
        assert machine.keeper().backup("outputs/d")
    first = min(e.sequence for e in machine.keeper().history("outputs/d"))
    old = next(e.generation for e in machine.keeper().history("outputs/d") if e.sequence == first)
    fresh = rig.machine()
    assert fresh.keep.restore("outputs/d/a", generation=old)
    fresh.keeper().ensure("outputs/d")
    assert fresh.tree("outputs/d").get("b", b"b2") == b"b2"


def test_a_failed_restore_is_not_forgotten_because_the_step_was_made_again(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/d/x", "hours of work")
    assert machine.keep.backup("outputs/d")
    rig.drive.rename(rig.folder / "away")
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/d").outcome is Outcome.FAILED
    fresh.write("outputs/d/x", "made anew")
    (rig.folder / "away").rename(rig.drive)
    assert fresh.keeper().ensure("outputs/d").outcome is Outcome.LOCAL
    assert fresh.keeper().backup("outputs/d")
    assert fresh_tree(rig) == {"x": b"hours of work"}


def test_a_stale_copy_without_memory_never_becomes_the_default(rig: Rig) -> None:
    one, two = rig.machine(), rig.machine()
    one.write("outputs/d/a", "0")
    assert one.keep.backup("outputs/d")
    assert two.keep.ensure("outputs/d")
    one.write("outputs/d/a", "1")
    assert one.keep.backup("outputs/d")
    shutil.rmtree(two.root / ".holdfast")
    assert two.keeper().backup("outputs/d").results[0].unchanged
    assert fresh_tree(rig) == {"a": b"1"}


def test_what_the_store_lost_is_sent_again_also_by_a_backup_of_something_else(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/d/a", "a")
    machine.write("outputs/d/b", b"b" * 1_200_000)
    assert machine.keep.backup("outputs/d")
    payload(rig, "b@").unlink()
    machine.write("outputs/d/a", "a2")
    assert machine.keeper().backup("outputs/d/a")
    assert fresh_tree(rig) == {"a": b"a2", "b": b"b" * 1_200_000}


def test_two_projects_that_link_to_one_disk_remember_apart(rig: Rig) -> None:
    disk = rig.folder / "disk"
    machines = [rig.machine(), rig.machine()]
    for number, machine in enumerate(machines):
        (disk / f"of-{number}").mkdir(parents=True)
        machine.outputs.symlink_to(disk / f"of-{number}")
    one, two = (Machine(m.root, rig.drive) for m in machines)
    one.write("outputs/d/a", "a")
    assert one.keep.backup("outputs/d")
    assert two.keep.ensure("outputs/d").outcome is Outcome.RESTORED
    assert two.keep.ensure("outputs").outcome is Outcome.LOCAL
    assert two.keep.backup("outputs/d").results[0].unchanged
    assert (disk / "of-1/d/a").read_text() == "a"
    assert two.keep.restore("outputs/d")
    assert two.outputs.is_symlink()


def test_a_file_that_only_a_newer_generation_holds_is_not_absent(rig: Rig) -> None:
    one, two = rig.machine(), rig.machine()
    one.write("outputs/d/a", "a")
    assert one.keep.backup("outputs/d")
    assert two.keep.ensure("outputs/d")
    two.write("outputs/d/x", "x")
    assert two.keep.backup("outputs/d")
    assert one.keeper().ensure("outputs/d/x").outcome is Outcome.RESTORED
    assert one.read("outputs/d/x") == b"x"


def test_a_file_that_only_a_fork_holds_is_failed_by_name(rig: Rig) -> None:
    one, two = rig.machine(), rig.machine()
    one.write("outputs/d/a", "a")
    assert one.keep.backup("outputs/d")
    assert two.keep.ensure("outputs/d")
    two.write("outputs/d/x", "x")
    assert two.keep.backup("outputs/d")
    for n in range(3):
        one.write("outputs/d/a", f"{n}")
        assert one.keeper().backup("outputs/d")
    result = rig.machine().keep.ensure("outputs/d/x")
    assert result.outcome is Outcome.FAILED
    assert "fork" in result.error


def test_generations_that_this_workspace_has_seen_and_that_are_gone_are_not_absent(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/d/a", "a")
    assert machine.keep.backup("outputs/d")
    shutil.rmtree(rig.store / "generations")
    shutil.rmtree(machine.outputs)
    assert machine.keeper().ensure("outputs/d").outcome is Outcome.FAILED


def test_an_untouched_database_in_wal_mode_does_not_keep_missing_files_away(rig: Rig) -> None:
    machine = rig.machine()
    make_database(machine.outputs / "d/s.db")
    connection = sqlite3.connect(machine.outputs / "d/s.db")
    connection.execute("pragma journal_mode=wal")
    connection.execute("insert into trials values (500, 1)")
    connection.commit()
    connection.close()
    machine.write("outputs/d/b", "b")
    assert machine.keep.backup("outputs/d")
    (machine.outputs / "d/b").unlink()
    assert machine.keeper().ensure("outputs/d").outcome is Outcome.RESTORED
    assert machine.read("outputs/d/b") == b"b"
    assert rows_in(machine.outputs / "d/s.db") == 11


def test_empty_folders_are_carried_over_and_come_back_beside_files(rig: Rig) -> None:
    one, two, three = rig.machine(), rig.machine(), rig.machine()
    one.write("outputs/d/a", "a")
    one.write("outputs/d/b", "b")
    (one.outputs / "d/logs").mkdir()
    assert one.keep.backup("outputs/d")
    assert two.keep.ensure("outputs/d/a")
    two.write("outputs/d/c", "c")
    assert two.keep.backup("outputs/d")
    three.write("outputs/d/a", "a")
    assert three.keep.ensure("outputs/d").outcome is Outcome.RESTORED
    assert (three.outputs / "d/logs").is_dir()
    assert three.keeper().ensure("outputs/d").outcome is Outcome.LOCAL


def test_a_rotten_old_tar_does_not_stop_every_further_backup(rig: Rig) -> None:
    machine = rig.machine()
    for n in range(8):
        machine.write(f"outputs/d/{n}", f"{n}" * 1000)
        assert machine.keep.backup("outputs/d")
    fresh = rig.machine()
    for n in range(1, 8):
        assert fresh.keep.ensure(f"outputs/d/{n}")
    for place in rig.payloads():
        if place.name.startswith("small-files@000001"):
            rot(place)
    fresh.write("outputs/d/new", "new" * 1000)
    assert fresh.keeper().backup("outputs/d")
    assert fresh_tree(rig)["new"] == b"new" * 1000


def test_status_calls_nothing_safe_that_no_whole_generation_holds(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/d/a", "a")
    assert machine.keep.backup("outputs/d")
    machine.write("outputs/d/a", "a2")
    assert machine.keep.backup("outputs/d")
    payload(rig, "@000002").unlink()
    (row,) = machine.keeper().status()
    assert row.unsaved == 1


def test_a_folder_deleted_from_the_store_in_the_middle_of_a_session_is_made_again(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/d/a", "a")
    assert machine.keep.backup("outputs/d")
    shutil.rmtree(rig.store / "outputs")
    machine.write("outputs/d/a", "b")
    assert machine.keep.backup("outputs/d")
    assert fresh_tree(rig) == {"a": b"b"}


def test_a_file_put_where_a_directory_was_converges(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/d", "a file")
    assert machine.keep.backup("outputs/d")
    (machine.root / "outputs/d").unlink()
    machine.write("outputs/d/y", "y")
    assert machine.keeper().backup("outputs/d/y")
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs").outcome is Outcome.RESTORED
    assert fresh.tree("outputs") == {"d/y": b"y"}


def test_what_cannot_be_verified_because_it_is_not_there_is_said(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.write("outputs/d/a", "a")
    assert machine.keep.backup("outputs/d")
    with caplog.at_level(logging.CRITICAL), pytest.raises(UsageError, match="nothing of it is in the store"):
        machine.keep.verify("outputs/typo")


def test_what_became_a_directory_elsewhere_is_not_absent_where_it_is_remembered_as_a_file(rig: Rig) -> None:
    one, two = rig.machine(), rig.machine()
    one.write("outputs/a", "a file")
    assert one.keep.backup("outputs/a")
    assert two.keep.ensure("outputs/a")
    (two.outputs / "a").unlink()
    two.write("outputs/a/b", "in a directory")
    assert two.keeper().backup("outputs/a")
    result = one.keeper().ensure("outputs/a/b")
    assert result.outcome is Outcome.FAILED
    assert "holdfast restore outputs/a" in result.error
    assert one.read("outputs/a") == b"a file"


def test_an_older_database_brought_back_alone_is_not_called_saved(rig: Rig) -> None:
    machine = rig.machine()
    for rows in (5, 10, 15):
        make_database(machine.outputs / "d/s.db", rows)
        machine.write("outputs/d/a", f"{rows}")
        assert machine.keeper().backup("outputs/d")
    old = min(machine.keeper().history("outputs/d"), key=lambda e: e.sequence).generation
    assert machine.keeper().restore("outputs/d/s.db", generation=old)
    assert rows_in(machine.outputs / "d/s.db") < 15
    (row,) = machine.keeper().status()
    assert row.unsaved == 1
    assert not machine.keeper().backup("outputs/d").results[0].unchanged
