"""What an operation came to. A message is made from an outcome, never an outcome from a message."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.store.format.keys import Key, printable
from holdfast.store.format.manifest import Kind, Manifest
from holdfast.store.reporting.durability import Durability


class Outcome(enum.Enum):
    """The answer to "is it here now?". `FAILED` is never confused with `ABSENT`."""

    LOCAL = "LOCAL"  #: it was here already
    RESTORED = "RESTORED"  #: it came back from the store
    MERGED = "MERGED"  #: what was missing came from the store; what was here and differs from it stayed
    ABSENT = "ABSENT"  #: it is proven to be neither here nor in the store
    DIFFERS = "DIFFERS"  #: a database or a checkpoint here is another than the store's; nothing was touched
    FAILED = "FAILED"  #: it is in the store and was not restored, or the store cannot be read

    def __bool__(self) -> bool:
        """True where it is present now."""
        return self in (Outcome.LOCAL, Outcome.RESTORED, Outcome.MERGED)


@dataclass(frozen=True)
class Restored:
    """What `ensure` or `restore` came to for one path.

    Args:
        key: The path.
        outcome: See `Outcome`; the result is true exactly where it is.
        generation: Id of the generation that it came from, or None.
        error: One line for a person where it failed or differs, else empty.
        warnings: One line each: a fallback, a difference that was left alone.
        files: Files fetched.
        size: Bytes fetched.
        through: The path leads through a symbolic link of the generation: that link, and the path that is meant then.
        damaged: It failed because the store's bytes are wrong, so asking again gives the same.
    """

    key: Key
    outcome: Outcome
    generation: str | None = None
    error: str = ""
    warnings: tuple[str, ...] = ()
    files: int = 0
    size: int = 0
    through: tuple[Key, Key] | None = None
    damaged: bool = False

    def __bool__(self) -> bool:
        return bool(self.outcome)


@dataclass(frozen=True)
class BackedUp:
    """What a backup of one artifact came to.

    Args:
        key: The artifact that was committed.
        durability: How safe it is now; None where nothing was written because it failed or there is no store.
        generation: Id of the generation that holds what is here, or None.
        sequence: Its sequence, or 0.
        parent: Id of the generation that it descends from, or None.
        unchanged: The store held all of it already.
        queued: A stable copy is taken, and is sent in the background.
        forked: Heads that the new generation does not descend from.
        refused: What could not be kept, by path below the artifact, with the reason; the rest is backed up.
        error: One line for a person where it failed, else empty.
        files: Files sent.
        size: Bytes sent.
        manifest: The generation; what confirmation is about.
    """

    key: Key
    durability: Durability | None = None
    generation: str | None = None
    sequence: int = 0
    parent: str | None = None
    unchanged: bool = False
    queued: bool = False
    forked: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    files: int = 0
    size: int = 0
    manifest: Manifest | None = None

    def __bool__(self) -> bool:
        """True where everything that was asked for is in a generation now, or in the queue for one."""
        return (self.generation is not None or self.queued) and not self.refused and not self.error

    @property
    def dropped(self) -> bool:
        """The generation says that nothing is left."""
        return self.manifest is not None and self.manifest.kind is Kind.DROPPED

    def problem(self) -> str:
        """One line that names what failed or was refused; empty where nothing was."""
        if self.error or not self.refused:
            return self.error
        named = "; ".join(f"{self.key.join(path)} {why}" for path, why in sorted(self.refused.items())[:3])
        more = f"; and {len(self.refused) - 3} more" if len(self.refused) > 3 else ""
        rest = "is queued" if self.queued else f"is backed up (generation {self.generation})"
        return f"{printable(named)}{more}; everything else {rest}"
