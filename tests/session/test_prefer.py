"""Where what is here and what is in the store differ, and nobody knows which counts: merged, or left alone until somebody says."""

from __future__ import annotations

import io
import logging
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.errors import NotRestored, UsageError
from holdfast.flow.examination import Examiner
from holdfast.pipeline.runner import open_pipeline
from holdfast.pipeline.settings import StudyStorage
from holdfast.pipeline.study.storage import bring_back
from holdfast.store.reporting.outcomes import Outcome
from tests.pipeline.project import experiment, make_documents
from tests.support import Machine, Rig, make_database, rows_in

RUN = "outputs/run"


def _checkpoint(words: str) -> bytes:
    """A zip, as `torch.save` makes one."""
    place = io.BytesIO()
    with zipfile.ZipFile(place, "w") as file:
        file.writestr("archive/data.pkl", words)
    return place.getvalue()


THREE, RANDOM = _checkpoint("three epochs"), _checkpoint("random weights")


def stored(rig: Rig, *, database: bool = False) -> None:
    """Three epochs of a run, of which another machine made the backup."""
    first = rig.machine()
    first.write(f"{RUN}/config.yaml", "begun: then\n")
    first.write(f"{RUN}/epoch-3.pt", THREE)
    if database:
        make_database(first.root / RUN / "study.db", 30)
    assert first.keep.backup(RUN)


@pytest.fixture
def begun_anew(rig: Rig) -> Machine:
    """A machine on which a framework wrote a checkpoint of its own before anybody asked."""
    stored(rig)
    machine = rig.machine()
    machine.write(f"{RUN}/epoch-3.pt", RANDOM)
    return machine


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("config.yaml", "begun: now\n"),
        ("train.log", "started\n"),
        ("train.log", ""),
        ("events/1.tfevents", "x"),
        ("config.yaml", ""),
    ],
)
def test_what_a_framework_writes_first_does_not_keep_the_checkpoints_away(rig: Rig, path: str, content: str) -> None:
    """It was LOCAL, true, and training began at zero beside three stored epochs."""
    stored(rig)
    machine = rig.machine()
    machine.write(f"{RUN}/{path}", content)
    result = machine.keep.ensure(RUN)
    assert result
    assert machine.read(f"{RUN}/epoch-3.pt") == THREE
    assert machine.read(f"{RUN}/{path}") == content.encode()
    (done,) = machine.keep.backup(RUN).results
    assert done.forked == ()


@pytest.mark.parametrize("database", [False, True])
def test_a_checkpoint_or_a_database_that_differs_is_left_alone_and_said_once(
    rig: Rig, database: bool, caplog: pytest.LogCaptureFixture
) -> None:
    stored(rig, database=database)
    machine = rig.machine()
    if database:
        make_database(machine.root / RUN / "study.db", 1)
    else:
        machine.write(f"{RUN}/epoch-3.pt", RANDOM)
    before = machine.tree(RUN)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        result = machine.keep.ensure(RUN)
    assert (result.outcome, bool(result)) == (Outcome.DIFFERS, False)
    assert machine.tree(RUN) == before
    assert "--prefer store" in result.error
    assert "\n" not in result.error
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [result.error]
    with pytest.raises(NotRestored) as caught:
        machine.keep.require(RUN)
    assert str(caught.value) == result.error


def test_the_stores_side_is_taken_where_it_is_preferred_and_what_was_here_is_moved_aside(begun_anew: Machine) -> None:
    assert begun_anew.keep.ensure(RUN).outcome is Outcome.DIFFERS
    assert begun_anew.keep.ensure(RUN, prefer="store").outcome is Outcome.RESTORED
    assert begun_anew.tree(RUN) == {"config.yaml": b"begun: then\n", "epoch-3.pt": THREE}
    aside = [p.read_bytes() for p in (begun_anew.root / "holdfast-aside").rglob("*.pt")]
    assert aside == [RANDOM]
    assert begun_anew.keep.ensure(RUN).outcome is Outcome.LOCAL
    assert begun_anew.keep.status().safe


def test_what_is_here_stays_where_it_is_preferred_and_its_backup_is_no_fork(begun_anew: Machine) -> None:
    assert begun_anew.keep.ensure(RUN, prefer="local").outcome is Outcome.MERGED
    assert begun_anew.tree(RUN) == {"config.yaml": b"begun: then\n", "epoch-3.pt": RANDOM}
    (done,) = begun_anew.keep.backup(RUN).results
    assert (done.sequence, done.forked) == (2, ())


def test_who_goes_on_all_the_same_never_replaces_what_the_store_has(rig: Rig, begun_anew: Machine) -> None:
    assert not begun_anew.keep.ensure(RUN)
    assert begun_anew.keep.backup(RUN)
    fresh = rig.machine()
    assert fresh.keep.ensure(RUN)
    assert fresh.read(f"{RUN}/epoch-3.pt") == THREE


@pytest.mark.parametrize("prefer", ["Store", "", "both", 5, ["store"]])
def test_another_preference_is_a_usage_error(begun_anew: Machine, prefer: Any) -> None:
    with pytest.raises(UsageError, match="prefer"):
        begun_anew.keep.ensure(RUN, prefer=prefer)


# -- who asks by other names ---------------------------------------------------------------------------------------------


@pytest.fixture
def attached(begun_anew: Machine) -> Iterator[Machine]:
    begun_anew.write("config/paths.yaml", "drive: {backup_base_dir: proj}\n")
    holdfast.attach(begun_anew.root, begun_anew.drive, quiet=True)
    yield begun_anew
    holdfast.detach()


def test_the_plans_functions_go_on_answering_with_true_and_false(attached: Machine) -> None:
    place = attached.root / RUN
    for ask in (holdfast.restore_from_drive, holdfast.restore_if_missing, holdfast.ensure_restored_from_drive):
        assert ask(place, is_directory=True) is False
        assert ask(place / "config.yaml") is False or (place / "config.yaml").exists()
    make_database(attached.root / RUN / "other.db", 2)
    assert holdfast.restore_from_drive(attached.root / RUN / "other.db") is True
    assert rows_in(attached.root / RUN / "other.db") == 2


@pytest.mark.parametrize("mode", ["auto", "continue", "stop"])
@pytest.mark.parametrize("asked", ["keeper", "function"])
def test_a_study_never_begins_anew_beside_a_stored_one(attached: Machine, mode: Any, asked: str) -> None:
    keeper = holdfast.attach(attached.root, attached.drive, quiet=True)
    ask: Callable[[Path], Any] = keeper.ensure if asked == "keeper" else holdfast.restore_from_drive
    storage = StudyStorage(enabled=True, on_restore_failure=mode, restore_patience=0.01)
    with pytest.raises(NotRestored, match="--prefer store"):
        bring_back(attached.root / RUN, ask, storage, "the study")


@pytest.mark.parametrize("mode", ["auto", "continue", "stop"])
@pytest.mark.parametrize("precious", [True, False])
def test_a_stage_never_begins_anew_beside_a_stored_one(begun_anew: Machine, mode: str, precious: bool) -> None:
    make_documents(begun_anew.root / "data")
    settings = experiment(run__on_restore_failure=mode)
    examiner = Examiner(begun_anew.keep, open_pipeline(begun_anew.keep, settings), settings.run)
    with pytest.raises(NotRestored, match="--prefer store"):
        examiner.ensure(RUN, precious=precious)
