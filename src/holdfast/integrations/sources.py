"""Where a training draws its random numbers from, as states that are put back: the global ones, and those of its loader."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from holdfast.integrations.plain_state import back, keepable

#: What a sampler counts with.
_COUNTS = (bool, int, float, str)


class Sources:
    """The random states of this process, the generators that the parts of a loader hold, and what its samplers count.

    A sampler's attribute is kept only once it is another than at the beginning, so that a changed one of its arguments stays so.

    Args:
        holders: The parts of a loader, by name.
        samplers: The names of those whose counts are kept.
    """

    def __init__(self, holders: Mapping[str, Any], samplers: Iterable[str] = ()) -> None:
        self._generators: dict[str, Any] = {}
        self._samplers = {name: holders[name] for name in samplers if name in holders}
        known: set[int] = set()
        for holder, part in holders.items():
            for name, value in _attributes(part).items():
                if _state_of(value) is not None and id(value) not in known:
                    known.add(id(value))
                    self._generators[f"{holder}.{name}"] = value
        self._fresh = {holder: self._counts(part) for holder, part in self._samplers.items()}

    def state(self) -> dict[str, Any]:
        """All of it now, as plain containers and tensors."""
        found: dict[str, Any] = {"python": random.getstate(), "torch": torch.get_rng_state()}
        if (numpy := sys.modules.get("numpy")) is not None:
            found["numpy"] = numpy.random.get_state(legacy=False)
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            found["cuda"] = torch.cuda.get_rng_state_all()
        found["generators"] = {name: _state_of(value) for name, value in self._generators.items()}
        found["counts"] = {
            holder: {k: v for k, v in self._counts(part).items() if k not in self._fresh[holder] or self._fresh[holder][k] != v}
            for holder, part in self._samplers.items()
        }
        kept: dict[str, Any] = keepable(found, "random states")
        return kept

    def put_back(self, state: Mapping[str, Any]) -> None:
        """As they were. What this process or loader does not have is let go."""
        state = back(state)
        random.setstate(state["python"])
        torch.set_rng_state(state["torch"])
        if "numpy" in state:
            import numpy as np

            np.random.set_state(state["numpy"])
        cuda = state.get("cuda")
        if cuda and torch.cuda.is_available():
            for device, one in enumerate(cuda[: torch.cuda.device_count()]):
                torch.cuda.set_rng_state(one, device)
        for name, one in state["generators"].items():
            if name in self._generators:
                _put(self._generators[name], one)
        for holder, counts in state["counts"].items():
            if holder in self._samplers:
                part = self._samplers[holder]
                for name, value in {**self._fresh[holder], **counts}.items():
                    if getattr(part, name, None) != value:
                        setattr(part, name, value)

    @staticmethod
    def _counts(part: Any) -> dict[str, Any]:
        return {name: value for name, value in _attributes(part).items() if type(value) in _COUNTS}


def _attributes(part: Any) -> Mapping[str, Any]:
    return getattr(part, "__dict__", {})


def _state_of(value: Any) -> Any:
    """The state of a random generator of any library; None of anything else."""
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, random.Random):
        return value.getstate()
    if (numpy := sys.modules.get("numpy")) is not None:
        if isinstance(value, numpy.random.Generator):
            return value.bit_generator.state
        if isinstance(value, numpy.random.RandomState):
            return value.get_state(legacy=False)
    return None


def _put(generator: Any, state: Any) -> None:
    if isinstance(generator, torch.Generator):
        generator.set_state(state)
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    elif hasattr(generator, "bit_generator"):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)
