"""Defects of the pipeline that a reviewer proved, each held off by a test."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import MadeOtherwise, StageFailed, StoreFull
from holdfast.flow.record import read_record, write_record
from holdfast.flow.stage import RECORD
from holdfast.integrations.resuming import Wanted, clear_the_way, search
from holdfast.integrations.watching import Copies
from holdfast.pipeline.runner import Runner
from holdfast.pipeline.stages import COMPARABLE
from holdfast.pipeline.study.storage import setup_checkpoint_storage
from holdfast.store.backends.backend import Backend
from holdfast.store.backends.wrappers import Faulty
from tests.pipeline.project import Lines, Project, experiment, lose, trials
from tests.support import Machine, Rig

Finished = tuple[Project, Machine]


def repository(project: Project, machine: Machine) -> Machine:
    for name in ("data", "encoder"):
        shutil.copytree(project.template / name, machine.root / name, dirs_exist_ok=True)
    return machine


class Killed(Lines):
    """Ends the process of thought at a step: as near to a kill as one comes without a process."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._left = step

    def work(self, what: str, done: int, total: int, note: str = "") -> None:
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt


def begin(project: Project, machine: Machine, step: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        project.run(machine, told=Killed(step))


def test_a_study_that_never_reached_the_store_is_not_called_safe(finished: Finished, rig: Rig, tmp_path: Path) -> None:
    project = Project(rig, finished[0].template)

    def full(backend: Backend) -> Backend:
        def fault(operation: str, path: str) -> None:
            if operation == "create" and "hpo" in path:
                raise StoreFull(28, "no space left", path)

        return Faulty(backend, fault)

    machine = repository(project, rig.machine(full))
    summary = Runner(machine.keep, experiment(), narration=Lines()).run()
    assert summary.finished
    assert summary.safe == "NOT BACKED UP"
    # Once there is space the same machine makes good for it.
    assert project.run(Machine(machine.root, machine.drive)).safe == "CONFIRMED"
    (tmp_path / "second").mkdir()
    stopped = repository(project, Rig(tmp_path / "second").machine(full))
    now = [0.0]

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    summary = Runner(stopped.keep, experiment(), narration=Lines(), clock=clock, stop_after=30.0).run()
    assert summary.stopped
    assert summary.safe == "NOT BACKED UP"


def test_a_study_killed_inside_a_transaction_is_rolled_back_and_goes_on(tmp_path: Path) -> None:
    database = tmp_path / "micro" / "study.db"
    database.parent.mkdir()
    script = (
        "import os, signal, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('create table trials (n integer)')\n"
        "c.execute('insert into trials values (1)')\n"
        "c.execute('pragma cache_size = 1'); c.execute('begin')\n"
        "c.executemany('insert into trials values (?)', [(n,) for n in range(100000)])\n"  # spills, so that the journal is hot
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(database)], check=False, timeout=60)
    assert database.with_name("study.db-journal").stat().st_size > 0
    path, _, resume = setup_checkpoint_storage(tmp_path, {"enabled": True}, "micro")
    assert resume
    assert path is not None
    assert sqlite3.connect(path).execute("select n from trials").fetchall() == [(1,)]


def test_a_damaged_study_without_a_backup_stops_once_before_a_new_one_begins(tmp_path: Path) -> None:
    database = tmp_path / "micro" / "study.db"
    database.parent.mkdir()
    database.write_bytes(b"half of something else")
    with pytest.raises(StageFailed, match=r"is now study\.db\.damaged-1, and no backup serves in its place; run again"):
        setup_checkpoint_storage(tmp_path, {"enabled": True}, "micro")
    assert setup_checkpoint_storage(tmp_path, {"enabled": True}, "micro")[2] is False


def test_a_machine_that_was_left_behind_takes_what_another_made(finished: Finished, rig: Rig) -> None:
    project = Project(rig, finished[0].template)
    laptop, colab = project.machine(), project.machine()
    begin(project, laptop, 7)
    assert project.run(colab).finished
    told = Lines()
    summary = project.run(laptop, told=told)
    assert summary.ran == ()
    assert "hpo/micro: the store is ahead of this machine" in str(told)
    assert list((laptop.root / "holdfast-aside").rglob("study.db"))
    assert not [e for e in laptop.keep.history("outputs/hpo/micro") if e.head and not e.default]


def test_checkpoints_of_other_settings_are_not_gone_on_with_when_the_record_is_lost(finished: Finished, rig: Rig) -> None:
    project, whole = finished
    mine = Project(rig, project.template)
    machine = mine.machine()
    begin(mine, machine, 40)
    record = machine.root / "outputs/final_training/micro/stage.json"
    assert record.exists(), "it was to be killed in the final training"
    shutil.rmtree(rig.store)  # nothing brings the record back
    shutil.rmtree(machine.root / ".holdfast")
    record.write_text("{")
    changed = {"final_training__training": {"weight_decay": 0.5}}
    with pytest.raises(
        MadeOtherwise, match=r"was saved by a training under other settings.* move .*/checkpoints away to begin anew"
    ):
        mine.run(machine, changed=changed)
    # Moved away, another is begun there.
    other = Machine(Path(shutil.copytree(machine.root, rig.folder / "other")), rig.folder / "another drive")
    (rig.folder / "another drive").mkdir()
    saved = other.root / "outputs/final_training/micro/checkpoints"
    saved.rename(rig.folder / "moved away")
    assert mine.run(other, changed=changed).finished
    # Under the settings that it was begun with, it goes on and comes to the same.
    assert mine.run(machine).finished
    weights = "outputs/final_training/micro/checkpoint/model.safetensors"
    assert machine.read(weights) == whole.read(weights)


def test_lost_weights_of_the_best_trial_come_back_or_are_trained_again(finished: Finished, rig: Rig) -> None:
    project, whole = finished
    mine = Project(rig, project.template)
    machine = mine.machine()
    begin(mine, machine, 12)
    first = machine.root / "outputs/hpo/micro/trials/trial-0000"
    while not (first / "checkpoint").exists():
        begin(mine, machine, 3)
    shutil.rmtree(first)  # and study.db here is ahead of the store's
    assert mine.run(machine).finished
    alone = mine.machine()
    shutil.copytree(whole.root / "outputs" / "data", alone.root / "outputs" / "data")
    shutil.copytree(whole.root / "outputs" / "hpo", alone.root / "outputs" / "hpo")
    shutil.rmtree(rig.store)
    best = next((alone.root / "outputs/hpo").rglob("checkpoint/model.safetensors"))
    weights = best.read_bytes()
    shutil.rmtree(best.parent)
    told = Lines()
    mine.run(alone, told=told, only=["hpo"])
    assert "are lost; training them again" in str(told)
    assert best.read_bytes() == weights


def test_a_finished_training_is_not_repeated_because_its_record_was_not_written_yet(finished: Finished, tmp_path: Path) -> None:
    """Without a store: killed after everything was made, before the record said so."""
    project, _ = finished
    machine = Rig(tmp_path).machine()
    repository(project, machine)
    begin(project, machine, 45)
    assert (machine.root / "outputs/final_training/micro/checkpoints").exists()

    class Stop(Lines):
        def say(self, text: str) -> None:
            super().say(text)
            if text.startswith("  test entity F1"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        project.run(machine, told=Stop())
    counted = Killed(10**9)
    summary = project.run(machine, told=counted)
    assert summary.finished
    assert counted._left == 10**9, "steps were made again"
    assert not (machine.root / "outputs/final_training/micro/checkpoints").exists()


def test_a_stage_that_goes_on_elsewhere_says_once_that_its_bits_may_differ_and_its_record_says_so(
    finished: Finished, tmp_path: Path
) -> None:
    project, _ = finished
    machine = Rig(tmp_path).machine()
    repository(project, machine)
    begin(project, machine, 45)
    place = machine.root / "outputs/final_training/micro" / RECORD
    record = read_record(place)
    assert record is not None
    assert "went_on" not in record.environment
    begun = {**record.environment, "device": "cuda"}
    write_record(place, replace(record, environment=begun))
    told = Lines()
    assert project.run(machine, told=told).finished
    (line,) = [x for x in told.lines if "not the same bit for bit" in x]
    assert line.startswith("final_training: was begun with device cuda, precision fp32, torch ")
    assert " and goes on with device cpu, precision fp32, torch " in line
    after = read_record(place)
    assert after is not None
    assert after.finished
    assert after.environment == {**begun, "went_on": [{k: record.environment[k] for k in COMPARABLE if k in begun}]}


@pytest.fixture
def copied(finished: Finished, rig: Rig) -> tuple[Project, Machine]:
    project, _ = finished
    shutil.copytree(project.rig.drive, rig.drive, dirs_exist_ok=True)
    mine = Project(rig, project.template)
    fresh = mine.machine()
    assert mine.run(fresh).ran == ()
    return mine, fresh


def test_an_output_that_was_changed_here_is_put_aside_and_comes_back(copied: tuple[Project, Machine], finished: Finished) -> None:
    project, machine = copied
    model = machine.root / "outputs/conversion/micro/onnx/model.onnx"
    model.write_bytes(model.read_bytes()[:10])
    told = Lines()
    assert project.run(machine, told=told).ran == ()
    assert model.read_bytes() == finished[1].read("outputs/conversion/micro/onnx/model.onnx")
    assert "is not what was made; moved to model.onnx.changed-1" in str(told)


def test_weights_that_are_no_numbers_fail_the_training(rig: Rig, finished: Finished) -> None:
    project = Project(rig, finished[0].template)
    machine = project.machine()
    project.run(machine, only=["data", "hpo", "benchmark", "selection"])
    changed = {
        "final_training__data": "train+validation",
        "final_training__training": {"learning_rate": 1e30, "max_grad_norm": 1e30, "epochs": 1, "batch_size": 16},
    }
    with pytest.raises(StageFailed, match=r"(no numbers after the training|loss is .*); a smaller learning rate may help"):
        project.run(machine, changed=changed)
    changed["final_training__training"]["learning_rate"] = 1e-3
    with pytest.raises(
        MadeOtherwise, match=r"learning_rate: 1e\+30 then, 0.001 now.*--fork.*`holdfast drop outputs/final_training"
    ):
        project.run(machine, changed=changed)
    assert machine.keeper().drop("outputs/final_training/micro")
    assert project.run(machine, changed=changed).finished


def test_fewer_trials_than_were_begun_count_the_finished_ones(rig: Rig, finished: Finished) -> None:
    project = Project(rig, finished[0].template)
    machine = project.machine()
    while not (machine.root / "outputs/hpo/micro/study.db").exists() or len(trials(machine)) < 2:
        begin(project, machine, 12)
    summary = project.run(machine, changed={"hpo__trials": 1}, only=["hpo"])
    assert summary.done["hpo/micro"].record.summary["states"] == {"COMPLETE": 1}


def test_another_backbone_leaves_data_and_the_studies_that_are_there_alone(copied: tuple[Project, Machine]) -> None:
    project, machine = copied
    both = [{"name": "micro", "model": "encoder"}, "tiny"]
    told = Lines()
    with pytest.raises(MadeOtherwise, match="selection"):
        project.run(machine, told=told, changed={"backbones": both, "hpo__trials": 2, "hpo__training": {"epochs": 2}})
    assert "data: done" in str(told)
    assert "hpo/micro: done" in str(told)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["summary"].clear(),
        lambda d: d["summary"].update(best_trial="x"),
        lambda d: d["extent"].update(trials="a"),
        lambda d: d["made_from"].update(seed=4),
    ],
)
def test_a_record_that_somebody_changed_is_no_record(
    copied: tuple[Project, Machine], change: Callable[[dict[str, Any]], None]
) -> None:
    project, machine = copied
    place = machine.root / "outputs/hpo/micro/stage.json"
    document = json.loads(place.read_text())
    change(document)
    place.write_text(json.dumps(document))
    assert project.run(machine).ran == ()


def test_checkpoints_that_are_not_whole_do_not_outrank_new_ones(tmp_path: Path) -> None:
    for step in (8, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
    wanted = Wanted(own=True)
    found = search(tmp_path, Copies(), print, wanted)
    assert found.start is None
    clear_the_way(tmp_path, found, Copies(), print, wanted)
    assert list(tmp_path.iterdir()) == []


def test_a_pruned_trial_that_was_not_told_is_pruned_again(finished: Finished, tmp_path: Path) -> None:
    import optuna

    from holdfast.pipeline.study.trial import TrialWatcher

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2), direction="maximize"
    )
    for value in (0.9, 0.8):
        good = study.ask()
        good.report(value, 1)
        good.should_prune()
        study.tell(good, value)

    class Sweep:
        """As much of a sweep as a watcher asks for."""

        hpo = experiment().hpo
        narration = Lines()
        clock = staticmethod(lambda: 0.0)
        folds = None

    bad = study.ask()
    with pytest.raises(optuna.TrialPruned):
        TrialWatcher(Sweep(), bad, 2, alone=True).scored(1, {"f1_micro": 0.1})  # type: ignore[arg-type]
    again = optuna.Trial(study, bad._trial_id)  # killed before it was told
    with pytest.raises(optuna.TrialPruned):
        TrialWatcher(Sweep(), again, 2, alone=True).scored(1, {"f1_micro": 0.1})  # type: ignore[arg-type]


def test_a_lost_machine_without_any_of_this_is_as_before(copied: tuple[Project, Machine]) -> None:
    project, machine = copied
    lose(machine)
    assert project.run(machine).ran == ()


def test_a_number_format_that_this_device_lacks_is_said_as_such() -> None:
    from holdfast.errors import ConfigurationError
    from holdfast.pipeline.training.device import resume_precision

    with pytest.raises(
        ConfigurationError, match=r"was begun with fp16, which this cpu does not have, .* go on on a device like the first"
    ):
        resume_precision("fp16", "auto", "cpu")
    resume_precision("fp32", "auto", "cpu")
    resume_precision(None, "auto", "cpu")
