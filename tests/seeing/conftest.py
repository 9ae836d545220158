"""A simulated Drive to mount."""

from __future__ import annotations

from tests.drive import drive, mount, nothing_stays_mounted

__all__ = ["drive", "mount", "nothing_stays_mounted"]
