"""The life of a stage that saves its progress: which sessions worked on it, on which machine, and what each had kept when it ended.

It lies beside the record and travels with every backup of the stage. A machine that vanishes writes nothing more, so what is known
of its end is the moment at which it last kept something; the next session begins with what was kept then. It is for people: nothing
depends on it, and one that cannot be read begins anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from holdfast.session.files import write_json

#: The file in the folder of a stage.
LIFE = "life.json"

FORMAT = 1


@dataclass(frozen=True)
class Session:
    """One process that worked on a stage.

    Args:
        name: Its own.
        machine: The name of the machine.
        began: Unix seconds.
        kept: When it last kept something; None where it never did.
        progress: How far the stage was then, in what it counts.
        every: The longest time between two moments at which something was kept, in seconds; the first counts from the beginning.
        end: `finished` or `stopped`; empty where it ended in any other way, or works still.
        nodes: Other machines that it had the work done on, one after the other; none where it worked itself.
    """

    name: str
    machine: str
    began: float
    kept: float | None = None
    progress: float | None = None
    every: float = 0.0
    end: str = ""
    nodes: tuple[str, ...] = ()


class Life:
    """The sessions of a stage, of which the last is this one.

    Args:
        place: The file.
        name: Of this session; no other has it.
        machine: The name of this machine.
        now: Unix seconds.
    """

    def __init__(self, place: Path, name: str, machine: str, now: Callable[[], float]) -> None:
        self.place = place
        self._now = now
        self._own = Session(name, machine, now())

    def kept(self, progress: float | None) -> None:
        """Something is about to be kept."""
        now, own = self._now(), self._own
        longest = max(own.every, now - (own.began if own.kept is None else own.kept))
        progress = own.progress if progress is None else progress
        self._write(replace(own, kept=now, progress=progress, every=longest))

    def worked_on(self, node: str) -> None:
        """Another machine has the work now."""
        if self._own.nodes[-1:] != (node,):
            self._write(replace(self._own, nodes=(*self._own.nodes, node)))

    def ended(self, how: str) -> None:
        """This session is over."""
        self._write(replace(self._own, end=how))

    def _write(self, own: Session) -> None:
        self._own = own
        others = [s for s in read_life(self.place) if s.name != own.name]
        write_json(self.place, {"format": FORMAT, "sessions": [asdict(s) for s in (*others, own)]})


def read_life(place: Path) -> list[Session]:
    """The sessions, in the order in which they were written down; none where there is no such file, or it cannot be read."""
    known = {f.name for f in fields(Session)}
    try:
        rows = json.loads(place.read_bytes())["sessions"]
        found = [Session(**{k: v for k, v in row.items() if k in known}) for row in rows]
        return [replace(s, nodes=tuple(map(str, s.nodes))) for s in found]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
