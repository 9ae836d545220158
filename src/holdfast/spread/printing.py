"""What the work of an attempt prints, by whatever part of its process, goes into a file of its unit."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

#: In the folder of the unit.
OUTPUT = "output.log"


@contextlib.contextmanager
def printing(place: Path) -> Iterator[None]:
    """What is printed goes into a file, which is there only where something was."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, before in zip((1, 2), kept, strict=True):
            os.dup2(before, number)
            os.close(before)
        if os.fstat(handle).st_size == 0:
            place.unlink(missing_ok=True)
        os.close(handle)
