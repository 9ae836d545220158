"""Drive's mount dies in the middle of a whole pipeline: it goes on by Drive's API, and ends as if nothing had been."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.pipeline.runner import Runner
from holdfast.session.attach import open_keeper
from holdfast.simulator import SimulatedDrive
from holdfast.simulator.drive_api import DriveApi
from tests.drive import Mount, mount, nothing_stays_mounted
from tests.leaks import nothing_secret_is_shown
from tests.once import once
from tests.pipeline.project import RESULTS, STAGES, Lines, Project, experiment, trials, trials_below
from tests.session.test_two_ways import DEATHS, api, attach, heads, project
from tests.support import Machine

__all__ = ["api", "mount", "nothing_secret_is_shown", "nothing_stays_mounted"]

#: A step of the first trial, behind its first checkpoint, and one of the final training.
STEPS = (7, 30)


class Told(Lines):
    """Lets a little time pass at each step of a training, and something happen at one of them."""

    def __init__(self, drive: SimulatedDrive, step: int, happens: Callable[[], None]) -> None:
        super().__init__()
        self._drive, self._left, self._happens = drive, step, happens

    def work(self, what: str, done: int, total: int, note: str = "") -> None:
        self._left -= 1
        if self._left > 0:
            self._drive.advance(20)
        elif self._left == 0:
            self._happens()


@pytest.mark.torture
@pytest.mark.parametrize("how", DEATHS)
@pytest.mark.parametrize("step", STEPS)
def test_a_pipeline_whose_mount_dies_goes_on_by_the_api_to_the_same_end(
    api: DriveApi, mount: Mount, finished: tuple[Project, Machine], tmp_path: Path, how: str, step: int
) -> None:
    template, expected = finished[0].template, finished[1]
    drive = mount()
    root = project(drive, tmp_path / "here")
    for name in ("data", "encoder"):
        shutil.copytree(template / name, root / name)
    keeper = open_keeper(root, drive.my_drive, mount=False, background=True)
    told = Told(drive, step, lambda: drive.weather(**DEATHS[how]))
    summary = Runner(keeper, experiment(), narration=told).run()
    keeper.close()
    assert summary.finished, str(told)
    assert summary.ran == tuple(STAGES)
    assert summary.safe == "CONFIRMED", str(told)
    fresh = attach(project(drive, tmp_path / "fresh"), "gdrive:")
    for key in RESULTS:
        assert fresh.require(key).read_bytes() == expected.read(key), key
    fresh.require("outputs/hpo/micro/study.db")
    assert trials(Machine(fresh.root, tmp_path / "no-drive")) == trials(expected)
    assert heads(fresh, "outputs/final_training/micro") == 1
    assert json.loads(fresh.require("outputs/final_training/micro/metrics.json").read_text())


#: Files of a run that hold times, or what the processor was busy with: `make drill` leaves out the same.
VARIES = ("study.db", "benchmark.json", "life.json", "report.html")
#: For each way to die: the line of the command behind which it comes, and how many seconds behind.
MOMENTS = {
    "enotconn": ("tiny: trial 0", 5.0),
    "enoent": ("tiny: trial 1", 12.0),
    "enoent but the mountpoint": ("final training on the", 5.0),
    "enoent but My Drive": ("  exporting to ONNX", 0.0),
    "hangs": ("final training on the", 20.0),
}


def the_sample(root: Path, drive: str | Path, said: Callable[[str], object] = lambda line: None) -> list[str]:
    """`holdfast run sample` as a command of its own; each line that it prints is told as it comes."""
    command = [sys.executable, "-m", "holdfast", "run", "sample", "--root", str(root), "--drive", str(drive)]
    lines = []
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            lines.append(line)
            said(line)
    assert run.returncode == 0, "".join(lines)
    return lines


def made(outputs: Path) -> dict[str, object]:
    files = {p.relative_to(outputs).as_posix(): p for p in sorted(outputs.rglob("*")) if p.is_file()}
    kept: dict[str, object] = {name: p.read_bytes() for name, p in files.items() if p.name not in VARIES}
    assert {name.rpartition(".")[2] for name in kept} >= {"onnx", "safetensors", "json"}
    return {**kept, "study": trials_below(outputs, "tiny")}


def uninterrupted(folder: Path) -> None:
    (folder / "alone").mkdir()
    (folder / "drive").mkdir()
    the_sample(folder / "alone", folder / "drive")


@pytest.mark.torture
@pytest.mark.parametrize("how", DEATHS)
def test_a_run_of_the_sample_whose_mount_dies_goes_on_without_a_person_to_the_same_end(
    api: DriveApi, mount: Mount, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, how: str
) -> None:
    alone = once(tmp_path_factory, "sample", uninterrupted) / "alone" / "outputs"
    drive = mount(speed=1.0)
    root = project(drive, tmp_path / "here", timeout=5)
    after, seconds = MOMENTS[how]
    dies = threading.Timer(seconds, lambda: drive.weather(**DEATHS[how]))
    lines = the_sample(root, drive.my_drive, lambda line: dies.start() if line.startswith(after) and dies.ident is None else None)
    assert dies.finished.is_set()
    print("".join(line for line in lines if "API" in line or line.startswith("  backup")), flush=True)
    assert sum("Drive's mount is dead" in line for line in lines) == 1
    assert made(root / "outputs") == made(alone)
    fresh = attach(project(drive, tmp_path / "fresh"), "gdrive:")
    assert fresh.ensure("outputs")
    assert made(fresh.root / "outputs") == made(alone)
    assert heads(fresh, "outputs/final_training/tiny") == 1
