"""Folders on a disk and in memory, and a process that reads files.

By hand, on another file system: `HOLDFAST_PLACE=/mnt/overlay pytest tests/store/copies`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.store.apart.job import Apart
from holdfast.store.copies.proofs import Proofs

#: A tmpfs, where leases tell of everything on every machine.
MEMORY = os.environ.get("HOLDFAST_PLACE", "/dev/shm")


@pytest.fixture(params=["disk", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder on the disk, and one on a tmpfs."""
    if request.param == "disk":
        yield tmp_path
    else:
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            yield Path(folder)


@pytest.fixture
def apart() -> Iterator[Apart]:
    """A process that reads files, ended afterwards."""
    made = Apart()
    yield made
    made.close()


@pytest.fixture
def proofs(apart: Apart, place: Path) -> Proofs:
    """What is proven where the test works."""
    found = Proofs(lambda probe, folder: apart.call(probe, folder, seconds=60))
    found.learn(place)
    return found
