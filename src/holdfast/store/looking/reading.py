"""Files of a store that are read whole, within a limit: manifests, which are remembered, and the sentinel."""

from __future__ import annotations

from holdfast.errors import Corrupt, NewerFormat
from holdfast.store.backends.backend import Backend
from holdfast.store.format.keys import printable
from holdfast.store.format.manifest import Manifest
from holdfast.store.format.manifest_reading import MAX_MANIFEST_BYTES, parse
from holdfast.store.format.names import ManifestName


class Manifests:
    """The manifests of a store; what was read once is remembered, because it never changes.

    Args:
        backend: Where the store lies.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._read: dict[str, Manifest] = {}

    def read(self, name: ManifestName) -> Manifest:
        """Read and check one manifest.

        Raises:
            Corrupt: it was read to its end and does not verify.
            StoreNotFound, StoreUnreadable: as they say.
        """
        if name.path not in self._read:
            try:
                manifest = parse(read_whole(self._backend, name.path, MAX_MANIFEST_BYTES), name)
            except NewerFormat:
                raise
            except Corrupt:  # a network mount may hand out one short read, so it is read once more before it counts
                manifest = parse(read_whole(self._backend, name.path, MAX_MANIFEST_BYTES), name)
            self._read[name.path] = manifest
        return self._read[name.path]

    def known(self, name: ManifestName) -> Manifest | None:
        """A manifest that was read or written already."""
        return self._read.get(name.path)

    def remember(self, manifest: Manifest) -> None:
        """One that was just written and checked needs no reading."""
        self._read[manifest.name.path] = manifest


def read_whole(backend: Backend, path: str, limit: int) -> bytes:
    """The content of a file in the store.

    Raises:
        Corrupt: it is larger than `limit` bytes.
        StoreError: it cannot be read now.
    """
    data = bytearray()
    for chunk in backend.read(path):
        data += chunk
        if len(data) > limit:
            raise Corrupt(f"{printable(path)}: larger than {limit} bytes, so it is not one of ours")
    return bytes(data)
