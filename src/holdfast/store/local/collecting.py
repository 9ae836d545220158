"""Python's collector of cycles, and many small objects that stay: it would look at all of them again and again as they are made."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections.abc import Iterator

_lock = threading.Lock()
#: How many blocks are under way, and whether the collector was on before the first.
_blocks, _was_on = 0, True


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Have the collector rest. Only around what makes no cycles and waits for no store.

    A fifth of a backup of 100,000 files went there. It rests for all threads; whoever turned it off before finds it off.
    """
    global _blocks, _was_on  # noqa: PLW0603 - as the collector is the process's
    with _lock:
        if not _blocks:
            _was_on = gc.isenabled()
            gc.disable()
        _blocks += 1
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            if not _blocks and _was_on:
                gc.enable()


def _in_a_forked_process() -> None:
    """The threads that had it rest are not there."""
    global _lock, _blocks
    if _blocks and _was_on:
        gc.enable()
    _lock, _blocks = threading.Lock(), 0


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_in_a_forked_process)
