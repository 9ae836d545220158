"""Only seems to go on: it would, but each start takes the next free number.

The drill says: EVERY START BEGINS ANEW
"""

import time
from pathlib import Path

import holdfast

keep = holdfast.attach(quiet=True)
keep.ensure("outputs/runs")
runs = Path("outputs/runs")
runs.mkdir(parents=True, exist_ok=True)
run = runs / f"run_{len(list(runs.iterdir())) + 1}"
run.mkdir()
for step in range(12):
    path = run / f"step-{step}.txt"
    if not path.exists():
        time.sleep(0.1)  # hours of work
        path.write_text(f"weights after step {step}")
        keep.backup(runs)
