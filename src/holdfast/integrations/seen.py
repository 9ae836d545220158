"""Optuna: a study as one draw is to see it. What is not finished does not count, and what comes after does not either."""

from __future__ import annotations

import copy
from collections.abc import Collection, Container
from typing import Any, cast

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState


class SeenStorage:
    """A storage that shows one trial, and of the others those that are finished and come before it.

    Args:
        storage: The study's.
        trial: The one that is drawn for.
        hidden: Finished states that do not count.
        writes: Attributes go through; else they are kept here.
        all_finished: Those that come after it are shown, too.
    """

    def __init__(
        self,
        storage: BaseStorage,
        trial: FrozenTrial,
        *,
        hidden: Collection[TrialState] = (),
        writes: bool = False,
        all_finished: bool = False,
    ) -> None:
        self._storage = storage
        # What it drew before it was cut off is no work of another process, for which samplers would take it.
        self._trial = copy.copy(trial)
        self._trial.params, self._trial.distributions, self._trial.system_attrs = {}, {}, {}
        self._hidden = hidden
        self._writes = writes
        self._all_finished = all_finished
        self.of_trial: dict[str, Any] = {}
        self.of_study: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Those that are shown, by number."""
        number = self._trial.number
        found = [
            t
            for t in self._storage.get_all_trials(study_id, deepcopy=False)
            if t.state.is_finished()
            and t.state not in self._hidden
            and (t.number < number or (self._all_finished and t.number > number))
        ]
        found = sorted([*found, self._trial], key=lambda t: t.number)
        found = [t for t in found if states is None or t.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """As they are; but how far a sequence of quasi-random numbers is, is a matter of the trial's number."""
        return _Attributes(self._trial.number, self._storage.get_study_system_attrs(study_id))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Kept here, or written."""
        if key.startswith(_SEQUENCE):
            return
        self.of_study[key] = value
        if self._writes:
            self._storage.set_study_system_attr(study_id, key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Kept here, or written."""
        self.of_trial[key] = value
        if self._writes:
            self._storage.set_trial_system_attr(trial_id, key, value)


#: `QMCSampler` counts under such a name how many points it has drawn: one more for each that a kill took away.
_SEQUENCE = "qmc:"


class _Attributes(dict[str, Any]):
    def __init__(self, number: int, found: dict[str, Any]) -> None:
        super().__init__(found)
        self._number = number

    def get(self, key: str, default: Any = None) -> Any:
        # The first trial draws no point, so trial 1 draws point 0: the last that was drawn before it is -1.
        return self._number - 2 if key.startswith(_SEQUENCE) else super().get(key, default)


class Seen(optuna.Study):
    """A study over such a storage. That it is to stop is noted."""

    def __init__(self, study: optuna.Study, storage: SeenStorage) -> None:
        super().__init__(study.study_name, cast("BaseStorage", storage), sampler=study.sampler, pruner=study.pruner)
        self.storage = storage
        self.stopped = False

    def stop(self) -> None:
        """Note it."""
        self.stopped = True
