"""What several entries of the table say, in the same words."""

from __future__ import annotations

SAVE = "back up after the save, or save beside it and move it in"
CUT = "does not open"
