"""Real files of many libraries, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.live import samples


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, Path]]:
    return samples.make(tmp_path_factory.mktemp("kinds"))
