"""One module a tracker. They are loaded in the process that `publishing` starts, and nowhere else."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from holdfast.pipeline.tracking.journal import Journal, Row


class Tracker(Protocol):
    """A tracker, with its store below the outputs, or where the user's own settings for it say."""

    def last(self, journal: Journal, folder: Path) -> int | None:
        """Open the run of a training, and give the last step that it has.

        Args:
            journal: What it is to have.
            folder: Of the training.

        Returns:
            -1 where it has none; None where it takes nothing yet.
        """
        ...

    def add(self, journal: Journal, folder: Path, rows: Sequence[Row]) -> None:
        """Add rows to the run, in the order of their steps: a kill leaves a first part of them. End it if the training has.

        When this returns, they are where they stay, and no file is being written any more.
        """
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


def open_tracker(name: str, store: Path) -> Tracker:
    """Load a tracker's library, and open its store.

    Args:
        name: Such as `mlflow`; its module here is called so.
        store: The folder of the stores of all trackers.
    """
    tracker: Tracker = importlib.import_module(f"{__name__}.to_{name}").open_store(store)
    return tracker
