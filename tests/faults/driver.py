"""The backup that people write first, as a command: `driver.py SOURCE TARGET`. The sweep has to catch it.

It stands in the table beside Holdfast, so that one sees that the sweep can fail.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


def replace_by_copy(source: Path, target: Path) -> None:
    """Make the target a copy of the source, by way of nothing."""
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(source, target)


if __name__ == "__main__":
    replace_by_copy(Path(sys.argv[1]), Path(sys.argv[2]))
