"""What a mount may remember of what it has shown, as data."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Memory:
    """What a mount may remember, and since when this session looks at it.

    Args:
        seconds: For so long a listing may be shown as it was; 0 for not at all.
        shows_made: Making a folder shows what is in the one that is there already.
        name: What the mount is, for a person.
        quick: How it is mounted to remember less, for a person.
        clock: Monotonic seconds.
        first: When this session first looked at it, by that clock; None for not yet.
    """

    seconds: float = 0.0
    shows_made: bool = False
    name: str = "this mount"
    quick: str = ""
    clock: Callable[[], float] = time.monotonic
    first: float | None = None

    def proven(self) -> None:
        """What is missing now is known to be missing, so this session need not wait any more."""
        self.first = self.clock() - self.seconds

    @property
    def left(self) -> float:
        """So many seconds from now until what is missing in a listing is known to have been missing at the first look."""
        now = self.clock()
        return max(0.0, self.seconds - (now - (now if self.first is None else self.first)))
