"""Folders for temporary files of processes that begin and end at the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from holdfast.spread.cluster.scratch import scratch
from tests.spread.cluster.nodes import HERE

BEGINNING = """
import sys
from pathlib import Path
from holdfast.spread.cluster.scratch import scratch
above, number = Path(sys.argv[1]), sys.argv[2]
for turn in range(150):
    with scratch(above, "some-", f"{number}-{turn}") as place:
        (place / "project").mkdir()
        (place / "project" / "file").write_text("mine")
        assert (place / "project" / "file").read_text() == "mine"
"""


def test_processes_that_begin_at_the_same_time_remove_nothing_of_one_another(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": f"{HERE / 'src'}"}
    begun = [subprocess.Popen([sys.executable, "-c", BEGINNING, str(tmp_path), str(n)], env=environment) for n in range(6)]
    assert [process.wait() for process in begun] == [0] * 6
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_when_the_next_one_begins_and_what_a_live_one_has_stays(tmp_path: Path) -> None:
    left = tmp_path / "some-left"
    left.mkdir()
    (left / "lock").touch()
    (left / "large.bin").write_bytes(b"x" * 1000)
    with scratch(tmp_path, "some-", "first") as first, scratch(tmp_path, "some-", "second") as second:
        assert sorted(p.name for p in tmp_path.iterdir()) == ["some-first", "some-second"]
        assert first.is_dir()
        assert second.is_dir()
    assert list(tmp_path.iterdir()) == []
