"""Optuna: a sampler that suggests what an uninterrupted study would have suggested, whichever of Optuna's draws.

Optuna's samplers carry random states from trial to trial, which a kill takes away, and count trials that a kill left behind. Here
every draw is made by a fresh sampler, seeded by the study's seed, the trial's number and the parameter's name, and that sees the
finished trials below and nothing else. What it writes into the study comes after what it drew is kept.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.pruners import _filter_study
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    CmaEsSampler,
    GPSampler,
    GridSampler,
    NSGAIIISampler,
    NSGAIISampler,
    PartialFixedSampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from holdfast.errors import MadeOtherwise, UsageError
from holdfast.integrations.random_states import Unknown, random_states, reseed
from holdfast.integrations.sampler import derive_seed
from holdfast.integrations.seen import Seen, SeenStorage

#: What was drawn for several parameters at once, in the system attributes of its trial.
DRAWN = "holdfast:drawn"
#: The last trial of a search that has an end.
OVER = "holdfast:over"
#: In those of the study: the seed that its grid, or its sequence, was made with.
SEED = "holdfast:seed"

_EXACT: frozenset[type[BaseSampler]] = frozenset(
    {
        RandomSampler,
        TPESampler,
        GPSampler,
        CmaEsSampler,
        NSGAIISampler,
        NSGAIIISampler,
        QMCSampler,
        GridSampler,
        BruteForceSampler,
    }
)

#: Where an instance holds its random states; tests pin it to Optuna's inside.
_INSIDE: dict[type[BaseSampler], frozenset[str]] = {
    RandomSampler: frozenset({"_rng"}),
    TPESampler: frozenset({"_rng", "_random_sampler._rng"}),
    NSGAIISampler: frozenset({"_rng", "_random_sampler._rng"}),
    BruteForceSampler: frozenset({"_rng"}),
}


class Exact(BaseSampler):
    """Suggests what an uninterrupted study would have suggested, however often it was killed and at whatever instant.

    A suggestion depends on study seed, trial number, parameter name and the finished trials below, and on nothing else: not on
    trials that were cut off, nor on how many processes drew. A trial that was cut off between two suggestions gets the same second
    one. Where several processes draw at once, which trials are finished depends on their timing, as ever.

    Args:
        make: Makes the sampler that draws, from a seed below 2**32: `lambda seed: TPESampler(multivariate=True, seed=seed)`. Or a
            `RandomSampler`, `TPESampler`, `NSGAIISampler` or `BruteForceSampler` that is made already; its own seed is not used.
        seed: The study's.
        exact: False takes any sampler, as it is: then a study that was interrupted is another one.

    Raises:
        UsageError: the sampler cannot be exact; the text says why.
    """

    def __init__(self, make: Callable[[int], BaseSampler] | BaseSampler, seed: int = 0, *, exact: bool = True) -> None:
        self.seed = seed
        self.exact = exact
        self._plain: BaseSampler | None = None
        if not exact:
            self._plain = make if isinstance(make, BaseSampler) else make(_whole(seed))
            return
        self._make = _maker(make)
        self._kind = type(self._make(_whole(seed)))

    def __str__(self) -> str:
        inside = self._plain if self._plain is not None else self._make(_whole(self.seed))
        return f"{type(self).__name__}({inside})"

    def reseed_rng(self) -> None:
        """Nothing is to be seeded anew where threads share a study: trials have numbers."""
        if self._plain is not None:
            self._plain.reseed_rng()

    def draws_with(self, kinds: tuple[type[BaseSampler], ...]) -> bool:
        """Whether what draws is one of these, exactly."""
        return self._plain is None and self._kind in kinds

    # -- before and after ----------------------------------------------------------------------------------------------

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """See `BaseSampler`. A grid gives out its places here."""
        if self._plain is not None:
            self._plain.before_trial(study, trial)
            return
        if self._kind is GridSampler or getattr(self._make(_whole(self.seed)), "_scramble", False):
            self._refuse_another_seed(study)
        seen = self._seen(study, trial, writes=True)
        self._fresh(trial.number, "/before").before_trial(_filter_study(seen, trial), trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """See `BaseSampler`. The end of a grid is noted, and ends `study.optimize`; it is no error where that is not used."""
        if self._plain is not None:
            self._plain.after_trial(study, trial, state, values)
            return
        if self._kind is BruteForceSampler and state is TrialState.FAIL:
            return  # to it this configuration would be done
        seen = self._seen(study, trial, writes=True, all_finished=True)
        self._fresh(trial.number, "/after").after_trial(_filter_study(seen, trial), trial, state, values)
        if seen.stopped:
            study._storage.set_trial_system_attr(trial._trial_id, OVER, True)
            with contextlib.suppress(RuntimeError):  # it is not `study.optimize` that runs
                study.stop()

    def is_over(self, study: Study) -> bool:
        """Whether all that the sampler could suggest is done: the end of a grid, or of a search by brute force."""
        if self._plain is None and self._kind is GridSampler:
            grid = self._make(_whole(self.seed))
            assert isinstance(grid, GridSampler)
            return grid.is_exhausted(study)
        return any(OVER in t.system_attrs for t in study.get_trials(deepcopy=False) if t.state.is_finished())

    # -- drawing -------------------------------------------------------------------------------------------------------

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that are drawn together."""
        if self._plain is not None:
            return self._plain.infer_relative_search_space(study, trial)
        drawn = _drawn(study, trial)
        if drawn is not None:
            return {name: json_to_distribution(text) for name, text in drawn["space"].items()}
        sampler, seen, bare = self._together(study, trial)
        return sampler.infer_relative_search_space(_filter_study(seen, bare), bare)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Draw them, once for a trial: what was drawn before a kill is given again."""
        if self._plain is not None:
            return self._plain.sample_relative(study, trial, search_space)
        drawn = _drawn(study, trial)
        if drawn is None:
            sampler, seen, bare = self._together(study, trial)
            sees = _filter_study(seen, bare)
            space = sampler.infer_relative_search_space(sees, bare)  # also for what it remembers of it
            params = sampler.sample_relative(sees, bare, search_space if space == search_space else space)
            notes = seen.storage.of_study
            for name, value in seen.storage.of_trial.items():
                study._storage.set_trial_system_attr(trial._trial_id, name, value)
            if not params and not notes:
                return {}
            drawn = {
                "params": {n: float(space[n].to_internal_repr(v)) for n, v in params.items()},
                "space": {n: distribution_to_json(d) for n, d in space.items()},
                "notes": notes,
            }
            study._storage.set_trial_system_attr(trial._trial_id, DRAWN, json.dumps(drawn))
        there = study._storage.get_study_system_attrs(study._study_id)
        for name, value in drawn["notes"].items():  # others draw on with them, and may have since the kill
            if name not in there:
                study._storage.set_study_system_attr(study._study_id, name, value)
        return {n: json_to_distribution(drawn["space"][n]).to_external_repr(v) for n, v in drawn["params"].items()}

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        """Draw one parameter."""
        if self._plain is not None:
            return self._plain.sample_independent(study, trial, param_name, param_distribution)
        seen = self._seen(study, trial)
        return self._fresh(trial.number, param_name).sample_independent(
            _filter_study(seen, trial), trial, param_name, param_distribution
        )

    # -- how -----------------------------------------------------------------------------------------------------------

    # A grid in its order, and a sequence, are one thing for the whole study. So the study's seed makes them, not a trial's.

    def _fresh(self, number: int, name: str) -> BaseSampler:
        """A sampler for one draw."""
        if self._kind is not GridSampler:
            return self._make(derive_seed(self.seed, number, name))
        grid = self._make(_whole(self.seed))
        reseed(grid, derive_seed(self.seed, number, name))  # the grid is in its order; what is drawn of it is the trial's
        return grid

    def _together(self, study: Study, trial: FrozenTrial) -> tuple[BaseSampler, Seen, FrozenTrial]:
        """What draws parameters together, what it sees, and the trial as it was when it began."""
        sampler = self._make(_whole(self.seed) if self._kind is QMCSampler else derive_seed(self.seed, trial.number, "/together"))
        return sampler, self._seen(study, trial), _bare(trial)

    def _seen(self, study: Study, trial: FrozenTrial, *, writes: bool = False, all_finished: bool = False) -> Seen:
        hidden = {TrialState.FAIL} if self._kind is BruteForceSampler else set()
        storage = SeenStorage(study._storage, trial, hidden=hidden, writes=writes, all_finished=all_finished)
        return Seen(study, storage)

    def _refuse_another_seed(self, study: Study) -> None:
        known = study._storage.get_study_system_attrs(study._study_id).get(SEED)
        if known is None:
            study._storage.set_study_system_attr(study._study_id, SEED, self.seed)
        elif known != self.seed:
            raise MadeOtherwise(
                f"study {study.study_name}: {self._kind.__name__} goes through it in the order of seed {known}, and with seed "
                f"{self.seed} it would give some points twice and others never; use Exact(..., seed={known})"
            )


def _whole(seed: int) -> int:
    return seed % 2**32


def _drawn(study: Study, trial: FrozenTrial) -> dict[str, Any] | None:
    text = study._storage.get_trial_system_attrs(trial._trial_id).get(DRAWN)
    return None if text is None else json.loads(text)


def _bare(trial: FrozenTrial) -> FrozenTrial:
    """The trial before anything was suggested to it."""
    bare = copy.copy(trial)
    bare.params, bare.distributions = {}, {}
    return bare


# -- which samplers --------------------------------------------------------------------------------------------------------


def _maker(make: Callable[[int], BaseSampler] | BaseSampler) -> Callable[[int], BaseSampler]:
    if isinstance(make, BaseSampler):
        return _of_instance(make)
    first, again, other = make(1), make(1), make(2)
    _refuse_inexact(first)
    name = type(first).__name__
    seeded = f"hand the seed on: Exact(lambda seed: {name}(..., seed=seed), seed=7)"
    if isinstance(first, GridSampler):
        return make
    states = [_states(s) for s in (first, again, other)]
    if any(text is None for _, text in states[0]) or states[0] != states[1]:
        raise UsageError(f"{name} draws without the seed that it is given; {seeded}")
    if states[0] == states[2]:
        raise UsageError(f"{name} is made the same for every seed, so all trials would be copies; {seeded}")
    return make


def _of_instance(sampler: BaseSampler) -> Callable[[int], BaseSampler]:
    """Copies of a sampler, each seeded. Only where it is known in which places its random states are."""
    kind = type(sampler)
    name = kind.__name__
    by_seed = f"hand in what makes it: Exact(lambda seed: {name}(..., seed=seed), seed=7)"
    _refuse_inexact(sampler)
    if kind not in _INSIDE:
        raise UsageError(f"{name} that is made already cannot be seeded anew for each trial; {by_seed}")
    if {path for path, _ in random_states(sampler)} != _INSIDE[kind]:
        raise UsageError(f"{name} of Optuna {optuna.__version__} holds random states in other places; {by_seed}")
    used = getattr(getattr(sampler, "_search_space", None), "_study_id", None)
    if used is not None:
        raise UsageError(f"this {name} has drawn for a study, and remembers it; {by_seed}")
    pristine = copy.deepcopy(sampler)

    def make(seed: int) -> BaseSampler:
        fresh = copy.deepcopy(pristine)
        reseed(fresh, seed)
        return fresh

    return make


def _refuse_inexact(sampler: BaseSampler) -> None:
    kind = type(sampler)
    anyway = "Exact(..., exact=False) takes it as it is"
    if kind is PartialFixedSampler:
        raise UsageError(
            "PartialFixedSampler changes what the sampler inside it sees, and cannot be exact; give fixed parameters their values "
            f"in the objective, or: {anyway}"
        )
    if kind not in _EXACT:
        raise UsageError(
            f"{kind.__module__}.{kind.__name__} is none of Optuna's own samplers, and what it carries from trial to trial is not "
            f"known; {anyway}"
        )
    for name in ("_independent_sampler", "_random_sampler"):
        inside = getattr(sampler, name, None)
        if isinstance(inside, BaseSampler):
            _refuse_inexact(inside)
    try:
        list(random_states(sampler))
    except Unknown as error:
        raise UsageError(
            f"{kind.__name__} holds a random state of its own kind ({error}), so it cannot be exact; {anyway}"
        ) from None


def _states(sampler: BaseSampler) -> list[tuple[str, str | None]]:
    """What each random state is, as text; None for one that is not seeded."""
    found = [(path, None if s._rng is None else repr(s._rng.__getstate__())) for path, s in random_states(sampler)]
    seed = getattr(sampler, "_seed", None)
    return found if seed is None else [*found, ("_seed", repr(seed))]
