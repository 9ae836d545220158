"""Point 6: errors, hangs, short reads, and listings that are stale or incomplete."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.simulator import Hang, Latency, Listings, SimulatedDrive, Trouble, Weather
from holdfast.simulator.conditions import OPERATIONS
from holdfast.simulator.control import ControlError
from tests.simulator.conftest import Mount
from tests.simulator.support import Aside, error_of, run, until, write


def test_reads_of_some_paths_fail(drive: SimulatedDrive) -> None:
    bad, good = write(drive, "proj/bad.bin"), write(drive, "proj/good.bin")
    drive.weather(troubles=(Trouble("proj/bad*", ("read",)),))
    assert error_of(bad.read_bytes) == errno.EIO
    assert good.read_bytes() == b"content"
    assert os.stat(bad).st_size == 7
    assert "Input/output error" in run("cat", bad).stderr


def test_a_share_of_the_calls_fails_and_the_seed_says_which(mount: Mount, tmp_path: Path) -> None:
    def failures(name: str, seed: int) -> list[int]:
        drive = mount(name, seed=seed, cloud=tmp_path / f"cloud-{name}")
        place = write(drive, "a.txt")
        drive.weather(troubles=(Trouble(operations=("open",), share=0.3),))
        return [error_of(place.read_bytes) for _ in range(60)]

    first, again, other = failures("a", 1), failures("b", 1), failures("c", 2)
    assert first == again != other
    assert 5 < first.count(errno.EIO) < 35


def test_any_error_can_be_raised_by_any_operation(drive: SimulatedDrive) -> None:
    place = write(drive, "a.txt")
    for operation, name, call in (
        ("remove", "EACCES", place.unlink),
        ("mkdir", "EDQUOT", (drive.my_drive / "folder").mkdir),
        ("list", "ETIMEDOUT", lambda: os.listdir(drive.my_drive)),
        ("symlink", "ENOSYS", lambda: os.symlink("a", drive.my_drive / "link")),
        ("flush", "EIO", place.read_bytes),
    ):
        drive.weather(troubles=(Trouble(operations=(operation,), error=name),))
        assert error_of(call) == getattr(errno, name)
    with pytest.raises(ValueError, match="no errno"):
        Trouble(error="ENONSENSE")


def test_a_folder_with_too_many_files_fails_to_list(drive: SimulatedDrive) -> None:
    for number in range(5):
        write(drive, f"many/{number}")
    drive.weather(big_folder=4)
    assert error_of(lambda: os.listdir(drive.my_drive / "many")) == errno.EIO
    assert (drive.my_drive / "many" / "3").exists()


def test_a_call_hangs_until_it_is_released_and_others_go_on(drive: SimulatedDrive) -> None:
    stuck, free = write(drive, "stuck.txt"), write(drive, "free.txt")
    drive.weather(hangs=(Hang("stuck*", ("read",)),))
    readers = [Aside(stuck.read_bytes) for _ in range(20)]
    until(lambda: drive.hanging() == ["read stuck.txt"] * 20)
    assert free.read_bytes() == b"content"
    assert all(reader.running for reader in readers)
    drive.release()
    for reader in readers:
        reader.join()
        assert reader.result == b"content"
    assert drive.hanging() == []


def test_every_kind_of_call_can_hang(drive: SimulatedDrive) -> None:
    place, folder = write(drive, "proj/a.txt"), drive.my_drive / "proj"
    handle = os.open(place, os.O_RDWR)
    second = os.open(place, os.O_RDWR)
    calls: dict[str, Callable[[], object]] = {
        "lookup": lambda: os.stat(place),
        "list": lambda: os.listdir(folder),
        "open": lambda: os.open(place, os.O_RDONLY),
        "create": lambda: os.open(folder / "new", os.O_CREAT | os.O_WRONLY),
        "read": lambda: os.read(handle, 1),
        "write": lambda: os.write(handle, b"x"),
        "truncate": lambda: os.ftruncate(handle, 1),
        "flush": lambda: os.close(second),
        "fsync": lambda: os.fsync(handle),
        "attribute": lambda: os.getxattr(place, "user.drive.id"),
        "mkdir": lambda: os.mkdir(folder / "sub"),
        "rename": lambda: os.rename(folder / "new", folder / "newer"),
        "remove": lambda: os.unlink(folder / "newer"),
        "rmdir": lambda: os.rmdir(folder / "sub"),
        "statfs": lambda: os.statvfs(folder),
        "chmod": lambda: os.chmod(place, 0o600),
        "symlink": lambda: os.symlink("a", folder / "soft"),
        "link": lambda: os.link(place, folder / "hard"),
    }
    assert set(calls) == set(OPERATIONS)
    for operation, call in calls.items():
        drive.weather(hangs=(Hang(operations=(operation,)),))
        waiting = Aside(call)
        until(lambda name=operation: [entry.split(" ")[0] for entry in drive.hanging()] == [name])
        assert waiting.running
        drive.release()
        waiting.join()
        assert (waiting.error is None) == (operation not in ("symlink", "link")), operation
    os.close(handle)


def test_a_client_that_hangs_can_be_killed_once_the_machine_is_gone(drive: SimulatedDrive) -> None:
    place = write(drive, "stuck.txt")
    drive.weather(hangs=(Hang("stuck*", ("open",)),))
    with subprocess.Popen([sys.executable, "-c", f"open({str(place)!r})"], stderr=subprocess.DEVNULL) as client:
        until(drive.hanging)
        client.send_signal(signal.SIGKILL)
        drive.disconnect()
        assert client.wait(30) != 0


def test_reads_can_be_short_and_lose_nothing(drive: SimulatedDrive) -> None:
    content = os.urandom(100_000)
    place = write(drive, "a.bin", content)
    drive.weather(short_reads=0.8)
    handle = os.open(place, os.O_RDONLY)
    chunks = []
    while chunk := os.read(handle, 10_000):
        chunks.append(chunk)
    os.close(handle)
    assert b"".join(chunks) == content
    assert len(chunks) > 10


def test_a_stale_listing_shows_what_was_there_before(drive: SimulatedDrive) -> None:
    write(drive, "proj/old.txt")
    drive.weather(listings=Listings.STALE)
    write(drive, "proj/new.txt")
    (drive.my_drive / "proj/old.txt").unlink()
    assert os.listdir(drive.my_drive / "proj") == ["old.txt"]
    assert not (drive.my_drive / "proj/old.txt").exists()
    assert (drive.my_drive / "proj/new.txt").exists()
    drive.weather(listings=Listings.FRESH)
    assert os.listdir(drive.my_drive / "proj") == ["new.txt"]


def test_an_incomplete_listing_leaves_the_same_names_out_every_time(drive: SimulatedDrive) -> None:
    for number in range(40):
        write(drive, f"{number}.txt")
    drive.weather(listings=Listings.INCOMPLETE, left_out=0.5)
    shown = os.listdir(drive.my_drive)
    assert 5 < len(shown) < 35
    assert os.listdir(drive.my_drive) == shown
    assert run("ls", drive.my_drive).stdout.split() == sorted(shown)
    drive.weather(left_out=1.0)
    assert os.listdir(drive.my_drive) == []


def test_readonly_refuses_every_change(drive: SimulatedDrive) -> None:
    place = write(drive, "a.txt")
    drive.weather(readonly=True)
    for call in (
        lambda: place.write_bytes(b""),
        (drive.my_drive / "b.txt").touch,
        (drive.my_drive / "b").mkdir,
        place.unlink,
        lambda: place.rename(drive.my_drive / "c.txt"),
    ):
        assert error_of(call) == errno.EROFS
    assert place.read_bytes() == b"content"


def test_unknown_weather_is_refused(drive: SimulatedDrive) -> None:
    with pytest.raises(ControlError, match="no such weather: sunshine"):
        drive.weather(sunshine=1)
    with pytest.raises(ValueError, match="no such weather"):
        Weather().changed({"sunshine": 1})


def test_weather_survives_its_way_through_json() -> None:
    from holdfast.simulator.weather import to_json

    weather = Weather(
        troubles=(Trouble("a", ("read",), "EIO", 0.5),), hangs=(Hang("b"),), latency=Latency(on=False), foreign_delay=None, burst=3
    )
    assert Weather().changed(to_json(weather)) == weather
