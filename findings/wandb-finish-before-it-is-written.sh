#!/usr/bin/env bash
# wandb 0.31.0, offline: run.finish() returns, and the run is not in its file yet.
#
# The file is written by a service beside the process. finish() waits for its answer, and what was logged is in the file a
# moment later: read or copied at once it has its head of 7 bytes and nothing else, in about every second run on a busy
# machine. Nothing tells a later reader that there was more. wandb.teardown() waits for the service, and after it the file
# is whole.
#
# Prints FOUND and ends with 0 where that is so, CHANGED and 1 where it is so no more.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check wandb==0.31.0 2>/dev/null
cd "$work"
WANDB_SILENT=true WANDB_ERROR_REPORTING=false "$work/venv/bin/python" - <<'PYTHON'
import multiprocessing
import sys
from pathlib import Path

import wandb


def busy() -> None:
    while True:
        sum(range(1000))


def sizes(teardown: bool, name: str) -> list[int]:
    """Bytes of each of thirty runs, looked at when it is finished."""
    found = []
    for number in range(30):
        run = wandb.init(
            project="p",
            id=f"{name}{number}",
            mode="offline",
            dir=".",
            settings=wandb.Settings(console="off", disable_git=True, x_disable_stats=True, x_disable_meta=True),
        )
        run.log({"loss": 1.0}, step=1)
        run.finish()
        if teardown:
            wandb.teardown()
        (place,) = Path("wandb").glob(f"offline-run-*-{name}{number}/*.wandb")
        found.append(place.stat().st_size)
    return found


if __name__ == "__main__":
    others = [multiprocessing.Process(target=busy, daemon=True) for _ in range(multiprocessing.cpu_count())]
    for other in others:
        other.start()
    finished, torn_down = sizes(False, "a"), sizes(True, "b")
    for other in others:
        other.kill()
    print(f"of 30 runs the file had 7 bytes after finish(): {finished.count(7)}; after teardown(): {torn_down.count(7)}")
    found = finished.count(7) > 0 and torn_down.count(7) == 0
    print("FOUND" if found else "CHANGED")
    sys.exit(not found)
PYTHON
