"""A cluster for the tests of a module. Ray gives a node half a minute to start, so there is one at a time on this machine."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.spread.cluster.nodes import Nodes


@pytest.fixture(scope="module")
def turn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whoever has it may start a cluster."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with open(shared / "cluster.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, turn: None) -> Iterator[Nodes]:
    """A cluster whose head has no CPU, and no other node yet. Drivers of these tests join it."""
    with pytest.MonkeyPatch.context() as patch:
        made = Nodes(Path(tmp_path_factory.mktemp("nodes")))
        for name, value in {**made.environment, "RAY_ADDRESS": made.address}.items():
            patch.setenv(name, value)
        try:
            yield made
        finally:
            made.close()
