"""A simulated API to ask, over a cloud of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.simulator.drive_api import DriveApi
from tests.drive import Mount, drive, left_mounted, mount, nothing_stays_mounted
from tests.simulator.drive_api.support import Client

__all__ = ["Mount", "drive", "left_mounted", "mount", "nothing_stays_mounted"]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[DriveApi]:
    with DriveApi(tmp_path / "cloud") as api:
        yield api


@pytest.fixture
def client(api: DriveApi) -> Iterator[Client]:
    with Client(api) as client:
        yield client
