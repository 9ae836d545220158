"""The example of a study is drilled to HELD, and the one that is usually written loses work."""

from __future__ import annotations

import shutil

import pytest

from tests.docs.pages import REPOSITORY
from tests.drill.conftest import Project

pytestmark = pytest.mark.torture


def test_the_example_of_a_study_holds(project: Project) -> None:
    shutil.copy(REPOSITORY / "examples" / "optuna_study.py", project.root / "train.py")
    report = project.drill(kills=5, simulate=True, varying=("study.db",))
    assert report.held


def test_the_plain_one_loses_work(project: Project) -> None:
    shutil.copy(REPOSITORY / "examples" / "plain" / "optuna_study.py", project.root / "train.py")
    report = project.drill(kills=2, simulate=True, varying=("study.db",))
    assert not report.held
