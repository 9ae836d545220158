"""A simulated Drive to mount, and the proof that nothing stays mounted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.simulator import SimulatedDrive
from holdfast.simulator.mounting import unmount

Mount = Callable[..., SimulatedDrive]


def left_mounted(folder: Path) -> list[str]:
    lines = Path("/proc/mounts").read_text().splitlines()
    return [place for place in (line.split(" ")[1] for line in lines) if place.startswith(str(folder))]


@pytest.fixture(autouse=True)
def _nothing_stays_mounted(tmp_path: Path) -> Iterator[None]:
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
