"""Showing how far a transfer is: bytes, files and time left, once it takes longer than a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from holdfast.store.reporting.amounts import duration, size

if TYPE_CHECKING:
    from rich.console import Console

    from holdfast.session.seeing.notebook import Notebook

SHOW_AFTER_SECONDS = 1.0
#: A notebook is told so often; each time is a message to the browser.
NOTEBOOK_EVERY_SECONDS = 0.5


@dataclass(frozen=True)
class Transfer:
    """How far a transfer is.

    Args:
        what: In words.
        files: So many in all.
        size: Bytes in all.
        moved: Bytes so far; more than `size` where something was sent again.
        done: Files so far.
        seconds: Since it began.
    """

    what: str
    files: int = 0
    size: int = 0
    moved: int = 0
    done: int = 0
    seconds: float = 0.0

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return min(self.moved / self.size, 1.0) if self.size else 1.0

    @property
    def text(self) -> str:
        """The same in words."""
        speed = self.moved / self.seconds if self.seconds > 0 else 0.0
        parts = [f"{size(self.moved)} of {size(self.size)}", f"{self.done}/{self.files} files", f"{size(speed)}/s"]
        left = (self.size - self.moved) / speed if speed else 0.0
        return ", ".join([*parts, f"{duration(left)} left" if left > 0 else f"took {duration(self.seconds)}"])

    def __repr__(self) -> str:
        return f"{self.what}: {self.text}"

    def _repr_html_(self) -> str:
        from holdfast.session.seeing.page import transfer_html

        return transfer_html(self.what, self.text, self.share)


class Drawing(Protocol):
    """Where a bar is drawn."""

    def draw(self, transfer: Transfer) -> None:
        """Show how far it is."""
        ...

    def end(self, transfer: Transfer) -> None:
        """Leave the last state on the screen."""
        ...


class Bar:
    """A progress bar, in a terminal and in a notebook. Quick work shows nothing.

    Args:
        clock: Monotonic seconds.
        console: Where to draw; default the notebook, or standard error, and that only if it is a terminal.
        notebook: The notebook to draw in; default the one that this runs in.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, console: Console | None = None, notebook: Notebook | None = None
    ) -> None:
        self._clock = clock
        self._console = console
        self._notebook = notebook
        self._lock = threading.Lock()
        self._drawing: Drawing | None = None
        self._started = 0.0
        self._transfer = Transfer("")

    def begin(self, verb: str, what: str, files: int, size: int) -> None:
        """Start over for a new transfer; several in a row share the second of grace each by itself."""
        self.end()
        with self._lock:
            self._started = self._clock()
            self._transfer = Transfer(f"{verb} {what}", files, size)

    def advance(self, size: int) -> None:
        """Count bytes and redraw."""
        with self._lock:
            self._show(replace(self._transfer, moved=self._transfer.moved + size))

    def file_done(self) -> None:
        """Count a file and redraw."""
        with self._lock:
            self._show(replace(self._transfer, done=self._transfer.done + 1))

    def end(self) -> None:
        """Leave the last state of the bar on the screen."""
        with self._lock:
            if self._drawing is not None:
                self._drawing.end(self._transfer)
            self._drawing = None

    def _show(self, transfer: Transfer) -> None:
        seconds = self._clock() - self._started
        self._transfer = replace(transfer, seconds=seconds)
        if self._drawing is None:
            if seconds < SHOW_AFTER_SECONDS:
                return
            self._drawing = self._make()
        self._drawing.draw(self._transfer)

    def _make(self) -> Drawing:
        if self._console is None:
            from holdfast.session.seeing.notebook import find_notebook

            self._notebook = self._notebook or find_notebook()
            if self._notebook is not None:
                return InNotebook(self._notebook)
        return InTerminal(self._console)


class InNotebook:
    """Draws in one place below the cell, which changes. Needs no widgets, which a notebook may lack."""

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook
        self._told: float | None = None

    def draw(self, transfer: Transfer) -> None:
        """Show it, now and then."""
        if self._told is None or transfer.seconds - self._told >= NOTEBOOK_EVERY_SECONDS:
            self._told = transfer.seconds
            self._notebook.move(transfer)

    def end(self, transfer: Transfer) -> None:
        """Show it for the last time."""
        self._notebook.move(transfer)


class InTerminal:
    """Draws by the library rich, and nothing where nobody looks."""

    def __init__(self, console: Console | None) -> None:
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

        console = console or RichConsole(stderr=True)
        self._rich = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[files]}"),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._rich.add_task("", total=None, files="")
        self._rich.start()

    def draw(self, transfer: Transfer) -> None:
        """Move the bar."""
        files = f"{transfer.done}/{transfer.files} files"
        self._rich.update(self._task, description=transfer.what, total=transfer.size, completed=transfer.moved, files=files)

    def end(self, transfer: Transfer) -> None:
        """Stop it where it is."""
        self.draw(transfer)
        self._rich.stop()
