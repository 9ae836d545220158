"""Optuna: a trial that runs where its study is not. It is shown what it may see, and what it does is written down as it does it.

The account of a trial is a file in its folder, a line for each thing that it suggested, reported or noted. What is in it is not
done again: an attempt that goes on from a checkpoint has the values that were reported before it.
"""

from __future__ import annotations

import json
import math
import os
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

#: The account of a trial, in its folder.
ACCOUNT = "holdfast-trial.jsonl"

#: System attributes of a trial: how many at a time there were when it began; how many attempts were made at it, or, with the number
#: of a turn behind it, at that.
PARALLEL = "holdfast:parallel"
ATTEMPTS = "holdfast:attempts"


@dataclass(frozen=True)
class Part:
    """What is different from trial to trial.

    Args:
        number: The trial's.
        sees: It sees the trials below this number.
        finished: Trials that were finished as it began, for people.
        study_name: Pruners draw from it.
        directions: By number, as Optuna has them.
        begun: What the study knows of it.
        notes: System attributes of the study.
        attributes: User attributes of the study.
        more: What else whoever made the work wants to know in it.
    """

    number: int
    sees: int
    finished: int
    study_name: str
    directions: tuple[int, ...]
    begun: FrozenTrial
    notes: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    more: Any = None


class AccountStorage(InMemoryStorage):
    """A study in memory, of which one trial runs. What is written of that trial is in its account before it is anywhere else."""

    def __init__(self) -> None:
        super().__init__()
        self._handle: int | None = None
        self._running = -1

    def follow(self, trial_id: int, place: Path) -> None:
        """Read the account of the trial, and go on with it. A line that a kill cut off is nothing."""
        for line in _whole_lines(place):
            _apply(self, trial_id, line)
        self._handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        self._running = trial_id

    def close(self) -> None:
        """Nothing more is written."""
        if self._handle is not None:
            os.close(self._handle)
        self._handle = None

    def _write(self, trial_id: int, *line: Any) -> None:
        if self._handle is not None and trial_id == self._running:
            os.write(self._handle, json.dumps(line).encode() + b"\n")

    def set_trial_param(self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution) -> None:
        """See `BaseStorage`."""
        super().set_trial_param(trial_id, param_name, param_value_internal, distribution)
        self._write(trial_id, "parameter", param_name, float(param_value_internal), distribution_to_json(distribution))

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """See `BaseStorage`."""
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)
        self._write(trial_id, "value", int(step), float(intermediate_value))

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """See `BaseStorage`."""
        super().set_trial_user_attr(trial_id, key, value)
        self._write(trial_id, "user", key, value)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """See `BaseStorage`."""
        super().set_trial_system_attr(trial_id, key, value)
        self._write(trial_id, "system", key, value)


def _whole_lines(place: Path) -> list[list[Any]]:
    """The lines of an account up to one that a kill cut off, which is taken out: the next would follow right behind it."""
    try:
        data = place.read_bytes()
    except FileNotFoundError:
        return []
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        os.truncate(place, len(whole))
    found = []
    for line in whole.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def _apply(storage: BaseStorage, trial_id: int, line: Sequence[Any]) -> None:
    kind, *said = line
    if kind == "parameter":
        storage.set_trial_param(trial_id, said[0], said[1], json_to_distribution(said[2]))
    elif kind == "value":
        storage.set_trial_intermediate_value(trial_id, said[0], said[1])
    elif kind == "user":
        storage.set_trial_user_attr(trial_id, said[0], said[1])
    else:
        storage.set_trial_system_attr(trial_id, said[0], said[1])


def open_trial(
    part: Part,
    seen: Sequence[bytes],
    folder: Path,
    sampler: optuna.samplers.BaseSampler,
    pruner: optuna.pruners.BasePruner,
) -> tuple[optuna.Study, AccountStorage, int]:
    """The study as one trial is to see it, its storage, and the trial's id in it."""
    storage = AccountStorage()
    directions = [StudyDirection(d) for d in part.directions]
    study_id = storage.create_new_study(directions, part.study_name)
    for name, value in part.notes.items():
        storage.set_study_system_attr(study_id, name, value)
    for name, value in part.attributes.items():
        storage.set_study_user_attr(study_id, name, value)
    rows = _rows(seen)
    assert len(rows) == part.sees
    for row in rows:
        storage.create_new_trial(study_id, cast("FrozenTrial", _AsItIs(row)))
    for _ in range(part.sees, part.number):  # they have numbers, and nothing else is seen of them
        storage.create_new_trial(study_id)
    trial_id = storage.create_new_trial(study_id, part.begun)
    storage.follow(trial_id, folder / ACCOUNT)
    study = optuna.load_study(study_name=part.study_name, storage=storage, sampler=sampler, pruner=pruner)
    return study, storage, trial_id


#: What this process was shown, by piece. The next trial is shown nearly all of it again.
_shown: dict[bytes, list[FrozenTrial]] = {}


def _rows(seen: Sequence[bytes]) -> list[FrozenTrial]:
    for piece in _shown.keys() - set(seen):
        del _shown[piece]
    for piece in seen:
        if piece not in _shown:
            _shown[piece] = pickle.loads(piece)  # noqa: S301 - made by the driver
    return [row for piece in seen for row in _shown[piece]]


class _AsItIs:
    """A finished trial for a storage in memory, which would copy all that is in it. Nobody writes into one that is finished.

    Args:
        trial: It gets the number and the id that it has in each such storage of its study.
    """

    def __init__(self, trial: FrozenTrial) -> None:
        self._trial = trial

    def __deepcopy__(self, _: object) -> FrozenTrial:
        return self._trial


def was_spread(trials: Iterable[FrozenTrial]) -> bool:
    """Whether any of them ran where its study is not: what is left of that study goes on in the same way, with the same threads."""
    return any(name.startswith(ATTEMPTS) for t in trials for name in t.system_attrs)


def pickled(trials: Sequence[FrozenTrial]) -> bytes:
    """A piece of what trials are shown."""
    return pickle.dumps(list(trials), protocol=5)


# -- the result of a trial, and writing it into its study ---------------------------------------------------------------------


def result_of(storage: BaseStorage, trial_id: int) -> dict[str, Any]:
    """All that a trial came to, as plain data."""
    trial = storage.get_trial(trial_id)
    return {
        "state": trial.state.name,
        "values": None if trial.values is None else [float(v) for v in trial.values],
        "parameters": [
            (name, float(d.to_internal_repr(trial.params[name])), distribution_to_json(d))
            for name, d in trial.distributions.items()
        ],
        "reported": sorted(trial.intermediate_values.items()),
        "user": trial.user_attrs,
        "system": trial.system_attrs,
    }


def write_down(storage: BaseStorage, known: FrozenTrial, result: Mapping[str, Any], mark: str = "") -> None:
    """Write into its study what a trial came to; its state comes last. After a kill it is done again, and comes to the same.

    Args:
        storage: Of the study.
        known: The trial as the study has it.
        result: As `result_of` gives it. A trial that runs on has no state to be written.
        mark: The user attribute by which a trial that runs on is known to have come so far: all else is written before it.
    """
    if known.state.is_finished():
        return
    trial_id = known._trial_id
    for name, value, distribution in result["parameters"]:
        if name not in known.params:
            storage.set_trial_param(trial_id, name, value, json_to_distribution(distribution))
    for step, value in result["reported"]:
        if not _same(known.intermediate_values.get(step), value):
            storage.set_trial_intermediate_value(trial_id, step, value)
    user = result["user"]
    marked = {name: value for name, value in user.items() if name == mark}
    for before, now, write in (
        (known.user_attrs, {n: v for n, v in user.items() if n not in marked}, storage.set_trial_user_attr),
        (known.system_attrs, result["system"], storage.set_trial_system_attr),
        (known.user_attrs, marked, storage.set_trial_user_attr),
    ):
        _write_changed(trial_id, before, now, write)
    state = TrialState[result["state"]]
    if state.is_finished():
        storage.set_trial_state_values(trial_id, state, result["values"])


def _write_changed(
    trial_id: int, before: Mapping[str, Any], now: Mapping[str, Any], write: Callable[[int, str, Any], None]
) -> None:
    for name, value in now.items():
        if name not in before or before[name] != value:
            write(trial_id, name, value)


def _same(before: float | None, now: float) -> bool:
    return before is not None and (before == now or (math.isnan(before) and math.isnan(now)))


def begin_trial(storage: BaseStorage, study_id: int, notes: Mapping[str, Any]) -> int:
    """A new trial in its study, with its first notes in it from the beginning: a kill leaves both, or none."""
    begun = create_trial(state=TrialState.RUNNING, system_attrs=dict(notes))
    return storage.create_new_trial(study_id, begun)
