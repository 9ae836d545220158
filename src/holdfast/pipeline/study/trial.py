"""One trial of a study: gone on with from its last checkpoint, and told exactly once."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import StageFailed
from holdfast.flow.failing import in_words
from holdfast.flow.stage import Stopped
from holdfast.integrations.watching import Copies, Diverged, Watcher
from holdfast.pipeline.failing import breaks_the_device, is_of_the_trial, is_out_of_memory
from holdfast.pipeline.layout import METRICS, fold_folder, trial_folder
from holdfast.pipeline.settings import Training, changed
from holdfast.pipeline.study.crossing import cross_validate, told_of_fold
from holdfast.pipeline.study.pruning import end_if_pruned
from holdfast.pipeline.study.search import suggest
from holdfast.pipeline.study.sweep import Sweep
from holdfast.pipeline.tracking.journal import end_run
from holdfast.pipeline.training.device import describe_device
from holdfast.pipeline.training.evaluation import evaluate
from holdfast.pipeline.training.train import Job, train
from holdfast.session.files import write_json

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)


class SmallerDevice(StageFailed):
    """A trial that began on a larger device ran out of memory here. It stays, and goes on on a larger one."""


def run_trial(
    sweep: Sweep,
    study: optuna.Study,
    trial: optuna.Trial,
    finished: int,
    begun: Mapping[str, Sequence[Any]],
    *,
    alone: bool,
    until: int | None = None,
) -> str:
    """One trial, from its last checkpoint on: told to the study exactly once.

    Args:
        sweep: The study, as it is run.
        study: The study.
        trial: The trial.
        finished: Trials that are finished before it.
        begun: See `choices_begun_with`.
        alone: No other process works on the study.
        until: Where there are folds, the last one that is to be trained now; the trial stays as it is where more are left. None
            for all.

    Returns:
        What left the device of no use, if anything.
    """
    import optuna
    from optuna.trial import TrialState

    device = describe_device(sweep.device)
    began = trial.user_attrs.get("device")
    if began is None:
        trial.set_user_attr("device", device)
        began = device
    watcher = TrialWatcher(sweep, trial, finished, alone=alone)
    try:
        settings = changed(sweep.training, suggest(trial, sweep.hpo.search_space, begun))
        value: float | None
        if sweep.folds is None:
            row = _scored(sweep, trial, watcher, sweep.job(settings, watcher.folder, run=sweep.run(trial.number)))
            trial.set_user_attr("best_step", row["best_step"])
            value = row["score"]
        else:
            value = cross_validate(
                sweep,
                trial,
                until or len(sweep.folds),
                functools.partial(_fold_scored, sweep, trial, watcher, settings),
                watcher.between,
            )
        watcher.count_time()
        if value is not None:
            study.tell(trial, value)
    except optuna.TrialPruned:
        watcher.count_time()
        watcher.ended("KILLED")
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


def _scored(
    sweep: Sweep, trial: optuna.Trial, watcher: TrialWatcher, job: Job, told: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Train, score the weights, and write down how: what is to be remembered of it."""
    trained = train(job, watcher, sweep.clock)
    scores = evaluate(trained.folder, job.validation, sweep.device)
    trial.set_user_attr("parameters", trained.parameters)
    how = {"steps": trained.steps, "best_step": trained.best_step}
    write_json(job.folder / METRICS, {"trial": trial.number, **(told or {}), **how, "validation": scores})
    average = "micro" if sweep.hpo.objective.endswith("micro") else "macro"
    return {"score": scores[average][sweep.hpo.objective.rpartition("_")[0]], **how}


def _fold_scored(sweep: Sweep, trial: optuna.Trial, watcher: TrialWatcher, settings: Training, fold: int) -> dict[str, Any]:
    watcher.begin_fold(fold)
    job = sweep.job(settings, watcher.folder, fold, sweep.run(trial.number, fold))
    return _scored(sweep, trial, watcher, job, {"fold": fold})


def _fail(study: optuna.Study, trial: optuna.Trial, watcher: TrialWatcher, reason: str) -> None:
    """This trial alone has failed; the study goes on."""
    from optuna.trial import TrialState

    reason = f"{watcher.where}{reason}"
    watcher.count_time()
    watcher.ended("FAILED")
    trial.set_user_attr("failed", reason)
    study.tell(trial, state=TrialState.FAIL)
    log.warning("trial %d failed: %s", trial.number, reason)


class Telling(Watcher):
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


class TrialWatcher(Telling):
    """Reports a trial's epochs to the study, and hands its checkpoints to the backup.

    Args:
        sweep: The study that it belongs to.
        trial: The trial.
        finished: Trials that are finished before it.
        alone: No other process works on the study.
    """

    def __init__(self, sweep: Sweep, trial: optuna.Trial, finished: int, *, alone: bool) -> None:
        super().__init__(sweep, trial.number)
        self._trial = trial
        self._finished = finished
        self._alone = alone
        self._since = sweep.clock()
        self._reported = set(trial.storage.get_trial(trial._trial_id).intermediate_values)
        self._note = ""
        self._folds = len(sweep.folds or ())
        self._fold = 0

    @property
    def folder(self) -> Path:
        """Of the training that runs."""
        trial = self._sweep.folder / trial_folder(self._number)
        return trial / fold_folder(self._fold) if self._fold else trial

    @property
    def where(self) -> str:
        """The fold that is worked on, for the beginning of a sentence; nothing where there are none."""
        return f"fold {self._fold} of {self._folds}: " if self._fold else ""

    def begin_fold(self, fold: int) -> None:
        """From here on a fold is worked on. Its epochs are not reported: the mean of the folds is, when each is done."""
        self._fold = fold
        self._note = ""

    def between(self, scores: Sequence[float]) -> None:
        """A fold is done, and another follows: keep study and fold together; stop here where the time is over."""
        self._sweep.narration.end()
        self._sweep.narration.say(told_of_fold(self._sweep, self._trial.number, scores))
        self._keep(len(scores) / self._folds)

    def stepped(self, step: int, total: int) -> None:
        """Move the bar."""
        fold = f", fold {self._fold} of {self._folds}" if self._fold else ""
        what = f"{self._sweep.backbone}: trial {self._trial.number}{fold} ({self._finished + 1} of {self._sweep.hpo.trials})"
        self._sweep.narration.work(what, step, total, "; ".join(filter(None, (self._note, self._at_stake(total)))))

    def _at_stake(self, total: int) -> str:
        """The study's progress is the number of finished trials, and the share of the one that runs."""
        stake = self._sweep.at_stake()
        if stake is None:
            return ""
        finished, share = divmod(stake.progress or 0.0, 1.0)
        if finished < self._finished:
            return stake.words(f"from trial {finished:.0f}" if finished else "from the first trial")
        if self._fold:
            done, share = divmod(share * self._folds, 1.0)
            if done + 1 < self._fold:
                return stake.words(f"from fold {done + 1:.0f}")
        return stake.words(f"from step {share * total:.0f}" if share else "from its beginning")

    def scored(self, epoch: int, scores: Mapping[str, float]) -> None:
        """Report an epoch, once; raise where the pruner ends the trial."""
        value = scores[self._sweep.hpo.objective]
        self._note = f"{self._sweep.hpo.objective} {value:.3f}"
        if self._fold:
            return
        if epoch not in self._reported:
            self._trial.report(value, epoch)
            self._reported.add(epoch)
        end_if_pruned(self._trial, epoch, "epoch")

    def logged(self, journal: Path) -> None:
        """Have trackers brought up to it."""
        self._sweep.publisher.publish(journal)

    def ended(self, how: str) -> None:
        """What runs now will not go on."""
        end_run(self.folder, how, self.logged)

    def saved(self, step: int, total: int) -> None:
        """Keep study and checkpoint together; stop here where the time is over."""
        share = step / total
        self._keep((self._fold - 1 + share) / self._folds if self._fold else share)

    def _keep(self, share: float) -> None:
        self.count_time()
        self._sweep.hand_over(self._finished + min(share, 0.999), [self._trial.number], alone=self._alone)
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
