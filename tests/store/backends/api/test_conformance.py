"""Drive's API keeps what every backend promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.simulator.drive_api import DriveApi
from holdfast.testing.backends import BackendTests, Place
from tests.store.backends.api.support import InCloud, backend


class TestDrivesApi(BackendTests):
    @pytest.fixture
    def place(self, api: DriveApi, tmp_path: Path) -> Iterator[Place]:
        made = InCloud(backend(api, notes=tmp_path / "notes"), tmp_path / "cloud", tmp_path / "scratch")
        yield made
        made.cloud.close()
