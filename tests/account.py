"""One account's Drive, simulated, and the machines that mount it one after the other."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.session.config import Config
from holdfast.session.keeper import Keeper
from holdfast.simulator import SimulatedDrive
from holdfast.store.backends.backend import Backend
from holdfast.store.backends.drive import DriveBackend
from holdfast.store.backends.wrappers import Bounded, Fault, Faulty
from holdfast.store.local.workspace import Workspace
from holdfast.store.store import Store
from tests.support import read_tree

PROJECT = "proj"
#: For calls that are expected to come back.
PATIENT_SECONDS = 30.0


@dataclass(frozen=True)
class Site:
    """One machine: a project folder on its own disk."""

    root: Path

    def write(self, path: str, content: bytes | str) -> Path:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        return place

    def tree(self, path: str = "outputs") -> dict[str, bytes]:
        return read_tree(self.root / path)


class Account:
    """An account's cloud, its mount, and machines.

    Args:
        folder: Where everything lies.
        seed: Of the ids that commits get, and of the mount.
        options: Others of `SimulatedDrive`.
    """

    def __init__(self, folder: Path, seed: int = 0, **options: Any) -> None:
        self.folder = folder
        self.cloud = folder / "cloud"
        self.mountpoint = folder / "content" / "drive"
        self._random = random.Random(seed)
        self._options = {"seed": seed, **options}
        self._machines = 0
        self._drive: SimulatedDrive | None = None

    @property
    def drive(self) -> SimulatedDrive:
        """What is mounted now."""
        assert self._drive is not None
        return self._drive

    @contextmanager
    def mounted(self) -> Iterator[SimulatedDrive]:
        """Mounted until the end, whatever is mounted then."""
        try:
            yield self.mount()
        finally:
            self.drive.close()

    def mount(self, **options: Any) -> SimulatedDrive:
        """A new mount, after the one before was taken away."""
        if self._drive is not None:
            self._drive.close()
        self._drive = SimulatedDrive(self.mountpoint, cloud=self.cloud, **{**self._options, **options})
        return self._drive.__enter__()

    def machine(self) -> Site:
        """A fresh one."""
        self._machines += 1
        root = self.folder / f"machine-{self._machines}" / PROJECT
        root.mkdir(parents=True)
        return Site(root)

    def keeper(
        self,
        site: Site,
        fault: Fault | None = None,
        *,
        seconds: float = PATIENT_SECONDS,
        expected_id: str | None = None,
        parallel: int = 1,
    ) -> Keeper:
        """Attached anew, without the waits of retries, which cost real time.

        Args:
            site: The machine.
            fault: Asked before every operation of the backend.
            seconds: After which a call counts as hanging.
            expected_id: `drive.store_id`.
            parallel: Transfers at a time; one, so that operations have numbers.
        """
        backend: Backend = Bounded(DriveBackend(self.mountpoint / "MyDrive", PROJECT, mount_point=self.mountpoint), seconds)
        if fault is not None:
            backend = Faulty(backend, fault)
        config = Config(site.root, "outputs", PROJECT, self.mountpoint)
        store = Store(backend, expected_id=expected_id, parallel=parallel, machine=site.root.parent.name, new_id=self._new_id)
        return Keeper(config, store, Workspace(site.root, lock_seconds=10))

    def _new_id(self, size: int) -> str:
        return self._random.randbytes(size).hex()

    def store_ids(self) -> list[bytes]:
        """The content of every sentinel in the cloud, in whatever folder."""
        return [content for path, content in self.drive.elsewhere.files().items() if path.endswith("holdfast.json")]

    def projects(self) -> list[str]:
        """Names in the account's own folder, as a browser shows them."""
        names = [*self.drive.elsewhere.files(), *self.drive.elsewhere.folders()]
        return sorted({name.split("/")[0] for name in names})


@dataclass
class Operations:
    """Counts the operations of a backend, and calls something right before one of them.

    Args:
        at: Number of that operation, from 1; 0 for none.
        turn: What is called.
    """

    at: int = 0
    turn: Any = None
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    @property
    def turned(self) -> bool:
        return bool(self.after)

    def __call__(self, operation: str, path: str) -> None:
        if not self.after and len(self.before) + 1 != self.at:
            self.before.append(operation)
            return
        if not self.after:
            self.turn()
        self.after.append(operation)


def wait_for_what_hung() -> None:
    """Calls that were left behind in threads have come back."""
    for thread in threading.enumerate():
        if thread.name.startswith("holdfast-"):
            thread.join(30)
            assert not thread.is_alive(), thread.name
