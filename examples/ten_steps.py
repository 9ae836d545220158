"""Ten steps, each from the one before: the universal pattern, to be drilled by `holdfast drill -- python examples/ten_steps.py`."""

import hashlib
import time
from pathlib import Path

import holdfast

keep = holdfast.attach()
state = "seed"
for step in range(10):
    path = Path(f"outputs/step-{step}.txt")
    if not keep.ensure(path):  # the universal pattern
        time.sleep(0.1)  # hours of work
        path.parent.mkdir(exist_ok=True)
        path.write_text(hashlib.sha256(state.encode()).hexdigest())
        keep.backup(path)
    state = keep.require(path).read_text()
