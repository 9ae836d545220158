"""Asking whether a trial goes on, so that the answer is the same however often a kill cut the question off."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna


def end_if_pruned(trial: optuna.Trial, step: int, unit: str) -> None:
    """Ask the pruner about the newest value that a trial reported. The answer is kept first, then what the pruner noted.

    Args:
        trial: The trial.
        step: What that value was reported for.
        unit: What is counted: `epoch`, `fold`.

    Raises:
        optuna.TrialPruned: it ends here.
    """
    import optuna

    from holdfast.integrations import pruner

    pruned = trial.user_attrs.get("pruned")
    if pruned is not None and pruned[unit] == step:  # it was killed after the answer
        notes = pruned["notes"]
    else:
        answer, notes = pruner.should_prune(trial)
        pruned = {unit: step, "notes": notes} if answer else None
        if pruned is not None:
            trial.set_user_attr("pruned", pruned)
    pruner.note(trial, notes)
    if pruned is not None:
        raise optuna.TrialPruned
