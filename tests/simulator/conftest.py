"""A simulated Drive to mount, and the proof that nothing stays mounted."""

from __future__ import annotations

from tests.drive import Mount, drive, left_mounted, mount, nothing_stays_mounted

__all__ = ["Mount", "drive", "left_mounted", "mount", "nothing_stays_mounted"]
