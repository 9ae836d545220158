"""What one machine sees: folders and files by their shown names."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.simulator.items import ROOT, Item

MOUNTPOINT = "/"
MY_DRIVE = "My Drive"
#: The name without a space that Colab offers for the same folder.
ALIAS = "MyDrive"
LONGEST_NAME = 255


@dataclass(eq=False, slots=True)
class Node:
    """A file or folder as this machine sees it.

    Args:
        name: As shown; a twin's differs from its name in the cloud.
        folder: Whether it is a folder.
        parent: None for `My Drive`.
        local_id: What it is called before the cloud has named it.
        item: What the cloud has of it, as far as this machine knows; None before it is uploaded.
        scratch: The content on this machine where it differs from the cloud's.
        fetched: So many bytes of the cloud's content are on this machine already.
        touched: It was read or written here, so its content is warm.
        writers: Handles that are open for writing.
        moved: Its name or folder differs from the cloud's.
        gone: It was removed here.
        emptied: It was truncated before it was removed.
    """

    name: str
    folder: bool
    parent: Node | None
    local_id: str
    item: Item | None = None
    children: dict[str, Node] = field(default_factory=dict)
    size: int = 0
    modified: float = 0.0
    scratch: Path | None = None
    fetched: int = 0
    touched: bool = False
    writers: int = 0
    moved: bool = False
    gone: bool = False
    emptied: bool = False

    @property
    def id(self) -> str:
        """`local-...` until it is uploaded."""
        return self.item.id if self.item is not None else self.local_id

    @property
    def path(self) -> str:
        """Below `My Drive`, which itself is the empty path."""
        if self.parent is None:
            return ""
        above = self.parent.path
        return f"{above}/{self.name}" if above else self.name

    @property
    def uncommitted(self) -> bool:
        """Whether this machine has something of it that the cloud does not."""
        return self.item is None or self.scratch is not None or self.moved or self.gone

    def take(self, item: Item) -> None:
        """Show what the cloud has, unless this machine has its own newer content."""
        if self.item is None or self.item.blob != item.blob:
            self.fetched = 0
            self.touched = False
        self.item = item
        if self.scratch is None:
            self.size = item.size
            self.modified = item.modified


class Tree:
    """The folders and files below `My Drive`."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        root = Item(ROOT, "", MY_DRIVE, True, "", 0, "", 1, False, 0, 0, "", 0.0)
        self.root = Node(MY_DRIVE, folder=True, parent=None, local_id=ROOT, item=root)
        self._by_id = {ROOT: self.root}
        self._locals = 0
        waiting = list(items)
        while waiting:  # a moved folder can be younger than what is in it
            left = [item for item in waiting if not self.graft(item)]
            if len(left) == len(waiting):
                break  # the rest lies in folders that are in the trash
            waiting = left

    def find(self, path: str) -> Node:
        """The node at a path below `My Drive`.

        Raises:
            OSError: ENOENT or ENOTDIR.
        """
        node = self.root
        for part in path.split("/") if path else ():
            if not node.folder:
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            found = node.children.get(part)
            if found is None:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            node = found
        return node

    def by_id(self, id_: str) -> Node | None:
        """The node that the cloud knows by this id."""
        return self._by_id.get(id_)

    def add(self, folder: Node, name: str, *, is_folder: bool, modified: float) -> Node:
        """A node that only this machine has."""
        self._locals += 1
        node = Node(name, is_folder, folder, f"local-{self._locals}", modified=modified)
        folder.children[name] = node
        return node

    def named(self, node: Node, item: Item) -> None:
        """The cloud has taken a node."""
        node.take(item)
        self._by_id[item.id] = node

    def graft(self, item: Item) -> bool:
        """Show an item of the cloud. False where its folder is not known."""
        folder = self._by_id.get(item.parent)
        if folder is None or folder.gone:
            return False
        name = free_name(folder, item.name)
        node = Node(name, item.folder, folder, item.id)
        node.take(item)
        folder.children[name] = node
        self._by_id[item.id] = node
        return True

    def detach(self, node: Node) -> None:
        """Show it no longer. Handles that are open keep it."""
        if node.parent is not None and node.parent.children.get(node.name) is node:
            del node.parent.children[node.name]

    def attach(self, node: Node, folder: Node, name: str) -> None:
        """Show it in another place."""
        self.detach(node)
        node.parent, node.name = folder, name
        folder.children[name] = node

    def nodes(self) -> Iterator[Node]:
        """Everything below `My Drive`, folders before what is in them."""
        stack = [self.root]
        while stack:
            node = stack.pop()
            for child in node.children.values():
                yield child
                stack.append(child)


def free_name(folder: Node, name: str) -> str:
    """How an item is shown where its name may be taken: `a.json`, then `a (1).json`, then `a (2).json` (ct#6106)."""
    stem, extension = os.path.splitext(name)
    shown, number = name, 0
    while shown in folder.children:
        number += 1
        shown = f"{stem} ({number}){extension}"
    return shown


def local_path(path: str) -> str | None:
    """What a path of the mount is below `My Drive`; None for the mountpoint.

    Raises:
        OSError: ENOENT for what lies beside `My Drive`.
    """
    parts = path.strip("/").split("/")
    if parts == [""]:
        return None
    if parts[0] not in (MY_DRIVE, ALIAS):
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return "/".join(parts[1:])
