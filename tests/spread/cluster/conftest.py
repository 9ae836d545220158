"""A cluster for the tests of a module. Ray gives a node half a minute to start, so there is one at a time on this machine."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.spread.cluster.nodes import Nodes


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """A cluster whose head has no CPU, and no other node yet. Drivers of these tests join it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with open(shared / "cluster.lock", "w") as lock, pytest.MonkeyPatch.context() as patch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = Nodes(Path(tmp_path_factory.mktemp("nodes")))
        for name, value in {**made.environment, "RAY_ADDRESS": made.address}.items():
            patch.setenv(name, value)
        try:
            yield made
        finally:
            made.close()
