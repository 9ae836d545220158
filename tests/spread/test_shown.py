"""What `status` says of attempts that run, and what an engine says of resources that it does not go by."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from holdfast.session.running import running_at
from holdfast.spread.attempt import END, Attempt, Resources, Told
from holdfast.spread.engine import Ground, open_engine
from holdfast.spread.performing import Desk
from tests.support import Machine

HOME = "outputs/study"


def steps(desk: Desk) -> Mapping[str, Any]:
    """Says where it is, until it is to stop."""
    while not desk.is_to_stop():
        desk.tell({"step": 3, "total": 10})
        time.sleep(0.1)
    return {}


def test_status_names_each_trial_that_runs_with_its_newest_step_and_none_that_does_not(machine: Machine) -> None:
    said: list[str] = []
    ground = Ground(machine.root, HOME, 2, keeper=machine.keep, resources=Resources(1, 0.5), warn=said.append)
    engine = open_engine("local", ground)
    assert len(said) == 1
    assert "gpus (0.5) is not gone by" in said[0]
    try:
        for number in (1, 2):
            unit = f"trial-{number:04d}"
            engine.start(Attempt(unit, 1, f"token{number}", HOME, f"{HOME}/trials/{unit}", pickle.dumps(steps)))
        told: set[str] = set()
        while len(told) < 2 or "step 3 of 10" not in str(running_at(machine.root)[1]):
            told |= {event.attempt.unit for event in engine.wait(1.0) if isinstance(event, Told)}
        lines = [line.split(maxsplit=1) for line in repr(machine.keeper().status()).splitlines() if "of 10" in line]
        assert lines == [
            ["running", f"trial-000{n} of outputs/study: step 3 of 10 (outputs/study/trials/trial-000{n})"] for n in (1, 2)
        ]
        engine.halt()
        ended = 0
        while ended < 2:
            ended += sum(isinstance(event, END) for event in engine.wait(1.0))
    finally:
        engine.close()
    assert running_at(machine.root) == []
    assert "of 10" not in repr(machine.keeper().status())


def test_what_a_driver_left_that_was_killed_is_not_taken_for_true(machine: Machine) -> None:
    code = (
        "import os, sys, pathlib; from holdfast.session.running import Board, Running; "
        "board = Board(pathlib.Path(sys.argv[1])); board.show([Running('trial-0001', 'outputs/study', '', 'outputs/study')]); "
        "print('shown', flush=True); sys.stdin.read()"
    )
    driver = subprocess.Popen([sys.executable, "-c", code, str(machine.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == b"shown\n"
        assert [running.what for running in running_at(machine.root)] == ["trial-0001"]
        driver.kill()
        driver.wait()
        assert list((machine.root / ".holdfast" / "running").iterdir())
        assert running_at(machine.root) == []
