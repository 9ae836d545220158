"""The FUSE operations: each counts, asks the weather, and passes on to the machine."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from holdfast.simulator.attributes import DRIVE_PREFIX, attributes, drive_attribute
from holdfast.simulator.conditions import Conditions, refusal
from holdfast.simulator.counters import Counters
from holdfast.simulator.machine import Machine
from holdfast.simulator.tree import ALIAS, MOUNTPOINT, MY_DRIVE, Node, local_path
from holdfast.simulator.weather import Death

_BLOCK = 4096
#: Documents of Google's own editors have no bytes; opening one is refused.
_EDITOR_FILES = (".gdoc", ".gsheet", ".gslides", ".gform", ".gdraw")

_COUNTED = {
    "lookup": "lookups",
    "list": "listings",
    "open": "opens",
    "create": "creates",
    "read": "reads",
    "write": "writes",
    "truncate": "truncates",
    "flush": "flushes",
    "fsync": "fsyncs",
    "attribute": "attributes",
    "remove": "removes",
    "mkdir": "mkdirs",
    "rmdir": "rmdirs",
    "rename": "renames",
    "statfs": "statfs",
    "chmod": "chmods",
    "link": "links",
    "symlink": "links",
}


@dataclass
class _Handle:
    """An open file or folder; the node is None for the mountpoint."""

    node: Node | None
    writing: bool = False
    read: bool = False

    @property
    def path(self) -> str:
        return MOUNTPOINT if self.node is None else self.node.path

    @property
    def file(self) -> Node:
        if self.node is None:
            raise refusal(errno.EISDIR, MOUNTPOINT)
        return self.node


class Mount:
    """What mfusepy calls. Times are in nanoseconds; with a handle libfuse passes no path, so that a removed file stays readable.

    Args:
        machine: DriveFS on this machine.
        conditions: The weather.
        counters: What is counted.
        started: Called once the mount stands.
    """

    use_ns = True
    flag_nopath = True
    flag_nullpath_ok = True

    def __init__(self, machine: Machine, conditions: Conditions, counters: Counters, started: Callable[[], None]) -> None:
        self._machine = machine
        self._conditions = conditions
        self._counters = counters
        self._started = started
        self._numbers = itertools.count(1)
        self._handles: dict[int, _Handle] = {}

    def init(self, path: str) -> None:
        """The mount stands."""
        self._started()

    def _enter(self, operation: str, path: str) -> None:
        self._counters.add(_COUNTED[operation])
        self._conditions.check(operation, path)
        if self._conditions.weather.death is Death.ALIVE:
            self._machine.settle()

    def _at(self, operation: str, path: str) -> str:
        """Enter an operation on something below `My Drive`; what lies at the mountpoint itself cannot be changed."""
        below = local_path(path)
        self._enter(operation, MOUNTPOINT if below is None else below)
        if below is None:
            raise refusal(errno.EPERM, path)
        return below

    def _held(self, operation: str, fh: int) -> _Handle:
        handle = self._handles[fh]
        self._enter(operation, handle.path)
        return handle

    def _open(self, handle: _Handle) -> int:
        number = next(self._numbers)
        self._handles[number] = handle
        return number

    # --- Looking ---

    def getattr(self, path: str | None, fh: int | None = None) -> dict[str, int]:
        """Kind, size and time. Files are shown as 0600 whatever was asked for."""
        if path is None:
            assert fh is not None
            node = self._held("lookup", fh).node
        else:
            below = local_path(path)
            self._enter("lookup", MOUNTPOINT if below is None else below)
            node = None if below is None else self._machine.find(below)
        if node is None:
            return attributes(folder=True)
        return attributes(folder=node.folder, size=node.size, modified=node.modified)

    def opendir(self, path: str) -> int:
        """A handle on a folder."""
        below = local_path(path)
        return self._open(_Handle(None if below is None else self._machine.find(below)))

    def readdir(self, path: str | None, fh: int) -> Iterable[tuple[str, dict[str, int], int]]:
        """Names, with their kinds."""
        node = self._held("list", fh).node
        if node is None:
            names = [(MY_DRIVE, True), (ALIAS, True)]
        else:
            names = self._machine.names(node)
            self._conditions.wait(lambda weather: weather.latency.listing)
        return [(name, attributes(folder=folder), 0) for name, folder in [(".", True), ("..", True), *names]]

    def releasedir(self, path: str | None, fh: int) -> int:
        """Forget a handle."""
        del self._handles[fh]
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        """The account's quota, not this machine's disk (ct#6051)."""
        self._enter("statfs", MOUNTPOINT)
        total, free = self._machine.space()
        blocks, left = total // _BLOCK, free // _BLOCK
        return {"f_bsize": _BLOCK, "f_frsize": _BLOCK, "f_blocks": blocks, "f_bfree": left, "f_bavail": left, "f_namemax": 255}

    def getxattr(self, path: str, name: str, position: int = 0) -> bytes:
        """`user.drive.*` by name. Whatever else the kernel and its tools ask for is not there."""
        if not name.startswith(DRIVE_PREFIX):
            raise refusal(errno.ENODATA, path)
        node = self._machine.find(self._at("attribute", path))
        return drive_attribute(node, name, self._conditions.weather.attributes).encode()

    def listxattr(self, path: str) -> list[str]:
        """None: the attributes answer by name only."""
        return []

    # --- Files ---

    def create(self, path: str, mode: int, flags: int) -> int:
        """Make a file and open it."""
        below = self._at("create", path)
        try:
            node = self._machine.add(below, is_folder=False)
        except FileExistsError:
            if flags & os.O_EXCL:
                raise
            return self.open(path, flags)
        return self._open(_Handle(node, writing=True))

    def open(self, path: str, flags: int) -> int:
        """Open a file; truncate it where that is asked."""
        below = self._at("open", path)
        node = self._machine.find(below)
        if node.name.endswith(_EDITOR_FILES):
            raise refusal(errno.EOPNOTSUPP, path)
        writing = bool(flags & (os.O_WRONLY | os.O_RDWR))
        if writing and self._conditions.weather.readonly:
            raise refusal(errno.EROFS, path)
        if writing:
            self._machine.open_to_write(node)
        if flags & os.O_TRUNC:
            self._counters.add("truncates")
            self._machine.truncate(node, 0)
        return self._open(_Handle(node, writing))

    def read(self, path: str | None, size: int, offset: int, fh: int) -> bytes:
        """Read; the first read of a cold file fetches it."""
        handle = self._held("read", fh)
        node = handle.file
        if not handle.read:
            handle.read = True
            first = self._machine.begin_read(node)
            self._conditions.wait(lambda _: first)
        size = self._conditions.readable(min(size, max(0, node.size - offset)), node.path)
        data, fresh = self._machine.read(node, size, offset)
        if fresh:
            self._conditions.wait(lambda weather: fresh / weather.latency.bytes_per_second)
        self._counters.add("bytes_read", len(data))
        return data

    def write(self, path: str | None, data: bytes, offset: int, fh: int) -> int:
        """Write to this machine; the upload comes later."""
        handle = self._held("write", fh)
        node = handle.file
        if not handle.writing:  # one of several descriptors was closed before, and another goes on
            handle.writing = True
            self._machine.open_to_write(node)
        written = self._machine.write(node, data, offset)
        self._counters.add("bytes_written", written)
        return written

    def truncate(self, path: str | None, length: int, fh: int | None = None) -> int:
        """Change a file's length."""
        if path is None:
            assert fh is not None
            node = self._held("truncate", fh).file
        else:
            node = self._machine.find(self._at("truncate", path))
        self._machine.truncate(node, length)
        return 0

    def flush(self, path: str | None, fh: int) -> int:
        """A descriptor is closed, and the file's upload clock starts. Says nothing about the cloud."""
        self._stop_writing(self._held("flush", fh))
        return 0

    def _stop_writing(self, handle: _Handle) -> None:
        if handle.writing:
            handle.writing = False
            self._machine.close_after_writing(handle.file)

    def fsync(self, path: str | None, datasync: int, fh: int) -> int:
        """Succeeds, and says nothing about the cloud *(assumed)*."""
        self._held("fsync", fh)
        return 0

    def fsyncdir(self, path: str | None, datasync: int, fh: int) -> int:
        """As `fsync`."""
        return self.fsync(path, datasync, fh)

    def release(self, path: str | None, fh: int) -> int:
        """Forget a handle. The kernel asks for this some time after the close has returned, so nothing may wait for it."""
        self._stop_writing(self._handles.pop(fh))
        return 0

    # --- Names ---

    def unlink(self, path: str) -> int:
        """Remove a file: into the trash, once the cloud hears of it."""
        self._machine.remove(self._at("remove", path), is_folder=False)
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        """Make a folder."""
        self._machine.add(self._at("mkdir", path), is_folder=True)
        return 0

    def rmdir(self, path: str) -> int:
        """Remove an empty folder."""
        self._machine.remove(self._at("rmdir", path), is_folder=True)
        return 0

    def rename(self, old: str, new: str) -> int:
        """Rename or move."""
        self._machine.rename(self._at("rename", old), local_path(new) or "")
        return 0

    def symlink(self, target: str, source: str) -> int:
        """Drive has none."""
        self._at("symlink", target)
        raise refusal(errno.EOPNOTSUPP, target)

    def link(self, target: str, source: str) -> int:
        """Drive has none. A kernel from 6.15 on tells the caller EPERM for this ENOSYS."""
        self._at("link", target)
        raise refusal(errno.ENOSYS, target)

    def chmod(self, path: str | None, mode: int) -> int:
        """Accepted and forgotten."""
        self._enter("chmod", MOUNTPOINT if path is None else local_path(path) or MOUNTPOINT)
        return 0

    def chown(self, path: str | None, uid: int, gid: int) -> int:
        """As `chmod`."""
        return self.chmod(path, 0)

    def utimens(self, path: str | None, times: Any = None) -> int:
        """As `chmod`: times on Drive are not to be trusted."""
        return self.chmod(path, 0)
