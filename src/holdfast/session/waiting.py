"""What waits to be sent in the background, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.store.keys import Key


@dataclass(frozen=True)
class Queue:
    """What the worker has before it.

    Args:
        waiting: Artifacts of which a snapshot waits, or is being sent.
        since: When the oldest change among them was taken, Unix seconds; 0 with none.
        trouble: Why nothing can be sent now; empty where nothing is wrong.
        errors: By artifact, why its last backup came to nothing.
    """

    waiting: tuple[Key, ...] = ()
    since: float = 0.0
    trouble: str = ""
    errors: tuple[tuple[Key, str], ...] = ()
