"""What a training that runs in an attempt sees of the driver: its copies of checkpoints, and whoever is told how it goes."""

from __future__ import annotations

from pathlib import Path

from holdfast.integrations.fetching import KeptCopies
from holdfast.integrations.watching import Copies, Fetched
from holdfast.session.keeper import Keeper
from holdfast.spread.performing import Desk


class DeskCopies(Copies):
    """The copies of checkpoints in the store, where an attempt runs.

    Args:
        desk: Of the attempt.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def fetch(self, folder: Path, *, weights_only: bool = False, patient: bool = False) -> Fetched:
        """See `Copies`."""
        return Fetched(*self._desk.fetch(folder, weights_only=weights_only, patient=patient))


class DeskNarration:
    """Narration that goes to the driver.

    Args:
        desk: Of the attempt.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def say(self, text: str) -> None:
        """See `Narration`."""
        self._desk.tell({"line": text})

    def warn(self, text: str) -> None:
        """See `Narration`."""
        self._desk.tell({"line": text, "warning": True})

    def work(self, what: str, done: int, total: int, note: str = "") -> None:
        """See `Narration`."""
        self._desk.tell({"step": done, "total": total, "note": note})

    def end(self) -> None:
        """See `Narration`."""


def fetch_with(keeper: Keeper, path: Path, weights_only: bool, patient: bool) -> tuple[str, bool]:
    """What `Desk.fetch` asks, of the keeper of a node."""
    found = KeptCopies(keeper).fetch(path, weights_only=weights_only, patient=patient)
    return found.why, found.unknown
