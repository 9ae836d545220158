"""The search: what varies, who suggests, who prunes, and which trial is best."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.errors import StageFailed
from holdfast.flow.fingerprint import fingerprint
from holdfast.pipeline.settings import Hpo, Parameter, written_alike

if TYPE_CHECKING:
    import optuna

#: User attribute of a trial: a row for each of its folds that is done, in their order.
FOLD_ROWS = "folds"


def suggest(
    trial: optuna.Trial, space: Mapping[str, Parameter], begun: Mapping[str, Sequence[Any]] | None = None
) -> dict[str, Any]:
    """The parameters of a trial: those it was given before, and new ones for the rest. In the order of their names.

    Args:
        trial: The trial.
        space: What varies.
        begun: See `choices_begun_with`.
    """
    return {name: _suggest(trial, name, space[name], (begun or {}).get(name)) for name in sorted(space)}


def choices_begun_with(trials: Sequence[optuna.trial.FrozenTrial]) -> dict[str, tuple[Any, ...]]:
    """The choices of each parameter as the study has them: Optuna keeps them for good, and takes no others."""
    from optuna.distributions import CategoricalDistribution

    found: dict[str, tuple[Any, ...]] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            if isinstance(distribution, CategoricalDistribution):
                found.setdefault(name, tuple(distribution.choices))
    return found


def _suggest(trial: optuna.Trial, name: str, parameter: Parameter, begun: Sequence[Any] | None) -> Any:
    if name in trial.distributions:  # before it was cut off, perhaps within a wider space
        return trial.params[name]
    if parameter.type == "choice":
        assert parameter.values is not None
        return trial.suggest_categorical(name, parameter.values if begun is None else begun)
    assert parameter.low is not None
    assert parameter.high is not None
    if parameter.type == "int":
        return trial.suggest_int(name, int(parameter.low), int(parameter.high), step=int(parameter.step or 1))
    return trial.suggest_float(name, parameter.low, parameter.high, step=parameter.step, log=parameter.type == "loguniform")


def make_sampler(hpo: Hpo, seed: int) -> optuna.samplers.BaseSampler:
    """The configured sampler, exact across interruptions."""
    from optuna.samplers import BaseSampler, RandomSampler, TPESampler

    from holdfast.integrations.sampler import ExactSampler

    def make(drawn: int) -> BaseSampler:
        return TPESampler(seed=drawn, n_startup_trials=hpo.startup_trials) if hpo.sampler == "tpe" else RandomSampler(seed=drawn)

    return ExactSampler(make, seed, _allowed(hpo.search_space))


def _allowed(space: Mapping[str, Parameter]) -> dict[str, Callable[[Any], bool]]:
    """For each choice whether a value, as the study has it, is one of those that are asked for now."""
    return {
        name: functools.partial(_is_among, name, parameter.values)
        for name, parameter in space.items()
        if parameter.values is not None
    }


def _is_among(name: str, values: Sequence[Any], value: Any) -> bool:
    return value in values or written_alike(name, [value])[0] in values


def make_pruner(hpo: Hpo, reports: int) -> optuna.pruners.BasePruner:
    """The configured pruner. A trial reports once per epoch, or once per fold.

    Args:
        hpo: The settings.
        reports: The most that a trial may report.
    """
    from optuna import pruners

    if hpo.pruner == "median":
        return pruners.MedianPruner(
            n_startup_trials=hpo.startup_trials, n_warmup_steps=hpo.pruner_warmup + 1
        )  # epochs and folds count from 1
    if hpo.pruner == "successive_halving":
        return pruners.SuccessiveHalvingPruner(min_resource=1)  # "auto" would be another number after a return
    if hpo.pruner == "hyperband":
        return pruners.HyperbandPruner(max_resource=reports)
    return pruners.NopPruner()


def most_reports(hpo: Hpo, epochs: int) -> int:
    """How often a trial may report at most: after each fold, or after each epoch where there are no folds."""
    return hpo.folds or most_epochs(hpo, epochs)


def most_epochs(hpo: Hpo, epochs: int) -> int:
    """The most epochs that a trial may have."""
    parameter = hpo.search_space.get("epochs")
    if parameter is None:
        return epochs
    return int(max(parameter.values) if parameter.values else parameter.high or epochs)


def best_trial(trials: list[optuna.trial.FrozenTrial]) -> optuna.trial.FrozenTrial | None:
    """The complete trial with the highest value; of equal ones the earliest. None where none is complete."""
    from optuna.trial import TrialState

    complete = [t for t in trials if t.state is TrialState.COMPLETE and t.value is not None]
    return min(complete, key=lambda t: (-_value(t), t.number), default=None)


def _value(trial: optuna.trial.FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value


def study_result(trials: list[optuna.trial.FrozenTrial]) -> str:
    """Identity of what a study found: numbers, states, parameters and values; no clock times."""
    rows = [
        {"number": t.number, "state": t.state.name, "params": t.params, "value": t.value} for t in trials if t.state.is_finished()
    ]
    return fingerprint({"trials": rows})


def summarize(trials: list[optuna.trial.FrozenTrial]) -> dict[str, Any]:
    """Counts of finished trials, and the best, for the record of the stage. No clock times."""
    trials = [t for t in trials if t.state.is_finished()]
    best = best_trial(trials)
    if best is None:
        reasons = sorted({str(t.user_attrs.get("failed", t.state.name.lower())) for t in trials})
        raise StageFailed(
            f"no trial is complete ({'; '.join(reasons)[:300]}); narrow the search space, and give it more trials (hpo.trials)"
        )
    states: dict[str, int] = {}
    for trial in trials:
        states[trial.state.name] = states.get(trial.state.name, 0) + 1
    return {
        "trials": len(trials),
        "states": states,
        "best_trial": best.number,
        "best_value": best.value,
        "best_params": best.params,
        **({"best_deviation": spread_of(found), "best_folds": found} if (found := fold_scores(best)) else {}),
    }


def fold_scores(trial: optuna.trial.FrozenTrial) -> list[float]:
    """The score of each fold of a trial that is done, in their order; none where there are no folds."""
    return [float(row["score"]) for row in trial.user_attrs.get(FOLD_ROWS, [])]


def spread_of(scores: Sequence[float]) -> float:
    """The standard deviation of a sample (divided by one less than there are); 0 for one score."""
    return statistics.stdev(scores) if len(scores) > 1 else 0.0
