"""The drive and the machines of these tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bad_input.support import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A drive folder, and machines that come and go, each with the real command."""
    return Site(tmp_path)
