"""The example with Keras, drilled as its head says; the plain one, with BackupAndRestore, does not hold."""

from __future__ import annotations

import shutil

import pytest

from holdfast.drill.report import lines
from tests.docs.pages import REPOSITORY
from tests.drill.conftest import Project


@pytest.mark.torture
@pytest.mark.parametrize(("script", "verdict"), [("keras_mnist.py", "HELD"), ("plain/keras_mnist.py", "EVERY START BEGINS ANEW")])
def test_the_example_of_keras_goes_on_with_our_lines_and_begins_anew_without(project: Project, script: str, verdict: str) -> None:
    shutil.copy(REPOSITORY / "examples" / script, project.root / "train.py")
    report = project.drill(kills=5, seed=3, simulate=True, varying=("outputs/run/*",))
    assert lines(report)[0].partition(": ")[0] == verdict
