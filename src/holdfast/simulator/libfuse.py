"""The one module that loads libfuse."""

from __future__ import annotations

from typing import Any

from mfusepy import FUSE  # type: ignore[import-untyped]


class Fuse(FUSE):  # type: ignore[misc]
    """`mfusepy.FUSE`, whose `truncate` says which handle is meant.

    libfuse passes no path for an open file here, and mfusepy 3.1 then passes no handle either.
    """

    def truncate_fuse_3(self, path: bytes | None, length: int, fip: Any) -> int:
        """Pass the handle on, where there is one."""
        decoded = None if path is None else path.decode(self.encoding, self.errors)
        return int(self.operations.truncate(decoded, length, fip.contents.fh if fip else None))
