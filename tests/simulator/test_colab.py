"""Point 4: the fake `google.colab.drive`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.simulator import Death, Pace
from holdfast.simulator.colab import Consent, FakeColab, Flush, Mounting
from holdfast.simulator.colab_drive import TIMEOUT
from holdfast.simulator.mounting import mounted, unmount
from tests.simulator.support import Aside, until


@pytest.fixture
def colab(tmp_path: Path) -> Iterator[FakeColab]:
    with FakeColab(cloud=tmp_path / "cloud") as fake, fake.installed():
        yield fake


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "content" / "drive")


def drive_module() -> Any:
    from google.colab import drive

    return drive


def test_it_mounts_and_says_so_and_says_when_it_was_mounted_before(
    colab: FakeColab, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    drive_module().mount(place)
    assert mounted(place) == "fuse.drive"
    drive_module().mount(place)
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"Mounted at {place}"
    assert second.startswith(f"Drive already mounted at {place}")


def test_flush_and_unmount_uploads_everything(colab: FakeColab, place: str) -> None:
    drive_module().mount(place)
    (Path(place) / "MyDrive" / "a.txt").write_text("a")
    drive_module().flush_and_unmount()
    assert mounted(place) is None
    assert colab.drive.elsewhere.files() == {"a.txt": b"a"}
    drive_module().mount(place)
    assert (Path(place) / "MyDrive" / "a.txt").read_text() == "a"


def test_flush_and_unmount_without_a_mount_says_so(colab: FakeColab, capsys: pytest.CaptureFixture[str]) -> None:
    drive_module().flush_and_unmount()
    assert "nothing to flush" in capsys.readouterr().out


def test_a_flush_that_raises_leaves_drive_mounted(colab: FakeColab, place: str) -> None:
    drive_module().mount(place)
    colab.set(flush=Flush.RAISES)
    with pytest.raises(ValueError, match="flush_and_unmount failed"):
        drive_module().flush_and_unmount()
    assert mounted(place) == "fuse.drive"


def test_a_slow_flush_waits_for_the_uploads(colab: FakeColab, place: str) -> None:
    colab.set(flush=Flush.SLOW, pace=Pace(lag=(50, 50)))
    drive_module().mount(place)
    (Path(place) / "MyDrive" / "a.txt").write_text("a")
    flushing = Aside(drive_module().flush_and_unmount)
    colab.drive.advance(40)
    assert flushing.running
    colab.drive.advance(40)
    flushing.join()
    assert flushing.error is None
    assert colab.drive.elsewhere.files() == {"a.txt": b"a"}


def test_a_slow_flush_gives_up_after_its_timeout(colab: FakeColab, place: str) -> None:
    colab.set(flush=Flush.SLOW, pace=Pace(lag=(5000, 5000)))
    drive_module().mount(place)
    (Path(place) / "MyDrive" / "a.txt").write_text("a")
    flushing = Aside(lambda: drive_module().flush_and_unmount(timeout_ms=1000))
    while flushing.running:
        colab.drive.advance(0.5)
    assert isinstance(flushing.error, ValueError)


def test_a_flush_that_hangs_ends_when_it_is_let_go(colab: FakeColab, place: str) -> None:
    drive_module().mount(place)
    colab.set(flush=Flush.HANGS)
    flushing = Aside(drive_module().flush_and_unmount)
    assert flushing.running
    colab.set(flush=Flush.DRAINS)
    flushing.join()
    assert mounted(place) is None


def test_consent_that_hangs_is_ended_by_an_interrupt(colab: FakeColab, place: str) -> None:
    colab.set(consent=Consent.HANGS)
    # A shell starts what runs in the background with interrupts ignored, and a child inherits that.
    code = f"import signal\nsignal.signal(2, signal.default_int_handler)\nfrom google.colab import drive\ndrive.mount({place!r})"
    with subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, **colab.environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        until(lambda: colab.asked)
        process.send_signal(2)
        _, errors = process.communicate(timeout=30)
    assert b"KeyboardInterrupt" in errors
    assert mounted(place) is None


def test_refused_consent_and_failed_mounts_raise_what_colab_raises(colab: FakeColab, place: str) -> None:
    from google.colab._message import MessageError

    colab.set(consent=Consent.REFUSED)
    with pytest.raises(MessageError, match="credential propagation was unsuccessful"):
        drive_module().mount(place)
    colab.set(consent=Consent.GIVEN, mounting=Mounting.FAILS)
    with pytest.raises(ValueError, match="mount failed"):
        drive_module().mount(place)
    colab.set(mounting=Mounting.TIMES_OUT)
    with pytest.raises(ValueError, match="timeout during initial read of root folder"):
        drive_module().mount(place)
    colab.set(mounting=Mounting.STALLS)
    with pytest.raises(TIMEOUT):
        drive_module().mount(place)
    colab.set(mounting=Mounting.WORKS, enterprise=True)
    with pytest.raises(NotImplementedError):
        drive_module().mount(place)
    colab.set(enterprise=False, needs_kernel=True)
    with pytest.raises(AttributeError, match="kernel"):
        drive_module().mount(place)


def test_a_plain_folder_called_my_drive_passes_for_a_mount(
    colab: FakeColab, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (Path(place) / "My Drive").mkdir(parents=True)
    drive_module().mount(place)
    assert "already mounted" in capsys.readouterr().out
    assert mounted(place) is None


def test_a_forced_remount_of_a_healthy_mount_drops_what_was_pending(colab: FakeColab, place: str) -> None:
    drive_module().mount(place)
    (Path(place) / "MyDrive" / "kept.txt").write_text("kept")
    colab.drive.drain()
    for number in range(20):
        (Path(place) / "MyDrive" / f"{number}.txt").write_text("pending")
    drive_module().mount(place, force_remount=True)
    assert mounted(place) == "fuse.drive"
    names = os.listdir(Path(place) / "MyDrive")
    assert "kept.txt" in names
    assert len(names) < 21


def test_mounting_again_after_a_flush_can_fail(colab: FakeColab, place: str) -> None:
    drive_module().mount(place)
    drive_module().flush_and_unmount()
    colab.set(mounting=Mounting.FAILS)
    with pytest.raises(ValueError, match="mount failed"):
        drive_module().mount(place)
    assert mounted(place) is None


def test_an_unfit_mountpoint_is_refused(colab: FakeColab, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for name, said in (("full", "already contain files"), ("link", "symlink"), ("with space", "space")):
        with pytest.raises(ValueError, match=said):
            drive_module().mount(str(tmp_path / name))


@pytest.mark.parametrize("death", [Death.ENOTCONN, Death.ENOENT])
def test_after_a_death_only_a_forced_remount_works_and_it_drops_what_was_pending(
    colab: FakeColab, place: str, death: Death
) -> None:
    drive_module().mount(place)
    (Path(place) / "MyDrive" / "kept.txt").write_text("kept")
    colab.drive.drain()
    for number in range(20):
        (Path(place) / "MyDrive" / f"{number}.txt").write_text("pending")
    colab.drive.weather(death=death)
    with pytest.raises(ValueError, match="mount failed"):
        drive_module().mount(place)
    drive_module().mount(place, force_remount=True)
    names = os.listdir(Path(place) / "MyDrive")
    assert "kept.txt" in names
    assert len(names) < 21


def test_it_mounts_readonly(colab: FakeColab, place: str) -> None:
    drive_module().mount(place, readonly=True)
    with pytest.raises(OSError, match="Read-only"):
        (Path(place) / "MyDrive" / "a.txt").write_text("a")


def test_a_mount_outlives_the_killed_process_that_mounted_it(colab: FakeColab, place: str) -> None:
    code = f"from google.colab import drive\ndrive.mount({place!r})\nimport os\nos.kill(os.getpid(), 9)"
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **colab.environment}, check=False, timeout=60, capture_output=True
    )
    assert mounted(place) == "fuse.drive"
    assert os.listdir(Path(place) / "MyDrive") == []
    colab.close()
    assert mounted(place) is None


def test_the_environment_is_that_of_colab(tmp_path: Path) -> None:
    with FakeColab(cloud=tmp_path / "cloud", enterprise=True) as fake:
        assert fake.environment["COLAB_RELEASE_TAG"]
        assert fake.environment["VERTEX_PRODUCT"] == "COLAB_ENTERPRISE"
    unmount(tmp_path)
