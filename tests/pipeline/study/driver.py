"""The pipeline's study as a process that may be killed: its trials are the real ones, and each step of a training is counted.

python -m tests.pipeline.study.driver ROOT DRIVE TRIALS PARALLEL [FOLDS]
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from holdfast.flow.narration import Quiet
from holdfast.pipeline.runner import Runner
from holdfast.pipeline.study import spread
from holdfast.pipeline.study.spread import TrialWork
from holdfast.pipeline.study.sweep import Sweep
from holdfast.spread.performing import Desk
from tests.pipeline.project import experiment
from tests.support import Machine

#: Steps between two checkpoints of a trial.
INTERVAL = 2
#: The name of a file to which each step of a trial that is run adds a letter.
COUNTED = "HOLDFAST_TEST_STEPS"
#: Seconds that a step takes at least.
PAUSE = "HOLDFAST_TEST_PAUSE"


class CountedWork(TrialWork):
    """The work of a trial, told of each step."""

    def _sweep(self, desk: Desk, part: Any) -> Sweep:
        return replace(super()._sweep(desk, part), narration=_Steps())


class _Steps(Quiet):
    def work(self, what: str, done: int, total: int, note: str = "") -> None:
        if COUNTED in os.environ:
            with Path(os.environ[COUNTED]).open("a") as file:
                file.write(".")
        time.sleep(float(os.environ.get(PAUSE, "0")))


class Printed(Quiet):
    """The lines that stay, as `holdfast run` shows them."""

    def say(self, text: str) -> None:
        print(text, flush=True)

    def warn(self, text: str) -> None:
        print(text, flush=True)


def changes(trials: int, parallel: int, folds: int | None = None) -> dict[str, Any]:
    """What is changed in the settings of the small project."""
    return {
        "hpo__trials": trials,
        "hpo__parallel": parallel,
        "hpo__startup_trials": 1,
        "hpo__pruner": "median",
        "hpo__folds": folds,
        "hpo__checkpoint": {"save_only_best": False},
        "training__checkpoint": {"steps": INTERVAL, "every": None},
    }


def main() -> None:
    root, drive, trials, parallel, *more = sys.argv[1:]
    folds = int(more[0]) if more else None
    keeper = Machine(Path(root), Path(drive)).keeper()
    from tests.pipeline.study.driver import CountedWork  # under the name by which the processes of trials find it

    with mock.patch.object(spread, "TrialWork", CountedWork):
        settings = experiment(**changes(int(trials), int(parallel), folds))
        Runner(keeper, settings, only=("data", "hpo/micro"), narration=Printed()).run()


if __name__ == "__main__":
    main()
