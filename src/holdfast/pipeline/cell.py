"""What a person sees in a notebook cell: lines that stay, and one line above them that moves."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from holdfast.store.amounts import duration

#: A notebook in a browser is sent no more than this many changes of the moving line.
_EVERY_SECONDS = 0.5
_WIDTH = 30


def kernel() -> Any | None:
    """The IPython shell of a notebook kernel, or None anywhere else. Loads nothing."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell if getattr(shell, "kernel", None) is not None else None


class Cell:
    """A `Narration` for a notebook kernel. Text only, so that Colab, Kaggle and Jupyter show the same, with no widgets.

    Args:
        shell: See `kernel`.
        clock: Monotonic seconds.
    """

    def __init__(self, shell: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._shell = shell
        self._clock = clock
        self._handle: Any | None = None
        self._cell: int | None = None
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
        self._show(f"{what}  [{'#' * filled}{'.' * (_WIDTH - filled)}] {done}/{total}{left}  {note}".rstrip())

    def end(self) -> None:
        """Empty the line; what matters was said in lines that stay."""
        if self._what:
            self._what = ""
            self._show("")

    def _show(self, text: str) -> None:
        from IPython.display import display

        content = {"text/plain": text}
        if self._handle is None or self._cell != self._shell.execution_count:  # every cell has a line of its own
            self._cell = self._shell.execution_count
            self._handle = display(content, raw=True, display_id=True) if text else None
        else:
            self._handle.update(content, raw=True)
