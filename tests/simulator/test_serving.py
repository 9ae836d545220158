"""The process that serves, its command line and its control channel."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.simulator import Death, SimulatedDrive
from holdfast.simulator.control import ControlError, ask
from holdfast.simulator.mounting import lacking, mounted
from tests.simulator.support import error_of, until, write


def test_the_command_serves_says_how_to_stop_it_and_unmounts_at_an_interrupt(tmp_path: Path) -> None:
    place, control = tmp_path / "drive", tmp_path / "c"
    command = [sys.executable, "-m", "holdfast.simulator", str(place), "--cloud", str(tmp_path / "cloud"), "--speed", "0"]
    with subprocess.Popen([*command, "--control", str(control)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = b"".join(process.stdout.readline() for _ in range(5)).decode()
        assert str(place / "MyDrive") in said
        assert "Ctrl-C" in said
        (place / "MyDrive" / "a.txt").write_text("a")
        assert ask(control, "drain") == []
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert mounted(place) is None
    assert not control.exists()


def test_it_ends_with_the_process_that_started_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "drive"
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = (
        "import os\nfrom holdfast.simulator import SimulatedDrive\n"
        f"SimulatedDrive({str(place)!r}, cloud={str(tmp_path / 'cloud')!r}).__enter__()\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60, capture_output=True)
    until(lambda: mounted(place) is None)


def test_an_unmount_by_somebody_else_ends_the_server(drive: SimulatedDrive) -> None:
    subprocess.run(["fusermount3", "-u", str(drive.mountpoint)], check=True)
    until(lambda: not drive.socket.exists())
    with pytest.raises(ControlError, match="does not answer"):
        drive.pending()


def test_a_mountpoint_that_cannot_be_mounted_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises((ControlError, OSError)), SimulatedDrive(tmp_path / "file"):
        pass
    with pytest.raises(ControlError, match="lag"), SimulatedDrive(tmp_path / "drive") as drive:
        drive._ask("lag")


def test_what_a_machine_lacks_for_mounting_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lacking() is None
    assert "/none cannot be opened" in (lacking(tmp_path / "none") or "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ControlError, match="apt-get install fuse3"), SimulatedDrive(tmp_path / "drive"):
        pass


def test_the_weather_is_changed_and_the_counters_are_read_while_it_is_mounted(drive: SimulatedDrive) -> None:
    place = write(drive, "a.txt")
    before = drive.counters(reset=True)["creates"]
    drive.weather(death=Death.ENOTCONN)
    dead = error_of(place.stat)
    drive.weather(death=Death.ALIVE)
    assert (before, dead, error_of(place.stat)) == (1, errno.ENOTCONN, 0)
    assert drive.counters()["creates"] == 0
    assert mounted(drive.mountpoint) == "fuse.drive"


def test_one_connection_answers_many_lines_and_survives_nonsense(drive: SimulatedDrive) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(drive.socket))
        with connection.makefile("rwb") as lines:
            for sent, ok in ((b"nonsense", False), (b'{"do": "advance", "seconds": 5}', True), (b'{"do": "advance"}', False)):
                lines.write(sent + b"\n")
                lines.flush()
                assert json.loads(lines.readline())["ok"] is ok
            lines.write(b'{"do": "state"}\n')
            lines.flush()
            assert json.loads(lines.readline())["value"]["now"] == 5


def test_work_of_a_killed_client_is_like_any_other_work(drive: SimulatedDrive) -> None:
    place = drive.my_drive / "a.bin"
    code = f"import os\nf = open({str(place)!r}, 'wb', buffering=0)\nf.write(b'half')\nos.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert place.read_bytes() == b"half"
    drive.drain()
    assert drive.elsewhere.files() == {"a.bin": b"half"}


def test_many_threads_can_work_at_once(drive: SimulatedDrive) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def work(number: int) -> bytes:
        place = write(drive, f"folder-{number % 4}/{number}.bin", bytes([number]) * 5000)
        os.stat(place)
        return place.read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(64))) == [bytes([n]) * 5000 for n in range(64)]
    assert drive.drain() == []
    assert len(drive.elsewhere.files()) == 64
    assert drive.counters()["creates"] == 64
