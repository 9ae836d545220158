"""What runs now, for people: whoever drives it writes it down, and `status` reads it. Nothing depends on it.

A file of it is locked while the process lives that writes it, so what one left that was killed is not taken for true.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from holdfast.platform import random_hex, try_lock

_FOLDER = ".holdfast/running"


@dataclass(frozen=True)
class Running:
    """Something that runs.

    Args:
        what: Its name: `trial-0003`.
        home: The key of what it is a part of.
        where: The machine, as a person calls it; empty for this one.
        kept: The key of the artifact in which what it saves is kept; empty where it waits for a machine.
        step: How far it is; 0 where that is not known.
        total: Of so many.
    """

    what: str
    home: str
    where: str
    kept: str
    step: int = 0
    total: int = 0

    def __str__(self) -> str:
        if not self.kept:
            return f"{self.what} of {self.home} waits for a node"
        step = f": step {self.step} of {self.total}" if self.total else ""
        return f"{self.what} of {self.home}{f' on {self.where}' if self.where else ''}{step} ({self.kept})"


class Board:
    """Where a process writes down what runs.

    Args:
        root: The project folder.
    """

    def __init__(self, root: Path) -> None:
        folder = root / _FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self._place = folder / f"{random_hex(4)}.json"
        begun = self._place.with_suffix(".new")
        self._file = begun.open("wb")
        try_lock(self._file)
        begun.rename(self._place)  # locked before anybody knows it: else another process takes it for left behind
        for place in folder.glob("*.json"):
            with contextlib.suppress(OSError), place.open("rb") as left:
                if place != self._place and try_lock(left):
                    place.unlink()

    def show(self, running: Sequence[Running]) -> None:
        """This is what runs now."""
        content = json.dumps([asdict(r) for r in running]).encode()
        with contextlib.suppress(OSError, ValueError):  # a full disk, or it is closed
            self._file.seek(0)
            self._file.write(content)
            self._file.truncate()
            self._file.flush()

    def close(self) -> None:
        """Nothing runs."""
        self._file.close()
        with contextlib.suppress(OSError):
            self._place.unlink()


def running_at(root: Path) -> list[Running]:
    """What runs in a project, as those say that live."""
    found = []
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(root / _FOLDER)):
            with contextlib.suppress(OSError, ValueError, TypeError), (root / _FOLDER / name).open("rb") as file:
                if not try_lock(file):
                    found += [Running(**row) for row in json.loads(file.read())]
    return found
