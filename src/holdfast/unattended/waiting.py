"""Which accelerator is asked for next, and how long is waited before it is asked for again. Pure."""

from __future__ import annotations

import time

from holdfast.unattended.deciding import pause
from holdfast.unattended.wish import Patience


class Turns:
    """Goes through the accelerators in the order of wish, and waits longer after each round of refusals.

    Args:
        accelerators: In order of wish.
        patience: How long is waited.
        until: Unix seconds at which the wait ends in any case; None where it does not.
    """

    def __init__(self, accelerators: tuple[str, ...], patience: Patience, until: float | None) -> None:
        self._left, self._patience, self._until = list(accelerators), patience, until
        self._refusals, self._since = 0, 0.0

    def next(self) -> str:
        """What is asked for now."""
        return self._left[self._refusals % len(self._left)]

    def no_right(self, accelerator: str) -> bool:
        """It is never asked for again. Returns whether another is left."""
        self._left.remove(accelerator)
        return bool(self._left)

    def granted(self) -> None:
        """The next wait is a new one."""
        self._refusals = 0

    def refused(self, why: str, now: float) -> tuple[str, float]:
        """What to say, and seconds to wait."""
        self._since = now if self._refusals == 0 else self._since
        round_, last = divmod(self._refusals + 1, max(1, len(self._left)))
        self._refusals += 1
        if last:  # the next one in the order of wish may be free
            return f"{why}; trying the next", 0.0
        seconds = pause(round_ - 1, self._patience.least, self._patience.most)
        until = "" if self._until is None else f", until {_clock(self._until)} at the latest"
        return f"{why}: waiting since {_clock(self._since)}{until}; asked again in {seconds:.0f} s", seconds


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M", time.localtime(seconds))
