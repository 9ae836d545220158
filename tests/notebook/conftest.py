"""A Colab to run the notebook on: one account, a simulated Drive, and machines that come and go."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.simulator import Pace
from holdfast.simulator.colab import FakeColab
from holdfast.simulator.mounting import unmount
from tests.drive import nothing_stays_mounted
from tests.notebook.session import Session, make_machine
from tests.pipeline.project import Project, make_project, trials
from tests.support import Machine

__all__ = ["nothing_stays_mounted"]

#: What a run is for, below outputs.
RESULTS = (
    "final_training/micro/checkpoint/model.safetensors",
    "final_training/micro/metrics.json",
    "best_configuration/best_configuration.json",
    "conversion/micro/onnx/model.onnx",
    "conversion/micro/onnx/model.int8.onnx",
    "conversion/micro/onnx/conversion.json",
    "report/report.md",
)

#: Virtual seconds in a second: an upload arrives up to a second after it was written, in any order.
SPEED = 20.0
LAG = (1.0, 20.0)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository that every machine has a copy of."""
    folder = tmp_path_factory.mktemp("notebook-template")
    make_project(folder)
    return folder


@pytest.fixture
def colab(tmp_path: Path) -> Iterator[FakeColab]:
    """Colab's package, and one account. Mounting needs a kernel, as on a real machine."""
    with FakeColab(cloud=tmp_path / "cloud", speed=SPEED, pace=Pace(lag=LAG), needs_kernel=True) as fake:
        yield fake


class Colab:
    """Machines of Colab, one at a time, all mounting Drive at the same place."""

    def __init__(self, folder: Path, template: Path, fake: FakeColab) -> None:
        self.fake = fake
        self.mount_point = folder / "content" / "drive"
        self._folder = folder
        self._template = template
        self._numbers = itertools.count(1)
        self.lost: list[str] = []

    def machine(self, *, timeout: float = 20.0) -> Session:
        """A fresh one."""
        root = make_machine(self._folder / f"machine-{next(self._numbers)}", self._template, self.mount_point, timeout=timeout)
        return Session(root, self.fake.environment)

    def take_away(self) -> list[str]:
        """The machine is gone, with its disk and what was not uploaded: torn, empty or missing, by seed. Names what was lost."""
        lost = self.fake.drive.disconnect()
        unmount(self.mount_point)
        for root in self._folder.glob("machine-*/"):
            shutil.rmtree(root)
        return [f"{one.fate.value} {one.path}" for one in lost]

    def kill_with(self, pid: int) -> None:
        """Take the machine away at the moment when a process ends."""
        while _lives(pid):
            time.sleep(0.001)
        self.lost = self.take_away()

    def fetch(self, root: Path, *paths: str) -> None:
        """Restore to a machine what nothing there has needed, to look at it."""
        code = (
            f"import holdfast\nkeep = holdfast.attach({str(root)!r}, mount=False)\nfor p in {paths!r}: keep.require('outputs/' + p)"
        )
        env = {**os.environ, **self.fake.environment}
        env.pop("HOLDFAST_DRIVE", None)
        subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=120)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def machines(tmp_path: Path, template: Path, colab: FakeColab) -> Colab:
    return Colab(tmp_path, template, colab)


def the_same(root: Path, reference: Machine) -> None:
    """Weights, metrics, choice and models of a machine are byte for byte those of the uninterrupted run, and so are its trials."""
    mine = Machine(root, root / "no-drive")
    for path in RESULTS:
        assert mine.read(f"outputs/{path}") == reference.read(f"outputs/{path}"), path
    assert trials(mine) == trials(reference)


@pytest.fixture
def reference(finished: tuple[Project, Machine]) -> Machine:
    """The machine of an uninterrupted `holdfast run`."""
    return finished[1]
