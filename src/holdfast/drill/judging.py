"""What a kill cost, and whether status had said so. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from holdfast.drill.comparing import Inventory
from holdfast.session.reports import ArtifactStatus


@dataclass(frozen=True)
class Shown:
    """What status showed at the instant of a kill.

    Args:
        seconds: Work that it said would be lost at the most; None where it could not tell.
        safe: It said that nothing would be lost.
        words: Its one line.
        named: What it named as in outputs and not kept, one line each.
    """

    seconds: float | None
    safe: bool
    words: str
    named: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loss:
    """What did not come back as it was.

    Args:
        files: Their paths, sorted.
        seconds: From the oldest of them to the kill.
    """

    files: tuple[str, ...] = ()
    seconds: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.files)


def bound(rows: Iterable[ArtifactStatus]) -> float:
    """Seconds of work that status says would be lost at the most: the worst of all artifacts."""
    return max((max(r.unsaved_seconds if r.unsaved else 0.0, r.loss_seconds) for r in rows), default=0.0)


def loss(there: Inventory, back: Inventory, at: float) -> Loss:
    """What was there at the instant of the kill, and does not come back as it was.

    Args:
        there: On the machine that vanished.
        back: On a fresh one that restored everything.
        at: The instant, Unix seconds.
    """
    lost = [p for p, file in there.items() if p not in back or back[p].identity != file.identity]
    oldest = min((there[p].mtime for p in lost), default=at)
    return Loss(tuple(sorted(lost)), max(at - oldest, 0.0))


def is_within(lost: Loss, shown: Shown) -> bool:
    """True where nothing was lost, or no more than status had said. Where it had called all of it safe, any loss is more."""
    if not lost:
        return True
    return not shown.safe and shown.seconds is not None and lost.seconds <= shown.seconds
