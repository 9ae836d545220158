"""The process of `guard`: it holds leases, and copies what somebody is about to write to.

One thread does it all. A copy is made in pieces, and between them whoever asks is answered and other leases that are waited for are
noticed. They are served one after the other, in the order in which they were noticed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import select
import signal
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from holdfast.platform import NO_BLOCK, NO_FOLLOW, replace_at_once
from holdfast.store.apart.child import Pipe
from holdfast.store.copies import leases
from holdfast.store.copies.copying import clone, copy
from holdfast.store.copies.mappings import shared_mappings
from holdfast.store.local.records import Signature

COPY_SUFFIX = ".guard"
#: A copy is given up after this part of the time after which the kernel would take the lease.
_PART = 0.9
#: After so long it is clear how fast the disk is.
_SURE_SECONDS = 2.0
#: Left free on the disk for the job, bytes.
_ROOM_BYTES = 256 << 20
#: A signal wakes this process at once; this is for one that was lost.
_LOOK_SECONDS = 5.0


@dataclass
class _Held:
    """A link, and how it stands."""

    link: Path
    descriptor: int
    before: Signature
    noticed: float | None = None
    done: bool = False


class _GivenUpError(Exception):
    """A copy that is not to be finished; its text says why, for people, and is empty where nobody needs to know."""


def serve(pipe: Pipe) -> None:
    """Hold, tell and release until the other side is gone. The leases go with this process."""
    Guarding(pipe).run()


class Guarding:
    """The leases, and the one who asks for them."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._held: dict[str, _Held] = {}
        self._said: list[str] = []
        self._told_of_space = False
        self._limit = leases.break_seconds() * _PART

    def run(self) -> None:
        """Serve until the other side is gone (`Gone`)."""
        woken, wake = os.pipe()
        for descriptor in (woken, wake):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGIO, lambda number, frame: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        _allow_many_files()
        poll = select.poll()
        poll.register(self._pipe.reading, select.POLLIN)
        poll.register(woken, select.POLLIN)
        while True:
            events = dict(poll.poll(_LOOK_SECONDS * 1000))
            if woken in events:
                os.read(woken, 4096)
            if self._pipe.reading in events:
                self._answer()
            if woken in events or not events:
                self._notice()
            while (held := self._next()) is not None:
                self._rescue(held)

    def _answer(self) -> None:
        what, link = pickle.loads(self._pipe.receive())  # noqa: S301 - from the process that started us
        if what == "hold unmapped":
            answer = self._hold(link) and self._is_unmapped(link)
        else:
            answer = {"hold": self._hold, "holds": self._holds, "release": self._release}[what](link)
        said, self._said = self._said, []
        self._pipe.send(pickle.dumps((answer, said)))

    def _hold(self, link: str) -> bool:
        self._release(link)
        try:
            descriptor = os.open(link, os.O_RDONLY | NO_FOLLOW | NO_BLOCK)
        except OSError:
            return False
        try:
            leases.take(descriptor, signal.SIGIO)
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "no regular file")
        except OSError:
            os.close(descriptor)
            return False
        self._held[link] = _Held(Path(link), descriptor, Signature.of(found))
        return True

    def _is_unmapped(self, link: str) -> bool:
        """Looked at after the lease was taken: whoever maps the file later has to open it for writing, and waits."""
        mapped = shared_mappings()
        if mapped is not None and not mapped.holds(self._held[link].before.inode, link):
            return True
        self._release(link)
        return False

    def _holds(self, link: str) -> bool:
        """A link that somebody waits for is still as it was, until its copy is there or given up."""
        return link in self._held

    def _release(self, link: str) -> bool:
        held = self._held.pop(link, None)
        if held is not None:
            held.done = True
            os.close(held.descriptor)  # and with it the lease
        return held is not None

    def _notice(self) -> None:
        for held in self._held.values():
            if held.noticed is None and not leases.stands(held.descriptor):
                held.noticed = time.monotonic()

    def _next(self) -> _Held | None:
        waiting = [held for held in self._held.values() if held.noticed is not None]
        return min(waiting, key=lambda held: held.noticed or 0.0, default=None)

    def _rescue(self, held: _Held) -> None:
        """Put a copy in the place of a link, if that can be done in time, and let the writer go on in any case."""
        copied = held.link.with_name(held.link.name + COPY_SUFFIX)
        try:
            copied.unlink(missing_ok=True)  # of a process that was killed
            self._copy(held, copied)
            self._put(held, copied)
        except (_GivenUpError, OSError) as why:
            with contextlib.suppress(OSError):
                copied.unlink(missing_ok=True)
            if text := getattr(why, "strerror", None) or str(why):
                self._say(held, text)
        finally:
            if not held.done:
                self._release(str(held.link))

    def _copy(self, held: _Held, copied: Path) -> None:
        if clone(held.descriptor, copied):
            return
        size = held.before.size
        asked = select.poll()
        asked.register(self._pipe.reading, select.POLLIN)

        def tick(at: int) -> None:
            if asked.poll(0):
                self._answer()
            self._notice()
            if held.done:
                raise _GivenUpError
            waited = time.monotonic() - (held.noticed or 0.0)
            if waited > self._limit or (waited > _SURE_SECONDS and waited * size > self._limit * at):
                raise _GivenUpError(f"a copy would take longer than the {self._limit:g} s for which it may be made to wait")

        tick(size)
        room = os.statvfs(held.link.parent)
        if room.f_bavail * room.f_frsize < os.fstat(held.descriptor).st_blocks * 512 + _ROOM_BYTES:
            raise _GivenUpError(os.strerror(errno.ENOSPC))
        copy(held.descriptor, copied, None, hashing=False, tick=tick)

    def _put(self, held: _Held, copied: Path) -> None:
        found = os.fstat(held.descriptor)
        if not Signature.of(found).same_content(held.before):
            raise _GivenUpError("it was written to before it was copied")
        os.chmod(copied, stat.S_IMODE(found.st_mode))
        os.utime(copied, ns=(found.st_atime_ns, found.st_mtime_ns))
        try:
            if os.lstat(held.link).st_ino != held.before.inode:
                raise _GivenUpError
        except FileNotFoundError as error:
            raise _GivenUpError from error
        replace_at_once(copied, held.link)

    def _say(self, held: _Held, why: str) -> None:
        """Have it said once where the job can hear it; of a full disk once at all."""
        if why == os.strerror(errno.ENOSPC):
            if self._told_of_space:
                return
            self._told_of_space = True
        self._said.append(f"{held.link}: what waits here is being written to, and cannot be copied first: {why}")


def _allow_many_files() -> None:
    """Each lease needs a descriptor."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
