"""The random states that a Trainer's batches and steps are drawn from: taken, kept with a checkpoint, put back.

Those of Python, NumPy and PyTorch, and the generators that a loader, its sampler, its data set or its collator own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

#: Where a generator is looked for, from a loader on.
_LEADS = ("dataset", "datasets", "batch_sampler", "sampler", "collate_fn", "data_collator", "collator", "func", "__self__")
_DEPTH = 6

State = Mapping[str, Any]


def file_name(rank: int = 0) -> str:
    """The file beside the Trainer's own in a checkpoint; of a rank above 0 with its number."""
    return "holdfast-random.pt" if rank == 0 else f"holdfast-random.{rank}.pt"


def take(loader: Any = None) -> State:
    """The states now, as plain data."""
    found: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": _plain_numpy(np.random.get_state(legacy=True)),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        found["cuda"] = torch.cuda.get_rng_state_all()
    found["owned"] = {path: _of(getattr(holder, name)) for path, holder, name in _owned(loader)}
    return found


def put(state: State, loader: Any = None) -> None:
    """Make the states those that were taken. A generator that its owner has not made yet is made."""
    random.setstate(state["python"])
    np.random.set_state(_legacy_numpy(state["numpy"]))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    kept = state["owned"]
    for path, holder, name in list(_owned(loader)):
        if path in kept:
            _set(holder, name, kept[path])


def save(place: Path, what: Mapping[str, Any]) -> None:
    """Write states, and what else is said with them, as plain data."""
    torch.save(dict(what), place)


def load(place: Path) -> Mapping[str, Any] | None:
    """What `save` wrote; None where there is nothing."""
    if not place.exists():
        return None
    found: Mapping[str, Any] = torch.load(place, weights_only=True, map_location="cpu")
    return found


def _owned(value: Any, path: str = "", depth: int = _DEPTH, seen: set[int] | None = None) -> Iterator[tuple[str, Any, str]]:
    """Where a generator stands, or is to stand: its path, who holds it, and under which name."""
    seen = set() if seen is None else seen
    if getattr(value, "stands_for", None) is not None:  # what follows a loader is not in the way
        value = value.stands_for
    if value is None or depth == 0 or id(value) in seen:
        return
    seen.add(id(value))
    own = getattr(value, "__dict__", {})
    for name, inner in list(own.items()):
        waits = inner is None and name == "generator"
        if waits or isinstance(inner, torch.Generator | np.random.Generator | np.random.RandomState | random.Random):
            yield f"{path}.{name}", value, name
    for lead in _LEADS:
        inner = own.get(lead)
        if inner is None and lead in ("__self__", "func"):
            inner = getattr(value, lead, None)
        for number, one in enumerate(inner if isinstance(inner, list | tuple) else [inner]):
            if hasattr(one, "__dict__") and not isinstance(one, type):
                yield from _owned(one, f"{path}.{lead}{number or ''}", depth - 1, seen)


def _of(generator: Any) -> Any:
    if generator is None:
        return None
    if isinstance(generator, torch.Generator):
        return ("torch", str(generator.device), generator.get_state())
    if isinstance(generator, np.random.Generator):
        return ("numpy", type(generator.bit_generator).__name__, _plain(generator.bit_generator.state))
    if isinstance(generator, np.random.RandomState):
        return ("legacy", "", _plain_numpy(generator.get_state(legacy=True)))
    return ("python", "", generator.getstate())


def _set(holder: Any, name: str, kept: Any) -> None:
    now = getattr(holder, name)
    if kept is None:
        if now is not None and name == "generator" and not isinstance(now, torch.Generator):
            setattr(holder, name, None)
        return
    kind, detail, state = kept
    if kind == "torch":
        now = now if isinstance(now, torch.Generator) else torch.Generator(detail)
        now.set_state(state)
    elif kind == "numpy":
        now = now if isinstance(now, np.random.Generator) else np.random.Generator(getattr(np.random, detail)())
        now.bit_generator.state = _arrays(state)
    elif kind == "legacy":
        now = now if isinstance(now, np.random.RandomState) else np.random.RandomState()
        now.set_state(_legacy_numpy(state))
    else:
        now = now if isinstance(now, random.Random) else random.Random()  # noqa: S311
        now.setstate(state)
    if getattr(holder, name) is not now:
        setattr(holder, name, now)


def _plain_numpy(state: Any) -> tuple[Any, ...]:
    kind, keys, position, has_gauss, gauss = state
    return str(kind), torch.from_numpy(keys.astype(np.int64)), int(position), int(has_gauss), float(gauss)


def _legacy_numpy(state: tuple[Any, ...]) -> Any:
    kind, keys, position, has_gauss, gauss = state
    return kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return {"array": value.dtype.str, "values": [int(v) for v in value]}
    return int(value) if isinstance(value, np.integer) else value


def _arrays(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"array", "values"}:
            return np.array(value["values"], dtype=value["array"])
        return {key: _arrays(inner) for key, inner in value.items()}
    return value
