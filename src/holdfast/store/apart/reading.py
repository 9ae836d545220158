"""Who reads the files of outputs: this process, or one of its own where the job's locks would be lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Reader(Protocol):
    """Runs a function that opens files of outputs. `Apart` runs it in another process."""

    def call(self, function: Callable[..., T], *args: object, seconds: float) -> T:
        """What the function returns; what it raises. Arguments and results are plain data.

        Raises:
            LocalError: it took longer than so many seconds.
        """
        ...


class InProcess:
    """Reads in this process: for one that has nothing of outputs open, such as a command."""

    def call(self, function: Callable[..., T], *args: object, seconds: float) -> T:
        """As `Reader.call`, without a limit."""
        return function(*args)
