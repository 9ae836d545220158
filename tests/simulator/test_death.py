"""Point 5: the mount dies."""

from __future__ import annotations

import errno
import os

import pytest

from holdfast.simulator import Death, Fate, SimulatedDrive, Spared
from tests.simulator.conftest import Mount, left_mounted
from tests.simulator.support import error_of, run, write


def test_a_dead_mount_answers_enotconn_to_everything_and_stays_in_the_mount_table(drive: SimulatedDrive) -> None:
    place = write(drive, "proj/a.txt", b"hello")
    with open(place, "rb") as file:
        drive.weather(death=Death.ENOTCONN)
        calls = [
            lambda: os.stat(drive.mountpoint),
            lambda: os.listdir(drive.my_drive),
            lambda: os.stat(place),
            place.read_bytes,
            lambda: os.read(file.fileno(), 5),
            lambda: (drive.my_drive / "new.txt").write_bytes(b""),
            (drive.my_drive / "folder").mkdir,
            place.unlink,
            lambda: os.getxattr(place, "user.drive.id"),
            lambda: os.statvfs(drive.mountpoint),
        ]
        assert [error_of(call) for call in calls] == [errno.ENOTCONN] * len(calls)
        drive.weather(death=Death.ALIVE)
    assert left_mounted(drive.mountpoint) == [str(drive.mountpoint)]
    assert place.read_bytes() == b"hello"


def test_a_killed_drivefs_is_a_dead_mount(drive: SimulatedDrive) -> None:
    place = write(drive, "a.txt")
    drive.kill()
    assert error_of(lambda: os.stat(place)) == errno.ENOTCONN
    assert "not connected" in run("ls", drive.mountpoint).stderr
    assert left_mounted(drive.mountpoint) == [str(drive.mountpoint)]


@pytest.mark.parametrize(
    ("spared", "answers"),
    [
        (Spared.NOTHING, [errno.ENOENT, errno.ENOENT, errno.ENOENT]),
        (Spared.MOUNTPOINT, [0, errno.ENOENT, errno.ENOENT]),
        (Spared.MY_DRIVE, [0, 0, errno.ENOENT]),
    ],
)
def test_a_dead_mount_can_deny_that_anything_exists(drive: SimulatedDrive, spared: Spared, answers: list[int]) -> None:
    place = write(drive, "proj/a.txt")
    drive.weather(death=Death.ENOENT, spared=spared)
    assert [error_of(lambda p=p: os.listdir(p)) for p in (drive.mountpoint, drive.my_drive, place.parent)] == answers
    assert error_of(lambda: os.stat(place)) == errno.ENOENT
    assert error_of((drive.my_drive / "new").mkdir) == errno.ENOENT
    drive.weather(death=Death.ALIVE)
    assert place.exists()


@pytest.mark.parametrize(("dies_as", "number"), [(Death.ENOTCONN, errno.ENOTCONN), (Death.ENOENT, errno.ENOENT)])
def test_the_mount_dies_in_the_middle_of_a_read(drive: SimulatedDrive, dies_as: Death, number: int) -> None:
    place = write(drive, "a.bin", bytes(range(256)) * 40)
    drive.weather(dies_after_bytes=5000, dies_as=dies_as)
    with open(place, "rb", buffering=0) as file:
        given = b"".join(file.read(1000) or b"" for _ in range(5))
        assert error_of(lambda: file.read(1000)) == number
        assert given == (bytes(range(256)) * 40)[:5000]
        drive.weather(death=Death.ALIVE)


def test_a_dead_mount_uploads_nothing(mount: Mount) -> None:
    drive = mount()
    write(drive, "a.txt")
    drive.weather(death=Death.ENOENT)
    drive.advance(10_000)
    assert drive.drain() == ["a.txt"]
    assert drive.elsewhere.files() == {}
    drive.disconnect({"*": Fate.MISSING})
    assert drive.elsewhere.files() == {}


def test_what_was_pending_before_a_death_is_uploaded_when_it_ends(drive: SimulatedDrive) -> None:
    write(drive, "a.txt")
    drive.weather(death=Death.ENOTCONN)
    drive.advance(10_000)
    drive.weather(death=Death.ALIVE)
    assert drive.pending() == ["a.txt"]
    drive.advance(60)
    assert drive.pending() == []
