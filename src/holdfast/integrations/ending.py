"""A process that is told to end (SIGTERM) while it trains: it saves first, and ends then as it would have."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any


class Ending:
    """Notes a SIGTERM until the step under way is done. In another thread than the main one it notes nothing."""

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None
        self._ours = False

    def watch(self) -> None:
        """From now on."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGTERM)
            signal.signal(signal.SIGTERM, self._note)
            self._ours = True

    def let_go(self) -> None:
        """Whoever handled it before does so again, unless somebody else came after us."""
        if self._ours and threading.current_thread() is threading.main_thread():
            self._ours = False
            if signal.getsignal(signal.SIGTERM) == self._note:
                signal.signal(signal.SIGTERM, signal.SIG_DFL if self._before is None else self._before)

    def go_on(self) -> None:
        """What was asked for happens now: whoever handled it before is called. Where that one lets it live, it goes on."""
        if self.asked:
            self.asked = False
            self.let_go()
            os.kill(os.getpid(), signal.SIGTERM)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._ours and not self.asked:
            self.asked = True
        elif signal.getsignal(number) == self._note:  # asked twice: there is no more time
            self.go_on()
        elif callable(self._before):  # by another handler, which calls the one that it found
            self._before(number, frame)
