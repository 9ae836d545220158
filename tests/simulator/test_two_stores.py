"""Point 1: what this machine sees and what Google has are two things."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.simulator import Fate, SimulatedDrive, Weather
from tests.simulator.conftest import Mount
from tests.simulator.support import run, write


def test_it_is_mounted_as_colab_mounts_drive(drive: SimulatedDrive) -> None:
    (line,) = [line for line in Path("/proc/mounts").read_text().splitlines() if f" {drive.mountpoint} " in line]
    assert line.split(" ")[2] == "fuse.drive"


def test_both_names_lead_to_the_same_folder(drive: SimulatedDrive) -> None:
    (drive.mountpoint / "MyDrive" / "a.txt").write_text("a")
    assert (drive.mountpoint / "My Drive" / "a.txt").read_text() == "a"
    assert sorted(os.listdir(drive.mountpoint)) == ["My Drive", "MyDrive"]
    (drive.mountpoint / "My Drive" / "a.txt").rename(drive.mountpoint / "MyDrive" / "b.txt")
    assert os.listdir(drive.my_drive) == ["b.txt"]


def test_own_writes_are_seen_at_once_and_are_not_in_the_cloud(drive: SimulatedDrive) -> None:
    place = write(drive, "proj/a.txt", b"hello")
    assert place.read_bytes() == b"hello"
    assert run("ls", drive.my_drive / "proj").stdout.split() == ["a.txt"]
    assert drive.elsewhere.files() == {}


def test_a_disconnect_drops_what_is_not_uploaded_and_a_fresh_machine_sees_the_rest(mount: Mount) -> None:
    first = mount("first")
    write(first, "proj/early.txt", b"early")
    assert first.drain() == []
    write(first, "proj/late.txt", b"late")
    assert [(lost.path, lost.fate) for lost in first.disconnect({"*": Fate.MISSING})] == [("proj/late.txt", Fate.MISSING)]
    assert os.listdir(first.mountpoint) == []

    second = mount("second")
    assert os.listdir(second.my_drive / "proj") == ["early.txt"]
    assert (second.my_drive / "proj" / "early.txt").read_bytes() == b"early"


def test_a_disconnect_sends_no_signal_and_what_was_open_is_not_connected(drive: SimulatedDrive) -> None:
    place = write(drive, "a.txt", b"hello")
    code = (
        "import os, signal, sys\n"
        "got = []\n"
        "for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:\n"
        "    signal.signal(number, lambda number, frame: got.append(number))\n"
        f"handle = os.open({str(place)!r}, os.O_RDWR)\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "for call in (lambda: os.read(handle, 5), lambda: os.write(handle, b'x')):\n"
        "    try:\n"
        "        call()\n"
        "    except OSError as error:\n"
        "        print(error.errno)\n"
        "print('signals', got)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "ready\n"
        drive.disconnect()
        assert client.poll() is None
        said, _ = client.communicate("go on\n", timeout=30)
    assert said.splitlines() == [str(errno.ENOTCONN), str(errno.ENOTCONN), "signals []"]


def test_fsync_succeeds_and_says_nothing_about_the_cloud(drive: SimulatedDrive) -> None:
    with open(drive.my_drive / "a.txt", "wb") as file:
        file.write(b"a")
        file.flush()
        os.fsync(file.fileno())
    assert drive.pending() == ["a.txt"]
    assert drive.elsewhere.files() == {}


def test_files_are_uploaded_as_time_passes(drive: SimulatedDrive) -> None:
    write(drive, "a.txt", b"a")
    drive.advance(0.5)
    assert drive.pending() == ["a.txt"]
    drive.advance(60)
    assert drive.pending() == []
    assert drive.elsewhere.files() == {"a.txt": b"a"}


def test_another_machines_change_is_seen_after_a_delay(mount: Mount) -> None:
    drive = mount(weather=Weather(foreign_delay=(10, 20)))
    drive.elsewhere.put("proj/other.txt", b"one")
    drive.advance(5)
    assert os.listdir(drive.my_drive) == []
    drive.advance(20)
    place = drive.my_drive / "proj" / "other.txt"
    assert place.read_bytes() == b"one"
    drive.elsewhere.put("proj/other.txt", b"two")
    assert place.read_bytes() == b"one"
    drive.advance(30)
    assert place.read_bytes() == b"two"
    drive.elsewhere.remove("proj/other.txt")
    assert place.exists()
    drive.advance(30)
    assert not place.exists()


@pytest.mark.parametrize("seed", range(8))
def test_what_others_made_and_removed_soon_is_not_shown_for_ever(mount: Mount, seed: int) -> None:
    drive = mount(seed=seed, weather=Weather(foreign_delay=(0, 600)))
    drive.elsewhere.put("made.txt", b"made")
    drive.advance(1)
    drive.elsewhere.remove("made.txt")
    for _ in range(70):
        drive.advance(10)
    assert not (drive.my_drive / "made.txt").exists()


def test_what_is_put_into_a_folder_that_is_not_shown_yet_is_shown_with_it(mount: Mount) -> None:
    drive = mount(seed=1, weather=Weather(foreign_delay=(10, 60)))
    for number in range(20):  # of as many delays some end before that of the folder
        drive.elsewhere.put(f"proj-{number}/a.txt", b"a")
        drive.advance(1)
        drive.elsewhere.put(f"proj-{number}/b.txt", b"b")
        drive.advance(1)
    drive.advance(100)
    assert [sorted(os.listdir(drive.my_drive / f"proj-{n}")) for n in range(20)] == [["a.txt", "b.txt"]] * 20


def test_another_machines_change_can_be_seen_only_at_the_next_mount(mount: Mount) -> None:
    first = mount("first", weather=Weather(foreign_delay=None))
    second = mount("second")
    write(second, "b.txt", b"b")
    second.drain()
    first.advance(10_000)
    assert os.listdir(first.my_drive) == []
    first.disconnect()
    assert os.listdir(mount("third").my_drive) == ["b.txt"]


def test_two_machines_that_make_the_same_folder_make_twins(mount: Mount) -> None:
    machines = [mount("first"), mount("second")]
    for number, machine in enumerate(machines):
        write(machine, "proj/a.txt", str(number).encode())
        machine.drain()
        machine.disconnect()
    assert sorted(os.listdir(mount("third").my_drive)) == ["proj", "proj (1)"]


def test_a_removed_file_stays_readable_where_it_is_open(drive: SimulatedDrive) -> None:
    place = write(drive, "a.txt", b"a")
    with open(place, "rb") as file:
        place.unlink()
        assert file.read() == b"a"
    assert not place.exists()


def test_appending_overwriting_and_cutting_work_as_on_a_disk(drive: SimulatedDrive) -> None:
    place = write(drive, "a.txt", b"hello")
    drive.drain()
    with open(place, "ab") as file:
        file.write(b" world")
    assert place.read_bytes() == b"hello world"
    with open(place, "r+b") as file:
        file.write(b"J")
        file.truncate(5)
    assert place.read_bytes() == b"Jello"
    drive.drain()
    assert drive.elsewhere.files() == {"a.txt": b"Jello"}
    assert drive.elsewhere.used() == 5
