"""A file, or bytes, as the checks read them, which also count what they read."""

from __future__ import annotations

from pathlib import Path


class Held:
    """Bytes as a content.

    Args:
        data: The bytes, or the file that has them.
        size: How many of them count; default all.
    """

    def __init__(self, data: bytes | Path, size: int | None = None) -> None:
        whole = data.read_bytes() if isinstance(data, Path) else data
        self.data = whole if size is None else whole[:size]
        self.reads = 0
        self.taken = 0

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        found = self.data[offset : offset + length]
        self.reads += 1
        self.taken += len(found)
        return found
