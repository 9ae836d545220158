"""PyTorch's own tutorial under the drill: with our lines it holds, without them it loses work."""

from __future__ import annotations

import shutil
import sys

import pytest

from tests.docs.pages import REPOSITORY
from tests.drill.conftest import Project


@pytest.mark.torture
def test_the_tutorial_with_our_lines_is_held_and_without_them_loses_work(project: Project) -> None:
    for name in ("pytorch_loop.py", "plain/pytorch_loop.py"):
        (project.root / name).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / "examples" / name, project.root / name)
    ours = project.drill(sys.executable, "pytorch_loop.py", kills=5, simulate=True, varying=("run/*",))
    assert ours.held
    plain = project.drill(sys.executable, "plain/pytorch_loop.py", kills=5, simulate=True)
    assert not plain.held
