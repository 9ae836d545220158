"""The keeper's worker: sends snapshots in the background, so that who works does not wait for a drive.

`put` takes the stable copy in the caller's thread and returns. The worker sends, confirms, prunes and tries again; what cannot be
sent waits, and holds up nothing else. What goes wrong is logged once, shown in `status`, and raised by `flush`.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from holdfast.errors import (
    AnotherSession,
    HoldfastError,
    LocalError,
    NotBackedUp,
    Refused,
    StoreError,
    StoreUnreachable,
    WorkspaceBusy,
)
from holdfast.session.background.failures import Failure, Failures, places
from holdfast.session.background.lease import Lease
from holdfast.session.background.line import Line
from holdfast.session.background.waiting import Queue
from holdfast.session.backups import Backups
from holdfast.store.copies.guard import Guard
from holdfast.store.copies.queued import Queued, expected, merge
from holdfast.store.copies.snapshot import Snapshot
from holdfast.store.copies.space import copies_in
from holdfast.store.copies.taking import take
from holdfast.store.format.keys import Key
from holdfast.store.local.disk import local_errors, lstat_or_none
from holdfast.store.looking.view import Presence, View
from holdfast.store.reporting.one_line import describe
from holdfast.store.reporting.outcomes import BackedUp
from holdfast.store.transfer.progress import Silent

log = logging.getLogger(__name__)

#: Seconds until what could not be sent is tried again; the last one repeats.
RETRY_SECONDS = (2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
#: How often it is asked whether what was written is confirmed meanwhile.
ASK_SECONDS = 15.0
#: Seconds of rest after a defect of ours, so that it does not fill the log.
_REST_SECONDS = 1.0
#: The local disk is full: the copy is here, and may be sent once there is room for what has to be noted on the way.
_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
#: So much is named of what waits.
_NAMED = 3

_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


class Worker:
    """Sends the backups of one workspace, one after the other.

    Args:
        backups: Where they go.
        retry: Seconds between attempts at what could not be sent.
        ask: Seconds between questions for confirmation.
        lease: Tells other sessions what this one works on, and this one what they do; None leaves that out.
    """

    def __init__(
        self, backups: Backups, *, retry: Sequence[float] = RETRY_SECONDS, ask: float = ASK_SECONDS, lease: Lease | None = None
    ) -> None:
        self._backups = backups
        self.lease = lease
        self._retry = tuple(retry)
        self._ask = ask
        self._taking = threading.Lock()
        self._taker = 0  # the thread that takes a copy now
        self._put_off: list[tuple[tuple[Key, ...], float | None]] = []
        self._changed = threading.Condition()
        self._line = Line(self._retry)
        self._failures = Failures()
        self._done: dict[Key, BackedUp] = {}
        self._said: set[Key | None] = set()  # whose trouble was logged since something of it arrived; None for the store
        self._ask_at = 0.0
        self._thread: threading.Thread | None = None
        self._folder: Path | None = None
        self._guard = Guard(backups.workspace.proofs)
        self._guarded: set[Path] = set()
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
        for request in self._backups.requests(keys, self._backups.first_look(), counted, waiting):
            key = request.artifact
            try:
                if self.lease is not None:
                    self.lease.refuse(self._backups.store.backend, [key])
                self._backups.workspace.refuse_links([key], only_above=True, following=True)
                with local_errors():
                    queued = self._take(Queued.about(request, self._new_folder()))
            except HoldfastError as error:
                results.append(BackedUp(key, error=describe(key, error)))
                continue
            refused = self._backups.workspace.keeping.not_accepted(key, queued.snapshot.refused)
            results.append(BackedUp(key, queued=True, refused=refused, files=len(queued.snapshot.staged)))
        return results

    def _take(self, queued: Queued) -> Queued:
        request, workspace = queued.request, self._backups.workspace
        key = request.artifact
        with self._changed:
            before = self._line.of(key)
        try:
            known = expected(workspace.record(key), before)
            snapshot = take(
                workspace,
                key,
                known,
                queued.folders[0],
                scope=request.scope,
                owned=request.inner,
                guard=self._guard,
                waits=True,
                waiting=lambda: self._copies()[0],
            )
            if "" in snapshot.refused:
                raise Refused(0, f"{snapshot.refused['']}; nothing was backed up", str(key))
            queued = queued.holding(snapshot)
            self._guarded |= {s.source for s in snapshot.staged.values() if s.linked is not None and s.source is not None}
            with self._changed:
                self._line.add(queued, self._merged)
                self._done.pop(key, None)
                self._changed.notify_all()
            self._let_go()
        except BaseException:
            queued.discard()
            raise
        return queued

    def claim(self, keys: Sequence[Key]) -> None:
        """Look who else works on these, and tell others that this session does from now on.

        Raises:
            AnotherSession: one that is alive was there first.
        """
        if self.lease is None or (view := self._backups.first_look()) is None:
            return
        backend = self._backups.store.backend
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
            lease.close(None if self._line.trouble else self._backups.store.backend)

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
        with self._changed:
            mark = self._line.hurry()
            self._changed.notify_all()
            while self._line:
                left = None if deadline is None else deadline - time.monotonic()
                if (left is not None and left <= 0) or (not patient and self._line.tried_since(mark)):
                    break
                self._changed.wait(left)
            queue = self._queue()
        if problems := [text for _, text in queue.errors] + _what_waits(queue) + self._what_was_put_off():
            raise NotBackedUp("not in the store: " + "; ".join(problems))

    def _what_was_put_off(self) -> list[str]:
        return [f"{key}: a signal came while a copy was taken; it is taken after that" for keys, _ in self._put_off for key in keys]

    def queue(self) -> Queue:
        """What waits, and what went wrong."""
        with self._changed:
            return self._queue()

    def snapshots(self) -> list[Snapshot]:
        """The copies that wait, oldest first."""
        with self._changed:
            return [queued.snapshot for queued in self._line]

    def takes_away(self, key: Key) -> bool:
        """Whether a copy that waits found something gone here, at or below a key, that the store still has."""
        for snapshot in self.snapshots():
            if not (snapshot.key.covers(key) or key.covers(snapshot.key)):
                continue
            base = self._backups.workspace.record(snapshot.key).base
            if base is not None and any(path not in snapshot.found and snapshot.covers(path) for path in base.files):
                return True
        return False

    def results(self, results: Sequence[BackedUp]) -> list[BackedUp]:
        """What queued backups came to, as far as they have been sent."""
        with self._changed:
            return [self._done.get(r.key, r) for r in results]

    def go_on_with(self, backups: Backups) -> None:
        """Send what waits to this store, which may be the same one over a mount that was made since."""
        with self._changed:
            self._backups = backups
            self._line.hurry()
            self._changed.notify_all()

    def _queue(self) -> Queue:
        waiting = list(self._line)
        own, linked = self._copies()
        return Queue(
            waiting=tuple(dict.fromkeys(q.request.artifact for q in waiting)),
            since=min((q.since for q in waiting), default=0.0),
            trouble=self._line.trouble,
            errors=self._failures.texts,
            troubles=self._line.troubles,
            files=sum(len(q.snapshot.staged) for q in waiting),
            size=own,
            linked=linked,
        )

    def _let_go(self) -> None:
        """Links that were sent or superseded are gone, and nobody has to wait for them any more."""
        for link in [link for link in list(self._guarded) if lstat_or_none(link) is None]:
            self._guarded.discard(link)
            self._guard.release(link)

    def _copies(self) -> tuple[int, int]:
        """Bytes of the copies that wait: of their own, and shared by hard links."""
        return copies_in(folder for q in list(self._line) for folder in q.folders)

    def _new_folder(self) -> Path:
        if self._folder is None:
            self._folder = self._backups.workspace.queue_folder()
        return self._backups.workspace.new_folder(self._folder)

    def _merged(self, older: Queued, newer: Queued) -> Queued:
        return merge(older, newer, self._new_folder)

    def begin_anew(self) -> None:
        """In a forked child: what was queued is its parent's, who sends it, and so are the thread and whoever held the locks."""
        self._thread, self._folder = None, None
        self._guard, self._guarded = Guard(self._backups.workspace.proofs), set()
        self._line, self._failures, self._said = Line(self._retry), Failures(), set()
        self._taking, self._changed, self._taker, self._put_off = threading.Lock(), threading.Condition(), 0, []
        self.lease = None if self.lease is None else Lease(self.lease.force, workspace=self.lease.workspace)

    def _start(self) -> None:
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="holdfast: backups", daemon=True)
                self._thread.start()

    # -- in the worker's thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                with self._changed:
                    while (todo := self._next()) is None:
                        pause = self._pause()
                        if pause is None:  # nothing is left; the next backup starts a new thread
                            self._thread = None
                            return
                        self._changed.wait(pause)
                    backups = self._backups
            except Exception:
                log.exception("a defect in Holdfast; backups go on")
                time.sleep(_REST_SECONDS)
                continue
            with self._nothing_unseen(todo):
                todo() if not isinstance(todo, Queued) else self._send(backups, todo)
            self._let_go()

    def _next(self) -> Queued | Callable[[], None] | None:
        now = time.monotonic()
        if (queued := self._line.next(now)) is not None:
            return queued
        lease, trouble = self.lease, self._line.trouble  # `close` takes the lease away at any time
        if now >= self._ask_at:
            self._ask_at = now + self._ask
            if self._backups.awaited() and not trouble:
                return self._backups.ask
        if not trouble and lease is not None and (due := lease.due) is not None and now >= due:
            return functools.partial(lease.keep, self._backups.store.backend)
        return None

    def _pause(self) -> float | None:
        due = [] if (line := self._line.due()) is None else [line]
        if self._backups.awaited():
            due.append(self._ask_at)
        lease = self.lease
        if not self._line.trouble and lease is not None and (beat := lease.due) is not None:
            due.append(beat)
        return max(0.05, min(due) - time.monotonic()) if due else None

    def _send(self, backups: Backups, queued: Queued) -> None:
        """One attempt at one copy.

        What fails before the store could be seen says nothing about this artifact, and what waits is left alone for a while. What
        fails later may be this artifact's own, so the next one is tried: if it arrives, the store is well.
        """
        key, seen = queued.request.artifact, False
        try:
            if (lease := self.lease) is not None:
                lease.look(backups.store.backend, [key])
            with backups.seeing() as view:
                seen = True
                with self._changed:
                    self._line.seen()
                result = self._sent(backups, view, queued)
            results = self._again(backups, queued) if result is None else [result]
        except (StoreError, WorkspaceBusy, LocalError) as error:
            if seen and isinstance(error, LocalError) and error.errno not in _ROOM:
                raise
            self._wait_for_better(queued, error, seen=seen)
            return
        queued.discard()
        errors = [r.error for r in results if r.error]
        with self._changed:
            self._line.done()
            errors += self._note(queued, results)
            if None in self._said:
                log.info("the store can be written again; what waited is sent now")
            self._said -= {None, key}
            self._ask_at = min(self._ask_at, time.monotonic() + self._ask)
            self._changed.notify_all()
        for text in errors:
            log.error("%s", text)
        if not any(r.error for r in results) and (lease := self.lease) is not None:
            lease.hold(backups.store.backend, [key])

    def _sent(self, backups: Backups, view: View, queued: Queued) -> BackedUp | None:
        """What came of the copy; None where what is here has to be taken in its place.

        That is so where the store knows the path as part of another artifact, which was not known when it was taken, and where
        the copy is gone.
        """
        try:
            return backups.send(view, queued.request, queued.snapshot)
        except LocalError as error:
            if error.errno != errno.ENOENT:
                raise
            log.debug("a copy that waited is gone (%s)", error)
            return None

    def _again(self, backups: Backups, queued: Queued) -> list[BackedUp]:
        keys = [queued.request.artifact.join(p) for p in queued.request.scope]
        return backups.back_up(keys, queued.request.progress, Silent(), patient=True)

    def _note(self, queued: Queued, results: Sequence[BackedUp]) -> list[str]:
        """Keep what of it failed or was refused, and forget what is mended. Gives what was refused and not said by `put`."""
        request = queued.request
        refused = {r.key.join(p): why for r in results for p, why in r.refused.items()}
        told = {request.artifact.join(p) for p in queued.snapshot.refused}
        texts = {place: f"{place}: {why}" for place, why in sorted(refused.items()) if place not in told}
        self._done[request.artifact] = min(results, key=bool)
        if failed := "; ".join(r.error for r in results if r.error):
            self._failures.add(Failure(request.artifact, places(request), failed))
        else:
            self._failures.held(request, refused)
        for place, text in texts.items():
            self._failures.add(Failure(request.artifact, (place,), text))
        return list(texts.values())

    def _wait_for_better(self, queued: Queued, error: HoldfastError, *, seen: bool) -> None:
        """The copy stays in the line, as one with what was queued since."""
        key, now = queued.request.artifact, time.monotonic()
        why = describe(key, error)
        with self._changed:
            if seen:
                pause = self._line.failed(why, now, self._merged_or_said)
            else:
                pause = self._line.rest(why.removeprefix(f"{key}: "), now, self._merged_or_said)
            whose = key if seen else None
            if whose not in self._said:
                log.warning("not backed up yet: %s. It waits here, and is tried again until it is", why)
            else:
                log.debug("not backed up yet: %s; tried again in %g s", why, pause)
            self._said.add(whose)
            if isinstance(error, StoreUnreachable):  # a mount that died under one artifact is one trouble
                self._said.add(None)
            self._changed.notify_all()

    def _merged_or_said(self, older: Queued, newer: Queued) -> Queued:
        """One of two. Where that cannot be, a copy is gone: the older one is sent, as far as it stands; the newer one failed."""
        try:
            with local_errors():
                return self._merged(older, newer)
        except HoldfastError as error:
            text = describe(newer.request.artifact, error)
            log.error("%s", text)
            self._came_to_nothing(newer, text)
            return older

    def _came_to_nothing(self, queued: Queued, text: str) -> None:
        queued.discard()
        with self._changed:
            self._failures.add(Failure(queued.request.artifact, places(queued.request), text))
            self._done[queued.request.artifact] = BackedUp(queued.request.artifact, error=text)

    @contextlib.contextmanager
    def _nothing_unseen(self, todo: Queued | Callable[[], None]) -> Iterator[None]:
        """Whatever goes wrong is kept for `status` and `flush`, and the worker lives on."""
        try:
            yield
        except Exception as error:
            if not isinstance(todo, Queued):
                log.warning("what was written before cannot be confirmed now (%s)", error)
                return
            key = todo.request.artifact
            expected_ = isinstance(error, HoldfastError)
            text = describe(key, error) if isinstance(error, HoldfastError) else f"{key}: {type(error).__name__}: {error}"
            log.error("%s", text, exc_info=not expected_)
            with self._changed:
                self._came_to_nothing(todo, text)
                self._line.done()
                self._changed.notify_all()


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
