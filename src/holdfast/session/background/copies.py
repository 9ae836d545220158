"""The copies that wait on this disk: where they lie, what guards their links, what room they take."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from holdfast.store.copies.guard import Guard
from holdfast.store.copies.queued import Queued, merge
from holdfast.store.copies.snapshot import Snapshot
from holdfast.store.copies.space import copies_in
from holdfast.store.local.disk import lstat_or_none
from holdfast.store.local.workspace import Workspace


class Copies:
    """The copies of one worker.

    Args:
        workspace: The workspace now; another object may take its place.
    """

    def __init__(self, workspace: Callable[[], Workspace]) -> None:
        self._workspace = workspace
        self._folder: Path | None = None
        self.guard = Guard(workspace().proofs)
        self._guarded: set[Path] = set()

    def new_folder(self) -> Path:
        """For the next copy."""
        if self._folder is None:
            self._folder = self._workspace().queue_folder()
        return self._workspace().new_folder(self._folder)

    def merged(self, older: Queued, newer: Queued) -> Queued:
        """One of two that wait."""
        return merge(older, newer, self.new_folder)

    def hold(self, snapshot: Snapshot) -> None:
        """Its links wait from now on."""
        self._guarded |= {s.source for s in snapshot.staged.values() if s.linked is not None and s.source is not None}

    def let_go(self) -> None:
        """Links that were sent or superseded are gone, and nobody has to wait for them any more."""
        for link in [link for link in list(self._guarded) if lstat_or_none(link) is None]:
            self._guarded.discard(link)
            self.guard.release(link)

    def begin_anew(self) -> None:
        """In a forked child: what waits is its parent's."""
        self._folder = None
        self.guard, self._guarded = Guard(self._workspace().proofs), set()


def room_of(waiting: Iterable[Queued]) -> tuple[int, int]:
    """Bytes of copies that wait: of their own, and shared by hard links."""
    return copies_in(folder for q in list(waiting) for folder in q.folders)
