"""Optuna: a sampler whose suggestions depend on nothing but the study's seed, the trial's number and the finished trials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blake3 import blake3
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial


class ExactSampler(BaseSampler):
    """Suggests what an uninterrupted study would have suggested, however often it was killed and at whatever instant.

    Optuna's samplers carry a random state from trial to trial, which a kill takes away. Here every parameter of every trial is
    drawn by a fresh sampler, seeded by study seed, trial number and parameter name. So a trial that was killed between two of
    its suggestions gets the same second one, too.

    Args:
        make: Makes the sampler that draws, from a seed below 2**32.
        seed: The study's.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make = make
        self._seed = seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """None: parameters are drawn one by one."""
        return {}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Nothing: parameters are drawn one by one."""
        return {}

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        """Draw one parameter with a sampler of its own."""
        sampler = self._make(derive_seed(self._seed, trial.number, param_name))
        return sampler.sample_independent(study, trial, param_name, param_distribution)


def derive_seed(seed: int, number: int, name: str) -> int:
    """A seed below 2**32 for one parameter of one trial."""
    return int.from_bytes(blake3(f"{seed}/{number}/{name}".encode()).digest(length=4), "big")
