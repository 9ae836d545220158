"""Trying out the place of a store, before one is made in it."""

from __future__ import annotations

import errno
from collections.abc import Callable

from holdfast.errors import StoreFull, StoreNotFound, StoreUnreachable, StoreUnreadable
from holdfast.store.backends.backend import Backend
from holdfast.store.format import names
from holdfast.store.looking.reading import read_whole

#: A test file that another machine clears away, because it makes the store too, is written again so often.
_PROBES = 4


class _Differs(StoreUnreadable):
    """What was written reads back different: a broken place, or another machine that clears it away."""


def try_out(backend: Backend, new_id: Callable[[int], str]) -> None:
    """Prove that this place takes, gives back, lists and removes a file before a store is made in it.

    Another machine that makes the store too clears away the test files that it sees, this one's among them.
    """
    for left in reversed(range(_PROBES)):
        probe = f"{names.PROBE_PREFIX}{new_id(4)}.tmp"
        try:
            _write_and_read_back(backend, probe)
        except StoreFull:
            backend.remove(probe)
            raise
        except StoreNotFound as error:
            if not left:
                why = "a test file vanished after it was written"
                raise StoreUnreachable(errno.ENOENT, why, backend.location) from error
        except _Differs as error:
            if not left:
                raise StoreUnreadable(error.errno, error.strerror, backend.location) from error
        else:
            return


def _write_and_read_back(backend: Backend, probe: str) -> None:
    content = probe.encode()
    backend.create(probe, lambda: (content,))
    if read_whole(backend, probe, len(content) + 1) != content:
        raise _Differs(errno.EIO, "a test file reads back different from what was written", backend.location)
    for entry in backend.list(""):
        if entry.name.startswith(names.PROBE_PREFIX):
            backend.remove(entry.name)
