"""What a disconnect would cost now: the work since the newest backup that is known to be safe.

From memory, so it may be asked at every step; `status` looks at the files and at the store instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.store.format.keys import Key
from holdfast.store.reporting.amounts import duration
from holdfast.store.reporting.durability import Durability


@dataclass(frozen=True)
class AtStake:
    """What would be lost of an artifact if this machine vanished now.

    Args:
        seconds: Of work, at the most: since what is known to be safe was looked at, or since this session began.
        safe: A backup of this session is known to be safe.
        progress: What its caller counted in that one; None where nothing was counted.
        untold: Newer backups are written, and the store cannot tell whether they arrived.
    """

    seconds: float
    safe: bool
    progress: float | None
    untold: bool

    def words(self, back: str) -> str:
        """For a person.

        Args:
            back: Where the work would go on, such as `from step 120`.
        """
        where = back if self.safe else "from where this session began"
        cannot = "; this place does not tell whether newer ones arrived" if self.untold else ""
        return f"a disconnect now costs {duration(self.seconds)}, {where}{cannot}"


@dataclass(frozen=True)
class _Point:
    id: str
    taken: float
    progress: float | None


class Ledger:
    """What was backed up in this session, and when it was looked at.

    Args:
        clock: Unix seconds.
        began: Since when work is at stake of which nothing is known to be safe; None for now.
        begun: The same of single artifacts of which more is known.
    """

    def __init__(
        self, clock: Callable[[], float] = time.time, began: float | None = None, begun: Mapping[Key, float] | None = None
    ) -> None:
        self._clock = clock
        self._begun = dict(begun or {})
        self._began = clock() if began is None else began
        self._points: dict[Key, tuple[_Point, ...]] = {}

    def begins(self, key: Key) -> None:
        """Work on an artifact begins. What was begun before in this session counts on from then."""
        if key not in self._points:
            self._begun.setdefault(key, self._clock())

    def backed_up(self, key: Key, id_: str, taken: float, progress: float | None, own: Mapping[str, Durability]) -> None:
        """A generation holds what was here at a time.

        Args:
            key: The artifact.
            id_: Of the generation.
            taken: Unix seconds; of its oldest part, where parts were looked at one after the other.
            progress: What its caller counts.
            own: How safe each generation is that this machine wrote. What it did not write came from the store.
        """
        points = (*self._points.get(key, ()), _Point(id_, taken, progress))
        last = max((i for i, p in enumerate(points) if _is_safe(p, own)), default=0)
        self._points[key] = points[last:]

    def over_another_mount(self, own: Mapping[str, Durability]) -> Ledger:
        """One for a mount that was made since, of which nothing is known yet: it counts from the work that was at stake."""
        now, keys = self._clock(), {*self._begun, *list(self._points)}
        return Ledger(self._clock, self._began, {k: now - self.at_stake(k, own).seconds for k in keys})

    def at_stake(self, key: Key, own: Mapping[str, Durability]) -> AtStake:
        """See `AtStake`. Arguments as in `backed_up`."""
        points = self._points.get(key, ())
        safe = next((p for p in reversed(points) if _is_safe(p, own)), None)
        newer = points if safe is None else points[points.index(safe) + 1 :]
        untold = any(own.get(p.id) is Durability.UNKNOWN for p in newer)
        since = self._begun.get(key, self._began) if safe is None else safe.taken
        return AtStake(max(self._clock() - since, 0.0), safe is not None, None if safe is None else safe.progress, untold)


def _is_safe(point: _Point, own: Mapping[str, Durability]) -> bool:
    return own.get(point.id, Durability.CONFIRMED) is Durability.CONFIRMED
