"""A folder that is gone afterwards, however a drill ends."""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any


@contextlib.contextmanager
def scratch() -> Iterator[tuple[Path, contextlib.ExitStack]]:
    """A new folder, and what is to be undone before it goes: at the end, at Ctrl-C, and where this process is asked to end."""
    with _handling(_end, signal.SIGTERM, signal.SIGHUP):
        undone = contextlib.ExitStack()
        try:
            place = Path(tempfile.mkdtemp(prefix="holdfast-drill-")).resolve()
            undone.callback(shutil.rmtree, place, ignore_errors=True)
            yield place, undone
        finally:
            with _handling(signal.SIG_IGN, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                undone.close()


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


@contextlib.contextmanager
def _handling(handler: Callable[[int, FrameType | None], Any] | signal.Handlers, *numbers: signal.Signals) -> Iterator[None]:
    """Handle signals otherwise for a while. Only a main thread can; in another one they stay as they are."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, handled in before.items():
            signal.signal(number, handled)
