"""Which libfuse serves a mount: 3, also where 2 lies beside it, and one line where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.simulator import SimulatedDrive
from holdfast.simulator.libfuse import NoLibfuse, choose
from holdfast.simulator.mounting import lacking

#: What `find_library` gives on a Debian with both.
BOTH = {"fuse": "libfuse.so.2", "fuse3": "libfuse3.so.3"}.get
OURS = choose({})


def nothing(name: str) -> None:
    """A system whose `ldconfig` knows no libfuse."""


def test_libfuse_3_is_chosen_where_2_lies_beside_it(tmp_path: Path) -> None:
    for name in ("libfuse.so.2", "libfuse.so.2.9.9", "libfuse3.so.3.14.0"):
        (tmp_path / name).touch()
    assert choose({}, BOTH, ()) == "libfuse3.so.3"
    assert choose({}, nothing, (tmp_path / "none", tmp_path)) == str(tmp_path / "libfuse3.so.3.14.0")


def test_what_the_user_set_is_taken_before_anything_that_is_found() -> None:
    assert choose({"FUSE_LIBRARY_PATH": OURS}, {"fuse3": "another"}.get) == OURS
    assert choose({"FUSE_LIBRARY_NAME": "mine"}, {"mine": OURS, "fuse3": "another"}.get) == OURS


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "libfuse 3 is missing: apt-get install fuse3"),
        ({"FUSE_LIBRARY_NAME": "fuse4"}, "no library is named fuse4, as FUSE_LIBRARY_NAME says"),
        (
            {"FUSE_LIBRARY_PATH": "/nowhere/libfuse.so.2"},
            "/nowhere/libfuse.so.2, as FUSE_LIBRARY_PATH says, is no libfuse that can be loaded",
        ),
        ({"FUSE_LIBRARY_PATH": "libc.so.6"}, "libc.so.6, as FUSE_LIBRARY_PATH says, is no libfuse that can be loaded"),
    ],
)
def test_where_there_is_no_libfuse_3_one_line_says_what_to_do(environment: dict[str, str], said: str, tmp_path: Path) -> None:
    def look() -> str:
        return choose(environment, nothing, (tmp_path,))

    with pytest.raises(NoLibfuse) as refused:
        look()
    line = lacking(library=look)
    assert line == str(refused.value)
    assert said in line
    assert "\n" not in line


def test_libfuse_2_is_refused_also_where_the_user_set_it() -> None:
    for setting in ({"FUSE_LIBRARY_PATH": "libfuse.so.2"}, {"FUSE_LIBRARY_NAME": "fuse"}):
        with pytest.raises(NoLibfuse, match=r"libfuse\.so\.2, as FUSE_LIBRARY_.* says, is libfuse 2\.9, and 3 is needed"):
            choose(setting, BOTH, version=lambda library: (2, 9) if library == "libfuse.so.2" else None)


def test_a_mount_without_libfuse_3_ends_in_one_line_and_the_code_of_a_usage_error(tmp_path: Path) -> None:
    drill = ["-m", "holdfast", "drill", "--simulate-drive", "--", sys.executable, "-c", "pass"]
    for command in (["-m", "holdfast.simulator", str(tmp_path / "drive")], drill):
        done = subprocess.run(
            [sys.executable, *command],
            env={**os.environ, "FUSE_LIBRARY_NAME": "fuse-that-nobody-has"},
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2, done.stderr
        assert "no library is named fuse-that-nobody-has" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_mount_is_served_by_libfuse_3_alone(drive: SimulatedDrive) -> None:
    assert drive._process is not None
    loaded = Path(f"/proc/{drive._process.pid}/maps").read_text()
    assert "/libfuse3.so." in loaded
    assert "/libfuse.so." not in loaded
