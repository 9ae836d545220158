"""The pipeline's trials, several at a time, whose processes and whose driver are killed: the same study and the same weights."""

from __future__ import annotations

import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.project import Project, make_project, trials
from tests.pipeline.study.driver import COUNTED, INTERVAL, PAUSE
from tests.spread.processes import workers_of
from tests.support import Machine, Rig

PARALLEL = 2
#: What is killed, one after the other.
WORKER, DRIVER, MACHINE = "worker", "driver", "machine"


def started(machine: Machine, number: int, folds: int, counted: Path) -> subprocess.Popen[bytes]:
    arguments = [str(machine.root), str(machine.drive), str(number), str(PARALLEL), *([str(folds)] if folds else [])]
    with counted.with_suffix(".lines").open("ab") as lines:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.pipeline.study.driver", *arguments],
            env={**os.environ, COUNTED: str(counted), PAUSE: "0.05", "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=lines,
        )


def steps(counted: Path) -> int:
    return counted.stat().st_size if counted.exists() else 0


def weights(machine: Machine) -> dict[str, str]:
    found = machine.tree("outputs/hpo/micro")
    return {n: hashlib.sha256(c).hexdigest() for n, c in found.items() if n.endswith(".safetensors")}


@pytest.mark.torture
@pytest.mark.parametrize(
    ("number", "folds", "kills"),
    [
        (4, 0, [WORKER, MACHINE]),
        (5, 3, [WORKER, DRIVER, WORKER, MACHINE] * 2),
        (9, 0, [WORKER, DRIVER, WORKER, MACHINE] * 4),
    ],
)
def test_killed_processes_and_drivers_change_no_trial_and_no_weight_and_no_step_is_trained_again_that_was_kept(
    tmp_path: Path, number: int, folds: int, kills: list[str]
) -> None:
    make_project(tmp_path / "template")
    (tmp_path / "uninterrupted").mkdir()
    whole = Project(Rig(tmp_path / "uninterrupted"), tmp_path / "template").machine()
    assert started(whole, number, folds, tmp_path / "needed").wait() == 0
    wanted = trials(whole)
    assert {t["state"] for t in wanted} == {"COMPLETE", "PRUNED"} or folds, "else this shows nothing of pruning"
    (tmp_path / "killed").mkdir()
    killed = Project(Rig(tmp_path / "killed"), tmp_path / "template")
    machine, lost = _killed(killed, number, folds, tmp_path / "steps", list(kills))
    assert trials(machine) == wanted
    assert len(weights(whole)) == sum(len(t["reports"]) if folds else t["state"] == "COMPLETE" for t in wanted)
    assert weights(machine) == weights(whole)
    needed = steps(tmp_path / "needed")
    assert needed <= steps(tmp_path / "steps") <= needed + INTERVAL * lost
    lines = (tmp_path / "steps.lines").read_text()
    cut_off = re.findall(r"micro: trial (\d+): its process was ended by SIGKILL; another attempt goes on with it\n", lines)
    assert cut_off
    assert all(f"micro: trial {n} goes on\n" in lines for n in cut_off)
    assert f"[{number} of {number}]" in lines
    fresh = killed.machine()
    assert fresh.keep.ensure("outputs/hpo/micro")
    assert (trials(fresh), weights(fresh)) == (wanted, weights(whole))


def _killed(project: Project, number: int, folds: int, counted: Path, kills: list[str]) -> tuple[Machine, int]:
    """The study with its kills, at seeded moments, and how many intervals they may cost at most."""
    chance, lost = random.Random(f"killed {number}"), 0
    machine = project.machine()
    driver = started(machine, number, folds, counted)
    try:
        while kills:
            _wait_for_steps(driver, counted, steps(counted) + chance.randint(1, 5))
            what, workers = kills.pop(0), workers_of(driver.pid)
            if what == WORKER:
                os.kill(chance.choice(workers), signal.SIGKILL)
                lost += 1
                continue
            driver.kill()
            driver.wait()
            lost += len(workers)
            if what == MACHINE:  # its disk is gone, too, and with it the upload under way
                machine = project.machine()
                lost += len(workers)
            driver = started(machine, number, folds, counted)
        assert driver.wait() == 0
    finally:
        driver.kill()
        driver.wait()
    return machine, lost


def _wait_for_steps(driver: subprocess.Popen[Any], counted: Path, number: int) -> None:
    while steps(counted) < number:
        assert driver.poll() is None, "it was done before all was killed that was to be"
        time.sleep(0.01)
