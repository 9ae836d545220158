from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.steps.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project with a drive; the steps run in its folder."""
    before = os.getcwd()
    yield Project(tmp_path)
    os.chdir(before)
    sys.modules.pop("steps_of_a_test", None)
