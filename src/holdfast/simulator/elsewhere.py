"""The account's Drive as another machine, or a person at drive.google.com, sees and changes it: at once, by path."""

from __future__ import annotations

import tempfile
from pathlib import Path

from holdfast.simulator.cloud import Cloud
from holdfast.simulator.items import ROOT, Content
from holdfast.simulator.limits import Limits
from holdfast.simulator.tree import Node, Tree


class Elsewhere:
    """Looks into a cloud folder and changes it. A mount shows the changes after its weather's `foreign_delay`.

    Args:
        folder: The cloud folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def files(self) -> dict[str, bytes]:
        """Path below `My Drive` to content, of every file that is not in the trash. Twins are shown as a mount shows them."""
        cloud = Cloud(self._folder)
        try:
            return {node.path: _content(cloud, node) for node in Tree(cloud.items()).nodes() if not node.folder}
        finally:
            cloud.close()

    def folders(self) -> list[str]:
        """Paths of all folders."""
        cloud = Cloud(self._folder)
        try:
            return sorted(node.path for node in Tree(cloud.items()).nodes() if node.folder)
        finally:
            cloud.close()

    def put(self, path: str, content: bytes) -> None:
        """Write a file, over the one that is there, making the folders above it."""
        self._put(path, content, twin=False)

    def twin(self, path: str, content: bytes) -> None:
        """Write a second file of the same name beside the one that is there."""
        self._put(path, content, twin=True)

    def _put(self, path: str, content: bytes, *, twin: bool) -> None:
        cloud = Cloud(self._folder)
        try:
            node = Tree(cloud.items()).root
            parts = path.split("/")
            parent = ROOT
            for position, part in enumerate(parts[:-1]):
                below = node.children.get(part)
                if below is None:
                    parent = _make_folders(cloud, parent, parts[position:-1])
                    node = Node("", folder=True, parent=None, local_id="")
                    break
                node, parent = below, below.id
            there = None if twin else node.children.get(parts[-1])
            kept = _keep(cloud, content)
            if there is None:
                cloud.create(parent, parts[-1], kept)
            else:
                cloud.update(there.id, kept)
        finally:
            cloud.close()

    def remove(self, path: str) -> None:
        """Put a file or folder into the trash."""
        cloud = Cloud(self._folder)
        try:
            cloud.trash(Tree(cloud.items()).find(path).id)
        finally:
            cloud.close()

    def empty_trash(self) -> None:
        """Delete what is in the trash."""
        cloud = Cloud(self._folder)
        cloud.empty_trash()
        cloud.close()

    def used(self) -> int:
        """Bytes that count against the quota."""
        cloud = Cloud(self._folder)
        try:
            return cloud.used()
        finally:
            cloud.close()

    def set_quota(self, size: int) -> None:
        """Change the quota, for every mount at once."""
        Cloud(self._folder, quota=size).close()

    def set_limits(self, limits: Limits) -> None:
        """Change the other limits of the account, for every mount at once."""
        cloud = Cloud(self._folder)
        cloud.limits = limits
        cloud.close()


def _make_folders(cloud: Cloud, parent: str, names: list[str]) -> str:
    for name in names:
        parent = cloud.create(parent, name, None).id
    return parent


def _keep(cloud: Cloud, content: bytes) -> Content:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return cloud.keep(Path(file.name) if content else None)


def _content(cloud: Cloud, node: Node) -> bytes:
    assert node.item is not None
    return cloud.content_path(node.item.blob).read_bytes() if node.item.blob else b""
