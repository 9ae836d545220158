"""`keep.optimize`: an objective of one's own, run trial by trial here, or several at a time in processes and on machines."""

from __future__ import annotations

import pickle
import time
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import CmaEsSampler, GPSampler, QMCSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from holdfast.errors import ConfigurationError, HoldfastError, NotRestored, UsageError
from holdfast.flow.failing import in_words
from holdfast.integrations.account import Part, open_trial, result_of, was_spread
from holdfast.integrations.desk import fetch_with
from holdfast.integrations.exact import Exact
from holdfast.integrations.fetching import KeptCopies
from holdfast.integrations.kept import duration, number_of
from holdfast.integrations.sampler import ExactSampler
from holdfast.integrations.spreading import Plan, SpreadStudy
from holdfast.integrations.trials import KeptTrial, Trials, take_the_nameless
from holdfast.session.keeper import Keeper
from holdfast.session.numbers import plain_number
from holdfast.spread.attempt import Asked, Attempt, Ended, Kept, Lost, Node, Resources, Told
from holdfast.spread.driver import drive
from holdfast.spread.engine import Engine, Ground, open_engine, refuse_unknown
from holdfast.spread.environment import environment_of, recorded
from holdfast.spread.performing import Desk

#: Optuna's objective, and what it is given here.
Objective = Callable[[KeptTrial], Any]

#: What they suggest to a trial follows from the trials below it and nothing that they count or remember between trials.
_SPREADABLE: tuple[type[optuna.samplers.BaseSampler], ...] = (
    RandomSampler,
    TPESampler,
    GPSampler,
    CmaEsSampler,
    QMCSampler,
)


def optimize(
    keeper: Keeper,
    study: optuna.Study,
    objective: Objective,
    n_trials: object,
    timeout: float | str | None,
    *,
    parallel: object,
    engine: str,
    catch: type[Exception] | Sequence[type[Exception]],
    cpus: object,
    gpus: object,
) -> None:
    """See `Keeper.optimize`."""
    numbers = {"n_trials": n_trials, "parallel": parallel, "cpus": cpus}
    n, at_a_time, cores = (number_of(value, f"keep.optimize: {name}={value!r}") for name, value in numbers.items())
    share = _gpus(gpus)
    until = None if timeout is None else time.monotonic() + duration(timeout, f"keep.optimize: timeout={timeout!r}")
    caught = (catch,) if isinstance(catch, type) else tuple(catch)
    refuse_unknown(engine)
    take_the_nameless(study)
    trials = Trials(keeper, study, n)
    if at_a_time == 1 and engine == "local" and not was_spread(study.get_trials(deepcopy=False)):
        _one_by_one(trials, objective, until, caught)
        return
    _refuse_to_spread(study.sampler)
    _Spread(trials, objective, until, caught, at_a_time, engine, Resources(cores, share)).run()


def _gpus(value: object) -> float:
    try:
        found = float(plain_number(value))
    except ValueError:
        found = -1.0
    if found < 0:
        raise ConfigurationError(f"keep.optimize: gpus={value!r}: should be a number of GPUs, or a share of one")
    return found


def _one_by_one(trials: Trials, objective: Objective, until: float | None, catch: tuple[type[Exception], ...]) -> None:
    each = trials.each(lambda: until is not None and time.monotonic() >= until)
    for trial in each:
        _told(trials.study, trial, objective, catch)


def _told(study: optuna.Study, trial: KeptTrial, objective: Objective, catch: tuple[type[Exception], ...]) -> None:
    """Run the objective on a trial, and tell the study what it came to, as `study.optimize` does."""
    try:
        values = objective(trial)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except catch as error:
        trial.set_user_attr("failed", in_words(error))
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(trial, values)


@dataclass(frozen=True)
class ObjectiveWork:
    """The work of a trial: the objective, and what suggests and prunes.

    Args:
        objective: A person's own.
        sampler: The study's.
        pruner: The study's.
        catch: Errors that end their trial alone.
    """

    objective: Objective
    sampler: optuna.samplers.BaseSampler
    pruner: optuna.pruners.BasePruner
    catch: tuple[type[Exception], ...]

    def __call__(self, desk: Desk) -> Mapping[str, Any]:
        """Run it, and give all that the trial came to."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        part: Part = pickle.loads(desk.attempt.part)  # noqa: S301 - made by the driver
        folder = desk.root / desk.attempt.folder
        study, storage, trial_id = open_trial(part, desk.attempt.seen, folder, self.sampler, self.pruner)
        try:
            trial = KeptTrial.of(optuna.Trial(study, trial_id), folder, lambda: desk.kept(0.5))
            trial.set_user_attr("environment", dict(recorded(desk.attempt.environment)))
            _told(study, trial, self.objective, self.catch)
            return result_of(storage, trial_id)
        except Exception:
            traceback.print_exc()  # it is in the folder of the trial then; what travels is one line
            raise
        finally:
            storage.close()


def _refuse_to_spread(sampler: optuna.samplers.BaseSampler) -> None:
    """Refuse a sampler of which trials that run at the same time would make another study each time.

    Raises:
        UsageError: its text says which one does.
    """
    if isinstance(sampler, ExactSampler) or (isinstance(sampler, Exact) and sampler.draws_with(_SPREADABLE)):
        return
    if isinstance(sampler, Exact):
        raise UsageError(
            f'{sampler}: its trials follow one after the other; give parallel=1 and engine="local", or take Exact of one of '
            f"{', '.join(s.__name__ for s in _SPREADABLE)}"
        )
    name = type(sampler).__name__
    raise UsageError(
        f"{name}: with trials that run at the same time, what it suggests would depend on which ends first; give create_study "
        f"sampler=holdfast.optuna.Exact(lambda seed: optuna.samplers.{name}(..., seed=seed), seed=7)"
    )


class _Spread:
    """A study of one's own as the driver sees it."""

    def __init__(
        self,
        trials: Trials,
        objective: Objective,
        until: float | None,
        catch: tuple[type[Exception], ...],
        parallel: int,
        engine: str,
        resources: Resources,
    ) -> None:
        self._trials = trials
        self._until = until
        self._parallel = parallel
        self._name = engine
        self._due: list[Attempt] = []
        study, keeper = trials.study, trials.keeper
        home = trials.key.value
        self._ground = Ground(
            root=keeper.root,
            home=home,
            parallel=parallel,
            keeper=keeper,
            resources=resources,
            environment=environment_of(resources.cpus),
            fetch=fetch_with,
            say=self._say,
            warn=self._warn,
        )
        self._plan = Plan(
            home=home,
            place=lambda number: trials.place(number).relative_to(trials.folder).as_posix(),
            root=keeper.root,
            work=_pickled(ObjectiveWork(objective, study.sampler, study.pruner, catch)),
            parallel=parallel,
            environment=self._ground.environment,
            resources=resources,
        )

    def run(self) -> None:
        trials = self._trials
        trials.keeper.workspace.whole.discard(trials.key)
        with trials.keeper.claim(trials.folder):
            self._engine: Engine = open_engine(self._name, self._ground)
            try:
                self._study = SpreadStudy(trials.study, self._engine, self._plan, self)
                self._others = trials.finished_in_file() - self._study.finished  # the folder is claimed: nobody adds to them
                if self._study.finished:
                    self._say(f"{trials.key}: goes on with {self._study.finished} of {trials.n} trials finished")
                self._bring_back()
                drive(self._engine, self, self._parallel)
            finally:
                self._engine.close()

    def _bring_back(self) -> None:
        """What trials had saved that were cut off, where their folders are not here."""
        for trial in self._study.trials:
            if trial.state is TrialState.RUNNING:
                self._trials.bring_back(trial.number)

    def _say(self, line: str) -> None:
        self._trials.say(line)

    def _warn(self, line: str) -> None:
        self._trials.warn(line)

    # -- what may begin ------------------------------------------------------------------------------------------------

    def room(self, trials: Sequence[FrozenTrial], seen: int) -> bool:
        if self._until is not None and time.monotonic() >= self._until:
            return False
        return len(trials) - sum(t.state is TrialState.WAITING for t in trials[seen:]) < self._trials.n

    def next(self, running: Collection[str]) -> Attempt | None:
        return self._study.next(running)

    def is_over(self) -> bool:
        return self._study.is_over()

    def finish(self) -> None:
        if self._study.finished:
            self._trials.end()

    # -- what is told --------------------------------------------------------------------------------------------------

    def began(self, trial: FrozenTrial, attempt: Attempt) -> None:
        if attempt.number > 1:
            self._say(f"{self._trials.key}: trial {trial.number} goes on")

    def told(self, event: Told) -> None:
        if "line" in event.what:
            self._say(str(event.what["line"]))

    def node(self, event: Node) -> None:
        (self._warn if event.gone else self._say)(f"{self._trials.key}: node {event.name} {event.line}")

    def lost(self, event: Lost) -> None:
        trial = self._study.trial_of(event.attempt)
        self._warn(f"{self._trials.key}: trial {trial.number}: {event.why}; another attempt goes on with it")

    # -- what is kept --------------------------------------------------------------------------------------------------

    def kept(self, event: Kept) -> None:
        if not self._engine.keeps:
            self._keep([event.attempt])

    def asked(self, event: Asked) -> object:
        try:
            found = KeptCopies(self._trials.keeper).fetch(Path(event.path), weights_only=event.weights_only, patient=event.patient)
        except NotRestored as error:
            return error
        return found.why, found.unknown

    def ended(self, event: Ended) -> None:
        self._study.ended(event)

    def recorded(self, trial: FrozenTrial, trials: list[FrozenTrial], ended: Ended) -> None:
        self._due.append(ended.attempt)

    def keep(self) -> None:
        if self._due:
            due, self._due = self._due, []
            self._keep(due)

    def _keep(self, attempts: Sequence[Attempt]) -> None:
        trials, done = self._trials, self._others + self._study.finished
        folders = [self._ground.root / attempt.folder for attempt in attempts]
        trials.keep(*(folders if trials.parts.are_enough() else ()), done=done)


def _pickled(work: ObjectiveWork) -> bytes:
    """With what a notebook or a script defines in it.

    Raises:
        ConfigurationError: what does that is not installed.
        UsageError: the objective holds something that cannot go to another process.
    """
    try:
        import cloudpickle
    except ImportError as error:
        raise ConfigurationError(
            'keep.optimize: to send the objective to other processes takes cloudpickle; pip install "holdfast[optuna]"'
        ) from error
    try:
        made: bytes = cloudpickle.dumps(work, protocol=5)
    except HoldfastError:
        raise
    except Exception as error:
        raise UsageError(
            f"keep.optimize: the objective cannot go to other processes ({in_words(error)}); open files, connections and loaders "
            "inside it rather than outside"
        ) from error
    return made
