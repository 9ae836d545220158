"""A store on Colab's Drive mount: a plain folder, and what its attributes say about uploads.

What is known of the attributes comes from ChromiumOS's tests of the same product and from one article about Colab (2020); none
of it is documented. So each is optional, and an absent signal is `UNKNOWN`, never `CONFIRMED`.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from holdfast.store.backend import Durability
from holdfast.store.directory import DirectoryBackend, as_store_error
from holdfast.store.platform import get_attribute

#: A new file's id begins so until the cloud has given it one.
LOCAL_ID = b"local-"
ID = "user.drive.id"
UNCOMMITTED = "user.drive.uncommitted"

_YES, _NO = frozenset({b"1", b"true"}), frozenset({b"0", b"false"})
#: What a mount answers where it has no such attribute, or none at all.
_NO_SIGNAL = frozenset({errno.ENODATA, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EACCES})


class DriveBackend(DirectoryBackend):
    """A store folder on a `fuse.drive` mount. It uploads later, in any order, or never."""

    def durability(self, paths: Sequence[str]) -> Durability:
        """`WRITTEN` while any file is not uploaded, `CONFIRMED` where the mount says of every file that it is, else `UNKNOWN`.

        Raises:
            StoreUnreachable: the mount is not the one that was written to; nothing that it says counts.
        """
        self.check()
        answers = {self._uploaded(path) for path in paths}
        return next((d for d in (Durability.WRITTEN, Durability.UNKNOWN) if d in answers), Durability.CONFIRMED)

    def _uploaded(self, path: str) -> Durability:
        """For a file that was only ever created a cloud id is proof; an overwritten one would keep its old id, and we have none."""
        identity, pending = self._attribute(path, ID), self._attribute(path, UNCOMMITTED)
        if pending in _YES or (identity is not None and identity.startswith(LOCAL_ID)):
            return Durability.WRITTEN
        return Durability.CONFIRMED if pending in _NO and identity else Durability.UNKNOWN

    def _attribute(self, path: str, name: str) -> bytes | None:
        try:
            return get_attribute(self._path(path), name).strip().lower()
        except OSError as error:
            if error.errno in _NO_SIGNAL:
                return None
            raise as_store_error(error, self._shown(path)) from error
