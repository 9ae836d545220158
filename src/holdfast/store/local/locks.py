"""Locks between the processes of a workspace. The system drops them when their process ends, however it ends.

A lock belongs to an open file, and a forked child has the same open files. So a child gives back at once what its parent holds: it
would hold it for as long as it lives, although the parent has long gone on, or is dead.
"""

from __future__ import annotations

import contextlib
import os
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from holdfast.platform import try_lock, unlock

#: From the first look to the last, each pause longer than the one before: most locks are held for milliseconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05

_WORTH_A_WORD = 2.0

_held: weakref.WeakSet[IO[bytes]] = weakref.WeakSet()


def hold(place: Path, seconds: float = 0.0, waits: Callable[[], None] = lambda: None) -> IO[bytes] | None:
    """Hold a lock until its handle is given to `release`, or nobody has the handle any more.

    Args:
        place: A file that is made where there is none; nobody reads it.
        seconds: How long to wait for others; 0 does not wait.
        waits: Called once if somebody else holds it for some time.

    Returns:
        The handle; None where another one holds it, in this process or in another, for longer than that.

    Raises:
        OSError: the file cannot be opened.
    """
    handle = open(place, "ab")  # noqa: SIM115 - closed by `release`
    begun, pause, told = time.monotonic(), _FIRST_PAUSE, False
    try:
        while not try_lock(handle):
            waited = time.monotonic() - begun
            if waited >= seconds:
                handle.close()
                return None
            if waited >= _WORTH_A_WORD and not told:
                waits()
                told = True
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
    except BaseException:
        handle.close()
        raise
    _held.add(handle)
    return handle


def release(handle: IO[bytes]) -> None:
    """Give a lock back."""
    _held.discard(handle)
    if not handle.closed:
        with contextlib.suppress(OSError):
            unlock(handle)  # and not by closing alone: a process that was forked past Python may have the file open as well
        handle.close()


@contextlib.contextmanager
def holding(place: Path, seconds: float) -> Iterator[bool]:
    """Hold a lock for a while. False where that could not be had in time."""
    handle = hold(place, seconds)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            release(handle)


def _in_a_forked_child() -> None:
    for handle in list(_held):
        handle.close()  # the parent holds it on
    _held.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_in_a_forked_child)
