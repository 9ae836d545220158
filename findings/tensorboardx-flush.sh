#!/usr/bin/env bash
# tensorboardX 2.6.5: SummaryWriter.flush() returns before the events are in the file.
#
# Its docstring says: call this method to make sure that all pending events have been written to disk. Seen: of five
# scalars nothing is in the file right after flush(), nor a second later; only what begins the file (80 bytes of 248) is.
# close() brings them. Of many scalars the last part is missing, up to 8 KiB. Whoever copies the file after flush(),
# or loses the machine then, misses them.
#
# Prints FOUND and ends with 0 where that is so, CHANGED and 1 where it is so no more.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check tensorboardX==2.6.5 2>/dev/null
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import os
import sys
import time
from pathlib import Path

from tensorboardX import SummaryWriter

writer = SummaryWriter("run")
for step in range(5):
    writer.add_scalar("loss", 1.0 / (step + 1), step)
writer.flush()
(events,) = Path("run").glob("events.*")
at_once = events.stat().st_size
time.sleep(1)
later = events.stat().st_size
writer.close()
whole = events.stat().st_size
print(f"5 scalars: {at_once} bytes after flush(), {later} a second later, {whole} after close()")
late = later < whole
print("FOUND" if late else "CHANGED")
sys.stdout.flush()
os._exit(0 if late else 1)
PYTHON
