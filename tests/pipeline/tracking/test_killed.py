"""Killed again and again, each time on a machine that is then gone: one run of each tracker for each training, each step once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from holdfast.pipeline.layout import JOURNAL
from holdfast.pipeline.settings import TRACKERS
from holdfast.pipeline.tracking.journal import read_journal
from tests.pipeline.project import Project
from tests.pipeline.tracking.stores import READERS
from tests.support import Machine, Rig

REPOSITORY = Path(__file__).parents[3]
#: Seventeen steps an epoch, so that losses are logged between epochs, and between checkpoints.
CHANGES: dict[str, Any] = {"training__batch_size": 2, "training__checkpoint": {"steps": 3, "every": None}}
CHANGES |= {"hpo__search_space": {"learning_rate": {"type": "loguniform", "low": 1e-3, "high": 1e-2}}}
ONLY = ("data", "hpo", "benchmark", "selection", "final_training")
STAGES = STUDY, FINAL = "outputs/hpo/micro", "outputs/final_training/micro"


def ran(machine: Machine, trackers: Sequence[str], only: Sequence[str], step: int = 0) -> subprocess.CompletedProcess[str]:
    """Run in a process, which is killed at its n-th step."""
    changes = json.dumps({**CHANGES, "training__report_to": list(trackers)})
    command = [sys.executable, "-m", "tests.pipeline.killed_run", str(machine.root), str(machine.drive), str(step), changes]
    return subprocess.run([*command, *only], cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=False)


def journals(machine: Machine, stages: Sequence[str]) -> dict[str, list[tuple[int, str, float]]]:
    """What each training logged, by the name of its run."""
    found = {}
    for folder in stages:
        for place in (machine.root / folder).rglob(JOURNAL):
            journal = read_journal(place)
            assert journal is not None
            assert journal.ended == "FINISHED"
            found[journal.run.name] = sorted((row.step, *metric) for row in journal.rows for metric in row.metrics.items())
    return found


def expect(machine: Machine, folder: str, tracker: str, logged: dict[str, list[tuple[int, str, float]]]) -> None:
    """The tracker has one run for each training of a stage, and in it every value once."""
    found = {name: sorted(items) for name, items in READERS[tracker](machine.root / folder).items()}
    expected: dict[str, Any] = {n: items for n, items in logged.items() if (n == "final_training") == (folder == FINAL)}
    if tracker == "tensorboard":  # its runs are called as their folders, and it has single precision
        found = dict(zip(sorted(expected), (found[n] for n in sorted(found)), strict=True))
        expected = {n: [(s, k, pytest.approx(v, rel=1e-6)) for s, k, v in items] for n, items in expected.items()}
    assert found == expected, f"{tracker}, {folder}"


@pytest.fixture(scope="module")
def uninterrupted(finished: tuple[Project, Machine], tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine with a run that nobody interrupts."""
    project = Project(Rig(tmp_path_factory.mktemp("uninterrupted")), finished[0].template)
    machine = project.machine()
    project.run(machine, changed={**CHANGES, "training__report_to": "tensorboard"}, only=ONLY)
    return machine


def test_each_trial_and_the_final_training_is_a_run_of_its_own_below_its_stage(uninterrupted: Machine) -> None:
    logged = journals(uninterrupted, STAGES)
    assert sorted(logged) == ["final_training", "micro-trial-0000", "micro-trial-0001"]
    for items in logged.values():
        assert sorted({step for step, *_ in items}) == [10, 17, 20, 30, 34]
        assert {"train/loss", "train/learning_rate", "eval/loss", "eval/f1_micro"} <= {name for _, name, _ in items}
    for folder in STAGES:
        expect(uninterrupted, folder, "tensorboard", logged)


@pytest.mark.parametrize(
    ("trackers", "kills", "stages"),
    [
        pytest.param(TRACKERS, [23], [STUDY], id="all of them", marks=pytest.mark.long),
        *(pytest.param([name], [8, 20, 19, 30, 20], [STUDY, FINAL], id=name, marks=pytest.mark.torture) for name in TRACKERS),
    ],
)
def test_a_run_that_is_killed_with_its_machine_has_one_run_of_each_tracker_with_every_step_once(
    finished: tuple[Project, Machine],
    uninterrupted: Machine,
    rig: Rig,
    trackers: Sequence[str],
    kills: list[int],
    stages: list[str],
) -> None:
    project = Project(rig, finished[0].template)
    only = ONLY if FINAL in stages else ONLY[:2]
    for step in kills:
        done = ran(project.machine(), trackers, only, step)  # the last one is gone, with everything on its disk
        assert done.returncode == -9, done.stdout + done.stderr
    machine = project.machine()
    done = ran(machine, trackers, only)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "goes on" in done.stdout
    fresh = project.machine()
    for folder in stages:
        assert fresh.keep.ensure(folder), "and all of it is in the store"
    wanted = journals(uninterrupted, stages)
    assert journals(fresh, stages) == wanted
    for folder in stages:
        for tracker in trackers:
            expect(fresh, folder, tracker, wanted)
    assert "SAFE" in str(machine.keeper().status())
