"""Goes on: what is still to do is what the folder does not list.

The drill says: HELD
"""

import time
from pathlib import Path

import holdfast

keep = holdfast.attach(quiet=True)
keep.ensure("outputs/parts")
parts = Path("outputs/parts")
parts.mkdir(parents=True, exist_ok=True)
done = {part.name for part in parts.iterdir()}
for name in sorted({f"part-{number:02}.txt" for number in range(12)} - done):
    time.sleep(0.1)  # hours of work
    (parts / name).write_text(f"features of {name}")
    keep.backup(parts)
