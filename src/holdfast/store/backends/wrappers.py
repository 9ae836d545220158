"""Retry, counting, faults and bounded waits, each a backend around a backend.

They compose: `Retrying(Bounded(DirectoryBackend(...)))`. Each names every method on purpose, so that mypy proves the
shape and a new method cannot slip past a wrapper.
"""

from __future__ import annotations

import copy
import errno
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from holdfast.errors import StoreTimeout, StoreUnreadable
from holdfast.store.backends.backend import Backend, Entry, Source, Space, Stat
from holdfast.store.backends.backoff import Backoff, can_pass
from holdfast.store.reporting.durability import Durability

T = TypeVar("T")

log = logging.getLogger(__name__)


class _Wrapper:
    """Passes every call through `_around(operation, path, call)`, which a wrapper overrides."""

    def __init__(self, inner: Backend) -> None:
        self._inner = inner

    @property
    def location(self) -> str:
        return self._inner.location

    @property
    def name(self) -> str:
        return self._inner.name

    def beside(self, name: str) -> Backend:
        made = copy.copy(self)
        made._inner = self._inner.beside(name)
        return made

    def _around(self, operation: str, path: str, call: Callable[[], T]) -> T:
        return call()

    def check(self) -> None:
        self._around("check", "", self._inner.check)

    def siblings(self) -> Sequence[Entry]:
        return self._around("list", "..", self._inner.siblings)

    def list(self, folder: str) -> Sequence[Entry]:
        return self._around("list", folder, lambda: self._inner.list(folder))

    def stat(self, path: str) -> Stat:
        return self._around("stat", path, lambda: self._inner.stat(path))

    def read(self, path: str) -> Iterator[bytes]:
        chunks = self._around("read", path, lambda: _started(self._inner.read(path)))
        yield from chunks

    def create(self, path: str, source: Source) -> None:
        self._around("create", path, lambda: self._inner.create(path, source))

    def make_folder(self, path: str) -> None:
        self._around("make", path, lambda: self._inner.make_folder(path))

    def remove(self, path: str) -> None:
        self._around("remove", path, lambda: self._inner.remove(path))

    def flush(self) -> None:
        self._around("flush", "", self._inner.flush)

    def durability(self, paths: Sequence[str], reference: str | None = None) -> Durability:
        return self._around("durability", "", lambda: self._inner.durability(paths, reference))

    def space(self) -> Space | None:
        return self._around("space", "", self._inner.space)


def _started(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same chunks with the first one already read, so that a failing open surfaces here."""
    first = next(chunks, b"")

    def rest() -> Iterator[bytes]:
        if first:
            yield first
            yield from chunks

    return rest()


class Counting(_Wrapper):
    """Counts operations by name: `counts["create"]`. Counts are exact and free of timing noise, so tests assert them."""

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.counts: Counter[str] = Counter()
        self.paths: list[tuple[str, str]] = []

    def _around(self, operation: str, path: str, call: Callable[[], T]) -> T:
        self.counts[operation] += 1
        self.paths.append((operation, path))
        return call()


class Fault(Protocol):
    """Decides what happens to one operation: raise a StoreError, or return to let it pass."""

    def __call__(self, operation: str, path: str) -> None: ...


class Faulty(_Wrapper):
    """Asks a `Fault` before every operation. For tests and rehearsals."""

    def __init__(self, inner: Backend, fault: Fault) -> None:
        super().__init__(inner)
        self._fault = fault

    def _around(self, operation: str, path: str, call: Callable[[], T]) -> T:
        self._fault(operation, path)
        return call()


class Retrying(_Wrapper):
    """Tries again what can pass: a read, listing or stat that is unreadable now. Never what cannot.

    A `create` is not tried again here, because its name may be used up: the sender takes the next free name.

    Args:
        inner: The backend.
        backoff: How often, and after how long.
    """

    def __init__(self, inner: Backend, backoff: Backoff) -> None:
        super().__init__(inner)
        self._backoff = backoff

    def _around(self, operation: str, path: str, call: Callable[[], T]) -> T:
        if operation in ("create", "make", "remove", "flush"):
            return call()
        waits = self._backoff.waits()
        while True:
            try:
                return call()
            except StoreUnreadable as error:
                self._wait(waits, operation, path, error)

    def _wait(self, waits: Iterator[float], operation: str, path: str, error: StoreUnreadable) -> None:
        """Sleep before the next attempt, or raise the error where there is none."""
        wait = next(waits, None) if can_pass(error) else None
        if wait is None:
            raise error
        log.warning("%s %s failed (%s); trying again in %.1f s", operation, path or self.location, error, wait)
        self._backoff.sleep(wait)

    def read(self, path: str) -> Iterator[bytes]:
        """As the inner read; after a failure in the middle it goes on where it stopped, since content never changes."""
        waits = self._backoff.waits()
        given = 0
        while True:
            try:
                position = 0
                for chunk in self._inner.read(path):
                    fresh = chunk[max(given - position, 0) :]
                    position += len(chunk)
                    if fresh:
                        given += len(fresh)
                        yield fresh
            except StoreUnreadable as error:
                self._wait(waits, "read", path, error)
            else:
                return


class Bounded(_Wrapper):
    """Gives up on a call that makes no progress for a while: on a network mount a hang is a dead mount.

    Every call runs in a thread of its own, which is left behind if it hangs (nothing can interrupt a system call that
    the kernel does not return from). A transfer counts as progress whenever a chunk moves.

    Args:
        inner: The backend.
        seconds: Longest time without progress.
    """

    def __init__(self, inner: Backend, seconds: float) -> None:
        super().__init__(inner)
        self._seconds = seconds

    def _around(self, operation: str, path: str, call: Callable[[], T]) -> T:
        return bounded(operation, path or self.location, call, self._seconds)

    def read(self, path: str) -> Iterator[bytes]:
        chunks = self._inner.read(path)
        while chunk := self._around("read", path, lambda: next(chunks, b"")):
            yield chunk

    def create(self, path: str, source: Source) -> None:
        """As the inner create. Where it is given up on, what it still writes when the hang ends is never whole."""
        moved, abandoned = [0], threading.Event()

        def counted() -> Iterator[bytes]:
            for chunk in source():
                if abandoned.is_set():
                    raise StoreTimeout(errno.ETIMEDOUT, "given up on", path)
                moved[0] += 1
                yield chunk

        try:
            bounded("create", path, lambda: self._inner.create(path, counted), self._seconds, lambda: moved[0])
        except StoreTimeout:
            abandoned.set()
            raise


def bounded(operation: str, path: str, call: Callable[[], T], seconds: float, progress: Callable[[], int] = lambda: 0) -> T:
    """Make a call that may never come back, in a thread of its own, which is left behind if it hangs.

    Args:
        operation: What it does, for the message.
        path: On what.
        call: May raise anything; it is raised here.
        seconds: Longest time without progress.
        progress: A number that grows while the call gets on.

    Raises:
        StoreTimeout: it made no progress for so long.
    """
    results: list[T] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - carried over to the caller's thread, and raised there
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=work, name=f"holdfast-{operation}", daemon=True).start()
    seen = progress()
    while not done.wait(seconds):
        if progress() == seen:
            raise StoreTimeout(errno.ETIMEDOUT, f"{operation} made no progress for {seconds:g} s: the mount hangs", path)
        seen = progress()
    if errors:
        raise errors[0]
    return results[0]
