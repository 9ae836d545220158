"""The scripts of examples/drilled: each says at its head what the drill has to say of it. Real kills; a sample is in tests/cli."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from holdfast.drill.report import lines
from tests.docs.pages import REPOSITORY
from tests.drill.conftest import Project

SCRIPTS = sorted((REPOSITORY / "examples" / "drilled").glob("*.py"))
MARK = "The drill says: "


def wanted(script: Path) -> str:
    (said,) = [line.removeprefix(MARK) for line in script.read_text().splitlines() if line.startswith(MARK)]
    return said


def test_at_least_five_go_on_and_five_only_seem_to() -> None:
    held = [wanted(script) == "HELD" for script in SCRIPTS]
    assert held.count(True) >= 5
    assert held.count(False) >= 5


@pytest.mark.torture
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_verdict_on_a_script_that_goes_on_or_only_seems_to_is_right(project: Project, script: Path, seed: int) -> None:
    shutil.copy(script, project.root / "train.py")
    report = project.drill(kills=3, seed=seed)
    assert lines(report)[0].partition(": ")[0] == wanted(script)
    assert report.held is (wanted(script) == "HELD")
