"""The processes of a driver, for tests that end them."""

from __future__ import annotations

from pathlib import Path


def workers_of(driver: int) -> list[int]:
    """The processes that a driver has for its trials."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == driver and b"holdfast.spread.worker" in (place / "cmdline").read_bytes():
                found.append(int(place.name))
        except (OSError, ValueError):
            continue
    return sorted(found)
