"""What a person sees while the pipeline works: lines that stay, and one bar that moves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from holdfast.store.reporting.amounts import duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

#: Where output goes to a file, a line this often shows that work goes on.
LINE_EVERY_SECONDS = 30.0


class Narration(Protocol):
    """Tells how work goes. Called from one thread."""

    def say(self, text: str) -> None:
        """A line that stays."""
        ...

    def warn(self, text: str) -> None:
        """A line that stays and should not be missed."""
        ...

    def work(self, what: str, done: int, total: int, note: str = "") -> None:
        """So much of something is done; the same `what` moves the same bar."""
        ...

    def end(self) -> None:
        """The work that was shown last is over."""
        ...


class Quiet:
    """Tells nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def warn(self, text: str) -> None:
        """Nothing."""

    def work(self, what: str, done: int, total: int, note: str = "") -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class Screen:
    """Lines and a bar in a terminal or a notebook; in a file, a line now and then.

    Args:
        console: Where to write; default standard output.
        clock: Monotonic seconds.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console as RichConsole

        self._console = console or RichConsole(highlight=False, soft_wrap=True)
        self._clock = clock
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._what = ""
        self._began = self._told = 0.0
        self._first = 0

    def say(self, text: str) -> None:
        """Print it above the bar."""
        self._console.print(text, markup=False, highlight=False)

    def warn(self, text: str) -> None:
        """Print it above the bar, in bold."""
        self._console.print(text, markup=False, highlight=False, style="bold yellow")

    def work(self, what: str, done: int, total: int, note: str = "") -> None:
        """Move the bar, or print a line where there is none."""
        if what != self._what:
            self._start(what, done)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total, note=note)
            return
        now = self._clock()
        if now - self._told >= LINE_EVERY_SECONDS:
            self._told = now
            self.say(f"{what}: {done}/{total}{self._left(done, total, now)}{'  ' + note if note else ''}")

    def end(self) -> None:
        """Take the bar away; what matters was said in lines."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None
        self._what = ""

    def _start(self, what: str, done: int) -> None:
        self.end()
        self._what, self._first = what, done
        self._began = self._told = self._clock()
        if not (self._console.is_terminal or self._console.is_jupyter):
            return
        self._bar = _bar(self._console)
        self._task = self._bar.add_task(what, total=None, note="")
        self._bar.start()

    def _left(self, done: int, total: int, now: float) -> str:
        if done <= self._first:
            return ""
        return f", {duration((now - self._began) / (done - self._first) * (total - done))} left"


def _bar(console: Console) -> Progress:
    """A bar that fits into 80 columns, with what is to be noted below it: beside it one of the two would be cut off."""
    from rich.console import RenderableType
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.text import Text

    class Noted(Progress):
        def get_renderables(self) -> Iterator[RenderableType]:
            yield self.make_tasks_table(self.tasks)
            yield from (Text(f"  {task.fields['note']}") for task in self.tasks if task.fields["note"])

    return Noted(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
