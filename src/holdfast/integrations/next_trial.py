"""Optuna: the trial that is to be worked on next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import optuna

#: A claim on the trial of a number; None where a live process has it.
Claimed = Callable[[int], AbstractContextManager[Any] | None]


def next_trial(
    study: optuna.Study,
    running: Sequence[optuna.trial.FrozenTrial],
    claimed: Claimed,
    *,
    room: int,
    goes_on: Callable[[int], None],
) -> tuple[optuna.Trial, AbstractContextManager[Any]] | None:
    """A trial that was cut off, or a new one, claimed. One that a live process works on was not cut off. None: no more to begin.

    Args:
        study: The study.
        running: Its trials that are not finished.
        claimed: Claims one.
        room: So many may be begun beside those that run.
        goes_on: Told the number of one that was cut off.
    """
    for found in running:
        if (claim := claimed(found.number)) is not None:
            goes_on(found.number)
            return optuna.Trial(study, found._trial_id), claim
    while room > 0 or not running:
        trial = study.ask()
        if (claim := claimed(trial.number)) is not None:
            return trial, claim
        running, room = [*running, study._storage.get_trial(trial._trial_id)], room - 1  # another took it for one that was cut off
    return None
