"""What the cloud holds: items, and the bytes of one version of a file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

#: What lies in `My Drive` itself has this parent.
ROOT = "root"
#: The one shared drive; a folder that lies in none.
SHARED = "0AHoldfastSharedUk9PVA"


@dataclass(frozen=True)
class Item:
    """One file or folder. Two items of one folder can share a name: they are twins.

    `trashed` says whether it was put into the trash itself; what lies in a folder in the trash is not marked.
    """

    id: str
    parent: str
    name: str
    folder: bool
    blob: str
    size: int
    md5: str
    version: int
    trashed: bool
    born: int
    change: int
    machine: str
    modified: float


@dataclass(frozen=True)
class Content:
    """The bytes of one version of a file, kept under a name that is never used again."""

    blob: str = ""
    size: int = 0
    md5: str = hashlib.md5(b"", usedforsecurity=False).hexdigest()


class Sums:
    """The checksums that Drive keeps of a content, computed as its bytes come."""

    def __init__(self) -> None:
        self._digests = [hashlib.new(name, usedforsecurity=False) for name in ("md5", "sha1", "sha256")]

    def add(self, data: bytes | memoryview) -> None:
        """The next bytes."""
        for digest in self._digests:
            digest.update(data)

    def read(self) -> tuple[str, str, str]:
        """MD5, SHA-1 and SHA-256 of the bytes so far, in hexadecimal."""
        md5, sha1, sha256 = (digest.hexdigest() for digest in self._digests)
        return md5, sha1, sha256
