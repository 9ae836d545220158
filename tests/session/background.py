"""A machine that backs up in the background, on a drive that can be held and can die."""

from __future__ import annotations

import errno
import threading
import time
from pathlib import Path

from holdfast.errors import StoreUnreachable
from holdfast.session.background.worker import Worker
from holdfast.session.config import Config
from holdfast.session.keeper import Keeper
from holdfast.store.backend import Backend
from holdfast.store.directory import DirectoryBackend
from holdfast.store.store import Store
from holdfast.store.workspace import Workspace
from holdfast.store.wrappers import Faulty
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
        self.created: list[str] = []
        self.seconds = 0.0

    def __call__(self, operation: str, path: str) -> None:
        if operation == "create":
            self.reached.set()
            assert self.going.wait(300)
            time.sleep(self.seconds)
            if self.once:
                raise self.once.pop()
        if self.error is not None:
            raise self.error
        if operation == "create":
            self.created.append(path)

    def dies(self) -> None:
        self.error = StoreUnreachable(errno.ENOTCONN, "the mount is dead", str(self.folder))

    def lives(self) -> None:
        self.error = None

    def payloads(self) -> list[str]:
        return [p for p in self.created if p.startswith("outputs/")]

    def generations(self) -> list[str]:
        return [p for p in self.created if p.startswith("generations/")]


class Background:
    """A machine whose keeper sends in the background."""

    def __init__(self, rig: Rig, *, retry: tuple[float, ...] = (0.02,)) -> None:
        self.drive = Drive(rig.drive)
        self.machine = rig.machine()
        self.keeper = self.keep(retry)

    def keep(self, retry: tuple[float, ...] = (0.02,)) -> Keeper:
        backend: Backend = Faulty(DirectoryBackend(self.machine.drive, PROJECT), self.drive)
        config = Config(self.machine.root, "outputs", PROJECT, Path("/nowhere/drive"), timeout=30)
        store = Store(backend, parallel=2, machine=self.machine.root.name)
        keeper = Keeper(config, store, Workspace(self.machine.root, lock_seconds=30), background=True)
        assert keeper.worker is not None
        keeper.worker = Worker(keeper._backups, retry=retry, ask=0.05)  # type: ignore[arg-type]
        return keeper

    def hold(self) -> None:
        """The worker comes to its next create, and no further."""
        self.drive.reached.clear()
        self.drive.going.clear()
