"""Goes on: a file for each step, and one that is there is not made again.

The drill says: HELD
"""

import time
from pathlib import Path

import holdfast

keep = holdfast.attach(quiet=True)
for step in range(12):
    path = Path(f"outputs/steps/step-{step}.txt")
    if not keep.ensure(path):
        time.sleep(0.1)  # hours of work
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"weights after step {step}")
        keep.backup(path)
