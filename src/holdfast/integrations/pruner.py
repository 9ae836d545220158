"""Optuna: a pruner's answer, the same however often the question was cut off by a kill."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, cast

import optuna
from optuna.storages import BaseStorage


def should_prune(trial: optuna.Trial, until: int | None = None) -> tuple[bool, dict[str, Any]]:
    """Ask the study's pruner, without letting it write.

    Optuna's successive halving and hyperband note the rungs that a trial has completed in the middle of answering. A process
    killed between that note and what it makes of the answer would get another answer when it asks again. So the notes are
    handed back: whoever asks keeps the answer first, and then the notes, with `note`.

    Args:
        trial: The trial, with its last value reported.
        until: The step that is asked about; what was reported of later ones, before a kill, does not count. None for the last.

    Returns:
        Whether it is to be pruned, and the pruner's notes.
    """
    study = trial.study
    withholding = _Withholding(study._storage)
    asked = optuna.Study(study.study_name, cast("BaseStorage", withholding), pruner=study.pruner)
    then = study._storage.get_trial(trial._trial_id)
    if until is not None:
        then = copy.copy(then)
        then.intermediate_values = {s: v for s, v in then.intermediate_values.items() if s <= until}
    answer = study.pruner.prune(asked, then)
    return answer, withholding.notes


def note(trial: optuna.Trial, notes: Mapping[str, Any]) -> None:
    """Keep what the pruner noted. May be done again."""
    for name, value in notes.items():
        trial.storage.set_trial_system_attr(trial._trial_id, name, value)


class _Withholding:
    """A storage from which everything can be read, and whose system attributes of trials are kept in memory."""

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage
        self.notes: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.notes[key] = value
