"""What nodes do in tests: steps that take a while, each kept, gone on with at the last one that was."""

from __future__ import annotations

import os
import pickle
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
    return {"part": pickle.loads(desk.attempt.part), "seen": len(desk.attempt.seen), "threads": os.environ["OMP_NUM_THREADS"]}
