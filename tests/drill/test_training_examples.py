"""The examples of trainings and studies, drilled as their heads say: with our lines they hold, and without them they begin anew."""

from __future__ import annotations

import re

import pytest

from holdfast.drill.report import Report, lines
from tests.docs.pages import REPOSITORY
from tests.drill.conftest import Project

pytestmark = pytest.mark.long

#: Each with the files that hold times and random states, so that no two runs write the same.
VARYING = {
    "hf_trainer.py": "outputs/run/*",
    "keras_mnist.py": "outputs/run/*",
    "lightning_autoencoder.py": "outputs/run/*",
    "optuna_study.py": "study.db",
    "pytorch_loop.py": "outputs/run/*",
    "trl_peft.py": "outputs/run/*",
}
#: Killed in every run of the tests; the others are in `make torture`, and have their own kills in tests/integrations.
OFTEN = ("pytorch_loop.py",)


def short(text: str) -> str:
    """It sleeps less, and saves sooner."""
    text = re.sub(r"sleep\(([0-9.]+)\)", lambda found: f"sleep({float(found[1]) / 25})", text)
    return text.replace('every="1s"', 'every="0.1s"')


def drilled(project: Project, script: str, *, kills: int, simulate: bool) -> Report:
    text = (REPOSITORY / "examples" / script).read_text(encoding="utf-8")
    (project.root / "train.py").write_text(text if simulate else short(text), encoding="utf-8")
    name = script.rpartition("/")[2]
    report = project.drill(kills=kills, seed=3, simulate=simulate, varying=(VARYING[name],))
    print("\n".join(lines(report)))
    return report


def verdict(report: Report) -> str:
    return lines(report)[0].partition(": ")[0]


def test_each_example_has_the_tutorial_without_our_lines_beside_it() -> None:
    assert {p.name for p in (REPOSITORY / "examples" / "plain").glob("*.py")} == set(VARYING)


@pytest.mark.parametrize(
    "script", [script if script in OFTEN else pytest.param(script, marks=pytest.mark.torture) for script in VARYING]
)
def test_an_example_that_is_killed_once_ends_as_without_a_kill(project: Project, script: str) -> None:
    report = drilled(project, script, kills=1, simulate=False)
    assert report.held
    assert len(report.kills) == 1


@pytest.mark.torture
@pytest.mark.parametrize("script", VARYING)
def test_an_example_that_is_killed_five_times_on_a_simulated_drive_is_held(project: Project, script: str) -> None:
    report = drilled(project, script, kills=5, simulate=True)
    assert verdict(report) == "HELD"
    assert len(report.kills) == 5


@pytest.mark.torture
@pytest.mark.parametrize("script", VARYING)
def test_the_tutorial_without_our_lines_begins_anew(project: Project, script: str) -> None:
    report = drilled(project, f"plain/{script}", kills=5, simulate=True)
    assert verdict(report) == "EVERY START BEGINS ANEW"
