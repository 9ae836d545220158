"""The trials of one study: each told exactly once, kept as it is completed, and gone on with where it was killed."""

from __future__ import annotations

import contextlib
import itertools
import logging
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import AnotherSession, BadData, NotRestored, StageFailed
from holdfast.flow.failing import in_words
from holdfast.flow.narration import Narration, Quiet
from holdfast.flow.stage import Stopped
from holdfast.integrations.watching import Copies, Diverged, Watcher
from holdfast.pipeline.data.dataset import Dataset
from holdfast.pipeline.failing import breaks_the_device, is_of_the_trial, is_out_of_memory
from holdfast.pipeline.identity import study_made_from
from holdfast.pipeline.layout import CHECKPOINT, METRICS, drop_checkpoints, trial_folder
from holdfast.pipeline.settings import Hpo, Training, changed
from holdfast.pipeline.study.search import best_trial, choices_begun_with, suggest
from holdfast.pipeline.training.checkpoint import weight_files
from holdfast.pipeline.training.device import describe_device
from holdfast.pipeline.training.evaluation import evaluate
from holdfast.pipeline.training.train import Job, estimate_seconds, train
from holdfast.session.background.stake import AtStake
from holdfast.session.files import write_json
from holdfast.store.reporting.amounts import duration

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

#: Hands a folder to the backup, with how far it is: finished trials, and the share of the one that runs.
KeepStudy = Callable[[Path, float], Any]


#: So often is looked whether the last trials are done, where other processes work on them.
_LOOK_SECONDS = 1.0


class SmallerDevice(StageFailed):
    """A trial that began on a larger device ran out of memory here. It stays, and goes on on a larger one."""


@dataclass(frozen=True)
class Sweep:
    """One study, ready to run.

    Args:
        backbone: Name of the backbone.
        model: What to load for it.
        identity: What it is called in fingerprints.
        hpo: The search.
        training: Settings of a trial before its parameters.
        data: The documents.
        seed: Of study and trainings.
        max_length: Longest window, in word pieces.
        stride: Overlap of windows, in word pieces.
        device: `cpu` or `cuda`.
        precision: What `auto` meant when the study was begun; None where it begins now.
        folder: Where the study and its trials lie.
        keep: Hands the folder to the backup.
        at_stake: What a disconnect would cost now.
        copies: Where checkpoints that are damaged here come back from.
        narration: Tells how it goes.
        time_is_over: True once no more work should begin.
        clock: Monotonic seconds.
        claim: Begins work on the folder of a trial, by this process alone. Raises AnotherSession where a live one works on it.
    """

    backbone: str
    model: str
    identity: Any
    hpo: Hpo
    training: Training
    data: Dataset
    seed: int
    max_length: int
    stride: int
    device: str
    precision: str | None
    folder: Path
    keep: KeepStudy
    at_stake: Callable[[], AtStake | None] = lambda: None
    copies: Copies = field(default_factory=Copies)
    narration: Narration = field(default_factory=Quiet)
    time_is_over: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.monotonic
    claim: Callable[[Path], AbstractContextManager[Any]] = contextlib.nullcontext

    def made_from(self) -> dict[str, Any]:
        """What decides the study's outcome. Not how long it may go on: a study may be given more trials."""
        return study_made_from(
            self.hpo,
            self.training,
            self.identity,
            self.data.identity,
            seed=self.seed,
            max_length=self.max_length,
            stride=self.stride,
        )

    def job(self, settings: Training, folder: Path) -> Job:
        """The training of one trial."""
        if settings.precision == "auto" and self.precision is not None:
            settings = changed(settings, {"precision": self.precision})
        return Job(
            model=self.model,
            labels=self.data.labels,
            train=self.data.train,
            validation=self.data.validation,
            settings=settings,
            objective=self.hpo.objective,
            seed=self.seed,
            folder=folder,
            max_length=self.max_length,
            stride=self.stride,
            device=self.device,
        )


def run_trials(sweep: Sweep, study: optuna.Study) -> None:
    """Trials until all are finished. Each is kept before the next begins."""
    from optuna.trial import TrialState

    told = raised = waits = False
    _tidy(sweep, study.get_trials(deepcopy=False))
    begun = choices_begun_with(study.get_trials(deepcopy=False))
    while True:
        trials = study.get_trials(deepcopy=False)
        running = [t for t in trials if t.state is TrialState.RUNNING]
        finished = sum(t.state.is_finished() for t in trials)
        spent = sum(float(t.user_attrs.get("seconds", 0.0)) for t in trials)
        over = sweep.hpo.timeout is not None and spent >= sweep.hpo.timeout
        full = len(trials) - sum(t.state is TrialState.WAITING for t in trials) >= sweep.hpo.trials or over
        if finished >= sweep.hpo.trials or (over and not running):
            _remake_best(sweep, trials)
            sweep.narration.end()
            return
        if raised:  # in this run: the next one tries another trial
            refuse_more_failures(sweep.backbone, sweep.hpo.failures_in_a_row, trials)
        if sweep.time_is_over():
            raise Stopped
        if not told:
            _announce(sweep, finished)
            told = True
        chosen = _next_trial(sweep, study, running, full=full)
        if chosen is None:  # all that is left is being worked on by live processes; one that dies leaves its trial
            if not waits:
                sweep.narration.say(f"{sweep.backbone}: other processes work on the last {len(running)} trial(s); waiting for them")
                waits = True
            time.sleep(_LOOK_SECONDS)
            continue
        trial, claim = chosen
        before = best_trial(trials)
        with claim:
            broken = _run_trial(sweep, study, trial, finished, begun)
        sweep.narration.end()
        now = study.get_trials(deepcopy=False)
        raised = "raised" in now[trial.number].user_attrs
        sweep.narration.say(f"{_line(sweep, now[trial.number])}  [{finished + 1} of {sweep.hpo.trials}]")
        _tidy(sweep, now, {trial.number} if before is None else {trial.number, before.number})
        sweep.keep(sweep.folder, float(sum(t.state.is_finished() for t in now)))
        if broken:
            raise StageFailed(
                f"{sweep.backbone}: trial {trial.number} failed and left the GPU of no use to this process ({broken}); run again "
                "to go on with the next trial, in a notebook after Runtime, Restart session"
            )


def _next_trial(
    sweep: Sweep, study: optuna.Study, running: list[optuna.trial.FrozenTrial], *, full: bool
) -> tuple[optuna.Trial, AbstractContextManager[Any]] | None:
    """A trial that was cut off, or a new one, claimed. One that a live process works on was not cut off. None: no more to begin."""
    import optuna

    for found in running:
        if (claim := _claimed(sweep, found.number)) is not None:
            trial = optuna.Trial(study, found._trial_id)
            sweep.narration.say(f"{sweep.backbone}: trial {trial.number} goes on")
            return trial, claim
    while not full or not running:
        trial = study.ask()
        if (claim := _claimed(sweep, trial.number)) is not None:
            return trial, claim
        running = [*running, study.get_trials(deepcopy=False)[trial.number]]  # another process took it for one that was cut off
        full = full or len(running) >= sweep.hpo.trials
    return None


def _claimed(sweep: Sweep, number: int) -> AbstractContextManager[Any] | None:
    """The claim on a trial; None where a live process has it. Raises AnotherSession where one has the whole study."""
    folder = sweep.folder / trial_folder(number)
    try:
        return sweep.claim(folder)
    except AnotherSession as error:
        if not error.path.endswith(trial_folder(number)):
            raise
        return None


def _remake_best(sweep: Sweep, trials: list[optuna.trial.FrozenTrial]) -> None:
    """Later stages need the best trial's weights. Where they are lost, here and in the store, the same are trained again."""
    best = best_trial(trials)
    if best is None:
        return
    folder = sweep.folder / trial_folder(best.number)
    put_damaged_aside(folder, sweep.copies)
    if (folder / CHECKPOINT).is_dir():
        return
    sweep.narration.warn(f"{sweep.backbone}: the weights of the best trial ({best.number}) are lost; training them again")
    train(sweep.job(changed(sweep.training, best.params), folder), _Telling(sweep, best.number), sweep.clock)
    drop_checkpoints(folder)
    sweep.keep(sweep.folder, float(sum(t.state.is_finished() for t in trials)))


def put_damaged_aside(folder: Path, copies: Copies) -> None:
    """Move aside the finished weights of a trial where they are cut short: the store's take their place, or new ones."""
    try:
        weight_files(folder / CHECKPOINT)
    except NotRestored:
        return
    except BadData as error:
        log.warning("%s; it is moved aside", error)
        copies.set_aside(folder / CHECKPOINT)


def _announce(sweep: Sweep, finished: int) -> None:
    if sweep.device != "cpu":
        return
    each = estimate_seconds(sweep.job(sweep.training, sweep.folder))
    left = sweep.hpo.trials - finished
    sweep.narration.warn(
        f"NO GPU: training on the CPU. {sweep.backbone}: about {duration(each * left)} for {left} trial(s), "
        f"{duration(each)} each. In Colab: Runtime, Change runtime type"
    )


def _run_trial(sweep: Sweep, study: optuna.Study, trial: optuna.Trial, finished: int, begun: Mapping[str, Sequence[Any]]) -> str:
    """One trial, from its last checkpoint on: told to the study exactly once. Gives what left the device of no use, if anything."""
    import optuna
    from optuna.trial import TrialState

    folder = sweep.folder / trial_folder(trial.number)
    device = describe_device(sweep.device)
    began = trial.user_attrs.get("device")
    if began is None:
        trial.set_user_attr("device", device)
        began = device
    watcher = TrialWatcher(sweep, trial, finished)
    try:
        parameters = suggest(trial, sweep.hpo.search_space, begun)
        job = sweep.job(changed(sweep.training, parameters), folder)
        trained = train(job, watcher, sweep.clock)
        scores = evaluate(trained.folder, sweep.data.validation, sweep.device)
        value = scores["micro" if sweep.hpo.objective.endswith("micro") else "macro"][sweep.hpo.objective.rpartition("_")[0]]
        trial.set_user_attr("parameters", trained.parameters)
        trial.set_user_attr("best_step", trained.best_step)
        write_json(
            folder / METRICS, {"trial": trial.number, "steps": trained.steps, "best_step": trained.best_step, "validation": scores}
        )
        watcher.count_time()
        study.tell(trial, value)
    except optuna.TrialPruned:
        watcher.count_time()
        study.tell(trial, state=TrialState.PRUNED)
    except Diverged as error:
        _fail(study, trial, watcher, str(error))
    except Exception as error:
        if not is_of_the_trial(error):
            raise
        text = in_words(error)
        if not is_out_of_memory(error):
            trial.set_user_attr("raised", type(error).__name__)
            _fail(study, trial, watcher, text)
            log.debug("trial %d failed", trial.number, exc_info=True)
            return text if breaks_the_device(error) else ""
        if device["type"] == began["type"] and device["memory"] < began["memory"]:
            raise SmallerDevice(
                f"trial {trial.number} began on {began['name']} with {began['memory'] >> 20} MiB and ran out of memory on "
                f"{device['name']} with {device['memory'] >> 20} MiB; it stays as it is, and goes on where the device is as large"
            ) from error
        _fail(study, trial, watcher, f"out of memory on {device['name']} ({device['memory'] >> 20} MiB)")
    return ""


def _fail(study: optuna.Study, trial: optuna.Trial, watcher: TrialWatcher, reason: str) -> None:
    """This trial alone has failed; the study goes on."""
    from optuna.trial import TrialState

    watcher.count_time()
    trial.set_user_attr("failed", reason)
    study.tell(trial, state=TrialState.FAIL)
    log.warning("trial %d failed: %s", trial.number, reason)


def refuse_more_failures(backbone: str, limit: int | None, trials: Sequence[optuna.trial.FrozenTrial]) -> None:
    """End the run where the newest trials all raised: what follows would, too, and hours are better spent after a look.

    Args:
        backbone: Name of the study.
        limit: How many; None for no limit.
        trials: All of the study.

    Raises:
        StageFailed: so many did; its text says what to change, and that no finished trial is lost by that.
    """
    finished = sorted((t for t in trials if t.state.is_finished()), key=lambda t: t.number)
    row = list(itertools.takewhile(lambda t: "raised" in t.user_attrs, reversed(finished)))
    if limit is None or len(row) < limit:
        return
    complete = sum(t.value is not None for t in finished)
    enough = f"end with the {complete} that are complete (hpo.trials: {len(finished)}), " if complete else ""
    raise StageFailed(
        f"{backbone}: {len(row)} trials in a row failed, the last with {row[0].user_attrs.get('failed')}. All trials stay. Mend "
        f"that, or take what cannot work out of hpo.search_space (a narrower one goes on with this study), {enough}or give "
        "hpo.failures_in_a_row more room or null; then run again"
    )


class _Telling(Watcher):
    """Says what a person should know of a trial's training, and has the study's copies of its checkpoints."""

    def __init__(self, sweep: Sweep, number: int) -> None:
        self._sweep = sweep
        self._number = number

    @property
    def copies(self) -> Copies:
        """Those of the study."""
        return self._sweep.copies

    def told(self, line: str) -> None:
        """Say it in a line that stays."""
        self._sweep.narration.warn(f"{self._sweep.backbone}: trial {self._number}: {line}")


class TrialWatcher(_Telling):
    """Reports a trial's epochs to the study, and hands its checkpoints to the backup.

    Args:
        sweep: The study that it belongs to.
        trial: The trial.
        finished: Trials that are finished before it.
    """

    def __init__(self, sweep: Sweep, trial: optuna.Trial, finished: int) -> None:
        super().__init__(sweep, trial.number)
        self._trial = trial
        self._finished = finished
        self._since = sweep.clock()
        self._reported = set(trial.storage.get_trial(trial._trial_id).intermediate_values)
        self._note = ""

    def stepped(self, step: int, total: int) -> None:
        """Move the bar."""
        what = f"{self._sweep.backbone}: trial {self._trial.number} ({self._finished + 1} of {self._sweep.hpo.trials})"
        self._sweep.narration.work(what, step, total, "; ".join(filter(None, (self._note, self._at_stake(total)))))

    def _at_stake(self, total: int) -> str:
        """The study's progress is the number of finished trials, and the share of the one that runs."""
        stake = self._sweep.at_stake()
        if stake is None:
            return ""
        finished, share = divmod(stake.progress or 0.0, 1.0)
        if finished < self._finished:
            return stake.words(f"from trial {finished:.0f}" if finished else "from the first trial")
        return stake.words(f"from step {share * total:.0f}" if share else "from its beginning")

    def scored(self, epoch: int, scores: Mapping[str, float]) -> None:
        """Report an epoch, once; raise where the pruner ends the trial."""
        import optuna

        value = scores[self._sweep.hpo.objective]
        self._note = f"{self._sweep.hpo.objective} {value:.3f}"
        if epoch not in self._reported:
            self._trial.report(value, epoch)
            self._reported.add(epoch)
        from holdfast.integrations import pruner

        pruned = self._trial.user_attrs.get("pruned")
        if pruned is not None and pruned["epoch"] == epoch:  # it was killed after the answer
            notes = pruned["notes"]
        else:
            answer, notes = pruner.should_prune(self._trial)
            pruned = {"epoch": epoch, "notes": notes} if answer else None
            if pruned is not None:
                self._trial.set_user_attr("pruned", pruned)
        pruner.note(self._trial, notes)
        if pruned is not None:
            raise optuna.TrialPruned

    def saved(self, step: int, total: int) -> None:
        """Keep study and checkpoint together; stop here where the time is over."""
        self.count_time()
        self._sweep.keep(self._sweep.folder, self._finished + min(step / total, 0.999))
        if self._sweep.time_is_over():
            raise Stopped

    def wants_to_stop(self) -> bool:
        """Once the time is over."""
        return self._sweep.time_is_over()

    def count_time(self) -> None:
        """Add the time since the last count to the trial's: a study's time limit counts work, not interruptions."""
        now = self._sweep.clock()
        known = self._trial.storage.get_trial(self._trial._trial_id).user_attrs.get("seconds", 0.0)
        self._trial.storage.set_trial_user_attr(self._trial._trial_id, "seconds", float(known) + now - self._since)
        self._since = now


def _tidy(sweep: Sweep, trials: list[optuna.trial.FrozenTrial], numbers: Collection[int] | None = None) -> None:
    """What finished trials need no more goes: their checkpoints, and the weights of all but the best if so configured.

    Args:
        sweep: The study.
        trials: All of its trials.
        numbers: Those that may have something to lose; None for all. So a trial costs no more where there are a thousand.
    """
    best = best_trial(trials)
    for trial in trials if numbers is None else [trials[n] for n in sorted(numbers)]:
        if not trial.state.is_finished():
            continue
        folder = sweep.folder / trial_folder(trial.number)
        drop_checkpoints(folder)
        if sweep.hpo.checkpoint.save_only_best and (best is None or trial.number != best.number):
            shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)


def _line(sweep: Sweep, trial: optuna.trial.FrozenTrial) -> str:
    from optuna.trial import TrialState

    shown = ", ".join(f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in sorted(trial.params.items()))
    state = {TrialState.COMPLETE: f"{sweep.hpo.objective} {trial.value or 0.0:.4f}", TrialState.PRUNED: "pruned"}.get(trial.state)
    state = state or f"failed: {trial.user_attrs.get('failed', 'for an unknown reason')}"
    took = duration(float(trial.user_attrs.get("seconds", 0.0)))
    return f"{sweep.backbone}: trial {trial.number}: {state}  ({shown or 'nothing varies'}; {took})"
