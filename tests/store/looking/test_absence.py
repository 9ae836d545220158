"""Absence is proven, twins are read, debris is passed over, plain mirrors are taken for what they are."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from holdfast.errors import StoreUnreadable
from holdfast.session.keeper import Keeper
from holdfast.store.backends.backend import Backend, Entry
from holdfast.store.backends.wrappers import Counting, Faulty
from holdfast.store.reporting.outcomes import Outcome
from holdfast.store.store import Store
from tests.support import Machine, Rig, make_database, rows_in


@pytest.fixture
def kept(rig: Rig) -> Machine:
    machine = rig.machine()
    make_database(machine.outputs / "study/study.db", 20)
    machine.write("outputs/study/trial_0/metrics.json", "{}")
    assert machine.keep.backup("outputs/study")
    return machine


# -- absent or failed ---------------------------------------------------------------------------------------------------


def test_a_first_day_is_absent_and_nothing_is_made_by_asking(rig: Rig) -> None:
    assert rig.machine().keep.ensure("outputs/x").outcome is Outcome.ABSENT
    assert list(rig.drive.iterdir()) == []


def test_the_drive_folder_missing_is_failed(kept: Machine, rig: Rig) -> None:
    rig.drive.rename(rig.folder / "away")
    for machine in (kept, rig.machine()):
        assert machine.keeper().ensure("outputs/study/new").outcome is Outcome.FAILED
        machine.write("outputs/new", "x")
        assert not machine.keeper().backup("outputs/new")
    assert not rig.drive.exists()


def test_a_failed_ensure_does_not_hide_what_its_artifact_holds_once_the_drive_is_back(kept: Machine, rig: Rig) -> None:
    fresh = rig.machine()
    rig.drive.rename(rig.folder / "away")
    assert fresh.keeper().ensure("outputs/study/study.db").outcome is Outcome.FAILED
    assert fresh.keeper().ensure("outputs/study").outcome is Outcome.FAILED
    (rig.folder / "away").rename(rig.drive)
    assert fresh.keeper().ensure("outputs/study/study.db").outcome is Outcome.RESTORED
    assert rows_in(fresh.outputs / "study/study.db") == 20
    assert fresh.keeper().ensure("outputs/study").outcome is Outcome.RESTORED
    fresh.write("outputs/study/more", "x")
    assert fresh.keeper().backup("outputs/study")
    assert len([e for e in fresh.keeper().history("outputs/study") if e.head]) == 1


def test_a_store_that_this_workspace_met_and_that_is_gone_is_failed_and_no_second_one_is_made(kept: Machine, rig: Rig) -> None:
    shutil.rmtree(rig.store)
    result = kept.keeper().ensure("outputs/study/new")
    assert result.outcome is Outcome.FAILED
    assert "met the store" in result.error
    kept.write("outputs/new", "x")
    assert not kept.keeper().backup("outputs/new")
    assert not rig.store.exists()


def test_generations_that_cannot_be_read_are_failed(kept: Machine, rig: Rig) -> None:
    (rig.store / "holdfast.json").unlink()
    for place in rig.manifests():
        place.write_bytes(b"torn")
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/study").outcome is Outcome.FAILED
    assert not fresh.keep.backup(str(fresh.write("outputs/x", "x")))


class Listing(Counting):
    """A place whose listings lose what a test says, at the calls that it says."""

    def __init__(self, inner: Backend, lost: str, calls: set[int]) -> None:
        super().__init__(inner)
        self.lost, self.calls, self.number = lost, calls, 0

    def _lose(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        self.number += 1
        return [e for e in entries if self.lost not in e.name] if self.number in self.calls else entries

    def list(self, folder: str) -> Sequence[Entry]:
        return self._lose(super().list(folder))


def test_one_incomplete_listing_is_not_absence(kept: Machine, rig: Rig) -> None:
    fresh = rig.machine(lambda b: Listing(b, "outputs~study", {1}))
    result = fresh.keep.ensure("outputs/study")
    assert result.outcome is Outcome.FAILED
    assert "contradict" in result.error
    assert rig.machine().keep.ensure("outputs/study").outcome is Outcome.RESTORED


def test_an_unreadable_manifest_is_failed_not_absent_and_not_damage(kept: Machine, rig: Rig) -> None:
    def eio(operation: str, path: str) -> None:
        if operation == "read" and path.startswith("generations/"):
            raise StoreUnreadable(5, "Input/output error", path)

    fresh = rig.machine(lambda b: Faulty(b, eio))
    assert fresh.keep.ensure("outputs/study").outcome is Outcome.FAILED
    fresh.write("outputs/study/study.db", "started afresh, not a database")
    assert not fresh.keep.backup("outputs/study")
    assert len(rig.manifests()) == 1


def test_a_mount_that_dies_while_fetching_is_not_damage(kept: Machine, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    dead = []

    def dying(operation: str, path: str) -> None:
        if operation == "read" and "study@" in path:
            dead.append(path)
        if dead:
            raise StoreUnreadable(107, "Transport endpoint is not connected", path)

    fresh = rig.machine(lambda b: Faulty(b, dying))
    result = fresh.keep.ensure("outputs/study")
    assert result.outcome is Outcome.FAILED
    assert not fresh.outputs.exists()
    assert not any("going back" in r.getMessage() for r in caplog.records)


def test_with_a_store_id_any_other_store_or_none_is_failed_and_none_is_made(kept: Machine, rig: Rig) -> None:
    fresh = rig.machine()
    keeper = fresh.keeper()
    assert keeper.store is not None
    keeper = Keeper(keeper.config, Store(keeper.store.backend, expected_id="0" * 32), keeper.workspace)
    result = keeper.ensure("outputs/study")
    assert result.outcome is Outcome.FAILED
    assert "store_id" in result.error
    shutil.rmtree(rig.store)
    assert keeper.ensure("outputs/study").outcome is Outcome.FAILED
    assert not keeper.backup(fresh.write("outputs/x", "x"))
    assert not rig.store.exists()


# -- debris ---------------------------------------------------------------------------------------------------------------


def test_debris_is_passed_over_mentioned_and_pruned_once_the_line_went_on(kept: Machine, rig: Rig) -> None:
    kept.write("outputs/study/trial_1/metrics.json", "{}")
    assert kept.keeper().backup("outputs/study")
    lost = max(rig.manifests())
    next(p for p in rig.payloads() if "small-files@000002" in p.name).unlink()
    fresh = rig.machine()
    result = fresh.keep.ensure("outputs/study")
    assert result.outcome is Outcome.RESTORED
    assert "not whole" in result.warnings[0]
    assert fresh.tree("outputs/study").keys() == {"study.db", "trial_0/metrics.json"}
    (row,) = fresh.keeper().status()
    assert row.debris == 1
    for n in range(4):
        fresh.write("outputs/study/more", str(n))
        assert fresh.keeper().backup("outputs/study")
    assert lost.name not in {p.name for p in rig.manifests()}
    assert not fresh.keeper().verify()
    assert len([e for e in fresh.keeper().history("outputs/study") if e.head]) == 1


def test_a_first_backup_that_never_arrived_is_failed_and_the_next_one_serves(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/d/a", "a")
    assert machine.keep.backup("outputs/d")
    for place in rig.payloads():
        place.unlink()
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/d").outcome is Outcome.FAILED
    fresh.write("outputs/d/a", "made again")
    assert fresh.keeper().backup("outputs/d")
    third = rig.machine()
    assert third.keep.ensure("outputs/d").outcome is Outcome.RESTORED
    assert third.tree("outputs/d") == {"a": b"made again"}


def test_leftovers_of_killed_commits_go_when_settled_and_others_only_when_asked(kept: Machine, rig: Rig) -> None:
    for n in range(5):
        kept.write("outputs/study/n", str(n))
        assert kept.keeper().backup("outputs/study")
    old = rig.store / "outputs/study/leftover@000002-0000beef.bin"
    recent = rig.store / "outputs/study/leftover@000006-0000beef.bin"
    mine = rig.store / "outputs/study/my notes.txt"
    for place in (old, recent, mine):
        place.write_text("x")
    done = kept.keeper().prune()
    assert not old.exists()
    assert list(done.left) == ["outputs/study/leftover@000006-0000beef.bin"]
    assert kept.keeper().prune(orphans=True).payloads == ("outputs/study/leftover@000006-0000beef.bin",)
    assert not recent.exists()
    assert mine.exists(), "what is not of our grammar is never touched"
    assert rig.machine().keep.ensure("outputs/study")


# -- twins ------------------------------------------------------------------------------------------------------------------


def test_a_payload_in_a_twin_folder_is_found(kept: Machine, rig: Rig) -> None:
    shutil.copytree(rig.store / "outputs/study", rig.store / "outputs/study (1)")
    for place in (rig.store / "outputs/study").iterdir():
        place.unlink()
    assert not kept.keeper().verify()
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/study").outcome is Outcome.RESTORED
    assert rows_in(fresh.outputs / "study/study.db") == 20


def test_a_payload_that_became_a_twin_itself_is_found_and_one_of_other_content_is_not(kept: Machine, rig: Rig) -> None:
    place = next(p for p in rig.payloads() if p.name.startswith("study@"))
    twin = place.with_name(f"{place.stem} (1).db")
    place.rename(twin)
    assert rig.machine().keep.ensure("outputs/study").outcome is Outcome.RESTORED
    twin.write_bytes(bytes(len(twin.read_bytes())))
    assert rig.machine().keep.ensure("outputs/study").outcome is Outcome.FAILED


def test_generations_in_a_twin_folder_are_seen_and_continued(kept: Machine, rig: Rig) -> None:
    (rig.store / "generations").rename(rig.store / "generations (1)")
    (rig.store / "generations").mkdir()
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/study").outcome is Outcome.RESTORED
    fresh.write("outputs/study/more", "x")
    assert fresh.keeper().backup("outputs/study")
    third = rig.machine()
    assert third.keep.ensure("outputs/study")
    assert third.tree("outputs/study").keys() == {"study.db", "trial_0/metrics.json", "more"}
    assert len([e for e in third.keep.history("outputs/study") if e.head]) == 1


# -- plain mirrors ------------------------------------------------------------------------------------------------------------


def plain(rig: Rig, path: str, content: bytes) -> Path:
    place = rig.store / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def test_a_plain_file_is_restored_as_unverified_and_backed_up_from_then_on(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    place = plain(rig, "outputs/cache/best.json", b"{}")
    machine = rig.machine()
    with caplog.at_level(logging.WARNING):
        result = machine.keep.ensure("outputs/cache/best.json")
    assert result.outcome is Outcome.RESTORED
    assert result.generation is None
    assert "unverified" in caplog.text
    machine.write("outputs/cache/best.json", '{"better": 1}')
    assert machine.keeper().backup("outputs/cache/best.json")
    assert place.read_bytes() == b"{}", "the plain file is left alone"
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/cache/best.json")
    assert fresh.read("outputs/cache/best.json") == b'{"better": 1}'


def test_a_plain_database_is_restored_only_if_it_is_sound(rig: Rig) -> None:
    make_database(rig.folder / "study.db", 5)
    sound = (rig.folder / "study.db").read_bytes()
    place = plain(rig, "outputs/study.db", sound)
    machine = rig.machine()
    assert machine.keep.ensure("outputs/study.db").outcome is Outcome.RESTORED
    assert rows_in(machine.outputs / "study.db") == 5
    for broken in (sound[: len(sound) // 2], b"garbage" * 500, b""):
        place.write_bytes(broken)
        fresh = rig.machine()
        assert fresh.keep.ensure("outputs/study.db").outcome is Outcome.FAILED
        assert not (fresh.outputs / "study.db").exists()


def test_plain_twins_and_plain_directories_are_never_guessed(rig: Rig) -> None:
    plain(rig, "outputs/best.json", b"one")
    plain(rig, "outputs/best (1).json", b"two")
    plain(rig, "outputs/final/checkpoint/model.bin", b"m")
    machine = rig.machine()
    assert machine.keep.ensure("outputs/best.json").outcome is Outcome.FAILED
    result = machine.keep.ensure("outputs/final/checkpoint")
    assert result.outcome is Outcome.FAILED
    assert "--unverified" in result.error
    assert machine.keep.restore("outputs/final/checkpoint", unverified=True).outcome is Outcome.RESTORED
    assert machine.tree("outputs/final/checkpoint") == {"model.bin": b"m"}


def test_a_name_of_our_own_grammar_is_never_plain(rig: Rig) -> None:
    plain(rig, "outputs/study@000001-0000beef.db", b"payload of a commit that was killed")
    machine = rig.machine()
    assert machine.keep.ensure("outputs/study@000001-0000beef.db").outcome is Outcome.ABSENT
    assert machine.keep.ensure("outputs/study.db").outcome is Outcome.ABSENT
