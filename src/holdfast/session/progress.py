"""Showing how far a transfer is: bytes, files and time left, once it takes longer than a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

SHOW_AFTER_SECONDS = 1.0


class Bar:
    """A progress bar of the library rich, in a terminal and in a notebook. Quick work shows nothing.

    Args:
        clock: Monotonic seconds.
        console: Where to draw; default standard error, and only if it is a terminal or a notebook.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, console: Console | None = None) -> None:
        self._clock = clock
        self._console = console
        self._lock = threading.Lock()
        self._rich: RichProgress | None = None
        self._task: TaskID | None = None
        self._started = 0.0
        self._text, self._files, self._size, self._moved, self._done = "", 0, 0, 0, 0

    def begin(self, verb: str, what: str, files: int, size: int) -> None:
        """Start over for a new transfer; several in a row share the second of grace each by itself."""
        self.end()
        with self._lock:
            self._started = self._clock()
            self._text, self._files, self._size, self._moved, self._done = f"{verb} {what}", files, size, 0, 0

    def advance(self, size: int) -> None:
        """Count bytes and redraw."""
        with self._lock:
            self._moved += size
            self._show()

    def file_done(self) -> None:
        """Count a file and redraw."""
        with self._lock:
            self._done += 1
            self._show()

    def end(self) -> None:
        """Leave the last state of the bar on the screen."""
        with self._lock:
            if self._rich is not None:
                self._rich.stop()
            self._rich = self._task = None

    def _show(self) -> None:
        if self._rich is None:
            if self._clock() - self._started < SHOW_AFTER_SECONDS:
                return
            self._rich = self._make()
            self._task = self._rich.add_task(self._text, total=self._size, files="")
            self._rich.start()
        if self._task is not None:
            self._rich.update(self._task, completed=self._moved, files=f"{self._done}/{self._files} files")

    def _make(self) -> RichProgress:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

        console = self._console or Console(stderr=True)
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[files]}"),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not (console.is_terminal or console.is_jupyter),
        )
