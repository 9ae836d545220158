"""Hard-linked copies that wait stay as they are: a writer of the original is made to wait until they have been copied.

Another process holds a read lease on each link. When somebody opens the original for writing, or truncates it, the kernel has
that writer wait and tells the process, which puts a full copy in the place of the link and only then gives the lease back. So a
copy is made only of what really is rewritten before it was sent.

What a writer meets: its `open` takes as long as the copy does, and never longer than /proc/sys/fs/lease-break-time (45 s), after
which the kernel lets it go on. One that opens with O_NONBLOCK does not wait but fails with EAGAIN until the copy is made; ordinary
programs do not. Renaming over the original, removing it, and changing its mode or times touch no lease, and no link either.
"""

from __future__ import annotations

import logging
import os
import pickle
import time
from pathlib import Path
from typing import Any

from holdfast.errors import LocalError
from holdfast.store.apart.child import Child, Gone, ProcessLock
from holdfast.store.copies.proofs import Proofs

log = logging.getLogger(__name__)

_ENTRY = "holdfast.store.copies.guarding:serve"
#: The process answers while it copies, too; so long a call waits for it.
_ANSWER_SECONDS = 10.0


class Guard:
    """The leases of one workspace, in a process of their own. It is started by the first `hold`, and ends with this one.

    Threads may share it. A forked process starts its own, which holds nothing.

    Whoever reads a link opens it, reads, and then asks `holds`, and whether the link still is the file that was read (its inode).
    If it has become a copy meanwhile, that is what has to be read.

    Args:
        proofs: Whether leases tell of mappings where a link lies. Where they do not (overlayfs), all processes are looked at; where
            nobody knows, nothing is held.
    """

    def __init__(self, proofs: Proofs) -> None:
        self._proofs = proofs
        self._lock = ProcessLock()
        self._child: Child | None = None
        self._held: dict[Path, int] = {}

    def hold(self, link: Path) -> bool:
        """Hold a hard link as it is from now on.

        Args:
            link: An absolute path, on which nobody else works. The copy is made beside it, under its name with `.guard` behind it.

        Returns:
            False where it cannot be held: somebody has the file open for writing or mapped, or there are no leases to be had.
            Then it is to be copied at once.
        """
        try:
            found = os.lstat(link)
        except FileNotFoundError:
            return False
        proof = self._proofs.of(found.st_dev)
        if not (proof.leases and (proof.lease_tells or proof.proc_tells)):
            return False
        with self._lock:
            try:
                held = self._ask("hold" if proof.lease_tells else "hold unmapped", link, start=True)
            except LocalError as error:
                log.warning("%s; copies that wait are made at once", error.line)
                return False
            if held is True:
                self._held[link] = found.st_ino
            return held is True

    def holds(self, link: Path) -> bool:
        """Whether what lies under a link is what lay there when `hold` came back true; false also where nobody can tell."""
        with self._lock:
            inode = self._held.get(link)
            if inode is None:
                return False
            held = self._ask("holds", link) is True
            try:
                # Only a copy that was found good takes the place of a link, and what it replaces is open until then. It may happen
                # while the question is asked.
                return os.lstat(link).st_ino != inode or held
            except FileNotFoundError:
                return False

    def release(self, link: Path) -> None:
        """Hold it no longer: it was sent, or is not wanted. The file itself stays; if a copy is being made of it, it is dropped."""
        with self._lock:
            if self._held.pop(link, None) is not None:
                self._ask("release", link)

    def close(self) -> None:
        """Give all leases back and end the process. What was held is held no longer."""
        with self._lock:
            self._end()

    def _ask(self, what: str, link: Path, *, start: bool = False) -> Any:
        """The answer of the process, or None where there is none."""
        if self._child is None or not self._child.lives():
            self._end()
            if not start:
                return None
            self._child = Child(_ENTRY)
        until = time.monotonic() + _ANSWER_SECONDS
        try:
            self._child.pipe.send(pickle.dumps((what, str(link))), until)
            answer, said = pickle.loads(self._child.pipe.receive(until))  # noqa: S301 - from our own process
        except (Gone, TimeoutError):
            self._end()
            return None
        except BaseException:
            self._end()
            raise
        for line in said:
            log.warning("%s", line)
        return answer

    def _end(self) -> None:
        """Without it every lease is gone. What it has replaced by copies stays known by the inode."""
        if self._child is not None:
            child, self._child = self._child, None
            child.end()
