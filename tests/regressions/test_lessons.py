"""Ways in which an earlier attempt at this lost data, each impossible here. The number is the lesson's in ARCHITECTURE.md.

Lessons 16 (the part about a mount that hangs on consent) and the Drive sides of 2, 10 and 12 need a mount; what a folder can
show of them is here. Those about resuming and machine learning come with the pipeline.
"""

from __future__ import annotations

import inspect
import logging
import os
import shutil
import sqlite3
import typing
from pathlib import Path

import pytest

import holdfast
from holdfast.errors import OutsideOutputs
from holdfast.session.functions import BackupEnabled
from holdfast.store.format.keys import Key
from holdfast.store.reporting.outcomes import Outcome, Restored
from tests.support import Machine, Rig, age, make_database, rows_in


def test_lesson_01_there_is_one_idea_of_one_path(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = rig.machine()
    make_database(machine.outputs / "hpo/distilbert/study.db")
    spellings = [
        "outputs/hpo/distilbert/study.db",
        "./outputs/hpo//distilbert/study.db",
        machine.outputs / "hpo/distilbert/study.db",
    ]
    keys = {machine.keep.workspace.key(p) for p in spellings}
    assert keys == {Key("outputs/hpo/distilbert/study.db")}
    for spelling in spellings:
        assert machine.keep.backup(spelling)
    assert len(machine.keep.history("outputs/hpo/distilbert/study.db")) == 1
    fresh = rig.machine()
    assert fresh.keep.ensure(fresh.outputs / "hpo/distilbert/study.db").outcome is Outcome.RESTORED


def test_lesson_02_only_a_manifest_with_matching_bytes_says_that_it_is_in_the_store(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/d/a", "a")
    assert machine.keep.backup("outputs/d")
    for place in rig.payloads():
        place.write_bytes(b"")
    assert rig.machine().keep.ensure("outputs/d").outcome is Outcome.FAILED
    assert not machine.keeper().backup("outputs/d").results[0].unchanged, "what is not there is sent again"
    assert rig.machine().keep.ensure("outputs/d").outcome is Outcome.RESTORED


def test_lesson_03_a_path_in_the_store_is_refused_at_the_door(machine: Machine, rig: Rig) -> None:
    machine.write("outputs/a", "a")
    assert machine.keep.backup("outputs/a")
    for call in (machine.keep.ensure, machine.keep.backup, machine.keep.restore, machine.keep.history):
        with pytest.raises(OutsideOutputs, match="not below outputs"):
            call(rig.store / "outputs/a")


def test_lesson_04_a_trial_is_the_unit_and_database_and_files_commit_together(rig: Rig) -> None:
    machine = rig.machine()
    make_database(machine.outputs / "study/study.db", 0)
    assert machine.keep.backup("outputs/study")
    for trial in range(5):
        make_database(machine.outputs / "study/study.db", trial + 1)
        machine.write(f"outputs/study/trial_{trial}/metrics.json", "{}")
        done = machine.keep.backup("outputs/study/study.db", f"outputs/study/trial_{trial}")
        assert len(done.results) == 1
        vanished = rig.machine()
        assert vanished.keep.ensure("outputs/study")
        assert rows_in(vanished.outputs / "study/study.db") == trial + 1
        assert len(list((vanished.outputs / "study").glob("trial_*"))) == trial + 1


def test_lesson_05_what_was_backed_up_is_what_can_be_restored(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/cache/best.json", "{}")
    make_database(machine.outputs / "study/study.db")
    machine.write("outputs/study/trial_0/model.bin", b"m" * 1_500_000)
    assert machine.keep.backup("outputs")
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs")
    assert fresh.tree() == machine.tree()


def test_lesson_06_the_outputs_folder_is_one_place_named_once(tmp_path: Path) -> None:
    root = tmp_path / "proj"
    (root / "config").mkdir(parents=True)
    (root / "config/paths.yaml").write_text("base: {outputs: results}")
    keep = holdfast.attach(root)
    assert keep.workspace.key("results/x") == Key("results/x")
    with pytest.raises(OutsideOutputs):
        keep.ensure("outputs/x")
    holdfast.detach()


def test_lesson_07_require_restores_before_it_looks(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/final/checkpoint/config.json", "{}")
    assert machine.keep.backup("outputs/final/checkpoint")
    fresh = rig.machine()
    assert (fresh.keep.require("outputs/final/checkpoint") / "config.json").read_text() == "{}"


def test_lesson_08_a_directory_that_exists_is_not_taken_for_complete(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/d/.gitkeep", "")
    machine.write("outputs/d/model.bin", "m")
    assert machine.keep.backup("outputs/d")
    fresh = rig.machine()
    fresh.write("outputs/d/.gitkeep", "")
    assert fresh.keep.ensure("outputs/d").outcome is Outcome.RESTORED
    assert fresh.read("outputs/d/model.bin") == b"m"
    empty = rig.machine()
    (empty.outputs / "d").mkdir(parents=True)
    assert empty.keep.ensure("outputs/d").outcome is Outcome.RESTORED


def test_lesson_09_no_name_in_the_store_is_ever_opened_for_writing_again(rig: Rig) -> None:
    """The kill sweep (tests/faults) shows what this is for; here: no commit touches a byte that an earlier one wrote."""
    machine = rig.machine()
    seen: dict[Path, tuple[int, bytes]] = {}
    for version in range(6):
        machine.write("outputs/d/a", f"a {version}")
        machine.write("outputs/d/large", bytes([version]) * 1_100_000)
        assert machine.keep.backup("outputs/d")
        for place in [*rig.manifests(), *rig.payloads()]:
            now = (place.stat().st_ino, place.read_bytes())
            assert seen.setdefault(place, now) == now


def test_lesson_10_a_live_database_is_never_copied_as_a_file(rig: Rig) -> None:
    machine = rig.machine()
    make_database(machine.outputs / "study.db", 10)
    connection = sqlite3.connect(machine.outputs / "study.db", isolation_level=None)
    connection.execute("pragma journal_mode=wal")
    connection.execute("begin immediate")
    connection.execute("insert into trials values (100, 1)")
    assert machine.keep.backup("outputs/study.db")
    connection.execute("rollback")
    connection.close()
    fresh = rig.machine()
    fresh.write("outputs/study.db", b"")
    assert fresh.keep.ensure("outputs/study.db").outcome is Outcome.RESTORED, "a zero-byte database is no study"
    assert rows_in(fresh.outputs / "study.db") == 10
    assert [p.name for p in fresh.outputs.iterdir()] == ["study.db"]


def test_lesson_11_an_outcome_is_no_yes_or_no_and_true_means_present() -> None:
    present = {o.name for o in Outcome if o}
    assert (present, {o.name for o in Outcome} - present) == ({"LOCAL", "RESTORED", "MERGED"}, {"ABSENT", "DIFFERS", "FAILED"})
    assert all(bool(Restored(Key("outputs/x"), o)) is bool(o) for o in Outcome)


def test_lesson_12_a_failed_restore_is_not_absence_and_a_fresh_start_replaces_nothing(rig: Rig) -> None:
    machine = rig.machine()
    make_database(machine.outputs / "study.db", 20)
    assert machine.keep.backup("outputs/study.db", progress=20)
    payload = rig.payloads()[0]
    payload.rename(rig.folder / "hidden")
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/study.db").outcome is Outcome.FAILED
    make_database(fresh.outputs / "study.db", 1)
    assert fresh.keep.backup("outputs/study.db", progress=1)
    (rig.folder / "hidden").rename(payload)
    later = rig.machine()
    assert later.keep.ensure("outputs/study.db")
    assert rows_in(later.outputs / "study.db") == 20


def test_lesson_13_the_callback_is_one_object_with_one_signature() -> None:
    hints = typing.get_type_hints(holdfast.Keeper.ensure, localns={"Restored": Restored})  # loaded by the verb, when it is called
    assert hints["return"] is Restored
    parameters = inspect.signature(holdfast.Keeper.ensure).parameters
    assert [name for name, p in parameters.items() if p.default is p.empty] == ["self", "path"]


def test_lesson_14_a_renamed_base_folder_is_found_by_doctor_and_never_silently_begun_anew(rig: Rig) -> None:
    from holdfast.session.doctor import examine

    machine = rig.machine()
    machine.write("outputs/a", "a")
    assert machine.keep.backup("outputs/a")
    rig.store.rename(rig.drive / "renamed")
    result = machine.keeper().backup("outputs/a")
    assert not result
    assert "this workspace met the store" in result.results[0].error
    assert not rig.store.exists()
    near = next(f for f in examine(rig.machine().keep) if f.topic == "stores near by")
    assert "renamed" in near.text


def test_lesson_15_one_checkpoint_is_fetched_without_the_whole_tree(rig: Rig) -> None:
    machine = rig.machine()
    for n in range(5):
        machine.write(f"outputs/hpo/trial_{n}/model.bin", bytes([n]) * 1_200_000)
    assert machine.keep.backup("outputs/hpo")
    fresh, counting = rig.counted()
    assert fresh.keep.ensure("outputs/hpo/trial_3")
    assert fresh.tree("outputs/hpo") == {"trial_3/model.bin": b"\x03" * 1_200_000}
    assert sum("model@" in path for op, path in counting.paths if op == "read") == 1


def test_lesson_16_what_is_asked_before_attach_or_without_a_drive_neither_fails_nor_lies(tmp_path: Path) -> None:
    holdfast.detach()
    imported_early = BackupEnabled()
    assert not imported_early
    made = tmp_path / "made"
    made.write_text("x")
    assert holdfast.ensure_restored_from_drive(made) is True
    assert holdfast.backup_to_drive(made) is False


def test_lesson_17_what_is_restored_goes_by_identity_not_by_position(rig: Rig) -> None:
    machine = rig.machine()
    for name in ("a_first_in_every_listing", "study", "study_2"):
        machine.write(f"outputs/hpo/{name}/study.txt", name)
        assert machine.keep.backup(f"outputs/hpo/{name}")
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/hpo/study/study.txt")
    assert fresh.tree() == {"hpo/study/study.txt": b"study"}


def test_lesson_18_to_23_a_backup_follows_local_pruning_and_older_generations_free_their_space(rig: Rig) -> None:
    """What users cared about: Drive space. A hundred trials' weights are not kept when the user keeps one."""
    machine = rig.machine()
    for trial in range(8):
        machine.write(f"outputs/study/trial_{trial}/model.bin", bytes([trial]) * 1_100_000)
        if trial:
            shutil.rmtree(machine.outputs / f"study/trial_{trial - 1}")
        assert machine.keep.backup("outputs/study")
    assert len([p for p in rig.payloads() if p.name.startswith("model@")]) <= 3
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/study")
    assert [p.name for p in (fresh.outputs / "study").iterdir()] == ["trial_7"]


def test_memory_is_trusted_only_where_a_rewrite_would_show(rig: Rig) -> None:
    """A rewrite within two seconds, with size and times as before, is still seen."""
    machine = rig.machine()
    place = machine.write("outputs/d/a", "one")
    assert machine.keep.backup("outputs/d")
    found = place.stat()
    place.write_text("two")
    os.utime(place, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert not machine.keep.backup("outputs/d").results[0].unchanged
    age(machine.outputs)
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/d")
    assert fresh.read("outputs/d/a") == b"two"


def test_a_message_is_one_line(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    machine = rig.machine()
    machine.write("outputs/a\nb", "x")
    with caplog.at_level(logging.INFO):
        assert machine.keep.backup("outputs/a\nb")
    assert all("\n" not in r.getMessage() for r in caplog.records)
