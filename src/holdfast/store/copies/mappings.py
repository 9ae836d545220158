"""Which files any process here has mapped as shared, by /proc (proc(5), `/proc/pid/maps`).

For overlayfs, where a lease does not tell (`leases`). One look at 140 processes takes some 30 ms: take it once for many files.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

#: Address, rights ending in `s` for shared, offset, device, inode other than 0, path. A mapping that only reads now counts as well:
#: it may be made writable later (mprotect(2)).
_SHARED = re.compile(rb"^\S+ \S{3}s \S+ \S+ ([1-9]\d*)(?: +(/.*))?$", re.MULTILINE)


@dataclass(frozen=True)
class Mapped:
    """What was mapped as shared.

    Args:
        inodes: Inode numbers, whatever the device: overlayfs and btrfs show another one than `stat` does.
        paths: As the kernel shows them. Before Linux 6.7 overlayfs shows the inode of the layer below, and the right path.
    """

    inodes: frozenset[int] = frozenset()
    paths: frozenset[bytes] = frozenset()

    def holds(self, inode: int, path: str | os.PathLike[str]) -> bool:
        """False where nobody had mapped a file, by its inode and its absolute path. True may be another file's number."""
        return inode in self.inodes or os.fsencode(path).replace(b"\n", rb"\012") in self.paths


def shared_mappings() -> Mapped | None:
    """What is mapped as shared by any process. What is mapped later was opened for writing later.

    Returns:
        None where that cannot be told: no /proc, or a process of somebody else that we may not look into.
    """
    inodes: set[int] = set()
    paths: set[bytes] = set()
    try:
        for process in os.listdir("/proc"):
            if process.isdigit():
                found = _SHARED.findall(_maps(process))
                inodes.update(int(inode) for inode, _ in found)
                paths.update(path for _, path in found)
    except OSError:
        return None
    return Mapped(frozenset(inodes), frozenset(paths)) if os.path.exists("/proc/self/maps") else None


def _maps(process: str) -> bytes:
    try:
        with open(f"/proc/{process}/maps", "rb") as maps:
            return maps.read()
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return b""
    except PermissionError:
        if process == "1":  # what started the container or the machine, with more rights than ours: it maps no outputs
            return b""
        raise
