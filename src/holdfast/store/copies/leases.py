"""Read leases (fcntl(2), "Leases"): Linux tells who has a file open for writing, and has a writer wait until it may go on.

Everything here works on a descriptor that was opened for reading only, and on none that a job opened: closing one of a file in the
job's own process drops the locks that the process has on it (`apart`).
"""

from __future__ import annotations

import contextlib
import errno
import signal
import sys
from pathlib import Path

if sys.platform != "win32":
    import fcntl

#: The kernel's own value of /proc/sys/fs/lease-break-time, seconds.
_BREAK_SECONDS = 45.0


def somebody_writes(descriptor: int) -> bool | None:
    """Whether any process has a file open for writing now; also one that nobody here may see, as in another container.

    A lease is asked for and given back at once, which took 5 µs. On ext4, btrfs, xfs and tmpfs a shared writable mapping counts,
    also where no descriptor is left of it; on overlayfs it does not (measured on Linux 6.18; `proofs` finds out).

    Whoever opens the file for writing within these microseconds waits for their end; with O_NONBLOCK it fails with EAGAIN. No
    signal is left behind: the one that the kernel would send then is one that it throws away itself.

    Args:
        descriptor: Of the file, opened for reading only.

    Returns:
        None where it cannot be told: another user's file (EACCES), no regular file, or a system without leases.
    """
    if sys.platform != "linux":
        return None
    try:
        take(descriptor, signal.SIGURG)
        drop(descriptor)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    return False


def take(descriptor: int, sign: int) -> None:
    """Take a read lease.

    Until it is dropped, or the descriptor is closed, whoever opens the file for writing or truncates it waits, `break_seconds` at
    the most; one that asked not to wait (O_NONBLOCK) fails with EAGAIN. This process gets `sign` then.

    Raises:
        OSError: somebody has the file open for writing (EAGAIN), or there are no leases to be had.
    """
    if sys.platform != "linux":
        raise OSError(errno.ENOTSUP, "this system has no leases")
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, sign)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError:
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETSIG, 0)
        raise


def drop(descriptor: int) -> None:
    """Give a read lease back, as closing the descriptor does: whoever waits for it goes on, and the kernel forgets the signal."""
    if sys.platform == "linux":
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def stands(descriptor: int) -> bool:
    """Whether a lease that was taken is still held and nobody waits for it. As soon as somebody does, the kernel says "none"."""
    if sys.platform != "linux":
        return False
    return fcntl.fcntl(descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK


def break_seconds() -> float:
    """How long a writer waits for a lease before the kernel takes it away."""
    try:
        return float(Path("/proc/sys/fs/lease-break-time").read_text())
    except (OSError, ValueError):
        return _BREAK_SECONDS
