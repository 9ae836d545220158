"""Shared fixtures: a project with a drive folder beside it, and fresh machines for the same project."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.once import once
from tests.support import Machine, Rig

if TYPE_CHECKING:
    from tests.pipeline.project import Project

# Tests run side by side: torch with as many threads as cores would only wait for itself. Read when torch is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Read when keras is first imported, in whichever test that is.
os.environ.setdefault("KERAS_BACKEND", "torch")

# How long an input takes to make, and a test with it, says nothing of what is tested, only of what else the machine does.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

#: What takes longest, longest first.
LONG = (
    "tests/notebook/test_killed.py",
    "tests/drill/test_training_examples.py",
    "tests/pipeline/test_resume.py",
    "tests/unattended/test_run.py",
    "tests/faults/test_kill_sweep.py",
    "tests/properties/test_lost_uploads_on_drive.py",
    "tests/cli/test_pipeline_commands.py",
    "tests/pipeline/study/test_study_killed.py",
    "tests/pipeline/study/test_study_cost.py",
    "tests/notebook/test_run_all.py",
    "tests/pipeline/conversion/test_convert.py",
    "tests/notebook",
    "tests/properties",
    "tests/store/test_cost.py",
    "tests/store/test_cost_on_drive.py",
    "tests/regressions/test_pipeline_found_by_review.py",
    "tests/drill/test_rehearsal.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long ones first, in each worker, so that none is left with one of them when the others are done.

    `--dist worksteal` gives each worker an even part of the list, one part after the other, and takes from the end of it later.
    """
    workers: int = getattr(config, "workerinput", {}).get("workercount", 1)
    place = {item: next((n for n, path in enumerate(LONG) if item.nodeid.startswith(path)), len(LONG)) for item in items}
    long = sorted((item for item in items if place[item] < len(LONG)), key=place.__getitem__)
    others = [item for item in items if place[item] == len(LONG)]
    total, dealt = len(items), []
    for worker in range(workers):
        first = long[worker::workers]
        share = (total - len(dealt)) // (workers - worker) - len(first)
        dealt += [*first, *others[: max(share, 0)]]
        others = others[max(share, 0) :]
    items[:] = [*dealt, *others]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """With `-n auto` two workers for a core: much of what a worker does is waiting, for disk, mounts and processes."""
    cores = len(os.sched_getaffinity(0))
    return int(os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS", 2 * cores))


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A drive folder, and machines that come and go."""
    return Rig(tmp_path)


@pytest.fixture
def machine(rig: Rig) -> Machine:
    """One machine with an empty project and the drive."""
    return rig.machine()


@pytest.fixture
def seeded() -> Callable[[int], random.Random]:
    """A random generator whose seed is printed, so that a failure can be run again."""

    def make(seed: int) -> random.Random:
        print(f"seed {seed}")
        return random.Random(seed)

    return make


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Machine]:
    """A whole pipeline that ran to its end on one machine, once for all tests. Not to be changed: copy it."""
    from tests.pipeline.project import STAGES, Project, make_project

    def make(folder: Path) -> None:
        make_project(folder / "template")
        project = Project(Rig(folder), folder / "template")
        summary = project.run(project.machine())
        assert summary.finished
        assert summary.ran == tuple(STAGES)
        assert summary.safe == "CONFIRMED"

    folder = once(tmp_path_factory, "finished", make)
    project = Project(Rig(folder), folder / "template")
    return project, project.rig.machine()  # the one that is there


@pytest.fixture
def copied(finished: tuple[Project, Machine], tmp_path: Path) -> tuple[Project, Machine]:
    """A whole pipeline that ran to its end, to be changed: a machine with all of its outputs, and the store."""
    from tests.pipeline.project import Project

    project, machine = finished
    rig = Rig(tmp_path)
    shutil.copytree(project.rig.drive, rig.drive, dirs_exist_ok=True)
    mine = Project(rig, project.template)
    fresh = mine.machine()
    assert mine.run(fresh).ran == ()
    shutil.copytree(machine.root / "outputs", fresh.root / "outputs", dirs_exist_ok=True)
    return mine, fresh
