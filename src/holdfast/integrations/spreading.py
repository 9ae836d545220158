"""Optuna: a study whose trials run elsewhere, as attempts of an engine. It is written here, by one process, and nowhere else."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.trial import FrozenTrial, TrialState

from holdfast.integrations.account import ACCOUNT, ATTEMPTS, PARALLEL, Part, begin_trial, pickled, write_down
from holdfast.platform import random_hex
from holdfast.spread.attempt import Attempt, Ended, Resources
from holdfast.spread.engine import Engine
from holdfast.spread.window import Pieces, sees


class Limits(Protocol):
    """How far a study is to go, and who hears of it."""

    def room(self, trials: Sequence[FrozenTrial], seen: int) -> bool:
        """Whether one more trial may begin. Goes by the trials that it sees, so that time and failures end the same study.

        Args:
            trials: All that there are, by number.
            seen: The new one sees so many of them, which are finished.
        """
        ...

    def began(self, trial: FrozenTrial, attempt: Attempt) -> None:
        """An attempt at a trial begins."""
        ...

    def recorded(self, trial: FrozenTrial, trials: list[FrozenTrial], ended: Ended) -> None:
        """A trial is finished, and written down."""
        ...


@dataclass(frozen=True)
class Turns:
    """A trial that is several units of work, one after the other, as the folds of a cross-validation.

    Args:
        name: Gives a unit, and its folder below that of the trial, by its number from 1.
        next: The number of the unit that a trial is at. All before it are in the study.
        mark: The user attribute that `next` goes by.
        done: A unit is in the study, and its trial goes on.
    """

    name: Callable[[int], str]
    next: Callable[[FrozenTrial], int]
    mark: str
    done: Callable[[FrozenTrial, list[FrozenTrial], Ended], None]


@dataclass(frozen=True)
class Plan:
    """What the attempts of a study have in common.

    Args:
        home: The folder of the study; see `Attempt`.
        place: By number, the folder of a trial below it.
        root: Where keys start on this machine.
        work: Pickled; see `Attempt`.
        parallel: Trials at a time.
        inputs: See `Attempt`.
        environment: See `Attempt`.
        resources: See `Attempt`.
        more: See `Part`.
        turns: None where a trial is one unit.
    """

    home: str
    place: Callable[[int], str]
    root: Path
    work: bytes
    parallel: int
    inputs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = field(default_factory=Resources)
    more: Any = None
    turns: Turns | None = None


class SpreadStudy:
    """The trials of a study, as units of work: one each, or several, one after the other.

    A trial begins when all those are finished that it may see, the first by number first. What is written about it, its state
    last, is written when the one attempt that counts has ended; before that the study holds that it runs, and how often that was
    tried. So a driver that is killed at any instant finds, when it starts again, what is to be done.

    Args:
        study: The study; nobody else writes it.
        engine: Runs the attempts.
        plan: What they have in common.
        limits: How far it is to go.
    """

    def __init__(self, study: optuna.Study, engine: Engine, plan: Plan, limits: Limits) -> None:
        self._study = study
        self._storage = study._storage
        self._engine = engine
        self._plan = plan
        self._limits = limits
        self._pieces = Pieces()
        self.trials: list[FrozenTrial] = list(study.get_trials(deepcopy=False))
        self._known = 0
        self._units: dict[str, int] = {}
        self._advance()
        for trial in self.trials:
            if trial.state.is_finished():  # where a kill came right before
                self._drop_accounts(trial)

    # -- which is next -------------------------------------------------------------------------------------------------

    @property
    def finished(self) -> int:
        """Trials that are finished: those up to the first gap, and the few behind it."""
        return self._known + sum(t.state.is_finished() for t in self.trials[self._known :])

    def is_open(self) -> bool:
        """Whether a trial is begun and not finished."""
        return any(t.state is TrialState.RUNNING for t in self.trials[self._known :])

    def is_over(self) -> bool:
        """Whether nothing is begun, and nothing more may begin."""
        self._advance()
        return not self.is_open() and self._new_number() is None

    def next(self, running: Collection[str]) -> Attempt | None:
        """The next attempt that may begin, written down as begun; None where none may."""
        self._advance()
        for trial in self.trials[self._known :]:
            open_ = trial.state is TrialState.RUNNING and self._sees(trial) <= self._known
            if open_ and self._unit(trial) not in running:
                return self._attempt(trial)
        number = self._new_number()
        if number is None:
            return None
        return self._first_attempt() if number == len(self.trials) else self._attempt(self._out_of_queue(number))

    def _advance(self) -> None:
        """So many trials are finished, from the first on without a gap: more than those no other may see."""
        while self._known < len(self.trials) and self.trials[self._known].state.is_finished():
            self._known += 1

    def _sees(self, trial: FrozenTrial) -> int:
        """A trial that was begun before there was a window saw all below it."""
        return sees(trial.number, int(trial.system_attrs.get(PARALLEL, 1)))

    def _new_number(self) -> int | None:
        """The number of a trial that somebody put into the queue, or of a new one, if it may begin now."""
        waiting = next((t for t in self.trials[self._known :] if t.state is TrialState.WAITING), None)
        number = len(self.trials) if waiting is None else waiting.number
        seen = sees(number, self._plan.parallel)
        return number if seen <= self._known and self._limits.room(self.trials, seen) else None

    def _first_attempt(self) -> Attempt:
        """A new trial, of which the study holds from its beginning that it is tried for the first time."""
        turn = 0 if self._plan.turns is None else 1
        trial_id = begin_trial(self._storage, self._study._study_id, {PARALLEL: self._plan.parallel, _counted(turn): 1})
        found = self._storage.get_trial(trial_id)
        assert found.number == len(self.trials), "another process writes this study"
        self.trials.append(found)
        return self._attempt(found, fresh=True)

    def _out_of_queue(self, number: int) -> FrozenTrial:
        waiting = self.trials[number]._trial_id
        self._storage.set_trial_system_attr(waiting, PARALLEL, self._plan.parallel)
        self._storage.set_trial_state_values(waiting, TrialState.RUNNING)
        return self._read_again(number)

    def _read_again(self, number: int) -> FrozenTrial:
        self.trials[number] = self._storage.get_trial(self.trials[number]._trial_id)
        return self.trials[number]

    # -- an attempt ----------------------------------------------------------------------------------------------------

    def _turn(self, trial: FrozenTrial) -> int:
        """The unit of a trial that is next; 0 where it is one."""
        return 0 if self._plan.turns is None else self._plan.turns.next(trial)

    def _unit(self, trial: FrozenTrial) -> str:
        turns = self._plan.turns
        return f"trial-{trial.number:04d}" + ("" if turns is None else f"-{turns.name(turns.next(trial))}")

    def _attempt(self, trial: FrozenTrial, *, fresh: bool = False) -> Attempt:
        plan, unit, turn = self._plan, self._unit(trial), self._turn(trial)
        number = int(trial.system_attrs.get(_counted(turn), 0))
        if not fresh:
            number += 1
            self._storage.set_trial_system_attr(trial._trial_id, _counted(turn), number)
            trial = self._read_again(trial.number)
        seen = self._sees(trial)
        part = Part(
            number=trial.number,
            sees=seen,
            finished=self.finished,
            study_name=self._study.study_name,
            directions=tuple(int(d) for d in self._study.directions),
            begun=trial,
            notes=_light(self._storage.get_study_system_attrs(self._study._study_id)),
            attributes=_light(self._storage.get_study_user_attrs(self._study._study_id)),
            more=plan.more,
        )
        attempt = Attempt(
            unit=unit,
            number=number,
            token=random_hex(4),
            home=plan.home,
            folder=f"{plan.home}/{plan.place(trial.number)}{'' if plan.turns is None else f'/{plan.turns.name(turn)}'}",
            work=plan.work,
            part=pickle.dumps(part, protocol=5),
            seen=self._pieces.of(seen, lambda begin, end: pickled(self.trials[begin:end])),
            inputs=plan.inputs,
            account=ACCOUNT,
            fresh=fresh,
            environment=plan.environment,
            resources=plan.resources,
        )
        self._units[unit] = trial.number
        self._limits.began(trial, attempt)
        return attempt

    def trial_of(self, attempt: Attempt) -> FrozenTrial:
        """The trial that an attempt is of."""
        return self.trials[self._units[attempt.unit]]

    # -- its end -------------------------------------------------------------------------------------------------------

    def ended(self, event: Ended) -> None:
        """This attempt counts: its files are taken first, then what it came to is written, its state last."""
        trial, turns = self.trial_of(event.attempt), self._plan.turns
        self._engine.take(event, self._plan.root / event.attempt.folder)
        write_down(self._storage, trial, event.result, "" if turns is None else turns.mark)
        trial = self._read_again(trial.number)
        if turns is None or trial.state.is_finished():
            self._drop_accounts(trial)
            self._limits.recorded(trial, self.trials, event)
        else:
            turns.done(trial, self.trials, event)

    def _drop_accounts(self, trial: FrozenTrial) -> None:
        """What a finished trial did is in the study: its account, and an empty folder, would only be kept with each later one."""
        folder = self._plan.root / self._plan.home / self._plan.place(trial.number)
        turns = self._plan.turns
        units = [folder] if turns is None else [folder / turns.name(turn) for turn in range(1, turns.next(trial) + 1)]
        for unit in units:
            (unit / ACCOUNT).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # there is more in it
                unit.rmdir()


def _counted(turn: int) -> str:
    """The system attribute that says how often a unit of a trial was tried."""
    return f"{ATTEMPTS}:{turn}" if turn else ATTEMPTS


def _light(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial is shown of its study's notes: not what the study was made from, which is long and decides nothing here."""
    return {name: value for name, value in attributes.items() if name != "made_from"}
