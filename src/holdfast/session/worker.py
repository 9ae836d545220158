"""The keeper's worker: sends snapshots in the background, so that who works does not wait for a drive.

`put` takes the stable copy in the caller's thread and returns. The worker sends, confirms, prunes and tries again; while the store
cannot be written the copies wait. What goes wrong is logged once, shown in `status`, and raised by `flush`.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import AnotherSession, HoldfastError, NotBackedUp, Refused, StoreError, WorkspaceBusy
from holdfast.session.backups import Backups
from holdfast.session.lease import Lease
from holdfast.session.waiting import Queue
from holdfast.store.keys import Key, within
from holdfast.store.outcomes import BackedUp
from holdfast.store.progress import Silent
from holdfast.store.queued import Queued, expected, merge
from holdfast.store.restore import describe
from holdfast.store.snapshot import take
from holdfast.store.view import Presence
from holdfast.store.workspace import local_errors

log = logging.getLogger(__name__)

#: Seconds until a store that could not be written is tried again; the last one repeats.
RETRY_SECONDS = (2.0, 5.0, 10.0, 20.0, 40.0, 60.0)
#: How often it is asked whether what was written is confirmed meanwhile.
ASK_SECONDS = 15.0
#: Seconds of rest after a defect of ours, so that it does not fill the log.
_REST_SECONDS = 1.0

_workers: weakref.WeakSet[Worker] = weakref.WeakSet()


@dataclass(frozen=True)
class _Failure:
    """A backup that will not succeed by itself, and what of the artifact it was to hold."""

    text: str
    scope: tuple[str, ...]

    def within(self, scope: tuple[str, ...]) -> bool:
        return all(any(within(path, prefix) for prefix in scope) for path in self.scope)


class Worker:
    """Sends the backups of one workspace, one after the other.

    Args:
        backups: Where they go.
        retry: Seconds between attempts while the store cannot be written.
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
        self._changed = threading.Condition()
        self._waiting: dict[Key, Queued] = {}
        self._sending: Queued | None = None
        self._errors: dict[Key, tuple[_Failure, ...]] = {}
        self._done: dict[Key, BackedUp] = {}
        self._trouble = ""
        self._failures = 0
        self._retry_at = 0.0
        self._ask_at = 0.0
        self._thread: threading.Thread | None = None
        self._folder: Path | None = None
        _workers.add(self)

    # -- in the caller's thread --------------------------------------------------------------------------------------

    def put(self, keys: Sequence[Key], counted: float | None) -> list[BackedUp]:
        """Take a stable copy of what is here, and queue it. From here on the caller may go on writing.

        Args:
            keys: Each is here.
            counted: What the caller counts.

        Returns:
            One result for every artifact that is meant: queued, or why not.
        """
        results = []
        with self._taking:
            for request in self._backups.requests(keys, self._backups.first_look(), counted):
                key = request.artifact
                try:
                    self.refuse_rival([key])
                    self._backups.workspace.refuse_links([key])
                    with local_errors():
                        queued = self._take(Queued.about(request, self._new_folder()))
                except HoldfastError as error:
                    results.append(BackedUp(key, error=describe(key, error)))
                    continue
                results.append(BackedUp(key, queued=True, refused=queued.snapshot.refused, files=len(queued.snapshot.staged)))
        self._start()
        return results

    def _take(self, queued: Queued) -> Queued:
        request, workspace = queued.request, self._backups.workspace
        key = request.artifact
        with self._changed:
            before = [q for q in (self._sending, self._waiting.get(key)) if q is not None and q.request.artifact == key]
        try:
            known = expected(workspace.record(key), before)
            snapshot = take(workspace, key, known, queued.folders[0], scope=request.scope, owned=request.inner)
            if "" in snapshot.refused:
                raise Refused(0, f"{snapshot.refused['']}; nothing was backed up", str(key))
            queued = queued.holding(snapshot)
            with self._changed:
                waiting = self._waiting.get(key)
                self._waiting[key] = queued if waiting is None else merge(waiting, queued, self._new_folder)
                self._done.pop(key, None)
                self._changed.notify_all()
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
            lease.close(None if self._trouble else self._backups.store.backend)

    def flush(self, seconds: float | None = None, *, patient: bool = False) -> None:
        """Return when everything that was queued is in the store. What waits for a retry is tried at once.

        Args:
            seconds: How long it may take; None has no limit.
            patient: Go on trying for so long; without it a store that cannot be written now is not waited for.

        Raises:
            NotBackedUp: something is not in the store; the text says what, and why.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        with self._changed:
            self._retry_at, failures = 0.0, self._failures
            self._changed.notify_all()
            while self._waiting or self._sending is not None:
                left = None if deadline is None else deadline - time.monotonic()
                if (left is not None and left <= 0) or (self._trouble and self._failures > failures and not patient):
                    break
                self._changed.wait(left)
            queue = self._queue()
            problems, waiting = [text for _, text in queue.errors], queue.waiting
            if waiting:
                named = ", ".join(str(k) for k in waiting[:3]) + (f" and {len(waiting) - 3} more" if len(waiting) > 3 else "")
                problems.append(f"{named}: {self._trouble or 'still being sent'}")
        if problems:
            raise NotBackedUp("not in the store: " + "; ".join(problems))

    def queue(self) -> Queue:
        """What waits, and what went wrong."""
        with self._changed:
            return self._queue()

    def results(self, results: Sequence[BackedUp]) -> list[BackedUp]:
        """What queued backups came to, as far as they have been sent."""
        with self._changed:
            return [self._done.get(r.key, r) for r in results]

    def go_on_with(self, backups: Backups) -> None:
        """Send what waits to this store, which may be the same one over a mount that was made since."""
        with self._changed:
            self._backups = backups
            self._retry_at = 0.0
            self._changed.notify_all()

    def _queue(self) -> Queue:
        all_ = [*([self._sending] if self._sending else []), *self._waiting.values()]
        return Queue(
            tuple(dict.fromkeys(q.request.artifact for q in all_)),
            min((q.since for q in all_), default=0.0),
            self._trouble,
            tuple((key, failure.text) for key, failures in sorted(self._errors.items()) for failure in failures),
        )

    def _new_folder(self) -> Path:
        if self._folder is None:
            self._folder = self._backups.workspace.queue_folder()
        return self._backups.workspace.new_folder(self._folder)

    def begin_anew(self) -> None:
        """In a forked child: what was queued is its parent's, who sends it, and so are the thread and whoever held the locks."""
        self._thread, self._sending, self._folder = None, None, None
        self._waiting, self._errors, self._trouble = {}, {}, ""
        self._taking, self._changed = threading.Lock(), threading.Condition()
        self.lease = None if self.lease is None else Lease(self.lease.force)

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
                    if isinstance(todo, Queued):
                        self._sending = todo
                    backups = self._backups
            except Exception:
                log.exception("a defect in Holdfast; backups go on")
                time.sleep(_REST_SECONDS)
                continue
            with self._nothing_unseen(todo):
                todo() if not isinstance(todo, Queued) else self._send(backups, todo)

    def _next(self) -> Queued | Callable[[], None] | None:
        now = time.monotonic()
        if self._waiting and now >= self._retry_at:
            return self._waiting.pop(next(iter(self._waiting)))
        lease = self.lease  # `close` takes it away at any time
        if now >= self._ask_at:
            self._ask_at = now + self._ask
            if self._backups.awaited() and not self._trouble:
                return self._backups.ask
        if not self._trouble and lease is not None and (due := lease.due) is not None and now >= due:
            return functools.partial(lease.keep, self._backups.store.backend)
        return None

    def _pause(self) -> float | None:
        due = [self._retry_at] if self._waiting else []
        if self._backups.awaited():
            due.append(self._ask_at)
        lease = self.lease
        if not self._trouble and lease is not None and (beat := lease.due) is not None:
            due.append(beat)
        return max(0.05, min(due) - time.monotonic()) if due else None

    def _send(self, backups: Backups, queued: Queued) -> None:
        key = queued.request.artifact
        try:
            if (lease := self.lease) is not None:
                lease.look(backups.store.backend, [key])
            result = backups.send(queued.request, queued.snapshot)
            if result is None:  # the store knows the path as part of another artifact, which was not known when it was taken
                result = self._again(backups, queued)
        except (StoreError, WorkspaceBusy) as error:
            self._wait_for_better(queued, describe(key, error))
            return
        queued.discard()
        with self._changed:
            self._sending = None
            self._note(queued, result)
            if self._trouble:
                log.info("the store can be written again; what waited is sent now")
            self._trouble, self._failures, self._retry_at = "", 0, 0.0
            self._ask_at = min(self._ask_at, time.monotonic() + self._ask)
            self._changed.notify_all()
        if result.error:
            log.error("%s", result.error)
        elif (lease := self.lease) is not None:
            lease.hold(backups.store.backend, [key])

    def _again(self, backups: Backups, queued: Queued) -> BackedUp:
        keys = [queued.request.artifact.join(p) for p in queued.request.scope]
        results = backups.back_up(keys, queued.request.progress, Silent(), patient=True)
        failed = [r for r in results if not r]
        return (failed or results)[0]

    def _wait_for_better(self, queued: Queued, why: str) -> None:
        """The copy stays in the queue, below what was queued since."""
        key = queued.request.artifact
        with self._changed:
            newer = self._waiting.pop(key, None)
            with contextlib.suppress(FileNotFoundError):
                queued = queued if newer is None else merge(queued, newer, self._new_folder)
            self._waiting = {key: queued, **self._waiting}
            self._sending = None
            pause = self._retry[min(self._failures, len(self._retry) - 1)]
            self._failures += 1
            self._retry_at = time.monotonic() + pause
            if not self._trouble:
                log.warning("not backed up yet: %s. It waits here, and is tried again until it is", why)
            else:
                log.debug("not backed up yet: %s; tried again in %g s", why, pause)
            self._trouble = why
            self._changed.notify_all()

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
            todo.discard()
            with self._changed:
                self._note(todo, BackedUp(key, error=text))
                self._sending = None
                if not self._waiting:  # nothing is left that will show when the store can be written again
                    self._trouble, self._failures = "", 0
                self._changed.notify_all()

    def _note(self, queued: Queued, result: BackedUp) -> None:
        """A failure stands until what it was to hold is in the store."""
        key, scope = queued.request.artifact, queued.request.scope
        self._done[key] = result
        left = tuple(f for f in self._errors.pop(key, ()) if not f.within(scope))
        if result.error:
            left = (*left, _Failure(result.error, scope))
        if left:
            self._errors[key] = left


def _in_a_forked_child() -> None:
    for worker in list(_workers):
        worker.begin_anew()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_in_a_forked_child)
