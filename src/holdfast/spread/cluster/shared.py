"""The folder beside the store through which driver and nodes see each other: the probe, signs of life, and what is to end.

::

    <store>.cluster/<run>/
      probe                  written by the driver, read by every node before any trial
      halt                   all save and stop
      <token>.beat           an attempt's sign of life, with its news; rewritten as it lives
      <token>.over           the attempt is given up: whoever still works on it ends

No clock of another machine is compared with one here: a beat has a number, and what counts is that it becomes another one.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.store.reporting.one_line import first_error

#: Lines of an attempt that stay are news as well, and its beat holds the last of them.
_LINES = 20
_SWEPT_SECONDS = 86_400.0


@dataclass(frozen=True)
class Beat:
    """A sign of life.

    Args:
        number: Another one each time.
        kept: How often something was kept.
        share: How far the unit was then.
        told: The last news.
        lines: What stays for a person to read, each with its number, and whether it is a warning.
    """

    number: int
    kept: int = 0
    share: float = 0.0
    told: Mapping[str, Any] = field(default_factory=dict)
    lines: Sequence[tuple[int, str, bool]] = ()


class Shared:
    """The folder, as one of its machines sees it. What cannot be read or written now is tried again at the next beat."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def make(cls, store: Path) -> Shared:
        """A new one, beside the store.

        Raises:
            OSError: it cannot be made.
        """
        folder = store.with_name(f"{store.name}.cluster") / secrets.token_hex(4)
        folder.mkdir(parents=True)
        made = cls(folder)
        made.probe.write_text(secrets.token_hex(16), encoding="utf-8")
        made.sweep()
        return made

    @property
    def probe(self) -> Path:
        """What the driver wrote for every node to read."""
        return self.folder / "probe"

    def sweep(self) -> None:
        """Remove what drivers left that were killed a day ago or more, by the clock of the place."""
        with contextlib.suppress(OSError):
            now = self.probe.stat().st_mtime
            for other in self.folder.parent.iterdir():
                newest = max((place.stat().st_mtime for place in other.iterdir()), default=other.stat().st_mtime)
                if now - newest > _SWEPT_SECONDS:
                    shutil.rmtree(other, ignore_errors=True)

    # -- the driver ----------------------------------------------------------------------------------------------------

    def beat_of(self, token: str) -> Beat | None:
        """The newest sign of life; None where there is none, or one that is being written."""
        try:
            return Beat(**json.loads((self.folder / f"{token}.beat").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def halt(self) -> None:
        """Have all save and stop."""
        with contextlib.suppress(OSError):
            (self.folder / "halt").touch()

    def give_up(self, token: str) -> None:
        """Whoever still works on this is to end, once it sees this."""
        with contextlib.suppress(OSError):
            (self.folder / f"{token}.over").touch()

    def forget(self, token: str) -> None:
        """Its attempt came to its end."""
        with contextlib.suppress(OSError):
            (self.folder / f"{token}.beat").unlink()

    def remove(self) -> None:
        """The run is over; nodes that still work on something see that by this."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another run has its own there
            self.folder.parent.rmdir()

    # -- a node --------------------------------------------------------------------------------------------------------

    def live(self, token: str, beat: Beat) -> None:
        """Give a sign of life."""
        told = {name: value for name, value in beat.told.items() if isinstance(value, (str, int, float, bool, type(None)))}
        said = {"number": beat.number, "kept": beat.kept, "share": beat.share, "told": told, "lines": list(beat.lines)[-_LINES:]}
        with contextlib.suppress(OSError):
            (self.folder / f"{token}.beat").write_text(json.dumps(said), encoding="utf-8")

    def is_to_halt(self) -> bool:
        """Whether all are to save and stop."""
        return (self.folder / "halt").exists()

    def is_given_up(self, token: str) -> bool:
        """Whether nobody waits for this attempt any more."""
        return (self.folder / f"{token}.over").exists() or not self.folder.exists()


def unusable(store: Path, error: OSError) -> str:
    """Why there is no such folder, for a person."""
    return f"engine: ray: nothing can be written beside the store {store} ({first_error(error)}), where nodes say that they live"
