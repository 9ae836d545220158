"""A study that is killed at any instant, again and again, is in the end the study that nobody killed: trial by trial."""

from __future__ import annotations

import random
import shutil

import pytest

from tests.pipeline.cheap import STUDY, killed, trials_of, uninterrupted
from tests.support import Rig

TRIALS = 20
KILLS = 50


@pytest.mark.parametrize("pruner", ["median", "successive_halving", "hyperband"])
def test_a_study_killed_fifty_times_equals_one_that_nobody_killed(rig: Rig, pruner: str) -> None:
    wanted = uninterrupted(rig, TRIALS, pruner)
    assert {t["state"] for t in wanted} == {"COMPLETE", "PRUNED"}, "else this shows nothing of pruning"
    machine, chance = rig.machine(), random.Random(f"killed {pruner}")
    kills = wiped = 0
    while killed(machine, TRIALS, pruner, chance.randint(3, 26) if kills < KILLS else None):
        kills += 1
        if chance.random() < 0.3:  # the machine is gone with its disk
            wiped += 1
            shutil.rmtree(machine.outputs, ignore_errors=True)
            shutil.rmtree(machine.root / ".holdfast", ignore_errors=True)
    assert kills == KILLS
    assert wiped > KILLS / 10
    found = trials_of(machine.root)
    assert [t["number"] for t in found] == list(range(TRIALS))
    assert "RUNNING" not in {t["state"] for t in found}
    assert found == wanted
    fresh = rig.machine()
    assert fresh.keep.ensure(STUDY)
    assert trials_of(fresh.root) == wanted
