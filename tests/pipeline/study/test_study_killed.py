"""A study that is killed at any instant, again and again, is in the end the study that nobody killed: trial by trial."""

from __future__ import annotations

import logging
import random
import shutil

import pytest

from holdfast.errors import StoreTimeout
from holdfast.store.backends.backend import Backend
from holdfast.store.backends.wrappers import Faulty
from tests.pipeline.cheap import STUDY, killed, run, trials_of, uninterrupted
from tests.support import Rig

pytestmark = pytest.mark.long

TRIALS = 20


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.torture)])
@pytest.mark.parametrize("pruner", ["median", "successive_halving", "hyperband"])
def test_a_study_killed_again_and_again_equals_one_that_nobody_killed(rig: Rig, pruner: str, kills: int) -> None:
    wanted = uninterrupted(rig, TRIALS, pruner)
    assert {t["state"] for t in wanted} == {"COMPLETE", "PRUNED"}, "else this shows nothing of pruning"
    machine, chance = rig.machine(), random.Random(f"killed {pruner}")
    done = wiped = 0
    while killed(machine, TRIALS, pruner, chance.randint(3, 26) if done < kills else None):
        done += 1
        if chance.random() < 0.3:  # the machine is gone with its disk
            wiped += 1
            shutil.rmtree(machine.outputs, ignore_errors=True)
            shutil.rmtree(machine.root / ".holdfast", ignore_errors=True)
    assert done == kills
    assert wiped > kills / 10
    found = trials_of(machine.root)
    assert [t["number"] for t in found] == list(range(TRIALS))
    assert "RUNNING" not in {t["state"] for t in found}
    assert found == wanted
    fresh = rig.machine()
    assert fresh.keep.ensure(STUDY)
    assert trials_of(fresh.root) == wanted


def test_a_trial_that_cannot_be_restored_at_once_is_waited_for_and_not_trained_again(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = uninterrupted(rig, 2, "none")
    first = rig.machine()
    after = 5
    while not list((first.outputs / STUDY.removeprefix("outputs/")).glob("trials/*/checkpoints/*")):
        assert killed(first, 2, "none", after)
        after += 5
    assert killed(first, 2, "none", 3), "it goes on from there, and so has backed it up"
    hiccups = ["small-files"]

    def once(backend: Backend) -> Backend:
        def fault(operation: str, path: str) -> None:
            if operation == "read" and hiccups and hiccups[0] in path:
                hiccups.clear()
                raise StoreTimeout(110, "no answer in 120 s", path)

        return Faulty(backend, fault)

    second = rig.machine(once)
    with caplog.at_level(logging.INFO):
        run(second, 2, "none")
    assert not hiccups
    assert "not restored yet" in caplog.text
    assert "trial 0 is present, restored from the backup" in caplog.text
    assert trials_of(second.root) == wanted
