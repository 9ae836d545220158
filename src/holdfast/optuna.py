"""Optuna: a study that is killed at any instant and ends as an uninterrupted one.

::

    import optuna
    import holdfast

    keep = holdfast.attach()
    keep.ensure("outputs/study")
    sampler = holdfast.optuna.Exact(lambda seed: optuna.samplers.TPESampler(multivariate=True, seed=seed), seed=7)
    study = optuna.create_study(storage="sqlite:///outputs/study/study.db", load_if_exists=True, sampler=sampler)
    for trial in keep.trials(study, 50):
        study.tell(trial, trial.suggest_float("x", -10, 10) ** 2)
"""

from __future__ import annotations

from holdfast.integrations.exact import Exact
from holdfast.integrations.sampler import ExactSampler
from holdfast.integrations.trials import KeptTrial

__all__ = ["Exact", "ExactSampler", "KeptTrial"]
