"""Turns: a count that all processes of a workspace share, so that they know what came before what. No clock has a part in it.

It is a file to which each turn appends a byte, which needs no lock: the system appends one after the other, and tells each one
where its byte lies (write(2), O_APPEND). It begins with a random word, so that one that was deleted is not taken for the next one.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from holdfast.platform import BINARY, random_hex

_WORD_BYTES = 8


def next_turn(place: Path) -> tuple[str, int]:
    """Take the next turn.

    Args:
        place: The file; made where there is none.

    Returns:
        Which count it is, and the number of the turn, which is above that of every turn that was taken before.

    Raises:
        OSError: the disk is full, or denies it.
    """
    try:
        handle = _open(place)
    except FileNotFoundError:
        _begin(place)
        handle = _open(place)
    try:
        os.write(handle, b".")
        number = os.lseek(handle, 0, os.SEEK_CUR)
        os.lseek(handle, 0, os.SEEK_SET)
        return os.read(handle, _WORD_BYTES).decode("ascii", "replace"), number
    finally:
        os.close(handle)


def _open(place: Path) -> int:
    return os.open(place, os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | BINARY)


def _begin(place: Path) -> None:
    """Make the file, with its word in it from the beginning; leave one that another process makes at the same time."""
    fresh = place.with_name(f"{place.name}.{random_hex(4)}")
    try:
        fresh.write_bytes(random_hex(_WORD_BYTES // 2).encode())
        try:
            os.link(fresh, place)
        except FileExistsError:
            pass
        except OSError:  # no hard links here
            if not place.exists():
                os.replace(fresh, place)
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
