"""The bytes of files on one machine's own disk: what was written here, and what was fetched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from holdfast.simulator.cloud import Cloud
from holdfast.simulator.counters import Counters
from holdfast.simulator.tree import Node


class Contents:
    """Reads and writes the content of nodes. A file opened for no longer than one call, since an upload gives it away.

    Args:
        folder: For what is not uploaded.
        cloud: For what is.
        counters: Where downloads are counted.
    """

    def __init__(self, folder: Path, cloud: Cloud, counters: Counters) -> None:
        self._folder = folder
        self._cloud = cloud
        self._counters = counters
        self._made = 0

    def new(self) -> Path:
        """An empty content."""
        self._made += 1
        place = self._folder / str(self._made)
        place.touch()
        return place

    def read(self, node: Node, size: int, offset: int) -> tuple[bytes, int]:
        """Bytes of a file, and how many of them had to come from the cloud."""
        source, fresh = node.scratch, 0
        if source is None and node.item is not None and node.item.blob:
            source = self._cloud.content_path(node.item.blob)
            reach = min(offset + size, node.size)
            fresh = max(0, reach - node.fetched)
            node.fetched = max(node.fetched, reach)
            self._counters.add("bytes_down", fresh)
        if source is None:
            return b"", 0
        with open(source, "rb") as file:
            return os.pread(file.fileno(), size, offset), fresh

    def write(self, node: Node, data: bytes, offset: int) -> None:
        """Write, in a content of this machine's own."""
        scratch = self._own(node, node.size)
        handle = os.open(scratch, os.O_WRONLY)
        try:
            os.pwrite(handle, data, offset)
        finally:
            os.close(handle)
        node.size = max(node.size, offset + len(data))

    def truncate(self, node: Node, size: int) -> None:
        """Cut, or fill up with zeros."""
        os.truncate(self._own(node, min(size, node.size)), size)
        node.size = size

    def _own(self, node: Node, size: int) -> Path:
        """A content that this machine may change, of which the first `size` bytes are the old ones."""
        if node.scratch is None:
            node.scratch = self.new()
            node.touched = True
            if size and node.item is not None:
                shutil.copyfile(self._cloud.content_path(node.item.blob), node.scratch)
                os.truncate(node.scratch, size)
                self._counters.add("bytes_down", max(0, size - node.fetched))
        return node.scratch
