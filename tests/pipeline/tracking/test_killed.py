"""Killed again and again, each time on a machine that is then gone: one run of each tracker for each training, each step once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from holdfast.pipeline.layout import JOURNAL
from holdfast.pipeline.settings import TRACKERS
from holdfast.pipeline.tracking.journal import read_journal
from tests.pipeline.project import Project
from tests.pipeline.tracking import stores
from tests.support import Machine, Rig

REPOSITORY = Path(__file__).parents[3]
#: Sixteen steps an epoch, so that losses are logged between epochs, and between checkpoints.
CHANGES: dict[str, Any] = {"training__batch_size": 2, "training__checkpoint": {"steps": 3, "every": None}}
CHANGES |= {"hpo__search_space": {"learning_rate": {"type": "loguniform", "low": 1e-3, "high": 1e-2}}}
ONLY = ("data", "hpo", "benchmark", "selection", "final_training")
STUDY, FINAL = "outputs/hpo/micro", "outputs/final_training/micro"


def ran(machine: Machine, trackers: Sequence[str], step: int | None) -> subprocess.CompletedProcess[str]:
    """Run in a process, which is killed at its n-th step."""
    changes = json.dumps({**CHANGES, "training__report_to": list(trackers)})
    command = [sys.executable, "-m", "tests.pipeline.killed_run", str(machine.root), str(machine.drive), str(step or 0), changes]
    return subprocess.run([*command, *ONLY], cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=False)


def journals(machine: Machine) -> dict[str, list[tuple[int, str, float]]]:
    """What each training logged, by the name of its run."""
    found = {}
    for folder in (STUDY, FINAL):
        for place in (machine.root / folder).rglob(JOURNAL):
            journal = read_journal(place)
            assert journal is not None
            assert journal.ended == "FINISHED"
            found[journal.run.name] = sorted((row.step, *metric) for row in journal.rows for metric in row.metrics.items())
    return found


READERS: dict[str, Callable[[Path], stores.Runs]] = {
    "tensorboard": stores.tensorboard,
    "mlflow": stores.mlflow,
    "wandb": stores.wandb,
    "trackio": stores.trackio,
}


def expect(machine: Machine, tracker: str, logged: dict[str, list[tuple[int, str, float]]]) -> None:
    """The tracker has one run for each training, and in it every value once."""
    for folder in (STUDY, FINAL):
        found = {name: sorted(items) for name, items in READERS[tracker](machine.root / folder).items()}
        if tracker == "tensorboard":  # its runs are called as their folders, and it has single precision
            names = ["micro-trial-0000", "micro-trial-0001"] if folder == STUDY else ["final_training"]
            found = dict(zip(names, (found[n] for n in sorted(found)), strict=True))
            expected = {n: [(s, k, pytest.approx(v, rel=1e-6)) for s, k, v in logged[n]] for n in names}
        else:
            expected = {n: items for n, items in logged.items() if (n == "final_training") == (folder == FINAL)}
        assert found == expected, f"{tracker}, {folder}"


@pytest.fixture(scope="module")
def uninterrupted(finished: tuple[Project, Machine], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is logged by a run that nobody interrupts."""
    rig = Rig(tmp_path_factory.mktemp("uninterrupted"))
    project = Project(rig, finished[0].template)
    machine = project.machine()
    project.run(machine, changed={**CHANGES, "training__report_to": ["tensorboard"]}, only=ONLY)
    return journals(machine)


@pytest.mark.parametrize(
    ("trackers", "kills"),
    [
        pytest.param(TRACKERS, [23, 62], id="all of them", marks=pytest.mark.long),
        *(pytest.param([name], [8, 20, 19, 30, 36], id=name, marks=pytest.mark.torture) for name in TRACKERS),
    ],
)
def test_a_run_that_is_killed_with_its_machine_has_one_run_of_each_tracker_with_every_step_once(
    finished: tuple[Project, Machine], uninterrupted: dict[str, Any], rig: Rig, trackers: Sequence[str], kills: list[int]
) -> None:
    project = Project(rig, finished[0].template)
    for step in kills:
        done = ran(project.machine(), trackers, step)  # the last one is gone, with everything on its disk
        assert done.returncode == -9, done.stdout + done.stderr
    machine = project.machine()
    done = ran(machine, trackers, None)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "goes on" in done.stdout
    fresh = project.machine()
    for folder in (STUDY, FINAL):
        assert fresh.keep.ensure(folder), "and all of it is in the store"
    assert journals(fresh) == uninterrupted
    assert [len({step for step, *_ in items}) for items in uninterrupted.values()] == [5, 5, 5]
    for tracker in trackers:
        expect(fresh, tracker, uninterrupted)
    assert "SAFE" in str(machine.keeper().status())
