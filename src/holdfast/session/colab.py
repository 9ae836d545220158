"""The one adapter that imports `google.colab`: mounting Drive, flushing it, and giving the machine back.

Every failure is one line that says what to do. What can fail, and how, comes from the public source of `google.colab.drive` and
from the threads that are cited (docs/colab-drive.md).
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError, Interrupted, StoreTimeout, StoreUnreachable
from holdfast.platform import mount_table, real_path
from holdfast.session.config import MY_DRIVE
from holdfast.store.backends.mounts import DRIVE_FILE_SYSTEM
from holdfast.store.backends.wrappers import bounded

log = logging.getLogger(__name__)

#: What a mount answers whose DriveFS has ended (ct#5970, ct#3874). EIO is not among them: a large folder answers it too.
_DEAD = frozenset(
    {errno.ENOTCONN, errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ECONNABORTED, errno.ECONNREFUSED, errno.EHOSTDOWN}
)

_TAKE_DOWN_SECONDS = 10.0

_AGAIN = "run the cell again"
_TAKE_FRESH = "take a fresh machine: Runtime, Disconnect and delete runtime, then Run all"
_FRESH = f"if that does not help, {_TAKE_FRESH}"


def mount_drive(mount_point: Path, *, seconds: float = 120.0, at_stake: Callable[[], Sequence[str]] = tuple) -> bool:
    """Have Drive mounted at `mount_point`, and answering. A mount that is alive is taken as it is: nobody is asked.

    A mount that is dead is mounted anew by force, which drops what was not uploaded (drive.py); it is said beforehand what that may
    be. Dead means that reading it fails, or does not come back in time (ct#5877), never that it looks odd.

    Args:
        mount_point: Where.
        seconds: After so long a read that does not come back counts as dead.
        at_stake: Names what was written and is not known to be uploaded; asked only where a forced mount is needed.

    Returns:
        True where it was mounted by force, so that what was not uploaded is gone.

    Raises:
        StoreUnreachable: it could not be mounted, with what to do.
        Interrupted: nobody consented, and the wait was interrupted.
    """
    forced = False
    if not is_mounted(mount_point):
        _mount(mount_point, force=False)
    elif (problem := problem_of(mount_point, seconds)) is not None:
        named = ", ".join(at_stake())
        lost = (
            f" What was not uploaded is lost with it, perhaps of: {named}; what is still here is backed up again." if named else ""
        )
        log.warning("Drive is mounted at %s and dead (%s), so it is mounted anew by force.%s", mount_point, problem, lost)
        _take_down(mount_point)
        _mount(mount_point, force=True)
        forced = True
    else:
        return False
    if not is_mounted(mount_point):
        raise _unreachable(mount_point, f"Drive said that it is mounted, and nothing is; {_AGAIN}; {_FRESH}")
    if (problem := problem_of(mount_point, seconds)) is not None:
        raise _unreachable(mount_point, f"Drive was mounted and cannot be read ({problem}); {_AGAIN}; {_FRESH}")
    return forced


def is_mounted(mount_point: Path) -> bool:
    """Whether a `fuse.drive` mount stands there, dead or alive. Asks the mount nothing."""
    table = mount_table()
    return table.get(str(real_path(mount_point, table))) == DRIVE_FILE_SYSTEM


def problem_of(mount_point: Path, seconds: float) -> str | None:
    """Why a mount is dead, in words, or None where it is alive: its root is listed, and what that names is looked at.

    Args:
        mount_point: Of a `fuse.drive` mount.
        seconds: After so long without an answer it counts as dead.
    """
    folder = mount_point / MY_DRIVE
    try:
        bounded("reading", str(folder), lambda: _read(folder), seconds)
    except StoreTimeout as error:
        return error.strerror
    except OSError as error:
        return error.strerror if error.errno in _DEAD else None
    return None


def _read(folder: Path) -> None:
    """List it, and ask for a few of the names.

    Raises:
        OSError: as the mount says; ENOENT also where it denies every name that it has just listed (ct#5970).
    """
    # Twice, because one file may be removed by another device between the two questions.
    if _denies_what_it_lists(folder) and _denies_what_it_lists(folder):
        raise FileNotFoundError(errno.ENOENT, "what it lists is said not to exist", str(folder))


def _denies_what_it_lists(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        names = [entry.name for entry, _ in zip(entries, range(4), strict=False)]
    return bool(names) and all(_is_denied(folder / name) for name in names)


def _is_denied(place: Path) -> bool:
    try:
        os.lstat(place)
    except FileNotFoundError:
        return True
    return False


def flush_drive(mount_point: Path, seconds: float, grace: float) -> None:
    """Upload everything, and unmount Drive.

    Args:
        mount_point: Where it is mounted.
        seconds: How long it may take.
        grace: It may hang for hours all the same (ct#2683); so much longer, and it counts as failed.

    Raises:
        StoreUnreachable: it failed, or did not come back. What of it was uploaded is not known.
    """
    drive = _module(mount_point)
    try:
        bounded("flushing", str(mount_point), lambda: drive.flush_and_unmount(timeout_ms=int(seconds * 1000)), seconds + grace)
    except StoreTimeout as error:
        raise _unreachable(mount_point, f"Drive was not flushed: {error.strerror}") from error
    except Exception as error:
        raise _unreachable(mount_point, f"Drive could not be flushed ({_said(error)})") from error


def release_machine() -> None:
    """Give the machine back to Colab. Everything on its disk is gone.

    Raises:
        StoreUnreachable: it could not be given back.
    """
    try:
        from google.colab import runtime
    except ImportError as error:
        raise StoreUnreachable(0, "this machine is not Colab's, so it is not given back") from error
    try:
        runtime.unassign()
    except Exception as error:
        raise StoreUnreachable(
            0, f"the machine could not be given back ({_said(error)}); do it by hand: Runtime, Disconnect and delete runtime"
        ) from error


def _mount(mount_point: Path, *, force: bool) -> None:
    drive = _module(mount_point)
    if threading.current_thread() is not threading.main_thread():  # it talks to the browser through the kernel's main thread
        raise _unreachable(
            mount_point, "Drive can be mounted by a notebook cell only, not by a thread; attach in a cell of its own"
        )
    try:
        drive.mount(str(mount_point), force_remount=force)
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"{mount_point}: Drive is not mounted, because the question for access was interrupted before it was answered; "
            f"{_AGAIN} and allow access in the window that opens"
        ) from error
    except HoldfastError:
        raise
    except Exception as error:
        raise _unreachable(mount_point, _advice(error, mount_point)) from error


def _take_down(mount_point: Path) -> None:
    """Have no mount there. `drive.mount` looks at the mount point first, and would hang where that hangs; DriveFS it ends itself.

    Raises:
        StoreUnreachable: it stays.
    """
    commands = (["fusermount3", "-u", "-z"], ["fusermount", "-u", "-z"], ["umount", "-l", "-c"])
    for program, *options in commands:
        found = shutil.which(program)
        if found is not None and is_mounted(mount_point):
            _run([found, *options, str(mount_point)])
    if is_mounted(mount_point):
        raise _unreachable(mount_point, f"Drive is dead, and its mount cannot be taken down; {_TAKE_FRESH}")


def _run(command: list[str]) -> None:
    """Run a command that may hang as well, and not wait for it without end."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - our own words
    try:
        process.wait(_TAKE_DOWN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _module(mount_point: Path) -> Any:
    try:
        from google.colab import drive
    except ImportError as error:
        raise _unreachable(mount_point, "this Python is not a Colab notebook, so Drive cannot be mounted from it") from error
    return drive


def _advice(error: Exception, mount_point: Path) -> str:
    """What to do about what `drive.mount` raised, told by type and text: Colab's own types can be imported on Colab only."""
    kind, text = type(error).__name__, str(error)
    if kind == "MessageError":
        return f"Drive could not be mounted: access was refused; {_AGAIN} and give consent in the window that opens"
    if kind == "AttributeError" and "kernel" in text:
        return "Drive can be mounted by a notebook cell only; run holdfast.attach() in one, then this command again"
    if kind == "NotImplementedError":
        return "this kind of Colab has no Drive; set HOLDFAST_DRIVE to a folder that outlives the machine"
    if "must not already contain files" in text:
        return (
            f"Drive could not be mounted, because files lie there on the machine's own disk; move them away "
            f"(!mv {mount_point} {mount_point}-local) and {_AGAIN}"
        )
    if "Mountpoint must" in text:
        return f"Drive cannot be mounted there ({text}); give another drive.mount_point in config/paths.yaml"
    if "initial read" in text:
        return (
            f"Drive was mounted, and listing its first folder took too long; {_AGAIN}; with thousands of files right in My Drive, "
            "move them into a folder"
        )
    if kind == "TIMEOUT":
        return f"Drive could not be mounted: it did not come up in time; {_AGAIN}; {_FRESH}"
    return f"Drive could not be mounted ({_said(error)}); {_AGAIN}; {_FRESH}"


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _unreachable(mount_point: Path, text: str) -> StoreUnreachable:
    return StoreUnreachable(0, text, str(mount_point))
