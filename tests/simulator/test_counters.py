"""Point 10: exact counts of every operation."""

from __future__ import annotations

import os

import pytest

from holdfast.simulator import SimulatedDrive
from holdfast.simulator.counters import NAMES, Counters
from tests.simulator.support import attribute, run, write

# What the kernel asks before it asks for what was meant.
ASIDE = ("lookups", "flushes", "milliseconds_waited")


def counted(drive: SimulatedDrive) -> dict[str, int]:
    return {name: number for name, number in drive.counters(reset=True).items() if number and name not in ASIDE}


def test_every_operation_is_counted_once(drive: SimulatedDrive) -> None:
    folder = drive.my_drive / "proj"
    drive.counters(reset=True)
    folder.mkdir()
    assert counted(drive) == {"mkdirs": 1}
    for number in range(5):
        (folder / f"{number}.txt").write_bytes(bytes(100))
    assert counted(drive) == {"creates": 5, "writes": 5, "bytes_written": 500}
    os.listdir(folder)
    assert counted(drive) == {"listings": 1}
    run("ls", folder)
    assert counted(drive) == {"listings": 1}
    handle = os.open(folder / "0.txt", os.O_RDONLY)
    assert os.read(handle, 1000) == bytes(100)
    os.close(handle)
    assert counted(drive) == {"opens": 1, "reads": 1, "warm_reads": 1, "bytes_read": 100}
    attribute(folder / "0.txt", "id")
    assert counted(drive) == {"attributes": 1}
    os.statvfs(folder)
    assert counted(drive) == {"statfs": 1}
    (folder / "0.txt").unlink()
    os.truncate(folder / "1.txt", 0)
    (folder / "2.txt").rename(folder / "3.txt")
    os.chmod(folder / "4.txt", 0o600)
    assert counted(drive) == {"removes": 1, "truncates": 1, "renames": 1, "chmods": 1}
    drive.drain()
    assert counted(drive) == {"uploads": 3, "bytes_up": 200, "cloud_files": 3, "cloud_folders": 1}


def test_a_stat_counts_what_the_kernel_asks(drive: SimulatedDrive) -> None:
    place = write(drive, "a/b.txt")
    drive.counters(reset=True)
    os.stat(place)
    # MyDrive, a, b.txt, and the answer about b.txt, since the kernel is told to remember nothing.
    assert drive.counters()["lookups"] == 4


def test_failed_calls_count_too(drive: SimulatedDrive) -> None:
    drive.weather(readonly=True)
    drive.counters(reset=True)
    with pytest.raises(OSError, match="Read-only"):
        (drive.my_drive / "folder").mkdir()
    assert counted(drive) == {"mkdirs": 1}


def test_a_reset_begins_at_zero_and_every_name_is_there(drive: SimulatedDrive) -> None:
    write(drive, "a.txt")
    assert drive.counters(reset=True)["creates"] == 1
    assert drive.counters() == dict.fromkeys(NAMES, 0)
    with pytest.raises(KeyError):
        Counters().add("nonsense")
