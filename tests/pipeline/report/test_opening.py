"""The report of a real run: at its end, on a machine that has nothing of it, and while it is made."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from holdfast.flow.examination import Examiner
from holdfast.pipeline.layout import PREDICTIONS
from holdfast.pipeline.report.gathering import Known, gather
from holdfast.pipeline.report.opening import open_report
from holdfast.pipeline.report.page import page
from holdfast.pipeline.runner import Runner, open_pipeline
from tests.pipeline.project import Lines, Project, experiment
from tests.support import Machine, read_tree


def test_a_finished_run_has_its_report_beside_the_markdown(finished: tuple[Project, Machine]) -> None:
    _, machine = finished
    opened = open_report(machine.keeper(), experiment())
    assert (opened.place, opened.over) == (machine.root / "outputs/report/report.html", True)
    shown = opened.place.read_text()
    metrics = json.loads(machine.read("outputs/final_training/micro/metrics.json"))
    micro = metrics["test"]["micro"]
    low, high = micro["intervals"]["f1"]
    assert f"{micro['f1']:.4f} <small>{low:.3f}\N{EN DASH}{high:.3f}</small>" in shown
    assert len(metrics["learning"]) == 2
    for part in ("Study of micro", "Learning curves of the final training", "Confusion", "Errors by kind", "ONNX (int8)"):
        assert part in shown, part
    assert "hpo/micro: 1 session, 0 disconnects." in shown
    assert (
        f"| micro | {micro['precision']:.4f} | {micro['recall']:.4f} | {micro['f1']:.4f} | {low:.4f} to {high:.4f} |"
        in (machine.outputs / "report/report.md").read_text()
    )


def test_on_a_fresh_machine_it_comes_from_the_store(finished: tuple[Project, Machine]) -> None:
    project, machine = finished
    fresh = Machine(project.rig.folder / "another", project.rig.drive)
    for name in ("data", "encoder"):
        (fresh.root / name).parent.mkdir(parents=True, exist_ok=True)
        (fresh.root / name).symlink_to(project.template / name)
    opened = open_report(fresh.keeper(), experiment())
    assert opened.over
    assert opened.place.read_bytes() == machine.read("outputs/report/report.html")


def test_of_a_study_that_still_runs_it_tells_how_far_it_is_and_changes_nothing_that_is_kept(
    copied: tuple[Project, Machine],
) -> None:
    project, _ = copied
    machine = Machine(project.rig.folder / "begun", project.rig.folder / "another-drive")
    machine.drive.mkdir()
    for name in ("data", "encoder"):
        (machine.root / name).symlink_to(project.template / name)
    seen: list[str] = []

    class Looks(Lines):
        """Looks at the report in the midst of the second trial."""

        def work(self, what: str, done: int, total: int, note: str = "") -> None:
            if "trial 1" in what and done == total // 2 and not seen:
                before = read_tree(machine.outputs)
                opened = open_report(machine.keeper(), experiment())
                assert not opened.over
                assert opened.place.parent.name == ".holdfast"
                assert read_tree(machine.outputs) == before
                seen.append(opened.place.read_text())

    assert Runner(machine.keeper(), experiment(), narration=Looks()).advance("hpo")
    (shown,) = seen
    assert "This run is not over" in shown
    assert "2 of 2 trials (1 complete, 1 running)" in shown
    assert re.search(r"<td>hpo/<wbr>micro</td><td>1 of 2 trials</td>", shown)
    assert "Scores on test" not in shown


def test_predictions_on_test_stand_beside_the_metrics(finished: tuple[Project, Machine]) -> None:
    _, machine = finished
    rows = [json.loads(line) for line in machine.read(f"outputs/final_training/micro/{PREDICTIONS}").splitlines()]
    documents = [json.loads(line) for line in machine.read("outputs/data/test.jsonl").splitlines()]
    assert len(rows) == len(documents)
    for row, document in zip(rows, documents, strict=True):
        for start, end, label in row:
            assert 0 <= start < end <= len(document["text"])
            assert label in {"PERSON", "PLACE"}


@pytest.mark.parametrize("lost", ["final_training/micro/test_predictions.jsonl", "data/test.jsonl", "hpo/micro/study.db"])
def test_what_is_damaged_is_left_out_and_the_rest_is_told(copied: tuple[Project, Machine], lost: str) -> None:
    """As an older version left it, too, which wrote no predictions."""
    _, machine = copied
    (machine.outputs / lost).write_bytes(b"")
    (machine.outputs / "report/report.html").unlink()
    keeper = machine.keeper()
    found = Examiner(keeper, open_pipeline(keeper, experiment()), experiment().run).all()
    known = [Known(f.name, "done", finished=True, stage=f.stage, record=f.record) for f in found]

    def here(key: str) -> Path | None:
        return machine.root / key if (machine.root / key).is_file() else None

    told = page(gather(experiment(), known, here, None, 0.0))
    assert "What was made, and from what" in told
    assert ("Study of micro" in told) is ("study.db" not in lost)
    assert ("Errors by kind" in told) is ("study.db" in lost)
