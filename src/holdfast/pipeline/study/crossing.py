"""A trial with folds: one training after the other, each in a folder of its own, and the score is the mean.

A row for each fold that is done stands in the trial's user attributes. That row is what makes a fold done: it is written once the
weights are scored, so a kill before it goes on at the fold's last checkpoint, and a kill after it never trains the fold again.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.pipeline.layout import CHECKPOINT, METRICS, drop_checkpoints, fold_folder, trial_folder
from holdfast.pipeline.study.pruning import end_if_pruned
from holdfast.pipeline.study.search import FOLD_ROWS, fold_scores, spread_of
from holdfast.pipeline.study.sweep import Sweep
from holdfast.session.files import write_json

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

#: User attribute of a trial that is complete: the standard deviation of the scores of its folds.
DEVIATION = "deviation"


def cross_validate(
    sweep: Sweep,
    trial: optuna.Trial,
    until: int,
    train_fold: Callable[[int], Mapping[str, Any]],
    between: Callable[[Sequence[float]], None],
) -> float | None:
    """Train the folds of a trial that are left, in their order.

    After each fold the mean of those that are done is reported, and after each but the last the pruner is asked about it.

    Args:
        sweep: The study.
        trial: The trial.
        until: The last fold that is to be trained now.
        train_fold: Trains one, and gives its row: `score`, and whatever else is to be remembered.
        between: Called between two folds that are trained now, with the scores so far, which are in the study.

    Returns:
        The mean of all folds; None where more of them are left.

    Raises:
        optuna.TrialPruned: the trial ends here.
    """
    assert sweep.folds is not None
    rows = list(trial.user_attrs.get(FOLD_ROWS, []))
    begun_with = len(rows)
    while True:
        scores, count = [float(row["score"]) for row in rows], len(rows)
        if count:
            if count not in trial.storage.get_trial(trial._trial_id).intermediate_values:
                trial.report(statistics.fmean(scores), count)
            if count == len(sweep.folds):
                trial.set_user_attr(DEVIATION, spread_of(scores))
                return statistics.fmean(scores)
            end_if_pruned(trial, count, "fold")
        if count >= until:
            return None
        if count > begun_with:
            between(scores)
        rows.append(dict(train_fold(count + 1)))
        trial.set_user_attr(FOLD_ROWS, rows)
        tidy_fold(sweep, trial.number, count + 1)


def tidy_fold(sweep: Sweep, number: int, fold: int) -> None:
    """What a fold that is done needs no more goes: its checkpoints, and its weights, of which later stages use the first fold's.

    Args:
        sweep: The study.
        number: Number of the trial.
        fold: Which, from 1.
    """
    folder = sweep.folder / trial_folder(number) / fold_folder(fold)
    drop_checkpoints(folder)
    if sweep.hpo.checkpoint.save_only_best and fold > 1:
        shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)


def tidy_folds(sweep: Sweep, trial: FrozenTrial) -> None:
    """The same of all folds of a trial that are done; and its own metrics, once it is finished."""
    scores = fold_scores(trial)
    last = len(sweep.folds or ()) if trial.state.is_finished() else len(scores)  # also one that failed needs nothing any more
    for fold in range(1, last + 1):
        tidy_fold(sweep, trial.number, fold)
    folder = sweep.folder / trial_folder(trial.number)
    if scores and trial.state.is_finished() and folder.is_dir() and not (folder / METRICS).exists():
        write_json(
            folder / METRICS,
            {
                "trial": trial.number,
                "objective": sweep.hpo.objective,
                "mean": statistics.fmean(scores),
                "deviation": spread_of(scores),
                "folds": trial.user_attrs[FOLD_ROWS],
            },
        )


def told_of_fold(sweep: Sweep, number: int, scores: Sequence[float]) -> str:
    """A fold that is done, in one line."""
    of = f"fold {len(scores)} of {len(sweep.folds or ())}"
    mean = f", mean {statistics.fmean(scores):.4f}" if len(scores) > 1 else ""
    return f"{sweep.backbone}: trial {number}: {of}: {sweep.hpo.objective} {scores[-1]:.4f}{mean}"


def next_fold(trial: FrozenTrial) -> int:
    """The number of the fold that is next, from 1."""
    return len(trial.user_attrs.get(FOLD_ROWS, [])) + 1


def with_deviation(scores: Sequence[float]) -> str:
    """What stands behind a mean, for a person; nothing where there are no folds."""
    return f" \N{PLUS-MINUS SIGN} {spread_of(scores):.4f} over {len(scores)} folds" if scores else ""
