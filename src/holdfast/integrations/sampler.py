"""Optuna: a sampler whose suggestions depend on nothing but the study's seed, the trial's number and the finished trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from blake3 import blake3
from optuna.distributions import BaseDistribution, CategoricalDistribution
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
        allowed: By parameter, whether a choice may still be drawn. A study keeps the choices that it was begun with, so a narrower
            one draws again, and after `REDRAWS` times takes any that may be.
    """

    REDRAWS = 20

    def __init__(
        self, make: Callable[[int], BaseSampler], seed: int, allowed: Mapping[str, Callable[[Any], bool]] | None = None
    ) -> None:
        self._make = make
        self._seed = seed
        self._allowed = dict(allowed or {})

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """None: parameters are drawn one by one."""
        return {}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        """Nothing: parameters are drawn one by one."""
        return {}

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution) -> Any:
        """Draw one parameter with a sampler of its own."""
        allowed = self._allowed.get(param_name)
        if allowed is None or not isinstance(param_distribution, CategoricalDistribution):
            return self._draw(study, trial, param_name, param_distribution)
        left = [choice for choice in param_distribution.choices if allowed(choice)]
        if len(left) == len(param_distribution.choices) or not left:
            return self._draw(study, trial, param_name, param_distribution)
        for again in range(self.REDRAWS):
            drawn = self._draw(study, trial, param_name, param_distribution, f"/{again}" if again else "")
            if allowed(drawn):
                return drawn
        return left[derive_seed(self._seed, trial.number, f"{param_name}/left") % len(left)]

    def _draw(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution, again: str = ""
    ) -> Any:
        sampler = self._make(derive_seed(self._seed, trial.number, param_name + again))
        return sampler.sample_independent(study, trial, param_name, param_distribution)


def derive_seed(seed: int, number: int, name: str) -> int:
    """A seed below 2**32 for one parameter of one trial."""
    return int.from_bytes(blake3(f"{seed}/{number}/{name}".encode()).digest(length=4), "big")
