"""Only seems to go on: a checkpoint is written after each step, and nobody reads it.

The drill says: EVERY START BEGINS ANEW
"""

import json
import time
from pathlib import Path

import holdfast

keep = holdfast.attach(quiet=True)
run = Path("outputs/run")
if not keep.ensure("outputs/result.json"):
    keep.ensure(run)
    run.mkdir(parents=True, exist_ok=True)
    loss = 1.0
    for step in range(12):
        time.sleep(0.1)  # hours of work
        loss /= 2
        (run / "checkpoint.json").write_text(json.dumps({"step": step, "loss": loss}))
        keep.backup(run, progress=step)
    Path("outputs/result.json").write_text(json.dumps({"loss": loss}))
    keep.backup("outputs/result.json")
