"""The folder `.holdfast/` beside outputs: who holds its lock, and the scratch space in it."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

from holdfast.errors import LocalError, WorkspaceBusy
from holdfast.platform import random_hex
from holdfast.store.format.keys import Key
from holdfast.store.local import locks
from holdfast.store.local.disk import local_errors, lstat_or_none, remove_tree
from holdfast.store.local.project import Project
from holdfast.store.local.turns import next_turn

log = logging.getLogger(__name__)

#: So long a process waits for others that make a folder for their copies, or sweep what ended ones left.
_QUEUE_SECONDS = 30.0
STATE_FOLDER = ".holdfast"


class StateFolder(Project):
    """A project folder with the folder in which Holdfast works. That is disposable: deleting it costs time, never content.

    Args:
        root: The project folder.
        outputs: Path of the outputs folder below it.
        lock_seconds: How long to wait for another process that works in this workspace.
        ignore: As for a project.
        follow: As for a project.
        accept: As for a project.
    """

    def __init__(
        self,
        root: Path,
        outputs: str = "outputs",
        *,
        lock_seconds: float = 600.0,
        ignore: tuple[str, ...] = (),
        follow: tuple[str, ...] = (),
        accept: tuple[str, ...] = (),
    ) -> None:
        super().__init__(root, outputs, ignore=ignore, follow=follow, accept=accept)
        # Several projects may link to outputs on one disk; each remembers by itself.
        linked = (self.root / self.outputs.value).is_symlink()
        mark = f"-{blake3(str(self.root).encode()).hexdigest(length=4)}" if linked else ""
        self._state = self._beside / f"{STATE_FOLDER}{mark}"
        self._lock_seconds = lock_seconds
        self._scratch: tuple[int, Path] | None = None  # a forked child needs its own
        #: What is at its end: databases there are sent whole from now on, whatever the store has of them.
        self.whole: set[Key] = set()

    @property
    def identity(self) -> str:
        """Which project folder of this machine it is, for as long as the machine runs; empty where there is none."""
        found = lstat_or_none(self._beside)
        return "" if found is None else f"{found.st_dev:x}-{found.st_ino:x}{self._state.name}"

    @property
    def pages(self) -> Path:
        """The folder in which is remembered what of databases was sent (`local/pages`)."""
        return self._state / "pages"

    def goes_whole(self, file: Key) -> bool:
        """Whether a database is sent whole, because what it is part of is at its end."""
        return any(key.covers(file) for key in self.whole)

    @property
    def drive_api(self) -> Path:
        """The folder in which is noted what Drive's API and its mount were given (`backends/api/notes`)."""
        return self._state / "drive-api"

    @property
    def claims(self) -> Path:
        """The folder in which processes of this workspace say what they work on."""
        return self._state / "claims"

    @contextlib.contextmanager
    def _in_turn(self, seconds: float) -> Iterator[None]:
        """Hold the lock. Whoever waits holds a place in front of it, so that one who is busy lets others in between."""
        until = time.monotonic() + seconds
        try:
            self._make_state()
            front = locks.hold(self._state / "lock.next", seconds, self._say_waiting)
            try:
                left = max(0.0, until - time.monotonic())
                handle = None if front is None else locks.hold(self._state / "lock", left, self._say_waiting)
            finally:
                if front is not None:
                    locks.release(front)
        except OSError as error:
            raise LocalError(error.errno, error.strerror, str(self._state)) from error
        if handle is None:
            raise WorkspaceBusy(errno.EBUSY, f"another process works here for more than {seconds:g} s", str(self._state))
        try:
            yield
        finally:
            locks.release(handle)

    def _say_waiting(self) -> None:
        log.info("waiting for another process that works in %s", self.root)

    def turn(self) -> tuple[str, int]:
        """The next turn of the count that all processes of this workspace share: which count, and its number. No count: empty."""
        try:
            if not self._state.is_dir():
                self._make_state()
            return next_turn(self._state / "turns")
        except OSError as error:
            log.debug("the order of what is taken here cannot be told (%s)", error)
            return "", 0

    def _make_state(self) -> None:
        for name in ("records", "looks", "intents", "publications"):
            (self._state / name).mkdir(parents=True, exist_ok=True)
        ignore = self._state / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="ascii")

    def temporary(self) -> Path:
        """A new empty folder on the file system of outputs. Only while the lock is held."""
        return self.new_folder(self._state / "tmp")

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder of this process's own on the file system of outputs, which needs no lock and is removed afterwards."""
        if self._scratch is None or self._scratch[0] != os.getpid() or not self._scratch[1].is_dir():
            self._scratch = (os.getpid(), self.queue_folder())
        folder = self.new_folder(self._scratch[1])
        try:
            yield folder
        finally:
            remove_tree(folder)

    def new_folder(self, above: Path) -> Path:
        """A new empty folder in a folder of this workspace's scratch space."""
        folder = above / random_hex(4)
        with local_errors():
            folder.mkdir(parents=True)
        return folder

    def queue_folder(self) -> Path:
        """A folder for copies that wait to be sent, this process's own until it ends, however it ends.

        What ended processes left there is removed: nobody knows what it was, and what is here is backed up anew.
        """
        queues = self._state / "queue"
        with local_errors():
            self._make_state()
            # One at a time: what another process has just made has no owner yet.
            with locks.holding(self._state / "queue.lock", _QUEUE_SECONDS) as alone:
                for left in sorted(queues.iterdir()) if alone and queues.is_dir() else []:
                    owner = locks.hold(left / "owner") if left.is_dir() else None
                    if owner is not None:
                        remove_tree(left)
                        locks.release(owner)
                folder = self.new_folder(queues)
                owner = locks.hold(folder / "owner")
                if owner is not None:
                    weakref.finalize(self, locks.release, owner)  # held as long as this workspace or its process lives
        return folder
