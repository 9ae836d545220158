"""The small project's whole pipeline, driven in a process of its own that may be killed; its final training is counted and slow.

python -m tests.spread.cluster.pipeline ROOT DRIVE ENGINE [KEY=VALUE]... [only=STAGE]...

Each step of the final training that is done anywhere is a line in the folder that `STEPS_VARIABLE` names.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from holdfast.flow.narration import Narration
from holdfast.pipeline.runner import Runner
from holdfast.pipeline.steps import training
from holdfast.pipeline.training.final import FinalTraining, FinalWatcher
from tests.pipeline.project import Lines, experiment
from tests.support import Machine

STEPS_VARIABLE, PAUSE_VARIABLE = "FINAL_STEPS", "FINAL_PAUSE"


@dataclass(frozen=True)
class Counted(FinalTraining):
    """The final training, told of each step. Nodes have other variables than the driver, so it takes them along."""

    steps: str = field(default_factory=lambda: os.environ[STEPS_VARIABLE])
    pause: float = field(default_factory=lambda: float(os.environ[PAUSE_VARIABLE]))

    def make(self, root: Path, watcher: FinalWatcher, clock: Callable[[], float]) -> dict[str, Any]:
        watcher.narration = _Steps(watcher.narration, Path(self.steps), self.pause)
        return super().make(root, watcher, clock)


class _Steps:
    def __init__(self, narration: Narration, steps: Path, pause: float) -> None:
        self.say, self.warn, self.end, self._work = narration.say, narration.warn, narration.end, narration.work
        self._steps, self._pause = steps, pause

    def work(self, what: str, done: int, total: int, note: str = "") -> None:
        with self._steps.open("a") as file:
            file.write(f"{done}\n")
        time.sleep(self._pause)
        self._work(what, done, total, note)


class _Printed(Lines):
    def say(self, text: str) -> None:
        print(text, flush=True)

    def warn(self, text: str) -> None:
        print(text, flush=True)


def main() -> None:
    root, drive, engine, *changes = sys.argv[1:]
    from tests.spread.cluster.pipeline import Counted  # under the name by which the nodes find it

    pairs = [(key, value) for key, _, value in (change.partition("=") for change in changes)]
    changed = {"hpo__engine": engine, **{key: json.loads(value) for key, value in pairs if key != "only"}}
    only = [value for key, value in pairs if key == "only"]
    with mock.patch.object(training, "FinalTraining", Counted):
        keeper = Machine(Path(root), Path(drive)).keeper()
        summary = Runner(keeper, experiment(**changed), narration=_Printed(), only=only).run()
    print("finished" if summary.finished else "not finished", *summary.ran, flush=True)


if __name__ == "__main__":
    main()
