"""What a spread study asks of its store and of its own file, and what it takes of its driver, trial by trial."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy

from holdfast.integrations import optimizing
from holdfast.integrations.exact import Exact
from holdfast.integrations.trials import KeptTrial
from tests.spread.objectives import close, keeper_of
from tests.support import Rig


@dataclass(frozen=True)
class Noted:
    """What it had come to when a trial was written down and kept. One backup may serve trials that end together.

    Args:
        counts: Operations on the store, and statements to the study's file (`file: `), since the beginning.
        seconds: Processor time of the driver, of all its threads, since it began.
        trials: Those that were kept.
        backups: So many they took.
    """

    counts: Counter[str]
    seconds: float
    trials: int
    backups: int


def flat(trial: KeptTrial) -> float:
    """An objective that costs nothing."""
    return trial.suggest_float("x", 0.0, 1.0)


def costs(folder: Path, trials: int, parallel: int, engine: str = "local") -> list[Noted]:
    """Run a study to its end, and say what it had come to at each trial's."""
    folder.mkdir()
    machine, counting = Rig(folder).counted()
    place = machine.root / "outputs" / "study"
    place.mkdir(parents=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name="flat",
        storage=f"sqlite:///{place}/study.db",
        sampler=Exact(lambda seed: optuna.samplers.RandomSampler(seed=seed), seed=7),
    )
    storage: Any = study._storage
    statements: Counter[str] = Counter()

    def count(connection: object, cursor: object, statement: str, *rest: object) -> None:
        statements["file: " + statement.split(maxsplit=1)[0].lower()] += 1

    sqlalchemy.event.listen(storage._backend.engine, "before_cursor_execute", count)
    ends: list[Noted] = []
    backups = itertools.count(1)

    class Noting(optimizing._Spread):
        def keep(self) -> None:
            due = len(self._due)
            super().keep()
            if due:
                counts = Counter(counting.counts) + statements
                ends.extend([Noted(counts, time.process_time(), len(ends) + due, next(backups))] * due)

    every = optimizing.Trials(keeper_of(machine), study, trials)
    Noting(every, flat, None, (), parallel, engine, optimizing.Resources()).run()
    close(study)
    assert len(ends) == trials
    return ends
