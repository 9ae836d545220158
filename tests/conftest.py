"""Shared fixtures: a project with a drive folder beside it, and fresh machines for the same project."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import Machine, Rig

# Tests run side by side: torch with as many threads as cores would only wait for itself. Read when torch is first imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A drive folder, and machines that come and go."""
    return Rig(tmp_path)


@pytest.fixture
def machine(rig: Rig) -> Machine:
    """One machine with an empty project and the drive."""
    return rig.machine()


@pytest.fixture
def seeded() -> Callable[[int], random.Random]:
    """A random generator whose seed is printed, so that a failure can be run again."""

    def make(seed: int) -> random.Random:
        print(f"seed {seed}")
        return random.Random(seed)

    return make
