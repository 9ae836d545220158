"""What waits to be sent in the background, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.store.format.keys import Key


@dataclass(frozen=True)
class Queue:
    """What the worker has before it.

    Args:
        waiting: Artifacts of which a snapshot waits, or is being sent.
        since: When the oldest change among them was taken, Unix seconds; 0 with none.
        trouble: Why nothing can be sent now; empty where nothing is wrong with the store as a whole.
        errors: By artifact, why its last backup came to nothing, or what of it could not be kept. Only a later backup mends it.
        troubles: By artifact that waits for its next attempt, why the last one failed. The others are sent meanwhile.
        files: Files whose copies wait.
        size: Bytes that the copies take on this disk.
        linked: Bytes of files in outputs that a copy shares; they take room of their own once the file is replaced or removed.
    """

    waiting: tuple[Key, ...] = ()
    since: float = 0.0
    trouble: str = ""
    errors: tuple[tuple[Key, str], ...] = ()
    troubles: tuple[tuple[Key, str], ...] = ()
    files: int = 0
    size: int = 0
    linked: int = 0
