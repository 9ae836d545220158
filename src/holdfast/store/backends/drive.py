"""A store on Colab's Drive mount: a plain folder, and what its attributes say about uploads.

What is known of the attributes comes from ChromiumOS's tests of the same product and from one article about Colab (2020); none
of it is documented. So each is optional, and an absent signal is `UNKNOWN`, never `CONFIRMED`.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from holdfast.errors import StoreNotFound
from holdfast.platform import get_attribute
from holdfast.store.backends.backend import Source
from holdfast.store.backends.directory import DirectoryBackend, as_store_error
from holdfast.store.backends.second_way import Given, SecondWay
from holdfast.store.reporting.durability import Durability

#: A new file's id begins so until the cloud has given it one.
LOCAL_ID = b"local-"
ID = "user.drive.id"
UNCOMMITTED = "user.drive.uncommitted"
CHECKSUM = "user.drive.md5"

_YES, _NO = frozenset({b"1", b"true"}), frozenset({b"0", b"false"})
#: What a mount answers where it has no such attribute, or none at all.
_NO_SIGNAL = frozenset({errno.ENODATA, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EACCES})


class DriveBackend(DirectoryBackend):
    """A store folder on a `fuse.drive` mount. It uploads later, in any order, or never.

    Args:
        folder: As for any folder, and so are the next three.
        project: Likewise.
        mount_point: Likewise.
        durable: Likewise.
        second: Drive's API, whose word counts more than that of the mount; None where nobody can be asked.
    """

    def __init__(
        self,
        folder: Path,
        project: str,
        *,
        mount_point: Path | None = None,
        durable: str | None = None,
        second: SecondWay | None = None,
    ) -> None:
        super().__init__(folder, project, mount_point=mount_point, durable=durable)
        self._second = second
        self._written: dict[str, bytes] = {}
        self._gives_checksums: bool | None = None

    def beside(self, name: str) -> Self:
        """Likewise; nothing was written there yet."""
        made = super().beside(name)
        made._written, made._second = {}, None
        return made

    def create(self, path: str, source: Source) -> None:
        """As for any folder; the MD5 of what was written is remembered, because it is what Drive tells of a file."""
        import hashlib  # it brings OpenSSL, which nobody needs who only looks

        def hashed() -> Iterator[bytes]:
            digest, size = hashlib.md5(usedforsecurity=False), 0
            for chunk in source():
                digest.update(chunk)
                size += len(chunk)
                yield chunk
            self._written[path] = digest.hexdigest().encode()
            if self._second is not None:
                self._second.wrote(path, Given(size, digest.hexdigest()))

        super().create(path, hashed)

    def durability(self, paths: Sequence[str], reference: str | None = None) -> Durability:
        """`WRITTEN` while any file is not uploaded, `CONFIRMED` where every file is known to be, else `UNKNOWN`.

        Where Drive's API can be asked its word counts: the mount only names ids, and says what it still waits for. Else three
        signals of the mount have to agree: an id that the cloud gave, nothing uncommitted, and the checksum of what the cloud has.
        A mount that gives no checksum for the reference either gives none at all, and then two are enough. Before that
        is known a missing checksum is an absent signal; once any was seen, it means that the file is not uploaded.

        Raises:
            StoreUnreachable: the mount is not the one that was written to; nothing that it says counts.
        """
        self.check()
        if self._gives_checksums is None and reference is not None and self._uploaded(reference):
            self._gives_checksums = self._attribute(reference, CHECKSUM) is not None
        if self._second is not None and (by_api := self._second.durability(paths, self._ids(paths), self._by_mount)) is not None:
            return by_api
        answers = {self._durability(path) for path in paths}
        return next((d for d in (Durability.WRITTEN, Durability.UNKNOWN) if d in answers), Durability.CONFIRMED)

    def _ids(self, paths: Sequence[str]) -> dict[str, str]:
        """The ids in Drive that the mount names."""
        found = {path: self._of_mount(path, ID) for path in paths}
        return {p: i.decode("ascii", "replace") for p, i in found.items() if i and not i.lower().startswith(LOCAL_ID)}

    def _of_mount(self, path: str, name: str) -> bytes | None:
        try:
            return get_attribute(self._path(path), name).strip() or None
        except OSError:
            return None

    def _by_mount(self, path: str) -> Durability:
        """What the mount says of one file; of what was sent past it, and it does not show yet, nothing."""
        try:
            return self._durability(path)
        except StoreNotFound:
            return Durability.UNKNOWN

    def _durability(self, path: str) -> Durability:
        uploaded = self._uploaded(path)
        if not uploaded:
            return Durability.UNKNOWN if uploaded is None else Durability.WRITTEN
        checksum = self._attribute(path, CHECKSUM)
        if checksum is not None:
            self._gives_checksums = True
            return Durability.CONFIRMED if self._written.get(path, checksum) == checksum else Durability.WRITTEN
        return {None: Durability.UNKNOWN, True: Durability.WRITTEN, False: Durability.CONFIRMED}[self._gives_checksums]

    def _uploaded(self, path: str) -> bool | None:
        """What id and flag say; None where they do not.

        For a file that was only ever created a cloud id is proof. An overwritten one would keep its old id, and we have none.
        """
        identity, pending = self._attribute(path, ID), self._attribute(path, UNCOMMITTED)
        if pending in _YES or (identity is not None and identity.startswith(LOCAL_ID)):
            return False
        return True if pending in _NO and identity else None

    def _attribute(self, path: str, name: str) -> bytes | None:
        try:
            return get_attribute(self._path(path), name).strip().lower() or None
        except OSError as error:
            if error.errno in _NO_SIGNAL:
                return None
            raise as_store_error(error, self._shown(path)) from error
