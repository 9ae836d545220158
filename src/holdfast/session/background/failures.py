"""What backups came to nothing, until a later one holds what they were to hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from holdfast.store.deciding.requests import Request
from holdfast.store.format.keys import Key


@dataclass(frozen=True)
class Failure:
    """A backup that will not succeed by itself.

    Args:
        artifact: Whose.
        places: What it was to hold.
        text: One line for a person.
    """

    artifact: Key
    places: tuple[Key, ...]
    text: str


class Failures:
    """Failures that stand."""

    def __init__(self) -> None:
        self._found: tuple[Failure, ...] = ()

    @property
    def texts(self) -> tuple[tuple[Key, str], ...]:
        """By artifact, what is wrong."""
        return tuple((f.artifact, f.text) for f in sorted(self._found, key=lambda f: f.artifact))

    def add(self, failure: Failure) -> None:
        """Something failed. It takes the place of what was said of the same before."""
        self._found = (*(f for f in self._found if f.places != failure.places), failure)

    def held(self, request: Request, refused: Iterable[Key]) -> None:
        """This is in the store now, but for what was refused."""
        scope, inner = places(request), [request.artifact.join(p) for p in request.inner if p]
        kept = tuple(refused)

        def is_held(place: Key) -> bool:
            inside = any(s.covers(place) for s in scope) and not any(i.covers(place) for i in inner)
            return inside and not any(k.covers(place) for k in kept)

        self._found = tuple(f for f in self._found if not all(is_held(p) for p in f.places))


def places(request: Request) -> tuple[Key, ...]:
    """What a request is about."""
    return tuple(request.artifact.join(p) for p in request.scope)
