"""SIGTERM while a training runs: it is noted, a checkpoint is saved, and then the process ends as it would have."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any


class Termination:
    """Notes a SIGTERM in place of whoever handled it. Only the main thread can; elsewhere it notes nothing.

    Args:
        within: Name of the function that trains. One that comes while it does not run, because it failed, is not held up. Empty
            where whoever watches also leaves, however the training ends.
    """

    def __init__(self, within: str = "") -> None:
        self.asked = False
        self._within = within
        self._before: Any = None
        self._set = False

    def watch(self) -> None:
        """From now on."""
        if self._set or threading.current_thread() is not threading.main_thread():
            return
        before = signal.getsignal(signal.SIGTERM)
        if before is None:  # not set from Python, so it could not be put back
            return
        self.asked = False
        self._before = before
        signal.signal(signal.SIGTERM, self._note)
        self._set = True

    def leave(self) -> None:
        """Whoever handled it does so again, unless somebody else came after us."""
        if self._set and signal.getsignal(signal.SIGTERM) == self._note:
            signal.signal(signal.SIGTERM, self._before)
        self._set = False

    def pass_on(self) -> None:
        """Everything is saved: the signal does what it would have done. Where the process lives on, the next one is noted."""
        self.leave()
        self.asked = False
        os.kill(os.getpid(), signal.SIGTERM)
        if signal.getsignal(signal.SIGTERM) == self._before:
            self.watch()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self._set:  # called by another handler, which came later and calls the one that it found
            if callable(self._before):
                self._before(number, frame)
            return
        while self._within and frame is not None and frame.f_code.co_name != self._within:
            frame = frame.f_back
        if frame is None or self.asked:  # whoever asks twice does not want to wait
            self.leave()
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            self.asked = True
