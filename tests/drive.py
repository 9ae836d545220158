"""Simulated Drives for tests: fixtures to import into a conftest, and a keeper that lives on one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.session.config import Config
from holdfast.session.keeper import Keeper
from holdfast.simulator import SimulatedDrive
from holdfast.simulator.mounting import unmount
from holdfast.store.backends.drive import DriveBackend
from holdfast.store.backends.wrappers import Bounded
from holdfast.store.local.workspace import Workspace
from holdfast.store.store import Store

Mount = Callable[..., SimulatedDrive]


def left_mounted(folder: Path) -> list[str]:
    lines = Path("/proc/mounts").read_text().splitlines()
    return [place for place in (line.split(" ")[1] for line in lines) if place.startswith(str(folder))]


@pytest.fixture(autouse=True)
def nothing_stays_mounted(tmp_path: Path) -> Iterator[None]:
    yield
    left = left_mounted(tmp_path)
    for place in left:
        unmount(place)
    assert not left


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts drives, all on one cloud unless a test says otherwise, and takes them down."""
    drives: list[SimulatedDrive] = []

    def make(name: str = "drive", **options: Any) -> SimulatedDrive:
        options.setdefault("cloud", tmp_path / "cloud")
        drive = SimulatedDrive(tmp_path / name, **options)
        drives.append(drive)
        return drive.__enter__()

    yield make
    for drive in drives:
        drive.close()


@pytest.fixture
def drive(mount: Mount) -> SimulatedDrive:
    """One healthy mount whose clock stands still until a test moves it."""
    return mount()


def project_on(drive: SimulatedDrive, root: Path, *, timeout: float = 120) -> Path:
    """A project folder that expects Drive at this mount."""
    (root / "config").mkdir(parents=True)
    settings = {"mount_point": str(drive.mountpoint), "backup_base_dir": "proj", "timeout": timeout}
    (root / "config" / "paths.yaml").write_text(json.dumps({"drive": settings}))
    return root


def keeper_on(drive: SimulatedDrive, root: Path, *, seconds: float = 1.0) -> Keeper:
    """A keeper with its store in `proj` on this mount, without the waits of retries; a hang counts after so many seconds."""
    root.mkdir(parents=True, exist_ok=True)
    config = Config(root, "outputs", "proj", drive.mountpoint)
    backend = Bounded(DriveBackend(drive.my_drive, "proj", mount_point=drive.mountpoint), seconds)
    return Keeper(config, Store(backend, parallel=2), Workspace(root, lock_seconds=10))


def back_up(drive: SimulatedDrive, root: Path) -> None:
    """Make a store on this mount, from a machine of its own, with one file in it that is uploaded."""
    (root / "outputs").mkdir(parents=True)
    (root / "outputs" / "a.txt").write_text("a")
    assert keeper_on(drive, root).backup("outputs/a.txt")
    drive.drain()
