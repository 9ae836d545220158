"""Where no cluster is named one is started on this machine. It ends with its driver, and the study is that of `engine: local`."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.spread.cluster import cheap
from tests.spread.cluster.story import Story
from tests.support import Machine, Rig

pytestmark = pytest.mark.long

STARTED = re.compile(r"engine: ray: no cluster is named, so one was started on this machine, with \d+ CPUs?; it ends with this run")


@pytest.fixture
def temporary() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="hf-", dir="/tmp"))
    yield place
    shutil.rmtree(place, ignore_errors=True)


def test_a_cluster_that_is_started_here_is_gone_with_its_driver_and_the_next_one_goes_on(
    turn: None, rig: Rig, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(temporary))
    alone, there = Story(tmp_path / "alone", 2, 0.0), Machine(tmp_path / "alone" / "machine", tmp_path / "alone")
    assert alone.run(there, "local")

    story, driver = Story(tmp_path / "spread", 2, 0.05), rig.machine()
    assert not story.run(driver, "ray", lambda line: line.startswith("kept"))  # killed
    _nothing_runs(story)
    assert list(temporary.glob("hf-ray-*")), "else nothing was left to be removed"
    assert story.run(driver, "ray", RAY_ADDRESS="local")
    _nothing_runs(story)
    assert len([line for line in story.said if STARTED.fullmatch(line)]) == 2
    assert cheap.found(driver.root) == cheap.found(there.root)
    assert "ray" not in "".join(log.read_text() for log in story.steps.parent.glob("*.log")).lower()
    assert not (tmp_path / "home").exists()
    assert not [place for place in temporary.iterdir() if place.name.startswith("hf-ray-") or place.name == "ray"]


def _nothing_runs(story: Story) -> None:
    """No process is left that has its environment from the driver."""
    until = time.monotonic() + 20
    while (left := _processes(story)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left


def _processes(story: Story) -> list[str]:
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if f"{cheap.STEPS_VARIABLE}={story.steps}".encode() in (place / "environ").read_bytes().split(b"\0"):
                found.append(f"{place.name} {(place / 'cmdline').read_bytes()!r}")
        except OSError:
            continue
    return found
