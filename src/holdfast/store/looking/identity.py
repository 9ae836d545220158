"""The sentinel, which says which store this is: read, and written where several machines may write it at once."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable

from holdfast.errors import Corrupt, StoreError, StoreExists, StoreFull, StoreNotFound, StoreUnreachable
from holdfast.store.backends.backend import Backend
from holdfast.store.format.names import SENTINEL
from holdfast.store.format.sentinel import MAX_SENTINEL_BYTES, parse_sentinel, sentinel_bytes
from holdfast.store.looking.reading import read_whole

log = logging.getLogger(__name__)

#: Another machine that writes the sentinel right now is waited for so long before what it left counts as torn.
_BEING_WRITTEN = (0.05, 0.1, 0.2, 0.4, 0.8)
#: A sentinel that a mount refuses without saying why, as where two machines write it at once, is written again so much later.
_REFUSED = (0.1, 0.3)


class Sentinel:
    """The sentinel of the store at one backend.

    Args:
        backend: Where the store lies.
        sleep: Waits for so many seconds.
    """

    def __init__(self, backend: Backend, sleep: Callable[[float], None]) -> None:
        self._backend = backend
        self._sleep = sleep
        #: It was read before, so it is there.
        self.seen = False

    def read(self) -> str:
        """The identity of the store.

        Raises:
            Corrupt: it is torn, or no sentinel.
            StoreNotFound, StoreUnreadable: as they say.
        """
        found = parse_sentinel(read_whole(self._backend, SENTINEL, MAX_SENTINEL_BYTES), SENTINEL)
        self.seen = True
        return found

    def write(self, store_id: str) -> str:
        """Write the one file whose content is known in advance; a torn one is emptied and removed first.

        Gives the identity that counts: what lies there in the end, which another machine may have written.
        """
        content = sentinel_bytes(store_id)
        for wait in (*_REFUSED, None):
            try:
                self._backend.create(SENTINEL, lambda: (content,))
                self._backend.flush()
                return self.read()
            except (StoreFull, StoreUnreachable):
                raise
            except StoreExists:
                found = self._of_another()
                if found is not None:
                    return found
                self._backend.remove(SENTINEL)
            except (StoreNotFound, Corrupt):  # another machine took it for torn, and writes its own
                if wait is None:
                    raise
            except StoreError as error:
                # Some mounts have no better word where two make one file at once (sshfs: EPERM, rclone: EIO).
                with contextlib.suppress(StoreError):
                    found = self._of_another()
                    if found is not None:
                        return found
                if wait is None:
                    raise
                log.debug("writing %s again (%s)", SENTINEL, error)
                import secrets

                self._sleep(wait * (1 + secrets.randbelow(100) / 100))  # two that meet again would refuse each other again
        self._backend.create(SENTINEL, lambda: (content,))
        self._backend.flush()
        return self.read()

    def _of_another(self) -> str | None:
        """The identity in a sentinel that is there already; None where it is torn, and stays so."""
        for wait in (*_BEING_WRITTEN, None):
            try:
                return self.read()
            except StoreNotFound:
                return None
            except Corrupt:
                if wait is not None:
                    self._sleep(wait)
        return None
