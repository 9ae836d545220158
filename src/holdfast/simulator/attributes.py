"""What the mount says about a file: `stat`, and the extended attributes `user.drive.*`."""

from __future__ import annotations

import errno
import os
import stat

from holdfast.simulator.conditions import refusal
from holdfast.simulator.tree import Node
from holdfast.simulator.weather import Attributes

DRIVE_PREFIX = "user.drive."


def attributes(*, folder: bool, size: int = 0, modified: float = 0.0) -> dict[str, int]:
    """The fields of `stat`. Modes are 0600 and 0700 whatever was asked for."""
    at = int(modified * 1e9)
    return {
        "st_mode": (stat.S_IFDIR | 0o700) if folder else (stat.S_IFREG | 0o600),
        "st_nlink": 2 if folder else 1,
        "st_size": 0 if folder else size,
        "st_blocks": -(-size // 512),
        "st_uid": os.getuid(),
        "st_gid": os.getgid(),
        "st_atime": at,
        "st_mtime": at,
        "st_ctime": at,
    }


def drive_attribute(node: Node, name: str, mode: Attributes) -> str:
    """One of `user.drive.id`, `.uncommitted` and `.md5`.

    Args:
        node: The file or folder.
        name: With its prefix.
        mode: Whether the attributes exist, and whether they tell the truth.

    Raises:
        OSError: ENODATA where there is no such attribute, EOPNOTSUPP where there are none at all.
    """
    if mode is Attributes.UNSUPPORTED:
        raise refusal(errno.EOPNOTSUPP, node.path)
    lying = mode is Attributes.LYING
    value = {
        "id": "1" + node.id.rjust(32, "0") if lying and node.item is None else node.id,
        "uncommitted": "1" if node.uncommitted and not lying else "0",
        "md5": "" if node.folder or node.item is None else node.item.md5,
    }.get(name.removeprefix(DRIVE_PREFIX))
    if not value or mode is Attributes.ABSENT:
        raise refusal(errno.ENODATA, node.path)
    return value
