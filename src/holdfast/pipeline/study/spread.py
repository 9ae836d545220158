"""The trials of a study that is spread: one attempt as it runs, and the driver's side of it."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError, NotRestored, StageFailed, UsageError
from holdfast.flow.narration import Narration
from holdfast.integrations.desk import DeskCopies, DeskNarration, fetch_with
from holdfast.integrations.watching import Fetched
from holdfast.pipeline.data.dataset import open_dataset
from holdfast.pipeline.layout import fold_folder, trial_folder
from holdfast.pipeline.settings import Hpo, Training
from holdfast.pipeline.study.crossing import next_fold, told_of_fold
from holdfast.pipeline.study.folds import Folds
from holdfast.pipeline.study.search import (
    FOLD_ROWS,
    best_trial,
    choices_begun_with,
    fold_scores,
    make_pruner,
    make_sampler,
    most_reports,
)
from holdfast.pipeline.study.sweep import Sweep
from holdfast.pipeline.study.trial import run_trial
from holdfast.pipeline.study.trials import announce, describe, refuse_more_failures, remake_best, tidy
from holdfast.session.functions import attached
from holdfast.session.keeper import Keeper
from holdfast.spread.attempt import SPOILT, Asked, Attempt, Ended, Kept, Lost, Node, Resources, Told
from holdfast.spread.driver import drive
from holdfast.spread.engine import Engine, Ground, open_engine
from holdfast.spread.environment import environment_of, recorded
from holdfast.spread.performing import Desk

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from holdfast.integrations.spreading import Plan, SpreadStudy


# -- where an attempt runs -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TrialWork:
    """The work of a trial, wherever it runs. Paths are keys, or absolute where they are not below the project.

    Args:
        backbone: Name of the backbone.
        model: What to load for it.
        is_folder: It is a folder.
        hpo: The search.
        training: Settings of a trial before its parameters.
        dataset: Folder of the documents.
        seed: Of study and trainings.
        max_length: Longest window, in word pieces.
        stride: Overlap of windows, in word pieces.
        device: `cpu` or `cuda`.
        precision: What `auto` meant when the study was begun.
        folds: See `Sweep`. Then the work is one fold.
        series: See `Sweep`. What is logged is given to trackers by the driver, when it has it.
        experiment: See `Sweep`.
    """

    backbone: str
    model: str
    is_folder: bool
    hpo: Hpo
    training: Training
    dataset: str
    seed: int
    max_length: int
    stride: int
    device: str
    precision: str | None
    folds: Folds | None = None
    series: str = ""
    experiment: str = ""

    def __call__(self, desk: Desk) -> Mapping[str, Any]:
        """Run the trial, or the fold that it is at, and give all that it came to."""
        import optuna

        from holdfast.integrations.account import Part, open_trial, result_of

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        part: Part = pickle.loads(desk.attempt.part)  # noqa: S301 - made by the driver
        sweep = self._sweep(desk, part)
        study, storage, trial_id = open_trial(
            part,
            desk.attempt.seen,
            desk.root / desk.attempt.folder,
            make_sampler(self.hpo, self.seed),
            make_pruner(self.hpo, most_reports(self.hpo, self.training.epochs)),
        )
        try:
            trial = optuna.Trial(study, trial_id)
            trial.set_user_attr("environment", dict(recorded(desk.attempt.environment)))
            broken = run_trial(sweep, study, trial, part.finished, part.more, alone=True, until=next_fold(part.begun))
            return {**result_of(storage, trial_id), SPOILT: bool(broken)}
        finally:
            storage.close()

    def _sweep(self, desk: Desk, part: Any) -> Sweep:
        data = open_dataset(desk.root / self.dataset)
        return Sweep(
            backbone=self.backbone,
            model=str(desk.root / self.model) if self.is_folder else self.model,
            identity=None,
            hpo=self.hpo,
            training=self.training,
            data=data,
            seed=self.seed,
            max_length=self.max_length,
            stride=self.stride,
            device=self.device,
            precision=self.precision,
            folder=desk.root / desk.attempt.home,
            keep=lambda _, progress: desk.kept(progress - part.finished),
            copies=DeskCopies(desk),
            narration=DeskNarration(desk),
            time_is_over=desk.is_to_stop,
            folds=self.folds,
            series=self.series,
            experiment=self.experiment,
        )


# -- the driver's side -------------------------------------------------------------------------------------------------------


def is_spread(hpo: Hpo, study: optuna.Study) -> bool:
    """Whether the trials of a study run as attempts of an engine; else one after the other, in this process.

    A study that was begun with an engine goes on so: a process of a trial's own has the threads that the first trials had.
    """
    from holdfast.integrations.account import was_spread

    return hpo.parallel > 1 or hpo.engine != "local" or was_spread(study.get_trials(deepcopy=False))


def run_spread_trials(sweep: Sweep, study: optuna.Study) -> None:
    """Trials until all are finished, several at a time. Each is kept when it is finished.

    Raises:
        UsageError: the study is in no file.
    """
    from holdfast.integrations.spreading import SpreadStudy

    if sweep.file is None or sweep.dataset is None:
        raise UsageError("hpo.parallel and hpo.engine need a study in a file; set hpo.checkpoint.enabled: true")
    with sweep.claim(sweep.folder):
        tidy(sweep, study.get_trials(deepcopy=False))
        keeper = attached() if sweep.keeper is None else sweep.keeper
        root = Path.cwd() if keeper is None else keeper.root
        ground = ground_of(sweep.hpo, root, key_of(sweep.folder, root), keeper, sweep.narration)
        engine = open_engine(sweep.hpo.engine, ground)
        try:
            _Driven(
                sweep, study, engine, lambda driven: SpreadStudy(study, engine, _plan(sweep, study, ground, driven), driven)
            ).run()
        finally:
            engine.close()


def ground_of(hpo: Hpo, root: Path, home: str, keeper: Keeper | None, narration: Narration) -> Ground:
    """Where a study stands, for its engine. See `Ground`."""
    return Ground(
        root=root,
        home=home,
        parallel=hpo.parallel,
        keeper=keeper,
        resources=Resources(hpo.resources.cpus, hpo.resources.gpus),
        environment=environment_of(hpo.resources.cpus),
        fetch=fetch_with,
        say=narration.say,
        warn=narration.warn,
    )


def _plan(sweep: Sweep, study: optuna.Study, ground: Ground, driven: _Driven) -> Plan:
    from holdfast.integrations.spreading import Plan, Turns

    assert sweep.dataset is not None
    dataset, folder = key_of(sweep.dataset, ground.root), Path(sweep.model).is_dir()
    model = key_of(Path(sweep.model), ground.root) if folder else sweep.model
    work = TrialWork(
        backbone=sweep.backbone,
        model=model,
        is_folder=folder,
        hpo=sweep.hpo,
        training=sweep.training,
        dataset=dataset,
        seed=sweep.seed,
        max_length=sweep.max_length,
        stride=sweep.stride,
        device=sweep.device,
        precision=sweep.precision,
        folds=sweep.folds,
        series=sweep.series,
        experiment=sweep.experiment,
    )
    return Plan(
        home=ground.home,
        place=trial_folder,
        root=ground.root,
        work=pickle.dumps(work, protocol=5),
        parallel=ground.parallel,
        inputs=(dataset, *((model,) if folder and not model.startswith(f"{dataset}/") else ())),
        environment=ground.environment,
        resources=ground.resources,
        more=choices_begun_with(study.get_trials(deepcopy=False)),
        turns=None if sweep.folds is None else Turns(fold_folder, next_fold, FOLD_ROWS, driven.fold_done),
    )


def key_of(path: Path, root: Path) -> str:
    """A path as attempts have it: below the project as a key, else absolute."""
    absolute = Path(os.path.abspath(path))
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else str(absolute)


class _Driven:
    """A study as the driver sees it: what may begin, how it is told, what is backed up, and where it ends."""

    def __init__(self, sweep: Sweep, study: optuna.Study, engine: Engine, spread: Callable[[_Driven], SpreadStudy]) -> None:
        self._sweep = sweep
        self._engine = engine
        self._study = spread(self)
        self._before = best_trial(self._study.trials)
        self._raised = False
        self._refused: HoldfastError | None = None
        self._steps: dict[str, tuple[int, int]] = {}
        self._shares: dict[int, float] = {}
        self._due: set[int] = set()

    def run(self) -> None:
        sweep = self._sweep
        if not self._study.is_over():
            announce(sweep, self._study.finished)
        drive(self._engine, self, sweep.hpo.parallel, sweep.time_is_over)

    # -- what may begin ------------------------------------------------------------------------------------------------

    def room(self, trials: Sequence[FrozenTrial], seen: int) -> bool:
        from optuna.trial import TrialState

        hpo = self._sweep.hpo
        if len(trials) - sum(t.state is TrialState.WAITING for t in trials[seen:]) >= hpo.trials:
            return False
        if hpo.timeout is not None and sum(float(t.user_attrs.get("seconds", 0.0)) for t in trials[:seen]) >= hpo.timeout:
            return False
        if self._raised:  # in this run: the next one tries another trial
            try:
                refuse_more_failures(self._sweep.backbone, hpo.failures_in_a_row, trials[:seen])
            except StageFailed as error:
                self._refused = error
                return False
        return True

    def next(self, running: Collection[str]) -> Attempt | None:
        return self._study.next(running)

    def is_over(self) -> bool:
        return self._study.is_over()

    def finish(self) -> None:
        self._sweep.narration.end()
        if self._refused is not None:
            raise self._refused
        remake_best(self._sweep, self._study.trials)

    # -- what is told ----------------------------------------------------------------------------------------------------

    def began(self, trial: FrozenTrial, attempt: Attempt) -> None:
        if attempt.number > 1:
            self._sweep.narration.say(f"{self._sweep.backbone}: {_name(attempt)} goes on")
        self._steps[attempt.unit] = (0, 0)
        folds = len(self._sweep.folds or ())
        self._shares[trial.number] = (next_fold(trial) - 1) / folds if folds else 0.0

    def told(self, event: Told) -> None:
        sweep, what = self._sweep, event.what
        if "line" in what:
            tell = sweep.narration.warn if what.get("warning") else sweep.narration.say
            tell(str(what["line"]))
            return
        self._steps[event.attempt.unit] = (int(what["step"]), int(what["total"]))
        shown = ("; " if sweep.folds else ", ").join(_short(unit) for unit in sorted(self._steps))
        done, total = (sum(column) for column in zip(*self._steps.values(), strict=True))
        finished = self._study.finished
        stake = sweep.at_stake()
        note = "" if stake is None else stake.words(f"from trial {finished}" if finished else "from the first trial")
        sweep.narration.work(f"{sweep.backbone}: trials {shown} ({finished} of {sweep.hpo.trials} done)", done, total, note)

    def node(self, event: Node) -> None:
        tell = self._sweep.narration.warn if event.gone else self._sweep.narration.say
        tell(f"{self._sweep.backbone}: node {event.name} {event.line}")

    def lost(self, event: Lost) -> None:
        self._forget(event.attempt)
        self._sweep.narration.warn(f"{self._sweep.backbone}: {_name(event.attempt)}: {event.why}; another attempt goes on with it")

    # -- what is kept --------------------------------------------------------------------------------------------------

    def kept(self, event: Kept) -> None:
        trial = self._study.trial_of(event.attempt)
        self._shares[trial.number] = event.share
        if not self._engine.keeps:
            self._hand_over([trial.number])

    def keep(self) -> None:
        if self._due:
            due, self._due = self._due, set()
            self._hand_over(due)

    def asked(self, event: Asked) -> object:
        try:
            found: Fetched = self._sweep.copies.fetch(Path(event.path), weights_only=event.weights_only, patient=event.patient)
        except NotRestored as error:
            return error
        return found.why, found.unknown

    def recorded(self, trial: FrozenTrial, trials: list[FrozenTrial], ended: Ended) -> None:
        sweep, finished = self._sweep, self._study.finished
        self._forget(ended.attempt)
        del self._shares[trial.number]
        sweep.narration.end()
        where = f"  on {ended.where}" if ended.where else ""
        sweep.narration.say(f"{describe(sweep, trial)}  [{finished} of {sweep.hpo.trials}]{where}")
        self._raised = self._raised or "raised" in trial.user_attrs
        before, self._before = self._before, best_trial(trials)
        numbers = {trial.number} if before is None else {trial.number, before.number}
        self._publish(trial.number)
        tidy(sweep, trials, numbers)
        if finished >= sweep.hpo.trials:
            sweep.is_over()
        self._due |= numbers

    def fold_done(self, trial: FrozenTrial, trials: list[FrozenTrial], ended: Ended) -> None:
        """A fold of a trial is in the study, and another follows."""
        sweep, scores = self._sweep, fold_scores(trial)
        self._forget(ended.attempt)
        self._shares[trial.number] = len(scores) / len(sweep.folds or scores)
        sweep.narration.end()
        sweep.narration.say(told_of_fold(sweep, trial.number, scores))
        self._publish(trial.number)
        tidy(sweep, trials, [trial.number])
        self._due.add(trial.number)

    def _publish(self, number: int) -> None:
        """Give trackers what an attempt logged, once it is here."""
        self._sweep.publisher.publish_the_rest(self._sweep.folder / trial_folder(number))

    def ended(self, event: Ended) -> None:
        self._study.ended(event)

    def _forget(self, attempt: Attempt) -> None:
        self._steps.pop(attempt.unit, None)

    def _hand_over(self, numbers: Collection[int]) -> None:
        """Its progress is the number of finished trials, and the share of those that run: a later one is always more."""
        running = min(sum(self._shares.values()) / self._sweep.hpo.parallel, 0.999)
        self._sweep.hand_over(self._study.finished + running, numbers, alone=True)


def _name(attempt: Attempt) -> str:
    return f"trial {_short(attempt.unit)}"


def _short(unit: str) -> str:
    number, _, fold = unit.removeprefix("trial-").partition("-fold-")
    return f"{int(number)}, fold {int(fold)}" if fold else str(int(number))
