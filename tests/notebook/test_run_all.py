"""*Run all* to the end, and again: nothing is done twice."""

from __future__ import annotations

from tests.notebook.conftest import Colab, the_same
from tests.pipeline.project import STAGES
from tests.support import Machine, read_tree


def test_run_all_comes_to_the_end_and_run_again_does_nothing(machines: Colab, reference: Machine) -> None:
    one = machines.machine()
    first = one.run_all()
    assert first.end == "done", first
    assert first.error == ""
    assert [line.partition(":")[0] for line in first.text.splitlines() if line.endswith(": begins")] == STAGES
    assert "Done: 7 stage(s) ran" in first.of("pipeline.summary()")
    assert f"report: {one.root}/outputs/report/report.html" in first.of("pipeline.summary()")  # it is shown
    assert f"Everything is safe in {machines.mount_point}/MyDrive/proj." in first.of("keep.finish")
    assert "IProgress" not in first.text
    the_same(one.root, reference)
    before = read_tree(one.root / "outputs")
    again = one.run_all()
    assert again.end == "done", again
    assert "begins" not in again.text
    assert "Done: every stage was done before." in again.text
    assert "not needed" in again.of("restore_training")
    assert read_tree(one.root / "outputs") == before
