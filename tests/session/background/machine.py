"""A machine that backs up in the background, on a drive that can be held and can die."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from holdfast.errors import StoreUnreachable
from holdfast.session.background.worker import Worker
from holdfast.session.config import Config
from holdfast.session.keeper import Keeper
from holdfast.store.backends.backend import Backend, Source
from holdfast.store.backends.directory import DirectoryBackend, as_store_error
from holdfast.store.backends.wrappers import Faulty
from holdfast.store.local.workspace import Workspace
from holdfast.store.store import Store
from tests.support import PROJECT, Rig


class Drive:
    """A drive that can be held, and can die. Every operation on it is seen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.going = threading.Event()
        self.going.set()
        self.reached = threading.Event()
        self.error: Exception | None = None
        self.once: list[Exception] = []
        self.refuses: dict[str, int] = {}
        self.loses: dict[str, int] = {}
        self.keeps = False
        self.asked: list[str] = []
        self.created: list[str] = []
        self.seconds = 0.0

    def __call__(self, operation: str, path: str) -> None:
        self.asked.append(operation)
        if operation == "remove" and self.keeps:
            raise as_store_error(OSError(errno.EACCES, os.strerror(errno.EACCES)), path)
        if operation == "create":
            self.reached.set()
            assert self.going.wait(300)
            time.sleep(self.seconds)
            if self.once:
                raise self.once.pop()
            self._fails(path, self.refuses)
        if self.error is not None:
            raise self.error
        if operation == "create":
            self.created.append(path)

    def landed(self, path: str) -> None:
        """Something was created."""
        self._fails(path, self.loses)

    def _fails(self, path: str, errors: dict[str, int]) -> None:
        for beginning, number in list(errors.items()):
            if path.startswith(beginning):
                raise as_store_error(OSError(number, os.strerror(number)), path)

    def dies(self) -> None:
        self.error = StoreUnreachable(errno.ENOTCONN, "the mount is dead", str(self.folder))

    def lives(self) -> None:
        self.error = None

    def payloads(self) -> list[str]:
        return [p for p in self.created if p.startswith("outputs/")]

    def generations(self) -> list[str]:
        return [p for p in self.created if p.startswith("generations/")]


class Landing(DirectoryBackend):
    """A folder in which creating something may fail when all of it is there."""

    def __init__(self, folder: Path, project: str, landed: Callable[[str], None]) -> None:
        super().__init__(folder, project)
        self._landed = landed

    def create(self, path: str, source: Source) -> None:
        super().create(path, source)
        self._landed(path)


def until(condition: Callable[[], object]) -> None:
    """Wait for what has to come."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Background:
    """A machine whose keeper sends in the background."""

    def __init__(self, rig: Rig, *, retry: tuple[float, ...] = (0.02,)) -> None:
        self.drive = Drive(rig.drive)
        self.machine = rig.machine()
        self.keeper = self.keep(retry)

    def keep(self, retry: tuple[float, ...] = (0.02,)) -> Keeper:
        backend: Backend = Faulty(Landing(self.machine.drive, PROJECT, self.drive.landed), self.drive)
        config = Config(self.machine.root, "outputs", PROJECT, Path("/nowhere/drive"), timeout=30)
        store = Store(backend, parallel=2, machine=self.machine.root.name)
        keeper = Keeper(config, store, Workspace(self.machine.root, lock_seconds=30), background=True)
        assert keeper.worker is not None
        keeper.worker = Worker(keeper.commits, retry=retry, ask=0.05)  # type: ignore[arg-type]
        return keeper

    def hold(self) -> None:
        """The worker comes to its next create, and no further."""
        self.drive.reached.clear()
        self.drive.going.clear()
