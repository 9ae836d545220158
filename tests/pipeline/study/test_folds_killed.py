"""A cross-validated study that is killed in its folds: the same trials and weights, and no fold that was done is trained again."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.cheap import COUNTED, STEPS, STUDY, killed, trials_of, uninterrupted
from tests.pipeline.study.folded import PAUSE, documents
from tests.spread.processes import workers_of
from tests.support import Machine, Rig

#: What is killed, one after the other.
WORKER, DRIVER, MACHINE = "worker", "driver", "machine"


def steps(counted: Path) -> int:
    return counted.stat().st_size if counted.exists() else 0


def weights(machine: Machine) -> dict[str, str]:
    found = machine.tree(STUDY)
    return {
        n: hashlib.sha256(c).hexdigest() for n, c in found.items() if n.endswith((".safetensors", "metrics.json", "folds.json"))
    }


@pytest.mark.parametrize(
    ("pruner", "kills"),
    [
        pytest.param("median", 4, marks=pytest.mark.long),
        *(pytest.param(pruner, 25, marks=pytest.mark.torture) for pruner in ("median", "successive_halving", "hyperband")),
    ],
)
def test_one_after_the_other_killed_in_any_fold_and_its_disk_lost(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pruner: str, kills: int
) -> None:
    import sklearn.model_selection  # noqa: F401 - once, and not in each process that is killed

    options: dict[str, Any] = {"train": documents(), "folds": 3, "startup_trials": 1, "checkpoint": {"save_only_best": False}}
    trials = 4 if kills < 10 else 12
    monkeypatch.setenv(COUNTED, str(tmp_path / "needed"))
    wanted = uninterrupted(rig, trials, pruner, **options)
    assert {t["state"] for t in wanted} == {"COMPLETE", "PRUNED"}, "else this shows nothing of pruning"
    monkeypatch.setenv(COUNTED, str(tmp_path / "steps"))
    machine, chance = rig.machine(), random.Random(f"killed {pruner}")
    done = wiped = 0
    while killed(machine, trials, pruner, chance.randint(3, 60) if done < kills else None, **options):
        done += 1
        if chance.random() < 0.4:  # the machine is gone with its disk
            wiped += 1
            shutil.rmtree(machine.outputs, ignore_errors=True)
            shutil.rmtree(machine.root / ".holdfast", ignore_errors=True)
    assert done == kills
    assert wiped
    assert trials_of(machine.root) == wanted
    whole = Machine(rig.folder / "uninterrupted", rig.folder / "another-drive")
    fresh = rig.machine()
    assert fresh.keep.ensure(STUDY)
    assert trials_of(fresh.root) == wanted
    assert weights(fresh) == weights(whole)
    assert sum(n.endswith("fold-03/checkpoint/model.safetensors") for n in weights(whole)) == sum(
        t["state"] == "COMPLETE" for t in wanted
    )
    needed = steps(tmp_path / "needed")
    assert needed <= steps(tmp_path / "steps") <= needed + STEPS * (kills + wiped)


def started(machine: Machine, trials: int, parallel: int, at_a_time: int, counted: Path, pause: float) -> subprocess.Popen[bytes]:
    arguments = [str(machine.root), str(machine.drive), str(trials), str(parallel), str(at_a_time)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.pipeline.study.folded", *arguments],
        env={**os.environ, COUNTED: str(counted), PAUSE: str(pause), "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize(
    ("trials", "kills"),
    [
        pytest.param(5, [WORKER, MACHINE], marks=pytest.mark.long),
        pytest.param(12, [WORKER, DRIVER, WORKER, MACHINE] * 5, marks=pytest.mark.torture),
    ],
)
def test_two_at_a_time_with_processes_and_drivers_killed_is_what_the_same_study_is_one_after_the_other(
    rig: Rig, tmp_path: Path, trials: int, kills: list[str]
) -> None:
    whole = Machine(rig.folder / "uninterrupted", rig.folder / "another-drive")
    whole.drive.mkdir()
    assert started(whole, trials, 2, 1, tmp_path / "needed", 0).wait() == 0
    wanted = trials_of(whole.root)
    assert {t["state"] for t in wanted} == {"COMPLETE", "PRUNED"}, "else this shows nothing of pruning"
    needed, counted, chance = steps(tmp_path / "needed"), tmp_path / "steps", random.Random(f"killed {trials}")
    machine, lost, left = rig.machine(), 0, list(kills)
    driver = started(machine, trials, 2, 2, counted, 0.02)
    try:
        while left:
            until = steps(counted) + chance.randint(6, max(7, needed // (len(kills) + 1)))
            while steps(counted) < until:
                assert driver.poll() is None, "it was done before all was killed that was to be"
                time.sleep(0.005)
            what, workers = left.pop(0), workers_of(driver.pid)
            if what == WORKER:
                os.kill(chance.choice(workers), signal.SIGKILL)
                lost += 1
                continue
            driver.kill()
            driver.wait()
            lost += len(workers)
            if what == MACHINE:  # its disk is gone, too, and with it the upload under way
                machine = rig.machine()
                lost += len(workers)
            driver = started(machine, trials, 2, 2, counted, 0.02)
        assert driver.wait() == 0
    finally:
        driver.kill()
        driver.wait()
    assert trials_of(machine.root) == wanted
    fresh = rig.machine()
    assert fresh.keep.ensure(STUDY)
    assert trials_of(fresh.root) == wanted
    assert weights(fresh) == weights(whole)
    assert needed <= steps(counted) <= needed + STEPS * lost


@pytest.mark.torture
def test_one_at_a_time_in_processes_is_what_one_process_makes(rig: Rig, tmp_path: Path) -> None:
    found = []
    for at_a_time in (0, 1):
        machine = Machine(rig.folder / f"machine-{at_a_time}", rig.folder / f"drive-{at_a_time}")
        machine.drive.mkdir()
        assert started(machine, 8, 1, at_a_time, tmp_path / f"steps-{at_a_time}", 0).wait() == 0
        rows = trials_of(machine.root)
        for row in rows:
            assert ("environment" in row["attributes"]) is bool(at_a_time)
            row["attributes"].pop("environment", None)
        found.append((rows, weights(machine), steps(tmp_path / f"steps-{at_a_time}")))
    assert {t["state"] for t in found[0][0]} == {"COMPLETE", "PRUNED"}, "else this shows nothing of pruning"
    assert found[0] == found[1]
