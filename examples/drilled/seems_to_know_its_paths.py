"""Only seems to go on: it notes where its newest checkpoint lies, from the root of this machine.

The drill says: GETS NO FURTHER
"""

import json
import time
from pathlib import Path

import holdfast

keep = holdfast.attach(quiet=True)
run = Path("outputs/run")
keep.ensure(run)
run.mkdir(parents=True, exist_ok=True)
state = run / "state.json"
done = int(Path(json.loads(state.read_text())["newest"]).read_text()) if state.exists() else 0
for step in range(done, 12):
    time.sleep(0.1)  # hours of work
    checkpoint = run / f"checkpoint-{step}.txt"
    checkpoint.write_text(str(step + 1))
    state.write_text(json.dumps({"newest": str(checkpoint.absolute())}))
    keep.backup(run, progress=step)
