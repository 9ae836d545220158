"""`keep.plan()` shows every step before anything runs: as a table, and as a drawing."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from holdfast.steps.drawing import columns, svg
from holdfast.steps.plan import Next, Plan
from tests.steps.project import TWO_STEPS, Project

THREE = (
    TWO_STEPS
    + """
@keep.step(outputs="outputs/third.json", inputs=[second, first], ignore=["ran"])
def third(must):
    ran("third")
"""
)


def nexts(plan: Plan) -> list[tuple[str, Next]]:
    return [(row.name, row.next) for row in plan]


def test_every_step_is_shown_and_nothing_runs_or_is_fetched(project: Project) -> None:
    steps = project.load()
    assert nexts(steps.keep.plan()) == [("first", Next.MAKE), ("second", Next.WAIT)]
    assert project.ran() == []
    assert project.here() == []
    steps.second()
    assert nexts(steps.keep.plan()) == [("first", Next.NOTHING), ("second", Next.NOTHING)]
    project.lose()
    steps = project.load()
    assert nexts(steps.keep.plan()) == [("first", Next.FETCH), ("second", Next.FETCH)]
    assert project.here() == []
    assert steps.second().is_file()
    assert nexts(steps.keep.plan()) == [("first", Next.FETCH), ("second", Next.NOTHING)]
    changed = project.load(TWO_STEPS.replace("RATE = 3", "RATE = 4"))
    assert nexts(changed.keep.plan()) == [("first", Next.REFUSED), ("second", Next.WAIT)]
    assert "RATE: 3 then, 4 now" in str(changed.keep.plan())


def test_what_is_gone_and_needed_by_nobody_is_not_to_be_made(tmp_path: Path, project: Project) -> None:
    alone = Project(tmp_path / "alone", drive=False)
    alone.load().second()
    (alone.root / "outputs/first.json").unlink()
    assert nexts(alone.load().keep.plan()) == [("first", Next.UNNEEDED), ("second", Next.NOTHING)]


def test_a_step_that_cannot_be_asked_for_says_why_and_the_others_are_shown(project: Project) -> None:
    plan = project.load(THREE).keep.plan()
    assert nexts(plan)[2] == ("third", Next.REFUSED)
    assert "missing a required argument: 'must'" in plan[2].why
    assert plan[2].before == ("second", "first")


def test_the_table_and_the_drawing_hold_every_step_and_escape_what_they_show(project: Project) -> None:
    plan = project.load(THREE).keep.plan()
    lines = repr(plan).splitlines()
    assert len(lines) == 4
    assert lines[1].split()[0] == "first"
    html = plan._repr_html_()
    assert html.count("<tr>") == 4
    root = ET.fromstring(plan.svg)
    texts = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[::2] == ["first", "second", "third"]
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) == 3
    odd = svg([("<b>&", "to make", "MAKE", [])])
    assert "<b>" not in odd
    ET.fromstring(odd)
    assert "no steps yet" in repr(Plan([]))
    assert "no steps yet" in Plan([])._repr_html_()


def test_a_step_stands_right_of_all_that_it_builds_on() -> None:
    assert columns({"a": [], "b": ["a"], "c": ["a", "b"], "d": ["missing"]}) == {"a": 0, "b": 1, "c": 2, "d": 0}
