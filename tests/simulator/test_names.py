"""Point 9: links, modes, locks, times, twins and names."""

from __future__ import annotations

import errno
import fcntl
import os

from holdfast.simulator import SimulatedDrive, Weather
from tests.simulator.conftest import Mount
from tests.simulator.support import attribute, error_of, run, write


def test_links_are_refused(drive: SimulatedDrive) -> None:
    place = write(drive, "a.txt")
    assert error_of(lambda: os.symlink("a.txt", drive.my_drive / "soft")) == errno.EOPNOTSUPP
    # The simulator answers ENOSYS; kernels from 6.15 on turn that into EPERM before the caller sees it.
    assert error_of(lambda: os.link(place, drive.my_drive / "hard")) in (errno.ENOSYS, errno.EPERM)


def test_modes_and_times_are_accepted_and_forgotten(drive: SimulatedDrive) -> None:
    place = write(drive, "a.txt")
    before = os.stat(place).st_mtime
    os.chmod(place, 0o755)
    os.utime(place, (1, 1))
    os.chown(place, 0, 0)
    assert os.stat(place).st_mode & 0o777 == 0o600
    assert os.stat(place).st_mtime == before


def test_a_lock_holds_on_one_machine_only(mount: Mount) -> None:
    drives = [mount("first", weather=Weather(foreign_delay=(0, 0)))]
    write(drives[0], "lock")
    drives[0].drain()
    drives.append(mount("second"))
    with open(drives[0].my_drive / "lock", "rb") as mine, open(drives[0].my_drive / "lock", "rb") as same:
        fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert error_of(lambda: fcntl.flock(same, fcntl.LOCK_EX | fcntl.LOCK_NB)) == errno.EWOULDBLOCK
        with open(drives[1].my_drive / "lock", "rb") as other:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_twins_are_shown_with_a_number(mount: Mount) -> None:
    drive = mount(weather=Weather(foreign_delay=(0, 0)))
    drive.elsewhere.put("proj/a.json", b"one")
    drive.elsewhere.twin("proj/a.json", b"two")
    drive.elsewhere.twin("proj/a.json", b"three")
    drive.advance(1)
    folder = drive.my_drive / "proj"
    assert {name: (folder / name).read_bytes() for name in os.listdir(folder)} == {
        "a.json": b"one",
        "a (1).json": b"two",
        "a (2).json": b"three",
    }
    (folder / "a (1).json").write_bytes(b"changed")
    drive.drain()
    drive.disconnect()
    assert (mount("next").my_drive / "proj" / "a (1).json").read_bytes() == b"changed"


def test_a_twins_shown_name_stays_when_the_first_is_gone_until_the_next_mount(mount: Mount) -> None:
    drive = mount(weather=Weather(foreign_delay=(0, 0)))
    drive.elsewhere.put("a.txt", b"one")
    drive.elsewhere.twin("a.txt", b"two")
    drive.advance(1)
    (drive.my_drive / "a.txt").unlink()
    assert os.listdir(drive.my_drive) == ["a (1).txt"]
    drive.drain()
    drive.disconnect()
    assert os.listdir(mount("next").my_drive) == ["a.txt"]


def test_editor_documents_cannot_be_opened(drive: SimulatedDrive) -> None:
    place = write(drive, "notes.gdoc")
    assert error_of(place.read_bytes) == errno.EOPNOTSUPP
    assert os.listdir(drive.my_drive) == ["notes.gdoc"]


def test_the_usual_errors_are_the_usual_ones(drive: SimulatedDrive) -> None:
    place, folder = write(drive, "a.txt"), drive.my_drive / "folder"
    folder.mkdir()
    write(drive, "folder/b.txt")
    assert error_of(folder.mkdir) == errno.EEXIST
    assert error_of(lambda: os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY)) == errno.EEXIST
    assert error_of(folder.rmdir) == errno.ENOTEMPTY
    assert error_of((drive.my_drive / "none").stat) == errno.ENOENT
    assert error_of((place / "below").stat) == errno.ENOTDIR
    assert error_of(folder.unlink) == errno.EISDIR
    assert error_of(lambda: (drive.my_drive / "none" / "a").write_bytes(b"")) == errno.ENOENT
    assert error_of(lambda: (drive.mountpoint / "beside").write_bytes(b"")) != 0
    assert error_of(lambda: (drive.my_drive / ("x" * 256)).write_bytes(b"")) == errno.ENAMETOOLONG
    assert error_of(lambda: os.open(os.fsencode(drive.my_drive) + b"/\xff", os.O_CREAT | os.O_WRONLY)) == errno.EINVAL
    assert error_of(lambda: os.rename(folder, folder / "in")) == errno.EINVAL


def test_renames_move_files_and_whole_folders(drive: SimulatedDrive) -> None:
    write(drive, "one/a.txt", b"a")
    write(drive, "b.txt", b"b")
    drive.drain()
    assert run("mv", drive.my_drive / "one", drive.my_drive / "two").returncode == 0
    assert run("mv", drive.my_drive / "b.txt", drive.my_drive / "two" / "a.txt").returncode == 0
    assert attribute(drive.my_drive / "two", "uncommitted") == "1"
    drive.drain()
    assert drive.elsewhere.files() == {"two/a.txt": b"b"}
    drive.disconnect()


def test_names_of_any_script_are_kept(mount: Mount) -> None:
    drive = mount()
    for name in ("ünïcode 日本.txt", "with 'quotes\" and % $.txt", "a\nb"):
        write(drive, name, name.encode())
    drive.drain()
    drive.disconnect()
    after = mount("next")
    assert all((after.my_drive / name).read_bytes() == name.encode() for name in os.listdir(after.my_drive))
    assert len(os.listdir(after.my_drive)) == 3
