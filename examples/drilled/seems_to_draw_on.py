"""Only seems to go on: the step and the weights come back, and the generator of random numbers begins anew.

The drill says: NOT HELD
"""

import json
import random
import time
from pathlib import Path

import holdfast

keep = holdfast.attach(quiet=True)
checkpoint = Path("outputs/run/checkpoint.json")
keep.ensure(checkpoint)
checkpoint.parent.mkdir(parents=True, exist_ok=True)
random.seed(7)
state = json.loads(checkpoint.read_text()) if checkpoint.exists() else {"step": 0, "weight": 0.0}
while state["step"] < 12:
    time.sleep(0.1)  # hours of work
    state = {"step": state["step"] + 1, "weight": state["weight"] + random.random()}  # noqa: S311
    whole = checkpoint.with_suffix(".tmp")
    whole.write_text(json.dumps(state))
    whole.rename(checkpoint)
    keep.backup(checkpoint, progress=state["step"])
