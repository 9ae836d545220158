"""What nodes do in tests: steps that take a while, each kept, gone on with at the last one that was; and what goes wrong."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Mapping
from typing import Any

from holdfast.flow.stage import Stopped
from holdfast.spread.performing import Desk

STEPS = 10


def steps(desk: Desk) -> Mapping[str, Any]:
    """A line for each step, as it is done: `step attempt`."""
    log = desk.root / desk.attempt.folder / "log.txt"
    done = len(log.read_text().splitlines()) if log.exists() else 0
    print(f"attempt {desk.attempt.number} begins after step {done}")
    for step in range(done + 1, STEPS + 1):
        time.sleep(0.3)
        with log.open("a") as file:
            file.write(f"{step} {desk.attempt.number}\n")
        desk.tell({"step": step, "total": STEPS})
        desk.kept(step / STEPS)
        if desk.is_to_stop():
            raise Stopped
    return {"unit": pickle.loads(desk.attempt.part), "threads": os.environ["OMP_NUM_THREADS"]}


def ends_by_itself(desk: Desk) -> Mapping[str, Any]:
    os._exit(3)


def stops_itself(desk: Desk) -> Mapping[str, Any]:
    time.sleep(2)
    os.kill(os.getpid(), signal.SIGSTOP)
    return {}
