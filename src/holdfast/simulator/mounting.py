"""What is mounted, and taking it down."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path


def mounted(mountpoint: Path | str) -> str | None:
    """Type of the file system mounted at exactly this path, or None. Asks /proc/mounts, so a dead mount cannot hang it."""
    found = None
    for line in Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        _, place, kind, *_ = line.split(" ")
        if re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), place) == str(mountpoint):
            found = kind
    return found


def unmount(mountpoint: Path | str) -> None:
    """Take a FUSE mount down, also a dead one and one that is in use. Nothing to do where none is."""
    fusermount = shutil.which("fusermount3") or shutil.which("fusermount")
    commands = [[fusermount, "-u", "-z", "-q", str(mountpoint)]] if fusermount else []
    commands.append(["umount", "-l", str(mountpoint)])
    for command in commands:
        if mounted(mountpoint) is None:
            return
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - our own words
    if (kind := mounted(mountpoint)) is not None:
        raise RuntimeError(f"{kind} is still mounted at {mountpoint}; take it down by `umount -l {mountpoint}`")
