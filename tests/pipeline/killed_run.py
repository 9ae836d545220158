"""Runs the micro project and kills itself with SIGKILL at the n-th training step of the process. For tests.

python -m tests.pipeline.killed_run ROOT DRIVE [STEP [CHANGES [STAGE...]]]

CHANGES are settings by dotted key, as JSON; the stages are all of them, or those that are named.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch

from holdfast.pipeline.runner import Runner
from tests.pipeline.project import Lines, experiment
from tests.support import Machine


class Deadly(Lines):
    """Kills the process where the work has come to a step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._left = step

    def work(self, what: str, done: int, total: int, note: str = "") -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    root, drive, *more = sys.argv[1:]
    torch.set_num_threads(1)
    told = Deadly(int(more[0]) if more else 0)
    changes = json.loads(more[1]) if len(more) > 1 else {}
    summary = Runner(Machine(Path(root), Path(drive)).keep, experiment(**changes), only=more[2:], narration=told).run()
    print(told)
    print("ran", *summary.ran)


if __name__ == "__main__":
    main()
