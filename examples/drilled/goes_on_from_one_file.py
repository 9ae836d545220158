"""Goes on: from one checkpoint that is written again and again; with nothing to do once the result is there.

The drill says: HELD
"""

import json
import time
from pathlib import Path

import holdfast

keep = holdfast.attach(quiet=True)
run = Path("outputs/run")
keep.ensure(run)
run.mkdir(parents=True, exist_ok=True)
if not (run / "result.json").exists():
    checkpoint = run / "checkpoint.json"
    state = json.loads(checkpoint.read_text()) if checkpoint.exists() else {"step": 0, "loss": 1.0}
    while state["step"] < 12:
        time.sleep(0.1)  # hours of work
        state = {"step": state["step"] + 1, "loss": state["loss"] / 2}
        whole = run / "checkpoint.tmp"
        whole.write_text(json.dumps(state))
        whole.rename(checkpoint)
        keep.backup(run, progress=state["step"])
    (run / "result.json").write_text(json.dumps(state))
    keep.backup(run, progress=13)
