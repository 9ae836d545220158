"""Cheap studies that are killed at random places, and gone on with by new objects."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import optuna
from optuna.trial import TrialState

from holdfast.integrations.exact import Exact

#: What is equal, trial by trial.
Told = list[tuple[dict[str, Any], list[float] | None, TrialState]]
Make = Callable[[int], optuna.samplers.BaseSampler]

SAMPLERS: dict[str, Make] = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, n_startup_trials=5),
    "tpe one by one": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=False, n_startup_trials=5),
    "tpe in groups": lambda seed: optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, n_startup_trials=5),
    "cma-es": lambda seed: optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "cma-es with margin": lambda seed: optuna.samplers.CmaEsSampler(seed=seed, with_margin=True, warn_independent_sampling=False),
    "nsga-ii": lambda seed: optuna.samplers.NSGAIISampler(seed=seed, population_size=5),
    "nsga-iii": lambda seed: optuna.samplers.NSGAIIISampler(seed=seed, population_size=5),
    "sobol": lambda seed: optuna.samplers.QMCSampler(seed=seed, warn_independent_sampling=False),
    "scrambled halton": lambda seed: optuna.samplers.QMCSampler(
        seed=seed, scramble=True, qmc_type="halton", warn_independent_sampling=False
    ),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed, n_startup_trials=4),
    "grid": lambda seed: optuna.samplers.GridSampler({"x": [-2.0, -1.0, 0.0, 1.0, 2.0], "y": [1, 3, 4, 5, 9, 8]}, seed=seed),
    "brute force": lambda seed: optuna.samplers.BruteForceSampler(seed=seed),
}


class Killed(BaseException):
    """The process is gone."""


def work(study: optuna.Study, trial: optuna.Trial, killed: Callable[[], None]) -> None:
    """Of ten trials one fails between two suggestions, one fails at its end, and two are pruned."""
    step = 1.0 if isinstance(study.sampler, Exact) and "BruteForce" in str(study.sampler) else None
    killed()
    x = trial.suggest_float("x", -2, 2, step=step)
    killed()
    kind = trial.number % 10
    if kind == 3:
        study.tell(trial, state=TrialState.FAIL)
        return
    y = trial.suggest_int("y", 1, 9)
    killed()
    value = (x - 1) ** 2 + y
    if kind in (4, 8):
        if 0 not in study._storage.get_trial(trial._trial_id).intermediate_values:
            trial.report(value, 0)
        killed()
        study.tell(trial, state=TrialState.PRUNED)
        return
    killed()
    study.tell(trial, *((None, TrialState.FAIL) if kind == 6 else (value,)))


def told(study: optuna.Study) -> Told:
    return [(t.params, t.values, t.state) for t in study.get_trials()]


def begin(make: Make, storage: optuna.storages.BaseStorage, seed: int = 7) -> optuna.Study:
    return optuna.create_study(study_name="s", storage=storage, load_if_exists=True, sampler=Exact(make, seed))


def uninterrupted(make: Make, n: int) -> Told:
    study = begin(make, optuna.storages.InMemoryStorage())
    for _ in range(n):
        work(study, study.ask(), lambda: None)
    return told(study)


class Fused(optuna.storages.InMemoryStorage):
    """What is written stays; before and after each write of an attribute the process may be killed."""

    def __init__(self, maybe: Callable[[], None]) -> None:
        super().__init__()
        self._maybe = maybe

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._maybe()
        super().set_trial_system_attr(trial_id, key, value)
        self._maybe()

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._maybe()
        super().set_study_system_attr(study_id, key, value)
        self._maybe()


def killed_again_and_again(make: Make, n: int, rng: random.Random, share: float = 0.15) -> tuple[Told, int]:
    """The study, and how often it was killed. Whoever goes on has new objects, and the trial that was cut off first."""
    kills = 0

    def maybe() -> None:
        if rng.random() < share:
            raise Killed

    storage = Fused(maybe)

    while True:
        study = begin(make, storage)
        try:
            while True:
                cut = study.get_trials(states=(TrialState.RUNNING,))
                if not cut and len(study.get_trials(deepcopy=False)) >= n:
                    return told(study), kills
                work(study, optuna.Trial(study, cut[0]._trial_id) if cut else study.ask(), maybe)
        except Killed:
            kills += 1
