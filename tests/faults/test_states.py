"""Points that are said to find the same state do, and a call that changes something ends a state."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.faults.bench import environment_of
from tests.faults.strace import Point, kill, record

#: Looks at everything in many ways, fails to change it in some, and changes it in one way in the middle.
_LOOKS = """
for name in ("file", "link", "none"):
    for look in (os.stat, os.lstat, os.readlink, os.listdir, os.listxattr):
        with contextlib.suppress(OSError):
            look(f"{here}/{name}")
    with contextlib.suppress(OSError, ValueError):
        handle = os.open(f"{here}/{name}", os.O_RDWR)
        os.read(handle, 10), os.pread(handle, 10, 2), os.fsync(handle), os.lseek(handle, 0, 0), os.fstat(handle)
        fcntl.flock(handle, fcntl.LOCK_EX)
        mmap.mmap(handle, 1, mmap.MAP_PRIVATE)[0:1] = b"X"
        os.close(handle)
for failing in (os.rmdir, os.unlink, os.mkdir):
    with contextlib.suppress(OSError):
        failing(f"{here}/folder")
with contextlib.suppress(OSError):
    os.rename(f"{here}/none", f"{here}/other")
"""
_PROGRAM = "import contextlib, fcntl, mmap, os, sys, time\nhere = sys.argv[1]\n" + _LOOKS + "CHANGE\n" + _LOOKS
CHANGES = {
    "write": 'os.write(os.open(f"{here}/file", os.O_WRONLY), b"1")',
    "write to a file whose name is gone": 'h = os.open(f"{here}/file", os.O_WRONLY); os.unlink(f"{here}/file"); os.write(h, b"1")',
    "truncate": 'os.truncate(f"{here}/file", 1)',
    "open a new file": 'os.open(f"{here}/new", os.O_WRONLY | os.O_CREAT)',
    "open and cut": 'os.open(f"{here}/file", os.O_WRONLY | os.O_TRUNC)',
    "rename": 'os.rename(f"{here}/file", f"{here}/moved")',
    "unlink": 'os.unlink(f"{here}/link")',
    "link": 'os.link(f"{here}/file", f"{here}/twin")',
    "symlink": 'os.symlink("file", f"{here}/second")',
    "mkdir": 'os.mkdir(f"{here}/made")',
    "rmdir": 'os.rmdir(f"{here}/folder/below")',
    "chmod": 'os.chmod(f"{here}/file", 0o600)',
    "utime": 'os.utime(f"{here}/file", (1, 1))',
    "a hole": 'os.posix_fallocate(os.open(f"{here}/file", os.O_RDWR), 0, 20)',
    "copied in the kernel": 'os.sendfile(os.open(f"{here}/file", os.O_WRONLY), os.open(f"{here}/link", os.O_RDONLY), 0, 3)',
    "an attribute": 'os.setxattr(f"{here}/file", "user.a", b"b")',
}


def _site(tmp_path: Path) -> Path:
    here = tmp_path / "here"
    shutil.rmtree(here, ignore_errors=True)
    (here / "folder" / "below").mkdir(parents=True)
    (here / "folder" / "beside").mkdir()
    (here / "file").write_bytes(b"0123456789")
    (here / "other").write_bytes(b"other")
    (here / "link").symlink_to("other")
    return here


def _seen(here: Path) -> list[tuple[object, ...]]:
    """All that a kill left; the time of a change is another in every run, so only whether it was set is looked at."""
    found: list[tuple[object, ...]] = []
    for place in sorted(here.rglob("*")):
        status = place.lstat()
        content = os.readlink(place) if place.is_symlink() else place.read_bytes() if place.is_file() else b""
        attributes = [] if place.is_symlink() else os.listxattr(place)
        found.append((str(place), status.st_mode, status.st_nlink, status.st_mtime_ns < 10**10, content, attributes))
    return found


def _recorded(tmp_path: Path, change: str) -> tuple[list[str], list[Point]]:
    program = _PROGRAM.replace("CHANGE", change)
    here = _site(tmp_path)
    command = [sys.executable, "-P", "-c", program, str(here)]
    return command, record(command, {"here": here}, _env(tmp_path), tmp_path / "log")


def _env(tmp_path: Path) -> dict[str, str]:
    return environment_of(tmp_path, Path(__file__).parents[2] / "src")


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_kill_in_one_state_leaves_the_same_wherever_it_is(tmp_path: Path, change: str) -> None:
    command, points = _recorded(tmp_path, change)
    assert len(points) > 50
    states = sorted({p.state for p in points})
    assert 2 <= len(states) <= 4, "only what changes something ends a state"
    left = []
    for state in states:
        those = [p for p in points if p.state == state]
        seen = []
        for point in (those[0], those[-1]):
            here = _site(tmp_path)
            assert kill(command, point, {"here": here}, _env(tmp_path), tmp_path / "log").killed
            seen.append(_seen(here))
        assert seen[0] == seen[1]
        left.append(seen[0])
    assert left[0] != left[-1], "and it did change something"


def test_while_a_file_is_mapped_for_writing_every_point_is_a_state_of_its_own(tmp_path: Path) -> None:
    mapped = 'm = mmap.mmap(os.open(f"{here}/file", os.O_RDWR), 3); m[0:1] = b"A"; os.stat(here); os.stat(here); m.close()'
    _, points = _recorded(tmp_path, mapped)
    states = [p.state for p in points]
    assert len(set(states)) == 4, "before the mapping, at either call beside it, and after it"
