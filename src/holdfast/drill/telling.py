"""How far a drill is, on one line of a terminal."""

from __future__ import annotations

from typing import Protocol, TextIO

from holdfast.drill.report import seconds
from holdfast.store.reporting.amounts import many


class Telling(Protocol):
    """Is told how far a drill is."""

    def run(self, what: str, took: float, kills: int) -> None:
        """A run has taken so many seconds, after so many kills."""

    def end(self) -> None:
        """There is nothing more to tell."""


class Nothing:
    """Tells nobody."""

    def run(self, what: str, took: float, kills: int) -> None:
        """See `Telling`."""

    def end(self) -> None:
        """See `Telling`."""


class Terminal:
    """Writes one line again and again.

    Args:
        stream: A terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def run(self, what: str, took: float, kills: int) -> None:
        """See `Telling`."""
        self._write(f"drill: {what}, {seconds(took)}, {many(kills, 'kill')} so far")

    def end(self) -> None:
        """See `Telling`."""
        self._write("")

    def _write(self, text: str) -> None:
        self._stream.write(f"\r\x1b[K{text}")
        self._stream.flush()


def telling(stream: TextIO) -> Telling:
    """One line on a terminal; where the stream is a pipe or a file, nothing."""
    return Terminal(stream) if stream.isatty() else Nothing()
