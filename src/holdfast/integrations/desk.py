"""What a training that runs in an attempt sees of the driver: its copies of checkpoints."""

from __future__ import annotations

from pathlib import Path

from holdfast.integrations.watching import Copies, Fetched
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
