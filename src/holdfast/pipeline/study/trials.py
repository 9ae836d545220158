"""The trials of one study, one after the other: which is next, what is kept of each, and when the study is at its end."""

from __future__ import annotations

import itertools
import logging
import shutil
import time
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import AnotherSession, BadData, NotRestored, StageFailed
from holdfast.flow.stage import Stopped
from holdfast.integrations.watching import Copies
from holdfast.pipeline.layout import CHECKPOINT, drop_checkpoints, trial_folder
from holdfast.pipeline.settings import changed
from holdfast.pipeline.study.crossing import tidy_folds, with_deviation
from holdfast.pipeline.study.search import best_trial, choices_begun_with, fold_scores
from holdfast.pipeline.study.sweep import Sweep
from holdfast.pipeline.study.trial import Telling, run_trial
from holdfast.pipeline.training.checkpoint import weight_files
from holdfast.pipeline.training.device import LONG_SECONDS
from holdfast.pipeline.training.train import estimate_seconds, train
from holdfast.store.reporting.amounts import duration

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

#: So often is looked whether the last trials are done, where other processes work on them.
_LOOK_SECONDS = 1.0


def run_trials(sweep: Sweep, study: optuna.Study) -> None:
    """Trials until all are finished. Each is kept before the next begins."""
    from optuna.trial import TrialState

    told = raised = waits = False
    tidy(sweep, study.get_trials(deepcopy=False))
    begun = choices_begun_with(study.get_trials(deepcopy=False))
    while True:
        trials = study.get_trials(deepcopy=False)
        running = [t for t in trials if t.state is TrialState.RUNNING]
        finished = sum(t.state.is_finished() for t in trials)
        spent = sum(float(t.user_attrs.get("seconds", 0.0)) for t in trials)
        over = sweep.hpo.timeout is not None and spent >= sweep.hpo.timeout
        room = 0 if over else sweep.hpo.trials - (len(trials) - sum(t.state is TrialState.WAITING for t in trials))
        if finished >= sweep.hpo.trials or (over and not running):
            remake_best(sweep, trials)
            sweep.narration.end()
            return
        if raised:  # in this run: the next one tries another trial
            refuse_more_failures(sweep.backbone, sweep.hpo.failures_in_a_row, trials)
        if sweep.time_is_over():
            raise Stopped
        if not told:
            announce(sweep, finished)
            told = True
        chosen = _next_trial(sweep, study, running, room)
        if chosen is None:  # all that is left is being worked on by live processes; one that dies leaves its trial
            if not waits:
                sweep.narration.say(f"{sweep.backbone}: other processes work on the last {len(running)} trial(s); waiting for them")
                waits = True
            time.sleep(_LOOK_SECONDS)
            continue
        trial, claim = chosen
        before = best_trial(trials)
        alone = trial.number <= len(trials) and all(t.number == trial.number for t in running)
        with claim:
            broken = run_trial(sweep, study, trial, finished, begun, alone=alone)
        sweep.narration.end()
        now = study.get_trials(deepcopy=False)
        raised = "raised" in now[trial.number].user_attrs
        sweep.narration.say(f"{describe(sweep, now[trial.number])}  [{finished + 1} of {sweep.hpo.trials}]")
        changed_now = {trial.number} if before is None else {trial.number, before.number}
        tidy(sweep, now, changed_now)
        told_now = sum(t.state.is_finished() for t in now)
        if told_now >= sweep.hpo.trials:
            sweep.is_over()
        sweep.hand_over(float(told_now), changed_now, alone=alone and len(now) <= max(len(trials), trial.number + 1))
        if broken:
            raise StageFailed(
                f"{sweep.backbone}: trial {trial.number} failed and left the GPU of no use to this process ({broken}); run again "
                "to go on with the next trial, in a notebook after Runtime, Restart session"
            )


def _next_trial(
    sweep: Sweep, study: optuna.Study, running: list[optuna.trial.FrozenTrial], room: int
) -> tuple[optuna.Trial, AbstractContextManager[Any]] | None:
    """A trial that was cut off, or a new one, claimed. One that a live process works on was not cut off. None: no more to begin."""
    from holdfast.integrations.next_trial import next_trial

    return next_trial(
        study,
        running,
        lambda number: _claimed(sweep, number),
        room=room,
        goes_on=lambda number: sweep.narration.say(f"{sweep.backbone}: trial {number} goes on"),
    )


def _claimed(sweep: Sweep, number: int) -> AbstractContextManager[Any] | None:
    """The claim on a trial; None where a live process has it. Raises AnotherSession where one has the whole study."""
    folder = sweep.folder / trial_folder(number)
    try:
        return sweep.claim(folder)
    except AnotherSession as error:
        if not error.path.endswith(trial_folder(number)):
            raise
        return None


def remake_best(sweep: Sweep, trials: list[optuna.trial.FrozenTrial]) -> None:
    """Later stages need the best trial's weights. Where they are lost, here and in the store, the same are trained again."""
    best = best_trial(trials)
    if best is None:
        return
    folder = sweep.weights(best.number)
    put_damaged_aside(folder, sweep.copies)
    if (folder / CHECKPOINT).is_dir():
        return
    sweep.narration.warn(f"{sweep.backbone}: the weights of the best trial ({best.number}) are lost; training them again")
    train(sweep.job(changed(sweep.training, best.params), folder), Telling(sweep, best.number), sweep.clock)
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


def announce(sweep: Sweep, finished: int) -> None:
    """Say how long the trials take that are left, where that is long for want of a GPU."""
    if sweep.device != "cpu":
        return
    each = estimate_seconds(sweep.job(sweep.training, sweep.folder)) * (1 if sweep.folds is None else len(sweep.folds))
    left = sweep.hpo.trials - finished
    tell = sweep.narration.warn if each * left > LONG_SECONDS else sweep.narration.say
    tell(
        f"{sweep.backbone}: trains on the CPU, as there is no GPU here: about {duration(each * left)} for {left} trial(s), "
        f"{duration(each)} each (in Colab a GPU is under Runtime, Change runtime type)"
    )


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


def tidy(sweep: Sweep, trials: list[optuna.trial.FrozenTrial], numbers: Collection[int] | None = None) -> None:
    """What finished trials need no more goes: their checkpoints, and the weights of all but the best if so configured.

    Args:
        sweep: The study.
        trials: All of its trials.
        numbers: Those that may have something to lose; None for all. So a trial costs no more where there are a thousand.
    """
    best = best_trial(trials)
    for trial in trials if numbers is None else [trials[n] for n in sorted(numbers)]:
        if sweep.folds is not None:
            tidy_folds(sweep, trial)
        if not trial.state.is_finished():
            continue
        folder = sweep.weights(trial.number)
        drop_checkpoints(folder)
        if sweep.hpo.checkpoint.save_only_best and (best is None or trial.number != best.number):
            shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)


def describe(sweep: Sweep, trial: optuna.trial.FrozenTrial) -> str:
    """A finished trial in one line."""
    from optuna.trial import TrialState

    shown = ", ".join(f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in sorted(trial.params.items()))
    scored = f"{sweep.hpo.objective} {trial.value or 0.0:.4f}{with_deviation(fold_scores(trial))}"
    state = {TrialState.COMPLETE: scored, TrialState.PRUNED: "pruned"}.get(trial.state)
    state = state or f"failed: {trial.user_attrs.get('failed', 'for an unknown reason')}"
    took = duration(float(trial.user_attrs.get("seconds", 0.0)))
    return f"{sweep.backbone}: trial {trial.number}: {state}  ({shown or 'nothing varies'}; {took})"
