"""Point 7: the quota, the trash, and a full Drive."""

from __future__ import annotations

import errno
import os

import pytest

from holdfast.simulator import Full, SimulatedDrive, Weather
from tests.simulator.conftest import Mount
from tests.simulator.support import attribute, error_of, write

KIB = 1024


def test_statvfs_answers_with_the_quota(mount: Mount) -> None:
    drive = mount(quota=1000 * KIB)
    write(drive, "a.bin", bytes(200 * KIB))
    drive.drain()
    found = os.statvfs(drive.my_drive)
    assert (found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize) == (1000 * KIB, 800 * KIB)


def test_what_is_in_the_trash_counts_unless_it_was_emptied_before(mount: Mount) -> None:
    drive = mount(quota=1000 * KIB)
    whole, cut = write(drive, "whole.bin", bytes(100 * KIB)), write(drive, "cut.bin", bytes(100 * KIB))
    drive.drain()
    whole.unlink()
    os.truncate(cut, 0)
    cut.unlink()
    drive.drain()
    assert drive.elsewhere.files() == {}
    assert drive.elsewhere.used() == 100 * KIB
    drive.elsewhere.empty_trash()
    assert drive.elsewhere.used() == 0


def test_a_file_overwritten_in_place_counts_once(drive: SimulatedDrive) -> None:
    for _ in range(5):
        write(drive, "a.bin", bytes(100))
        drive.drain()
    assert drive.elsewhere.used() == 100


@pytest.mark.parametrize(("full", "number"), [(Full.ENOSPC, errno.ENOSPC), (Full.EDQUOT, errno.EDQUOT)])
def test_a_full_drive_can_refuse_to_write(mount: Mount, full: Full, number: int) -> None:
    drive = mount(quota=100 * KIB, weather=Weather(full=full))
    write(drive, "a.bin", bytes(60 * KIB))
    assert error_of(lambda: write(drive, "b.bin", bytes(60 * KIB))) == number
    drive.elsewhere.set_quota(1000 * KIB)
    assert error_of(lambda: write(drive, "b.bin", bytes(60 * KIB))) == 0


def test_a_full_drive_can_be_silent_and_never_upload(mount: Mount) -> None:
    drive = mount(quota=100 * KIB)
    write(drive, "a.bin", bytes(60 * KIB))
    drive.drain()
    place = write(drive, "b.bin", bytes(60 * KIB))
    assert drive.drain() == ["b.bin"]
    assert place.read_bytes() == bytes(60 * KIB)
    assert attribute(place, "uncommitted") == "1"
    assert list(drive.elsewhere.files()) == ["a.bin"]
    drive.elsewhere.set_quota(1000 * KIB)
    assert drive.drain() == []
    assert sorted(drive.elsewhere.files()) == ["a.bin", "b.bin"]


def test_a_full_drive_can_keep_empty_files(mount: Mount) -> None:
    drive = mount(quota=100, weather=Weather(full=Full.EMPTY))
    place = write(drive, "a.bin", bytes(200))
    assert drive.drain() == ["a.bin"]
    assert drive.elsewhere.files() == {"a.bin": b""}
    assert not attribute(place, "id").startswith("local-")
    assert attribute(place, "uncommitted") == "1"
    assert place.read_bytes() == bytes(200)
    drive.disconnect()
    assert (mount("next").my_drive / "a.bin").read_bytes() == b""


def test_a_burst_of_small_files_is_refused_however_empty_drive_is(mount: Mount) -> None:
    drive = mount(weather=Weather(burst=10))
    answers = [error_of(lambda n=n: write(drive, f"{n}.txt")) for n in range(12)]
    assert answers == [0] * 10 + [errno.EDQUOT] * 2
