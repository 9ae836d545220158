"""Only seems to go on: it would, but each start has a folder of its own, named by the clock.

The drill says: EVERY START BEGINS ANEW
"""

import time
from pathlib import Path

import holdfast

keep = holdfast.attach(quiet=True)
keep.ensure("outputs/runs")
run = Path(time.strftime("outputs/runs/%Y-%m-%d_%H-%M-%S"))
run.mkdir(parents=True, exist_ok=True)
for step in range(12):
    path = run / f"step-{step}.txt"
    if not path.exists():
        time.sleep(0.1)  # hours of work
        path.write_text(f"weights after step {step}")
        keep.backup("outputs/runs")
