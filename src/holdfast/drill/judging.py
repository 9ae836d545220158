"""What a kill cost, and whether status had said so. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from holdfast.drill.comparing import Inventory
from holdfast.session.finding.status import ArtifactStatus


@dataclass(frozen=True)
class Shown:
    """What status showed at the instant of a kill.

    Args:
        seconds: Work that it said would be lost at the most; None where it could not tell.
        safe: It said that nothing would be lost.
        words: Its one line.
        named: What it named as in outputs and not kept, one line each.
        apart: The paths of what is named so and is in no backup at all.
    """

    seconds: float | None
    safe: bool
    words: str
    named: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loss:
    """What did not come back as it was.

    Args:
        files: Their paths, sorted.
        seconds: From the oldest of them to the kill.
        unnamed: The same without what status had named as not kept; None where that is nothing.
    """

    files: tuple[str, ...] = ()
    seconds: float = 0.0
    unnamed: float | None = 0.0

    def __bool__(self) -> bool:
        return bool(self.files)


def bound(rows: Iterable[ArtifactStatus]) -> float:
    """Seconds of work that status says would be lost at the most: the worst of all artifacts."""
    return max((max(r.unsaved_seconds if r.unsaved else 0.0, r.loss_seconds) for r in rows), default=0.0)


def loss(there: Inventory, back: Inventory, at: float, apart: Sequence[str] = ()) -> Loss:
    """What was there at the instant of the kill, and does not come back as it was.

    Args:
        there: On the machine that vanished.
        back: On a fresh one that restored everything.
        at: The instant, Unix seconds.
        apart: What status had named as in no backup.
    """

    def since(paths: Iterable[str]) -> float:
        return max(at - min((there[p].mtime for p in paths), default=at), 0.0)

    lost = sorted(p for p, file in there.items() if p not in back or not back[p].is_like(file))
    unnamed = [p for p in lost if not any(p == name or p.startswith(f"{name}/") for name in apart)]
    return Loss(tuple(lost), since(lost), since(unnamed) if unnamed else None)


def is_within(lost: Loss, shown: Shown) -> bool:
    """True where nothing was lost, or no more than status had said. Where it had called all of it safe, any loss is more."""
    if not lost:
        return True
    return not shown.safe and (lost.unnamed is None or (shown.seconds is not None and lost.unnamed <= shown.seconds))
