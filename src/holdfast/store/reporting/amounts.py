"""Bytes, numbers of things and stretches of time, for people."""

from __future__ import annotations


def size(count: float) -> str:
    """Bytes in binary units."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def duration(seconds: float) -> str:
    """Seconds in the unit that one would say."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def ago(seconds: float) -> str:
    """How long ago that was. Another machine's clock may run ahead, and then it was just now."""
    return "just now" if seconds < 1 else f"{duration(seconds)} ago" if seconds < 172_800 else f"{seconds / 86_400:.0f} days ago"


def many(count: int, noun: str) -> str:
    """So many of something: `1 file`, `3 files`."""
    return f"{count} {noun if count == 1 else noun + 's'}"
