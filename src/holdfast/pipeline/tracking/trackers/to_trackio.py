"""Trackio: a SQLite database below the outputs, or the Space or server that the user's own variables name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import trackio

from holdfast.pipeline.tracking.journal import Journal, Row


class _Trackio:
    """See `Tracker`. A run is opened for each turn, and closed, because a thread of its own writes it."""

    def __init__(self) -> None:
        self._run: Any = None

    def last(self, journal: Journal, folder: Path) -> int:
        self._run = self._open(journal)
        return int(self._run._next_step) - 1  # as it read it from its store

    def _open(self, journal: Journal) -> Any:
        run = journal.run
        return trackio.init(
            project=run.experiment,
            name=f"{run.name}-{run.key}",  # by its name it is known
            group=run.group,
            config=dict(journal.parameters),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def add(self, journal: Journal, folder: Path, rows: Sequence[Row]) -> None:
        self._run = self._run or self._open(journal)
        for row in rows:
            self._run.log(dict(row.metrics), step=row.step)
        self.close()
        if journal.ended and (there := self.last(journal, folder)) < journal.last:  # what fails there is only warned of
            raise OSError(f"the run has its steps up to {there} only")
        self.close()

    def close(self) -> None:
        if self._run is not None:
            self._run.finish()
        self._run = None


def open_store(_: Path) -> _Trackio:
    """Where it is says `TRACKIO_DIR`, which is set before this process begins."""
    return _Trackio()
