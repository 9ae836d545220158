"""The examples with a Trainer, drilled as their heads say; the plain one, without our lines, loses its work."""

from __future__ import annotations

import shutil

import pytest

from holdfast.drill.report import lines
from tests.docs.pages import REPOSITORY
from tests.drill.conftest import Project


@pytest.mark.torture
@pytest.mark.parametrize(
    ("script", "verdict"), [("hf_trainer.py", "HELD"), ("trl_peft.py", "HELD"), ("plain/hf_trainer.py", "EVERY START BEGINS ANEW")]
)
def test_an_example_that_trains_goes_on_with_our_lines_and_begins_anew_without(project: Project, script: str, verdict: str) -> None:
    shutil.copy(REPOSITORY / "examples" / script, project.root / "train.py")
    report = project.drill(kills=5, seed=3, simulate=True, varying=("outputs/run/*",))
    assert lines(report)[0].partition(": ")[0] == verdict
