"""The end of the work on a machine, on a real mount of a Drive that is full, and of one that is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.simulator import SimulatedDrive
from holdfast.simulator.weather import Full, Weather

WORK = """
import pathlib, holdfast
keep = holdfast.attach()
pathlib.Path("outputs/run").mkdir(parents=True)
for name in "abcdefgh":
    pathlib.Path("outputs/run", name).write_bytes(__import__("os").urandom(500_000))
    keep.backup("outputs/run")
"""


@pytest.mark.parametrize(
    ("quota", "full", "code", "reason"),
    [
        pytest.param(1_200_000, Full.ENOSPC, 5, "Drive is full: empty Drive's trash", id="refused"),
        pytest.param(1_200_000, Full.SILENT, 5, "Drive is full: empty Drive's trash", id="never uploaded"),
        pytest.param(15 << 30, Full.SILENT, 0, "", id="room"),
    ],
)
def test_a_drive_that_is_full_is_named_and_not_waited_for(tmp_path: Path, quota: int, full: Full, code: int, reason: str) -> None:
    root = tmp_path / "project"
    root.mkdir()
    with SimulatedDrive(tmp_path / "drive", speed=600.0, quota=quota, weather=Weather(full=full)) as drive:
        (drive.my_drive / "store").mkdir()
        environment = {**os.environ, "HOLDFAST_DRIVE": str(drive.my_drive / "store")}
        subprocess.run([sys.executable, "-c", WORK], cwd=root, env=environment, check=False)
        safe = [sys.executable, "-m", "holdfast.unattended.safe", "3", str(tmp_path / "unsafe.json")]
        ended = subprocess.run(safe, cwd=root, env=environment, check=False, timeout=600)
    assert ended.returncode == code
    told = json.loads((tmp_path / "unsafe.json").read_text())
    assert told["full"].startswith(reason)
    assert bool(told["missing"]) is bool(code)
