"""What is mounted, and taking it down."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from holdfast.simulator.libfuse import NoLibfuse, choose


def lacking(device: Path = Path("/dev/fuse"), library: Callable[[], object] = choose) -> str | None:
    """What this machine lacks for any mount of ours, as one line that says how to get it; None where nothing is.

    Args:
        device: What FUSE is asked through.
        library: Finds libfuse 3, or raises `NoLibfuse`.
    """
    if not os.access(device, os.R_OK | os.W_OK):
        return f"{device} cannot be opened: load the kernel module fuse, and in a container pass the device on"
    if shutil.which("fusermount3") is None:
        return "fusermount3 is missing: apt-get install fuse3"
    if importlib.util.find_spec("mfusepy") is None:
        return "mfusepy is missing: pip install 'holdfast[simulator]'"
    try:
        library()
    except NoLibfuse as missing:
        return str(missing)
    return None


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
