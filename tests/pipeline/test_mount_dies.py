"""Drive's mount dies in the middle of a whole pipeline: it goes on by Drive's API, and ends as if nothing had been."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.pipeline.runner import Runner
from holdfast.session.attach import open_keeper
from holdfast.simulator import SimulatedDrive
from holdfast.simulator.drive_api import DriveApi
from tests.drive import Mount, mount, nothing_stays_mounted
from tests.leaks import nothing_secret_is_shown
from tests.pipeline.project import RESULTS, STAGES, Lines, Project, experiment, trials
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
