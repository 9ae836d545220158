"""One attempt at one copy that waits: sent, or why not, and what that means for its next attempt."""

from __future__ import annotations

import contextlib
import errno
import logging
import time
from collections.abc import Callable, Iterator, Sequence

from holdfast.errors import HoldfastError, LocalError, StoreError, StoreUnreachable, WorkspaceBusy
from holdfast.session.background.copies import Copies
from holdfast.session.background.failures import Failure, places
from holdfast.session.background.lease import Lease
from holdfast.session.background.standing import Standing
from holdfast.session.commits import Commits
from holdfast.store.copies.queued import Queued
from holdfast.store.local.disk import local_errors
from holdfast.store.looking.view import View
from holdfast.store.reporting.one_line import describe
from holdfast.store.reporting.outcomes import BackedUp
from holdfast.store.transfer.progress import Silent

log = logging.getLogger(__name__)

#: The local disk is full: the copy is here, and may be sent once there is room for what has to be noted on the way.
_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class Sender:
    """Sends what the line gives, in the worker's thread.

    Args:
        standing: What waits, and what became of it.
        copies: Where it waits.
        ask: Seconds between questions for confirmation.
    """

    def __init__(self, standing: Standing, copies: Copies, ask: float) -> None:
        self._standing = standing
        self._copies = copies
        self._ask = ask

    def send(self, commits: Commits, lease_now: Callable[[], Lease | None], queued: Queued) -> None:
        """One attempt at one copy.

        What fails before the store could be seen says nothing about this artifact, and what waits is left alone for a while. What
        fails later may be this artifact's own, so the next one is tried: if it arrives, the store is well.

        Args:
            commits: Where to.
            lease_now: The lease of this session; the end of the session takes it away at any time.
            queued: What.
        """
        key, seen = queued.request.artifact, False
        try:
            if (lease := lease_now()) is not None:
                lease.look(commits.store.backend, [key])
            with commits.seeing() as view:
                seen = True
                with self._standing.changed:
                    self._standing.line.seen()
                result = self._sent(commits, view, queued)
            results = self._again(commits, queued) if result is None else [result]
        except (StoreError, WorkspaceBusy, LocalError) as error:
            if seen and isinstance(error, LocalError) and error.errno not in _ROOM:
                raise
            self._wait_for_better(queued, error, seen=seen)
            return
        queued.discard()
        errors = [r.error for r in results if r.error]
        with self._standing.changed:
            self._standing.line.done()
            errors += self._note(queued, results)
            if None in self._standing.said:
                log.info("the store can be written again; what waited is sent now")
            self._standing.said -= {None, key}
            self._standing.ask_at = min(self._standing.ask_at, time.monotonic() + self._ask)
            self._standing.changed.notify_all()
        for text in errors:
            log.error("%s", text)
        if not any(r.error for r in results) and (lease := lease_now()) is not None:
            lease.hold(commits.store.backend, [key])

    def _sent(self, commits: Commits, view: View, queued: Queued) -> BackedUp | None:
        """What came of the copy; None where what is here has to be taken in its place.

        That is so where the store knows the path as part of another artifact, which was not known when it was taken, and where
        the copy is gone.
        """
        try:
            return commits.send(view, queued.request, queued.snapshot)
        except LocalError as error:
            if error.errno != errno.ENOENT:
                raise
            log.debug("a copy that waited is gone (%s)", error)
            return None

    def _again(self, commits: Commits, queued: Queued) -> list[BackedUp]:
        keys = [queued.request.artifact.join(p) for p in queued.request.scope]
        return commits.back_up(keys, queued.request.progress, Silent(), patient=True)

    def _note(self, queued: Queued, results: Sequence[BackedUp]) -> list[str]:
        """Keep what of it failed or was refused, and forget what is mended. Gives what was refused and not said by `put`."""
        request = queued.request
        refused = {r.key.join(p): why for r in results for p, why in r.refused.items()}
        told = {request.artifact.join(p) for p in queued.snapshot.refused}
        texts = {place: f"{place}: {why}" for place, why in sorted(refused.items()) if place not in told}
        self._standing.done[request.artifact] = min(results, key=bool)
        if failed := "; ".join(r.error for r in results if r.error):
            self._standing.failures.add(Failure(request.artifact, places(request), failed))
        else:
            self._standing.failures.held(request, refused)
        for place, text in texts.items():
            self._standing.failures.add(Failure(request.artifact, (place,), text))
        return list(texts.values())

    def _wait_for_better(self, queued: Queued, error: HoldfastError, *, seen: bool) -> None:
        """The copy stays in the line, as one with what was queued since."""
        key, now = queued.request.artifact, time.monotonic()
        why = describe(key, error)
        with self._standing.changed:
            if seen:
                pause = self._standing.line.failed(why, now, self._merged_or_said)
            else:
                pause = self._standing.line.rest(why.removeprefix(f"{key}: "), now, self._merged_or_said)
            whose = key if seen else None
            if whose not in self._standing.said:
                log.warning("not backed up yet: %s. It waits here, and is tried again until it is", why)
            else:
                log.debug("not backed up yet: %s; tried again in %g s", why, pause)
            self._standing.said.add(whose)
            if isinstance(error, StoreUnreachable):  # a mount that died under one artifact is one trouble
                self._standing.said.add(None)
            self._standing.changed.notify_all()

    def _merged_or_said(self, older: Queued, newer: Queued) -> Queued:
        """One of two. Where that cannot be, a copy is gone: the older one is sent, as far as it stands; the newer one failed."""
        try:
            with local_errors():
                return self._copies.merged(older, newer)
        except HoldfastError as error:
            text = describe(newer.request.artifact, error)
            log.error("%s", text)
            self._came_to_nothing(newer, text)
            return older

    def _came_to_nothing(self, queued: Queued, text: str) -> None:
        queued.discard()
        with self._standing.changed:
            self._standing.failures.add(Failure(queued.request.artifact, places(queued.request), text))
            self._standing.done[queued.request.artifact] = BackedUp(queued.request.artifact, error=text)

    @contextlib.contextmanager
    def nothing_unseen(self, todo: Queued | Callable[[], None]) -> Iterator[None]:
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
            with self._standing.changed:
                self._came_to_nothing(todo, text)
                self._standing.line.done()
                self._standing.changed.notify_all()
