"""A simulated API of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.simulator.drive_api import DriveApi
from tests.leaks import nothing_secret_is_shown

__all__ = ["nothing_secret_is_shown"]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[DriveApi]:
    with DriveApi(tmp_path / "cloud") as api:
        yield api
