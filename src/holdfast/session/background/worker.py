"""The keeper's worker: sends snapshots in the background, so that who works does not wait for a drive.

`put` takes the stable copy in the caller's thread and returns. The worker sends, confirms, prunes and tries again; what cannot be
sent waits, and holds up nothing else. What goes wrong is logged once, shown in `status`, and raised by `flush`.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence

from holdfast.errors import AnotherSession, HoldfastError, NotBackedUp, Refused
from holdfast.session.background.copies import Copies, room_of
from holdfast.session.background.lease import Lease
from holdfast.session.background.sender import Sender
from holdfast.session.background.standing import Standing
from holdfast.session.background.waiting import Queue
from holdfast.session.commits import Commits
from holdfast.store.copies.queued import Queued, take_behind
from holdfast.store.copies.snapshot import Snapshot
from holdfast.store.format.keys import Key
from holdfast.store.local.disk import local_errors
from holdfast.store.looking.view import Presence
from holdfast.store.reporting.one_line import describe
from holdfast.store.reporting.outcomes import BackedUp

log = logging.getLogger(__name__)

#: Seconds until what could not be sent is tried again; the last one repeats.
RETRY_SECONDS = (2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
#: How often it is asked whether what was written is confirmed meanwhile.
ASK_SECONDS = 15.0
#: Seconds of rest after a defect of ours, so that it does not fill the log.
_REST_SECONDS = 1.0
#: So much is named of what waits.
_NAMED = 3

_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


class Worker:
    """Sends the backups of one workspace, one after the other.

    Args:
        commits: Where they go.
        retry: Seconds between attempts at what could not be sent.
        ask: Seconds between questions for confirmation.
        lease: Tells other sessions what this one works on, and this one what they do; None leaves that out.
    """

    def __init__(
        self, commits: Commits, *, retry: Sequence[float] = RETRY_SECONDS, ask: float = ASK_SECONDS, lease: Lease | None = None
    ) -> None:
        self._commits = commits
        self.lease = lease
        self._ask = ask
        self._taking = threading.Lock()
        self._taker = 0  # the thread that takes a copy now
        self._put_off: list[tuple[tuple[Key, ...], float | None]] = []
        self._thread: threading.Thread | None = None
        self._standing = Standing(retry)
        self.copies = Copies(lambda: self._commits.workspace)
        self._sender = Sender(self._standing, self.copies, ask)
        _workers.add(self)

    # -- in the caller's thread --------------------------------------------------------------------------------------

    def put(self, keys: Sequence[Key], counted: float | None) -> list[BackedUp]:
        """Take a stable copy of what is here, and queue it. From here on the caller may go on writing.

        Args:
            keys: Each is here.
            counted: What the caller counts.

        Returns:
            One result for every artifact that is meant: queued, or why not. Where a signal came in the middle of this very call,
            and its handler calls it again, one for each key: the copy is taken when the one under way is done, or at the end.
        """
        if self._taker == threading.get_ident():
            self._put_off.append((tuple(keys), counted))
            return [BackedUp(key, queued=True) for key in keys]
        with self._taking:
            self._taker = threading.get_ident()
            try:
                results = self._put(keys, counted)
            finally:
                self._taker = 0
        self._start()
        self._take_what_was_put_off()
        return results

    def _take_what_was_put_off(self) -> None:
        while self._put_off and self._taker != threading.get_ident():
            for result in self.put(*self._put_off.pop(0)):
                if result.error:
                    log.error("%s", result.error)

    def _put(self, keys: Sequence[Key], counted: float | None) -> list[BackedUp]:
        results = []
        waiting = self.queue().waiting  # first: what is sent meanwhile is remembered by then
        for request in self._commits.requests(keys, self._commits.first_look(), counted, waiting):
            key = request.artifact
            try:
                if self.lease is not None:
                    self.lease.refuse(self._commits.store.backend, [key])
                self._commits.workspace.refuse_links([key], only_above=True, following=True)
                with local_errors():
                    queued = self._take(Queued.about(request, self.copies.new_folder()))
            except HoldfastError as error:
                results.append(BackedUp(key, error=describe(key, error)))
                continue
            refused = self._commits.workspace.keeping.not_accepted(key, queued.snapshot.refused)
            results.append(BackedUp(key, queued=True, refused=refused, files=len(queued.snapshot.staged)))
        return results

    def _take(self, queued: Queued) -> Queued:
        request, workspace = queued.request, self._commits.workspace
        key = request.artifact
        with self._standing.changed:
            before = self._standing.line.of(key)
        try:
            waiting, guard = self._standing.line, self.copies.guard
            snapshot = take_behind(
                workspace, request, before, queued.folders[0], guard=guard, bytes_waiting=lambda: room_of(waiting)[0]
            )
            if "" in snapshot.refused:
                raise Refused(0, f"{snapshot.refused['']}; nothing was backed up", str(key))
            queued = queued.holding(snapshot)
            self.copies.hold(snapshot)
            with self._standing.changed:
                self._standing.line.add(queued, self.copies.merged)
                self._standing.done.pop(key, None)
                self._standing.changed.notify_all()
            self.copies.let_go()
        except BaseException:
            queued.discard()
            raise
        return queued

    def claim(self, keys: Sequence[Key]) -> None:
        """Look who else works on these, and tell others that this session does from now on.

        Raises:
            AnotherSession: one that is alive was there first.
        """
        if self.lease is None or (view := self._commits.first_look()) is None:
            return
        backend = self._commits.store.backend
        self.lease.look(backend, keys)
        if view.presence is Presence.STORE:
            self.lease.hold(backend, keys)
            self._start()

    def refuse_rival(self, keys: Sequence[Key]) -> None:
        """As `claim`, from what was seen last: asks nothing of the store.

        Raises:
            AnotherSession: one that is alive was there first.
        """
        if self.lease is not None and (text := self.lease.rival(keys)):
            raise AnotherSession(text)

    def close(self) -> None:
        """The session ends: other sessions need not heed it any more. What waits is sent by `flush`, before."""
        lease, self.lease = self.lease, None
        if lease is not None:
            lease.close(None if self._standing.line.trouble else self._commits.store.backend)

    def flush(self, seconds: float | None = None, *, patient: bool = False) -> None:
        """Return when everything that was queued is in the store. What waits for its next attempt is tried at once.

        Args:
            seconds: How long it may take; None has no limit.
            patient: Go on trying for so long; without it what cannot be sent now is not waited for.

        Raises:
            NotBackedUp: something is not in the store; the text says what, and why.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        self._take_what_was_put_off()
        with self._standing.changed:
            mark = self._standing.line.hurry()
            self._standing.changed.notify_all()
            while self._standing.line:
                left = None if deadline is None else deadline - time.monotonic()
                if (left is not None and left <= 0) or (not patient and self._standing.line.tried_since(mark)):
                    break
                self._standing.changed.wait(left)
            queue = self._standing.queue(room_of(self._standing.line))
        if problems := [text for _, text in queue.errors] + _what_waits(queue) + self._what_was_put_off():
            raise NotBackedUp("not in the store: " + "; ".join(problems))

    def _what_was_put_off(self) -> list[str]:
        return [f"{key}: a signal came while a copy was taken; it is taken after that" for keys, _ in self._put_off for key in keys]

    def queue(self) -> Queue:
        """What waits, and what went wrong."""
        with self._standing.changed:
            return self._standing.queue(room_of(self._standing.line))

    def snapshots(self) -> list[Snapshot]:
        """The copies that wait, oldest first."""
        with self._standing.changed:
            return [queued.snapshot for queued in self._standing.line]

    def takes_away(self, key: Key) -> bool:
        """Whether a copy that waits found something gone here, at or below a key, that the store still has."""
        for snapshot in self.snapshots():
            if not (snapshot.key.covers(key) or key.covers(snapshot.key)):
                continue
            base = self._commits.workspace.record(snapshot.key).base
            if base is not None and any(path not in snapshot.found and snapshot.covers(path) for path in base.files):
                return True
        return False

    def results(self, results: Sequence[BackedUp]) -> list[BackedUp]:
        """What queued backups came to, as far as they have been sent."""
        with self._standing.changed:
            return [self._standing.done.get(r.key, r) for r in results]

    def go_on_with(self, commits: Commits) -> None:
        """Send what waits to this store, which may be the same one over a mount that was made since."""
        with self._standing.changed:
            self._commits = commits
            self._standing.line.hurry()
            self._standing.changed.notify_all()

    def begin_anew(self) -> None:
        """In a forked child: what was queued is its parent's, who sends it, and so are the thread and whoever held the locks."""
        self._thread = None
        self.copies.begin_anew()
        self._standing.begin_anew()
        self._taking, self._taker, self._put_off = threading.Lock(), 0, []
        self.lease = None if self.lease is None else Lease(self.lease.force, workspace=self.lease.workspace)

    def _start(self) -> None:
        with self._standing.changed:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="holdfast: backups", daemon=True)
                self._thread.start()

    # -- in the worker's thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                with self._standing.changed:
                    while (todo := self._next()) is None:
                        pause = self._pause()
                        if pause is None:  # nothing is left; the next backup starts a new thread
                            self._thread = None
                            return
                        self._standing.changed.wait(pause)
                    commits = self._commits
            except Exception:
                log.exception("a defect in Holdfast; backups go on")
                time.sleep(_REST_SECONDS)
                continue
            with self._sender.nothing_unseen(todo):
                todo() if not isinstance(todo, Queued) else self._sender.send(commits, lambda: self.lease, todo)
            self.copies.let_go()

    def _next(self) -> Queued | Callable[[], None] | None:
        now = time.monotonic()
        if (queued := self._standing.line.next(now)) is not None:
            return queued
        lease, trouble = self.lease, self._standing.line.trouble  # `close` takes the lease away at any time
        if now >= self._standing.ask_at:
            self._standing.ask_at = now + self._ask
            if self._commits.awaited() and not trouble:
                return self._commits.ask
        if not trouble and lease is not None and (due := lease.due) is not None and now >= due:
            return functools.partial(lease.keep, self._commits.store.backend)
        return None

    def _pause(self) -> float | None:
        due = [] if (line := self._standing.line.due()) is None else [line]
        if self._commits.awaited():
            due.append(self._standing.ask_at)
        lease = self.lease
        if not self._standing.line.trouble and lease is not None and (beat := lease.due) is not None:
            due.append(beat)
        return max(0.05, min(due) - time.monotonic()) if due else None


def _what_waits(queue: Queue) -> list[str]:
    """What is not in the store yet, and why, a line each."""
    own = dict(queue.troubles)
    others = [k for k in queue.waiting if k not in own]
    lines = list(own.values())[:_NAMED]
    if others:
        named = ", ".join(str(k) for k in others[:_NAMED]) + (f" and {len(others) - _NAMED} more" if len(others) > _NAMED else "")
        lines.append(f"{named}: {queue.trouble or 'still being sent'}")
    return lines + ([f"and {len(own) - _NAMED} more that failed"] if len(own) > _NAMED else [])


def _in_a_forked_child() -> None:
    for worker in list(_workers):
        worker.begin_anew()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_in_a_forked_child)
