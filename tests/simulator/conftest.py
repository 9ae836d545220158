"""A simulated Drive to mount, and the proof that nothing stays mounted."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from tests.drive import Mount, drive, left_mounted, mount, nothing_stays_mounted

__all__ = ["Mount", "drive", "left_mounted", "mount", "nothing_stays_mounted"]

NO_FUSE = not (
    os.access("/dev/fuse", os.R_OK | os.W_OK) and shutil.which("fusermount3") and importlib.util.find_spec("mfusepy") is not None
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if NO_FUSE and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="needs /dev/fuse, Debian's fuse3 and mfusepy"))
