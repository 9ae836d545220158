from __future__ import annotations

from pathlib import Path

from holdfast.flow.life import Life, read_life
from holdfast.pipeline.report.lives import tell


def test_the_nodes_that_had_the_work_done_are_told_in_their_order(tmp_path: Path) -> None:
    life = Life(tmp_path / "life.json", "one", "laptop", lambda: 1e9)
    for node in ("left", "left", "right"):
        life.worked_on(node)
        life.kept(4.0)
    life.ended("finished")
    alone = Life(tmp_path / "life.json", "two", "laptop", lambda: 2e9)
    alone.ended("finished")
    assert [told.machine for told in tell(read_life(tmp_path / "life.json"), "step")] == [
        "laptop, on node left, then right",
        "laptop",
    ]
