"""The random states inside one of Optuna's samplers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
from optuna.samplers import BaseSampler
from optuna.samplers._lazy_random_state import LazyRandomState


class Unknown(Exception):
    """A random state that is not one of Optuna's; its text says where."""


def random_states(sampler: BaseSampler) -> Iterator[tuple[str, LazyRandomState]]:
    """Each random state, once, with its place, such as `_random_sampler._rng`.

    Raises:
        Unknown: there is one that Optuna did not make.
    """
    yield from _below(sampler, "", set())


def reseed(sampler: BaseSampler, seed: int) -> None:
    """What a new sampler of this seed would draw, this one draws."""
    for _, state in random_states(sampler):
        state.rng.seed(seed)


def _below(thing: Any, path: str, seen: set[int]) -> Iterator[tuple[str, LazyRandomState]]:
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, LazyRandomState):
        yield path, thing
        return
    if isinstance(thing, (np.random.RandomState, np.random.Generator, random.Random)):
        raise Unknown(path)
    inside: Any = ()
    if isinstance(thing, (list, tuple)):
        inside = enumerate(thing)
    elif isinstance(thing, dict):
        inside = thing.items()
    elif hasattr(thing, "__dict__") and not isinstance(thing, type) and not callable(getattr(thing, "__code__", None)):
        inside = vars(thing).items()
    for name, value in inside:
        if value is not None and not isinstance(value, (str, int, float, bool)):
            yield from _below(value, f"{path}.{name}" if path else str(name), seen)
