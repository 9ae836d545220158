"""The line in which copies wait: who is next, and who has to wait after a failure. Pure, with the time as an argument.

Each artifact has its own state. One whose attempt failed goes to the back and waits its own pause while the others go on. Only
where the store as a whole could not be seen does the line rest, so that a dead drive is asked once for all that waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from holdfast.store.copies.queued import Queued
from holdfast.store.format.keys import Key

#: Makes one copy of an older and a newer one.
Merge = Callable[[Queued, Queued], Queued]


@dataclass
class _Place:
    """One artifact in the line.

    Args:
        queued: Its copy.
        failures: Attempts that failed since the last that did not.
        due: When the next one may be, monotonic seconds.
        trouble: Why the last one failed; empty where none has.
        failed_at: Number of the failure, counted over all artifacts; 0 where there was none.
    """

    queued: Queued
    failures: int = 0
    due: float = 0.0
    trouble: str = ""
    failed_at: int = 0


class Line:
    """Who waits, in what order, and since when for what reason. One at a time is being sent.

    Args:
        retry: Seconds after the first failure, the second, and so on; the last one repeats.
    """

    def __init__(self, retry: Sequence[float]) -> None:
        self._retry = tuple(retry)
        self._waiting: dict[Key, _Place] = {}
        self._sending: _Place | None = None
        self._rests_until = 0.0
        self._rests = 0
        self._trouble = ""
        self._count = 0
        self._rested_at = 0
        self._hurried = False

    # -- what there is ---------------------------------------------------------------------------------------------

    def __bool__(self) -> bool:
        return bool(self._waiting) or self._sending is not None

    def __iter__(self) -> Iterator[Queued]:
        """The copies, the one that is being sent first."""
        return (place.queued for place in self._places())

    @property
    def trouble(self) -> str:
        """Why the line rests; empty where it does not, or where nobody waits."""
        return self._trouble if self else ""

    @property
    def troubles(self) -> tuple[tuple[Key, str], ...]:
        """By artifact, why its last attempt failed."""
        return tuple((p.queued.request.artifact, p.trouble) for p in self._places() if p.trouble)

    def of(self, key: Key) -> list[Queued]:
        """The copies of one artifact, oldest first."""
        return [q for q in self if q.request.artifact == key]

    def _places(self) -> list[_Place]:
        return [*([self._sending] if self._sending else []), *self._waiting.values()]

    # -- who is next -----------------------------------------------------------------------------------------------

    def add(self, queued: Queued, merge: Merge) -> None:
        """Have a copy wait: at the back, or as one with the copy of the same artifact that waits already, in its place.

        What `merge` raises is raised here; the line is then as it was.
        """
        key = queued.request.artifact
        place = self._waiting.get(key)
        if place is None:
            self._waiting[key] = _Place(queued)
        else:
            place.queued = merge(place.queued, queued)

    def next(self, now: float) -> Queued | None:
        """The first that is due; it is being sent from now on. None where nothing is."""
        if now < self._rests_until:
            return None
        for key, place in self._waiting.items():
            if place.due <= now:
                self._sending = self._waiting.pop(key)
                return place.queued
        return None

    def due(self) -> float | None:
        """When there will be a next one, monotonic seconds; None where nobody waits."""
        return max(self._rests_until, min(p.due for p in self._waiting.values())) if self._waiting else None

    def hurry(self) -> int:
        """Everybody is due at once, also the one that is being sent if that fails. Gives a mark for `tried_since`.

        The attempt that is under way began before, so what comes of it says nothing of now.
        """
        self._rests_until = 0.0
        for place in self._places():
            place.due = 0.0
        self._hurried = self._sending is not None
        return self._count + self._hurried

    def tried_since(self, mark: int) -> bool:
        """True where an attempt of everybody who waits has failed since the mark, or the store could not be seen since."""
        if self._rested_at > mark:
            return True
        return self._sending is None and all(p.failed_at > mark for p in self._waiting.values())

    # -- what became of the one that is being sent -----------------------------------------------------------------

    def done(self) -> None:
        """It needs no further attempt."""
        self._sending = None
        self._count += self._hurried
        self._hurried = False

    def seen(self) -> None:
        """The store can be seen."""
        self._trouble, self._rests, self._rests_until = "", 0, 0.0

    def failed(self, why: str, now: float, merge: Merge) -> float:
        """Its attempt failed, and another one may not: it goes to the back. Gives the seconds until then."""
        place = self._taken()
        self._count += 1
        pause = 0.0 if self._hurried else self._pause(place.failures)
        place.failures, place.due, place.trouble, place.failed_at = place.failures + 1, now + pause, why, self._count
        self._hurried = False
        self._return(place, merge, front=False)
        return pause

    def rest(self, why: str, now: float, merge: Merge) -> float:
        """The store could not be seen, which says nothing about the one that was to be sent: it stays the first, and all wait.

        Gives the seconds until then.
        """
        place = self._taken()
        self._count += 1
        pause = 0.0 if self._hurried else self._pause(self._rests)
        self._rests, self._rests_until, self._trouble, self._rested_at = self._rests + 1, now + pause, why, self._count
        self._hurried = False
        self._return(place, merge, front=True)
        return pause

    def _taken(self) -> _Place:
        assert self._sending is not None
        place, self._sending = self._sending, None
        return place

    def _pause(self, failures: int) -> float:
        return self._retry[min(failures, len(self._retry) - 1)]

    def _return(self, place: _Place, merge: Merge, *, front: bool) -> None:
        key = place.queued.request.artifact
        newer = self._waiting.pop(key, None)
        self._waiting = {key: place, **self._waiting} if front else {**self._waiting, key: place}
        if newer is not None:
            place.queued = merge(place.queued, newer.queued)
