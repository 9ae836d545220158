"""What waits and what became of it: what the caller's thread and the worker's have in common."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from holdfast.session.background.failures import Failures
from holdfast.session.background.line import Line
from holdfast.session.background.waiting import Queue
from holdfast.store.format.keys import Key
from holdfast.store.reporting.outcomes import BackedUp


class Standing:
    """How the backups of one workspace stand. Whoever changes it holds `changed`, and says so to who waits for that.

    Args:
        retry: Seconds between attempts at what could not be sent.
    """

    def __init__(self, retry: Sequence[float]) -> None:
        self._retry = tuple(retry)
        self.changed = threading.Condition()
        self.line = Line(self._retry)
        self.failures = Failures()
        self.done: dict[Key, BackedUp] = {}
        self.said: set[Key | None] = set()  # whose trouble was logged since something of it arrived; None for the store
        self.ask_at = 0.0  # when it is next asked whether what was written is confirmed, monotonic seconds

    def queue(self, room: tuple[int, int]) -> Queue:
        """What waits, and what went wrong. The caller holds `changed`.

        Args:
            room: Bytes that the copies take: of their own, and shared by hard links.
        """
        waiting = list(self.line)
        own, linked = room
        return Queue(
            waiting=tuple(dict.fromkeys(q.request.artifact for q in waiting)),
            since=min((q.since for q in waiting), default=0.0),
            trouble=self.line.trouble,
            errors=self.failures.texts,
            troubles=self.line.troubles,
            files=sum(len(q.snapshot.staged) for q in waiting),
            size=own,
            linked=linked,
        )

    def begin_anew(self) -> None:
        """In a forked child: what was queued is its parent's, and so is whoever held the lock."""
        self.line, self.failures, self.said = Line(self._retry), Failures(), set()
        self.changed = threading.Condition()
