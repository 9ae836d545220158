"""Virtual time. Every latency, lag and rate of the simulator is in virtual seconds, so that minutes take milliseconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Clock:
    """A clock that runs faster than real time, or that is moved by hand.

    Args:
        speed: Virtual seconds in a real second. 0 is a clock that stands still until it is advanced; then no call ever
            waits, because a wait that only another hand can end would be a hang.
        monotonic: Where real time comes from.
    """

    def __init__(self, speed: float = 0.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        if speed < 0:
            raise ValueError(f"speed must be 0 or more, got {speed}")
        self._speed = speed
        self._monotonic = monotonic
        self._start = monotonic()
        self._offset = 0.0
        self._moved = threading.Condition()
        self._stopped = False

    def now(self) -> float:
        """Virtual seconds since the clock was made."""
        return self._offset + (self._monotonic() - self._start) * self._speed

    def advance(self, seconds: float) -> None:
        """Move the clock forward at once, whether it runs or not."""
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds}")
        with self._moved:
            self._offset += seconds
            self._moved.notify_all()

    def wait(self, seconds: float) -> None:
        """Block until so much virtual time has passed. Returns at once on a clock that stands still."""
        if self._speed == 0:
            return
        end = self.now() + seconds
        with self._moved:
            while not self._stopped and (left := end - self.now()) > 0:
                self._moved.wait(left / self._speed)

    def stop(self) -> None:
        """End every wait, now and from now on: the mount is going down."""
        with self._moved:
            self._stopped = True
            self._moved.notify_all()
