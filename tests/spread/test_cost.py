"""What a trial costs depends neither on how many processes there are nor on how many trials there were: counts, no times."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy

from holdfast.integrations import optimizing
from holdfast.integrations.exact import Exact
from holdfast.integrations.trials import KeptTrial
from tests.spread.objectives import close, keeper_of
from tests.support import Rig

pytestmark = pytest.mark.long


def flat(trial: KeptTrial) -> float:
    """An objective that costs nothing."""
    return trial.suggest_float("x", 0.0, 1.0)


def costs(folder: Path, trials: int, parallel: int) -> list[Counter[str]]:
    """What was asked of the store, and of the study's file, up to each trial's end."""
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
    ends: list[Counter[str]] = []

    class Noting(optimizing._Spread):
        def recorded(self, *args: Any) -> None:
            super().recorded(*args)
            ends.append(Counter(counting.counts) + statements)

    all_ = optimizing.Trials(keeper_of(machine), study, trials)
    Noting(all_, flat, None, (), parallel, "local", optimizing.Resources()).run()
    close(study)
    assert len(ends) == trials
    return ends


def test_a_trial_asks_as_much_of_the_store_and_of_the_study_with_eight_processes_as_with_one(tmp_path: Path) -> None:
    one, eight = (costs(tmp_path / str(p), 16, p) for p in (1, 8))
    _are_alike(one[-1] - one[3], eight[-1] - eight[3])


def test_the_sixtieth_trial_asks_no_more_of_the_store_and_of_the_study_than_the_twentieth(tmp_path: Path) -> None:
    ends = costs(tmp_path / "study", 61, 2)
    _are_alike(ends[30] - ends[10], ends[60] - ends[40])


def _are_alike(early: Counter[str], late: Counter[str]) -> None:
    assert early["create"] > 0
    assert any(name.startswith("file: ") for name in early)
    for name in early.keys() | late.keys():
        assert late[name] <= early[name] * 1.15 + 2, (name, early, late)  # generations are tidied in their own rhythm
