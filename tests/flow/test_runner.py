"""The runner, on the whole pipeline: restore first, do what is left, back up what was made, and nothing twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from holdfast.errors import MadeOtherwise, UsageError
from tests.pipeline.project import STAGES, Lines, Project, lose, trials
from tests.support import Machine, Rig


def test_a_second_run_redoes_nothing(finished: tuple[Project, Machine]) -> None:
    project, machine = finished
    before = machine.tree()
    told = Lines()
    summary = project.run(machine, told=told)
    assert summary.finished
    assert summary.ran == ()
    assert machine.tree() == before
    assert all("done (here and in the store)" in line for line in told.lines)


def test_after_each_stage_a_lost_machine_goes_on_and_redoes_nothing(rig: Rig, finished: tuple[Project, Machine]) -> None:
    project = Project(rig, finished[0].template)
    machine = project.machine()
    here: dict[str, set[str]] = {}
    records: dict[str, bytes] = {}
    for stage in STAGES:
        lose(machine)
        summary = project.run(machine, only=[stage])
        assert summary.ran == (stage,), "an earlier stage was made again"
        here[stage] = set(machine.tree())
        for key, content in records.items():  # fingerprints and results of earlier stages are as they were
            assert machine.read(key) == content
        records = {f.stage.record: machine.read(f.stage.record) for f in summary.done.values()}
    lose(machine)
    assert project.run(machine).ran == ()
    assert [t["number"] for t in trials_of(machine)] == [0, 1]
    # Of everything that may be large, each machine had only what its stage makes or works on; the last one the products.
    trial, final, onnx = (
        "trials/trial-0001/checkpoint/model.safetensors",
        "final_training/micro/checkpoint/model.safetensors",
        "model.onnx",
    )
    study = "hpo/micro/study.db"
    large = {s: {n for n in (trial, final, onnx, study, "data/train.jsonl") if any(n in p for p in here[s])} for s in STAGES}
    assert large == {
        "data": {"data/train.jsonl"},
        "hpo/micro": {"data/train.jsonl", study, trial},
        "benchmark/micro": {trial},
        "selection": {study},
        "final_training": {"data/train.jsonl", final},
        "conversion": {final, onnx},
        "report": {study, onnx},
    }


def trials_of(machine: Machine) -> list[dict[str, object]]:
    machine.keeper().require("outputs/hpo/micro/study.db")
    return trials(machine)


def test_a_fresh_machine_gets_the_products_and_no_more(finished: tuple[Project, Machine], tmp_path: Path) -> None:
    project, old = finished
    machine = project.machine()
    assert project.run(machine).ran == ()
    tree = machine.tree()
    assert "conversion/micro/onnx/model.onnx" in tree
    assert "final_training/micro/metrics.json" in tree
    assert "report/report.md" in tree
    assert not any("safetensors" in p or p.endswith(".db") for p in tree)
    assert all(old.tree()[p] == content for p, content in tree.items())


@pytest.mark.parametrize(
    ("changed", "stage", "said"),
    [
        ({"hpo__search_space__learning_rate__high": 2e-2}, "hpo/micro", "hpo.search_space.learning_rate.high: 0.01 then, 0.02 now"),
        ({"seed": 4}, "hpo/micro", "seed: 3 then, 4 now"),
        ({"training__weight_decay": 0.1}, "hpo/micro", "training.weight_decay: 0.01 then, 0.1 now"),
        ({"selection__tolerance": 0.5}, "selection", "selection.tolerance: 0.0 then, 0.5 now"),
        ({"final_training__training": {"epochs": 3}}, "final_training", "training.epochs: 2 then, 3 now"),
        ({"conversion__tolerance": 1e-3}, "conversion", "conversion.tolerance: 0.0001 then, 0.001 now"),
    ],
)
def test_other_settings_are_refused_with_the_difference(
    finished: tuple[Project, Machine], changed: dict[str, object], stage: str, said: str
) -> None:
    project, machine = finished
    before = machine.tree()
    with pytest.raises(MadeOtherwise) as refused:
        project.run(machine, changed=changed)
    assert str(refused.value).startswith(f"{stage}: ")
    assert said in str(refused.value)
    assert "--fork" in str(refused.value)
    assert machine.tree() == before
    assert project.run(machine).ran == (), "set back, it is what it was"


def test_a_fork_keeps_both_lines_whole(copied: tuple[Project, Machine]) -> None:
    project, machine = copied
    before = machine.tree()
    changed = {"hpo__search_space__learning_rate__high": 2e-2}
    summary = project.run(machine, changed=changed, fork=True)
    assert summary.finished
    assert "data" not in summary.ran
    assert "hpo/micro" in summary.ran
    after = machine.tree()
    assert {p: after[p] for p in before} == before, "the first line was touched"
    forked = {p.split("/")[1] for p in after if p.startswith("hpo/")}
    assert len(forked) == 2
    # Both go on being found, on a fresh machine too, without --fork.
    for settings in ({}, changed):
        assert project.run(project.machine(), changed=settings).ran == ()


def test_a_lost_output_is_made_again_and_only_that(copied: tuple[Project, Machine]) -> None:
    project, machine = copied
    lose(machine)
    for manifest in (project.rig.store / "generations").glob("outputs~conversion~micro@*"):
        manifest.unlink()
    summary = project.run(machine)
    assert summary.ran == ("conversion",)


def test_work_that_was_done_without_a_store_is_backed_up_when_there_is_one(
    finished: tuple[Project, Machine], tmp_path: Path
) -> None:
    project, machine = finished
    rig = Rig(tmp_path)
    other = Project(rig, project.template)
    mine = other.machine()
    shutil.copytree(machine.root / "outputs", mine.root / "outputs")
    told = Lines()
    summary = other.run(mine, told=told)
    assert summary.ran == ()
    assert summary.safe == "CONFIRMED"
    assert "backed up now" in str(told)
    lose(mine)
    assert other.run(mine).ran == ()


def test_a_stage_that_is_asked_for_alone_says_what_it_lacks(rig: Rig, finished: tuple[Project, Machine]) -> None:
    project = Project(rig, finished[0].template)
    machine = project.machine()
    with pytest.raises(UsageError, match="conversion: cannot run before the stages that it builds on"):
        project.run(machine, only=["conversion"])
    with pytest.raises(UsageError, match="there is no such stage"):
        project.run(machine, only=["convert"])
    assert project.run(machine, only=["data"]).ran == ("data",)


def test_a_record_that_cannot_be_read_is_set_aside_and_comes_back(copied: tuple[Project, Machine]) -> None:
    project, machine = copied
    place = machine.root / "outputs/final_training/micro/stage.json"
    place.write_text("{")
    assert project.run(machine).ran == ()
    assert json.loads(place.read_text())["finished"] is True
    assert place.with_name("stage.json.unreadable-1").read_text() == "{"


def test_the_time_given_ends_a_run_without_loss_and_the_next_goes_on(rig: Rig, finished: tuple[Project, Machine]) -> None:
    project = Project(rig, finished[0].template)
    machine = project.machine()
    now = [0.0]

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    summary = project.run(machine, clock=clock, stop_after=25.0)
    assert summary.stopped
    assert not summary.finished
    assert "data" in summary.done
    stopped_at = trials_of(machine)
    lose(machine)
    told = Lines()
    summary = project.run(machine, told=told)
    assert summary.finished
    assert "data" not in summary.ran
    assert "Welcome back: hpo/micro" in str(told)
    assert trials(machine)[: len(stopped_at) - 1] == stopped_at[:-1]
    assert all(t["state"] == "COMPLETE" for t in trials(machine))
