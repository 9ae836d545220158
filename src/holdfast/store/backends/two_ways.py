"""A store on Drive by two ways: its mount, and where that is dead or hangs, its API. It is said once, and handed back.

Both show one Drive, so what one of them wrote the other reads, once it has arrived. Until a mount shows what was sent past it,
those names are answered by the API.
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from holdfast.errors import StoreError, StoreNotFound, StoreUnreachable
from holdfast.store.backends.backend import Backend, Entry, Source, Space, Stat
from holdfast.store.backends.second_way import SecondWay, WayChanged
from holdfast.store.format.names import SENTINEL
from holdfast.store.reporting.durability import Durability

T = TypeVar("T")

log = logging.getLogger(__name__)

#: A dead mount is looked at again so many seconds later.
LOOK_AGAIN_SECONDS = 30.0


class TwoWays:
    """The mount, and the API where the mount is dead.

    Args:
        mount: A backend over the mount, with bounded waits.
        second: The API.
        again: Seconds until a dead mount is looked at again.
        clock: Monotonic seconds.
        taken_over: Called when the mount is left: what it had not uploaded may be gone, the store itself too.
    """

    def __init__(
        self,
        mount: Backend,
        second: SecondWay,
        *,
        again: float = LOOK_AGAIN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        taken_over: Callable[[], None] = lambda: None,
    ) -> None:
        self._tell = taken_over
        self._mount = mount
        self._second = second
        self._again = again
        self._clock = clock
        self._lock = threading.Lock()
        self._taken_over = False
        self._look_at = 0.0
        self._looking = False

    @property
    def location(self) -> str:
        return self._mount.location

    @property
    def name(self) -> str:
        return self._mount.name

    def beside(self, name: str) -> Backend:
        return self._mount.beside(name)

    # -- which way -----------------------------------------------------------------------------------------------------

    def _either(self, through: Callable[[Backend], T]) -> T:
        """By the mount; by the API where the mount is dead, or denies what may be there."""
        other: Backend | None
        if self._taken_over:
            other = self._second.backend()
            assert other is not None
            return through(other)
        try:
            return through(self._mount)
        except StoreUnreachable as error:
            other = self._take_over(error)
            if other is None:
                raise
            return through(other)
        except StoreNotFound:  # a dead mount answers so for what exists (ct#5970), and a live one for what was sent past it
            other = self._second.backend()
            if other is None:
                raise
            return through(other)

    def _take_over(self, error: StoreError) -> Backend | None:
        other = self._second.backend()
        if other is None:
            return None
        try:
            other.check()
        except StoreError as second:
            log.debug("Drive's API does not answer either (%s)", second)
            return None
        with self._lock:
            said, self._taken_over = self._taken_over, True
            self._look_at = self._clock() + self._again
        if not said:
            self._tell()
            log.warning(
                "Drive's mount is dead (%s); backups go on by Drive's API, %s, until it is mounted again",
                error.strerror or error,
                other.location,
            )
        return other

    def _hand_back_in_time(self) -> None:
        """Look at a dead mount now and then, in a thread: it may hang."""
        with self._lock:
            if not self._taken_over or self._looking or self._clock() < self._look_at:
                return
            self._looking = True
        threading.Thread(target=self._hand_back, name="holdfast-mount", daemon=True).start()

    def _hand_back(self) -> None:
        try:
            self._mount.check()
            if self._second.gave(SENTINEL) or any(e.name == self._mount.name for e in self._mount.siblings()):
                for _ in self._mount.read(SENTINEL):
                    pass
            alive = True
        except StoreError:
            alive = False
        with self._lock:
            self._looking, self._look_at = False, self._clock() + self._again
            handed, self._taken_over = self._taken_over and alive, self._taken_over and not alive
        if handed:
            log.warning("Drive's mount answers again; backups go on over it")

    # -- the protocol --------------------------------------------------------------------------------------------------

    def check(self) -> None:
        self._hand_back_in_time()
        self._either(lambda way: way.check())

    def siblings(self) -> Sequence[Entry]:
        return self._either(lambda way: way.siblings())

    def list(self, folder: str) -> Sequence[Entry]:
        found = self._either(lambda way: way.list(folder))
        other = None if self._taken_over else self._second.opened()
        return found if other is None else sorted({*found, *other.sent_in(folder)})

    def stat(self, path: str) -> Stat:
        return self._either(lambda way: way.stat(path))

    def read(self, path: str) -> Iterator[bytes]:
        given = 0
        try:
            if not self._taken_over:
                for chunk in self._mount.read(path):
                    given += len(chunk)
                    yield chunk
                return
        except StoreUnreachable as error:
            if self._take_over(error) is None:
                raise
        except StoreNotFound as error:
            if path == SENTINEL and self._second.gave(path):  # nobody removes it, so what denies it is dead (ct#5970)
                self._take_over(error)
            if self._second.backend() is None:
                raise
        other = self._second.backend()
        assert other is not None
        for chunk in other.read(path):  # content never changes, so it goes on where the mount stopped
            if rest := chunk[given:]:
                yield rest
            given = max(0, given - len(chunk))

    def create(self, path: str, source: Source) -> None:
        """As either. Where the mount dies in the middle, the name is used up: what hangs may still come through under it."""
        if not self._taken_over:
            try:
                self._mount.create(path, source)
            except StoreUnreachable as error:
                if self._take_over(error) is None:
                    raise
                raise WayChanged(errno.EAGAIN, "the mount died; what is left goes by Drive's API", path) from error
            return
        other = self._second.backend()
        assert other is not None
        other.create(path, source)

    def make_folder(self, path: str) -> None:
        self._either(lambda way: way.make_folder(path))

    def remove(self, path: str) -> None:
        self._either(lambda way: way.remove(path))
        if not self._taken_over and self._second.sent(path):
            other = self._second.backend()
            assert other is not None
            other.remove(path)

    def flush(self) -> None:
        self._either(lambda way: way.flush())

    def durability(self, paths: Sequence[str], reference: str | None = None) -> Durability:
        """By Drive's own word where the mount is dead; it decides on a live one too (`drive`)."""
        if not self._taken_over:
            try:
                return self._mount.durability(paths, reference)
            except StoreUnreachable as error:
                if self._take_over(error) is None:
                    raise
        found = self._second.durability(paths, {}, lambda path: Durability.UNKNOWN)
        return Durability.UNKNOWN if found is None else found

    def space(self) -> Space | None:
        return self._either(lambda way: way.space())
