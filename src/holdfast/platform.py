"""The one guard around what only POSIX offers. Elsewhere (Windows: untested) each falls back to what is there."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

POSIX = os.name == "posix"

if sys.platform != "win32":
    import fcntl

    def try_lock(handle: IO[bytes] | int) -> bool:
        """Take an exclusive lock that the system drops when the process ends. False where another holds it."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            raise
        return True

    def unlock(handle: IO[bytes]) -> None:
        """Give such a lock back, whoever else has the file open."""
        fcntl.flock(handle, fcntl.LOCK_UN)

else:
    import msvcrt

    def try_lock(handle: IO[bytes] | int) -> bool:
        """Take an exclusive lock that the system drops when the process ends. False where another holds it."""
        try:
            msvcrt.locking(handle if isinstance(handle, int) else handle.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(handle: IO[bytes]) -> None:
        """Give such a lock back, whoever else has the file open."""
        msvcrt.locking(handle.fileno(), msvcrt.LK_UNLCK, 1)


def fsync_folder(path: Path | str) -> None:
    """Make the names in a folder durable. Nothing to do where folders cannot be opened (Windows)."""
    if not POSIX:
        return
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(handle)
    except OSError as error:  # some network file systems refuse to sync a folder; the data itself was synced
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


#: Flags that keep an open from following a link or blocking on a pipe; 0 where the system lacks them.
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
NO_BLOCK = getattr(os, "O_NONBLOCK", 0)
BINARY = getattr(os, "O_BINARY", 0)


#: Whether a file can be read through a shared descriptor. Without it (Windows) a lock belongs to its own handle.
HAS_PREAD = hasattr(os, "pread")


@contextmanager
def shared_range(descriptor: int, start: int, length: int) -> Iterator[None]:
    """Hold a shared lock on a range of a file, one that belongs to the descriptor and not to the process (fcntl(2), F_OFD_SETLK).

    It conflicts with the locks of others and with those of this process, and changes none of them. Nothing where the system has
    no such locks (macOS, Windows), or where the file system takes none.

    Raises:
        BlockingIOError: somebody holds it exclusively.
    """
    if sys.platform != "linux" or sys.maxsize < 2**32:
        yield
        return

    def change(kind: int) -> None:
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack("hhqqi", kind, os.SEEK_SET, start, length, 0))
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
                raise

    change(fcntl.F_RDLCK)
    try:
        yield
    finally:
        change(fcntl.F_UNLCK)


#: Whether `sync_all` does anything.
CAN_SYNC_ALL = hasattr(os, "sync")


def sync_all(folder: Path | str) -> None:
    """Have everything on the disk that was written so far to the file system of a folder.

    Elsewhere than on Linux that is every file system. On Linux no other is waited for, such as a mount that hangs (syncfs(2)).

    Raises:
        OSError: the disk failed. Only Linux 5.8 and newer says so.
    """
    if sys.platform == "linux":
        import ctypes

        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) == 0:
                return
        finally:
            os.close(descriptor)
        number = ctypes.get_errno()
        if number != errno.ENOSYS:
            raise OSError(number, os.strerror(number), str(folder))
    os.sync()


#: RENAME_EXCHANGE and AT_FDCWD (renameat2(2), openat(2)).
_EXCHANGE, _HERE = 2, -100


def replace_at_once(source: Path, target: Path) -> None:
    """As `os.replace`, and the source need not be on the disk first.

    ext4 begins to write a file that is renamed over another (its `auto_da_alloc`), and the rename waits until it has found room
    for all of it: 0.3 s for 1 GiB. Two files that change their names have no such wait. Where the system cannot do that (elsewhere
    than on Linux, NFS), it is `os.replace`. A process that is killed between may leave the old file at the source's name.

    Raises:
        OSError: as `os.replace`.
    """
    if sys.platform == "linux":
        import ctypes

        call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        if call is not None and call(_HERE, os.fsencode(source), _HERE, os.fsencode(target), _EXCHANGE) == 0:
            os.unlink(source)
            return
    os.replace(source, target)


#: So much at a time: measured, from 4 to 32 MiB it makes no difference.
WRITE_BACK_BYTES = 8 << 20
#: What is written to a local disk in one call. What comes in one call of 1 MiB ext4 keeps in one piece of memory (Linux 6.18), and
#: a virtual machine that gives free memory back to its host gets such pieces from it each time: 1.7 s of CPU for 1 GiB instead of
#: 0.45, measured; from 128 to 512 KiB it makes no difference.
WRITE_BYTES = 128 << 10
#: SYNC_FILE_RANGE_WRITE (sync_file_range(2)).
_BEGIN_WRITING = 2


@functools.cache
def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    if sys.platform != "linux":
        return None
    import ctypes

    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is None:
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    return cast("Callable[[int, int, int, int], int]", call)


def begin_write_back(descriptor: int, start: int, length: int) -> None:
    """Have the system begin to write a stretch of a file to its disk, so that an `fsync` later finds less to wait for.

    Nothing elsewhere than on Linux. It promises nothing, and takes no error away from that `fsync`: without a flag that waits the
    kernel does not look at the errors of earlier writes.

    Args:
        descriptor: Open for writing.
        start: In bytes.
        length: In bytes.
    """
    call = _sync_file_range()
    if call is not None:
        call(descriptor, start, length, _BEGIN_WRITING)


def clone_into(source: int, target: int) -> bool:
    """Have an empty file share the blocks of another (btrfs, xfs; ioctl_ficlone(2)): its content at one instant, no byte copied.

    Args:
        source: Descriptor of the original, opened for reading.
        target: Descriptor of the empty file, opened for writing.

    Returns:
        False where the file system cannot, or where they lie on two; the file is still empty then.

    Raises:
        OSError: the disk is full, or failed.
    """
    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno not in CANNOT_CLONE:
            raise
        return False
    return True


_FICLONE = 0x40049409
#: So a file system, or a pair of them, says that it cannot, and not that something went wrong.
CANNOT_CLONE = frozenset({errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.EPERM})


def get_attribute(path: Path, name: str) -> bytes:
    """An extended attribute. Raises OSError where there is none, or where the system has no such thing (macOS, Windows)."""
    if not hasattr(os, "getxattr"):
        raise OSError(errno.ENOTSUP, "no extended attributes on this system")
    return os.getxattr(path, name)


def die_with_parent() -> None:
    """Have the system kill this process when its parent ends (Linux, prctl(2)). Elsewhere nothing."""
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


_PR_SET_PDEATHSIG = 1


def end_session(leader: int) -> None:
    """Kill every process of a session, in whatever group, its leader last. Without /proc the leader's own group alone."""
    if sys.platform == "win32":
        return
    import signal

    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir("/proc"):
            with contextlib.suppress(ValueError, OSError):  # no process, or one that is gone
                if int(name) != leader and os.getsid(int(name)) == leader:
                    os.kill(int(name), signal.SIGKILL)
    os.killpg(leader, signal.SIGKILL)


#: As the kernel's own limit (path_resolution(7)).
_MOST_LINKS = 40


def random_hex(size: int) -> str:
    """So many random bytes as text, as `secrets.token_hex` gives them, which loads OpenSSL."""
    return os.urandom(size).hex()


def disk_space(folder: Path) -> tuple[int, int]:
    """Bytes of a folder's file system, and those free for this user, as `shutil.disk_usage` gives them, which loads compression.

    Raises:
        OSError: it cannot be asked.
    """
    if not hasattr(os, "statvfs"):
        import shutil

        usage = shutil.disk_usage(folder)
        return usage.total, usage.free
    found = os.statvfs(folder)
    return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize


def host_name() -> str:
    """The name of this machine, as `socket.gethostname` gives it, which loads a library of sockets."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    import socket

    return socket.gethostname()


def mount_table() -> dict[str, str]:
    """Mount point to file-system type, from /proc/mounts; empty where there is none (macOS, Windows)."""
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return {}
    table = {}
    for line in lines:
        fields = line.split(" ")
        if len(fields) >= 3:
            place = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1])
            table[place] = fields[2]
    return table


def real_path(path: Path, table: dict[str, str] | None = None) -> Path:
    """The path with links resolved, as `os.path.realpath`, but never asking a FUSE mount anything: one that hangs would hang us.

    What lies at and below a FUSE mount point is taken as it is written. The root of a container may be one too, and is asked.
    """
    table = mount_table() if table is None else table
    rest = list(reversed(Path(os.path.abspath(path)).parts))
    at = Path(rest.pop())
    links = 0
    while rest and not _is_fuse(at, table):
        step = at / rest.pop()
        target = None if _is_fuse(step, table) else _link_target(step)
        if target is None:
            at = step
            continue
        links += 1
        if links > _MOST_LINKS:
            return step.joinpath(*reversed(rest))
        resolved = Path(os.path.abspath(at / target))
        rest += reversed(resolved.parts[1:])
        at = Path(resolved.anchor)
    return at.joinpath(*reversed(rest))


def _is_fuse(place: Path, table: dict[str, str]) -> bool:
    return place != place.parent and table.get(str(place), "").startswith("fuse")


def _link_target(place: Path) -> str | None:
    try:
        return os.readlink(place)
    except OSError:  # no link, or nothing there
        return None


def file_system(path: Path, table: dict[str, str] | None = None) -> str | None:
    """Type of the file system that holds a path (`ext4`, `fuse.drive`), or None where nothing tells. Asks no FUSE mount."""
    table = mount_table() if table is None else table
    real = real_path(path, table)
    for place in (real, *real.parents):
        if str(place) in table:
            return table[str(place)]
    return None
