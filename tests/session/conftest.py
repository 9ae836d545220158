"""A simulated Drive to mount, and a machine that backs up in the background."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.drive import drive, mount, nothing_stays_mounted
from tests.leaks import nothing_secret_is_shown
from tests.session.background.machine import Background
from tests.support import Rig

__all__ = ["drive", "mount", "nothing_secret_is_shown", "nothing_stays_mounted"]


@pytest.fixture
def background(rig: Rig) -> Iterator[Background]:
    made = Background(rig)
    yield made
    made.drive.lives()
    made.drive.going.set()
