"""The notebook that this runs in, if it does. IPython is used where it is running already, and never loaded."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any, Protocol


class Shown(Protocol):
    """What a notebook cell shows of itself."""

    def _repr_html_(self) -> str: ...


class Notebook:
    """A running kernel that shows things below its cells.

    Args:
        shell: IPython's shell.
        display: IPython's function `display`.
    """

    def __init__(self, shell: Any, display: Any) -> None:
        self._shell = shell
        self._display = display
        self._cell: object = None
        self._handle: Any = None

    def show(self, what: Shown) -> None:
        """Show it once."""
        self._display(what)

    def move(self, what: Shown) -> None:
        """Show it in the one place of this cell that changes, so that a saved notebook keeps only the last."""
        cell = getattr(self._shell, "execution_count", None)
        if self._handle is None or cell != self._cell:
            self._cell, self._handle = cell, self._display(what, display_id=True)
            return
        self._handle.update(what)


def find_notebook(modules: Mapping[str, Any] | None = None) -> Notebook | None:
    """The notebook that this runs in; None in a terminal, also in IPython's own.

    Args:
        modules: The loaded modules; default those of this process.
    """
    ipython = (sys.modules if modules is None else modules).get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if getattr(shell, "kernel", None) is None:
        return None
    shows: Any = importlib.import_module("IPython.display") if modules is None else modules["IPython.display"]
    return Notebook(shell, shows.display)
