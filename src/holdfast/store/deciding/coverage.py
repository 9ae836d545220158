"""Which artifacts a path means. The deepest artifact owns a path."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from holdfast.store.format.keys import Key


@dataclass(frozen=True)
class Target:
    """An artifact, and the part of it that is meant (empty: all of it)."""

    artifact: Key
    prefix: str


@dataclass(frozen=True)
class Coverage:
    """What a path means.

    Args:
        own: The artifact that owns the path, with the part that is meant; None where no artifact covers it.
        inner: Artifacts below the path, shallowest first.
    """

    own: Target | None
    inner: tuple[Key, ...]


def cover(key: Key, known: Iterable[Key], is_directory: Callable[[Key], bool]) -> Coverage:
    """Find what a path means among the known artifacts. Pure but for `is_directory`, asked of those above the path only."""
    keys = set(known)
    inner = tuple(sorted((k for k in keys if k != key and key.covers(k)), key=lambda k: (len(k.parts), k)))
    if key in keys:
        return Coverage(Target(key, ""), inner)
    for above in key.parents():
        if above in keys and is_directory(above):
            return Coverage(Target(above, above.relative(key)), inner)
    return Coverage(None, inner)
