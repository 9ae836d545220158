"""Only seems to go on: everything comes back, and the loop begins at 0.

The drill says: EVERY START BEGINS ANEW
"""

import time
from pathlib import Path

import holdfast

keep = holdfast.attach(quiet=True)
run = Path("outputs/run")
keep.ensure(run)
run.mkdir(parents=True, exist_ok=True)
for step in range(12):
    time.sleep(0.1)  # hours of work
    (run / f"step-{step}.txt").write_text(f"weights after step {step}")
    keep.backup(run)
