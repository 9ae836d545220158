"""The process of the trackers' libraries: `python -m holdfast.pipeline.tracking.writing LINE STORE TRACKER...`.

It is given journals, and brings each tracker's run up to them. It ends with whoever started it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from holdfast.pipeline.tracking.journal import read_journal, rows_after
from holdfast.pipeline.tracking.trackers import Tracker, open_tracker
from holdfast.platform import die_with_parent


class Writing:
    """One tracker, and how far its runs are known to be.

    Args:
        tracker: The tracker.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._last: dict[str, int] = {}

    def bring_up(self, place: Path) -> None:
        """Bring the run of a training up to its journal: what it has stays, what it lacks is added.

        A run may be ahead of a journal, where the checkpoint that it was logged before never reached the store. The same steps come
        again, with the same figures, and are passed over.

        Args:
            place: The file of the journal, in the folder of the training.
        """
        journal = read_journal(place)
        if journal is None:
            return
        key = journal.run.key
        last = self._last.pop(key, None)
        if last is None:
            last = self._tracker.last(journal, place.parent)
        if last is not None:
            self._tracker.add(journal, place.parent, rows_after(journal, last))
            if not journal.ended:  # where adding failed, or the run is over, it is looked at anew
                self._last[key] = max(last, journal.last)

    def close(self) -> None:
        """Nothing more comes."""
        self._tracker.close()


def main(arguments: Sequence[str]) -> None:
    """Answer until the line ends."""
    die_with_parent()
    line: Connection[Any, Any] = Connection(int(arguments[0]))
    store, names = Path(arguments[1]), arguments[2:]
    opened: dict[str, Writing] = {}
    while True:
        try:
            place = Path(line.recv())
        except (EOFError, OSError):
            break
        line.send({name: why for name in names if (why := _problem(name, store, opened, place))})
    for writing in opened.values():
        writing.close()


def _problem(name: str, store: Path, opened: dict[str, Writing], place: Path) -> str:
    try:
        if name not in opened:
            opened[name] = Writing(open_tracker(name, store))
        opened[name].bring_up(place)
    except Exception as error:  # noqa: BLE001 - whatever a tracker's library raises harms no training
        return " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return ""


if __name__ == "__main__":
    main(sys.argv[1:])
