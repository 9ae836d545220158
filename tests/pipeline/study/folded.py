"""A cross-validated study whose trainings are arithmetic, as a process that may be killed, with trials in processes of their own.

python -m tests.pipeline.study.folded ROOT DRIVE TRIALS PARALLEL AT_A_TIME

With 0 at a time its trials run in that process.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from holdfast.pipeline import hpo
from holdfast.pipeline.data.documents import Document, Span, split_words
from holdfast.pipeline.study import spread
from holdfast.pipeline.study.spread import TrialWork
from holdfast.spread.driver import drive
from holdfast.spread.performing import Desk
from tests.pipeline.cheap import cheap, run
from tests.support import Machine

FOLDS = 2
#: Seconds that a step takes at least.
PAUSE = "HOLDFAST_TEST_PAUSE"


def documents(count: int = 12) -> tuple[Document, ...]:
    """Documents of which each has an entity."""
    made = []
    for number in range(count):
        chance = random.Random(number)
        text = " ".join("".join(chance.choices("abcdefgh", k=6)) for _ in range(12))
        words = split_words(text)
        made.append(Document(text, words, (Span(*words[0], "A"),)))
    return tuple(made)


class CheapWork(TrialWork):
    """The work of a fold, without a training."""

    def __call__(self, desk: Desk) -> Mapping[str, Any]:
        with cheap(lambda: time.sleep(float(os.environ.get(PAUSE, "0"))), documents=documents()):
            return super().__call__(desk)


def main() -> None:
    root, drive_, trials, parallel, at_a_time = sys.argv[1:]
    from tests.pipeline.study.folded import CheapWork  # under the name by which the processes of trials find it

    def so_many(engine: Any, units: Any, parallel: int, time_is_over: Any) -> None:
        drive(engine, units, int(at_a_time), time_is_over)

    with (
        mock.patch.object(spread, "TrialWork", CheapWork),
        mock.patch.object(spread, "drive", so_many),
        mock.patch.object(hpo, "is_spread", return_value=int(at_a_time) > 0),
    ):
        study = partial(run, train=documents(), folds=FOLDS, parallel=int(parallel), startup_trials=1, sampler="random")
        study(Machine(Path(root), Path(drive_)), int(trials), "median")


if __name__ == "__main__":
    main()
