"""What a person sees in a notebook cell: lines that stay, and one line above them that moves."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from holdfast.session.seeing.notebook import Notebook
from holdfast.store.reporting.amounts import duration

#: A notebook in a browser is sent no more than this many changes of the moving line.
_EVERY_SECONDS = 0.5
_WIDTH = 30


@dataclass(frozen=True)
class Line:
    """The line that moves."""

    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text)}</pre>" if self.text else ""


class Cell:
    """A `Narration` for a notebook kernel. No widgets, so that Colab, Kaggle and Jupyter show the same.

    Args:
        notebook: The kernel that this runs in.
        clock: Monotonic seconds.
    """

    def __init__(self, notebook: Notebook, clock: Callable[[], float] = time.monotonic) -> None:
        self._notebook = notebook
        self._clock = clock
        self._what = ""
        self._began = self._told = 0.0
        self._first = 0

    def say(self, text: str) -> None:
        """Print it."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def warn(self, text: str) -> None:
        """Print it so that it stands out."""
        self.say(f"! {text}")

    def work(self, what: str, done: int, total: int, note: str = "") -> None:
        """Move the line."""
        now = self._clock()
        if what != self._what:
            self._what, self._first, self._began = what, done, now
        elif now - self._told < _EVERY_SECONDS and done < total:
            return
        self._told = now
        filled = round(_WIDTH * done / total) if total else 0
        left = f", {duration((now - self._began) / (done - self._first) * (total - done))} left" if done > self._first else ""
        self._notebook.move(Line(f"{what}  [{'#' * filled}{'.' * (_WIDTH - filled)}] {done}/{total}{left}  {note}".rstrip()))

    def end(self) -> None:
        """Empty the line; what matters was said in lines that stay."""
        if self._what:
            self._what = ""
            self._notebook.move(Line(""))
