"""TensorBoard: event files in the folder of the training.

They are written anew by each process that goes on, from the journal, so that no reader has to be told what to forget.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from holdfast.pipeline.layout import LOGS
from holdfast.pipeline.tracking.journal import Journal, Row


class _Events:
    """See `Tracker`."""

    def __init__(self) -> None:
        self._writers: dict[Path, EventFileWriter] = {}

    def last(self, journal: Journal, folder: Path) -> int | None:
        if folder in self._writers:
            self._writers.pop(folder).close()
        for place in (folder / LOGS).glob("events.out.tfevents.*"):
            place.unlink()
        self._writers[folder] = writer = EventFileWriter(str(folder / LOGS))
        shown = json.dumps(dict(journal.parameters), indent=2, ensure_ascii=False)
        writer.add_event(Event(summary=text_pb("parameters", f"```json\n{shown}\n```"), step=0, wall_time=0.0))
        return -1

    def add(self, journal: Journal, folder: Path, rows: Sequence[Row]) -> None:
        writer = self._writers[folder]
        for row in rows:
            values = [Summary.Value(tag=name, simple_value=value) for name, value in row.metrics.items()]
            writer.add_event(Event(summary=Summary(value=values), step=row.step, wall_time=row.time))
        writer.flush()
        if journal.ended:
            self._writers.pop(folder).close()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()


def open_store(_: Path) -> _Events:
    """Its files lie with each training."""
    return _Events()
