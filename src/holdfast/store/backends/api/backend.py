"""A store on Drive by its API: the very files and folders that the mount shows, asked for at the source."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import threading
from collections.abc import Iterator, Sequence
from typing import Self

from holdfast.errors import StoreDenied, StoreExists, StoreNotFound, StoreUnreadable
from holdfast.store.backends.api.files import Files
from holdfast.store.backends.api.items import Item
from holdfast.store.backends.api.notes import Notes
from holdfast.store.backends.api.sessions import PIECE_BYTES, Uploads
from holdfast.store.backends.api.transport import Transport
from holdfast.store.backends.api.tree import MY_DRIVE_ID, Tree
from holdfast.store.backends.api.witness import Seen, Witness, Written
from holdfast.store.backends.backend import Entry, Source, Space, Stat
from holdfast.store.reporting.durability import Durability

#: The content of a file is never another one. So small ones, as the sentinel, are fetched once: a download costs 200 units, the
#: question whether it is still there 5.
_REMEMBERED_BYTES = 4096


class ApiBackend:
    """A store folder on Drive, by its API.

    What was written is safe once `create` returns: Drive has answered with the checksum of what was sent.

    Args:
        transport: Asks.
        folder: Path of the folder that must exist, below `base`; empty for that itself.
        project: Path of the store folder below it, usually one name.
        base: Id of a folder; `root` is My Drive.
        notes: What this machine notes of what it makes; by default it forgets that with the process.
        piece: Bytes of a large file that are sent at a time.
    """

    def __init__(
        self,
        transport: Transport,
        folder: str,
        project: str,
        *,
        base: str = MY_DRIVE_ID,
        notes: Notes | None = None,
        piece: int = PIECE_BYTES,
    ) -> None:
        self._notes = notes or Notes()
        above = tuple(part for part in folder.split("/") if part)
        self.tree = Tree(Files(transport), self._notes, base, above, tuple(project.split("/")))
        self.witness = Witness(self.tree)
        self._piece = piece
        self._lock = threading.Lock()
        self._creating: set[str] = set()
        self._safe: set[str] = set()
        self._small: dict[tuple[str, str], bytes] = {}

    @property
    def location(self) -> str:
        return self.tree.shown()

    @property
    def name(self) -> str:
        return self.tree.store[-1]

    def beside(self, name: str) -> Self:
        made = object.__new__(type(self))
        made._notes = Notes()
        made.tree = self.tree.beside(name, made._notes)
        made.witness = Witness(made.tree)
        made._piece = self._piece
        made._lock = threading.Lock()
        made._creating, made._safe, made._small = set(), set(), {}
        return made

    def check(self) -> None:
        self.tree.check()

    def siblings(self) -> Sequence[Entry]:
        return _entries(self.tree.beside_it())

    def list(self, folder: str) -> Sequence[Entry]:
        found = self.tree.children(folder)
        if found is None:
            if folder and self.tree.find(folder) is not None:
                raise StoreUnreadable(errno.ENOTDIR, "a folder should be here, and something else is", self.tree.shown(folder))
            raise StoreNotFound(errno.ENOENT, "there is no such folder", self.tree.shown(folder))
        return _entries(found)

    def stat(self, path: str) -> Stat:
        item = self._found(path)
        if not (item.is_file or item.is_folder):
            raise StoreNotFound(errno.ENOENT, "neither a file nor a folder", self.tree.shown(path))
        return Stat(item.size, item.is_folder)

    def read(self, path: str) -> Iterator[bytes]:
        item = self._found(path)
        if not item.is_file or item.is_folder:
            raise StoreNotFound(errno.ENOENT, "not a regular file", self.tree.shown(path))
        known = (item.id, item.sha256 or "")
        if (held := self._small.get(known)) is not None:
            yield held
            return
        read = bytearray()
        for chunk in self.tree.files.download(item, self.tree.shown(path)):
            if item.size <= _REMEMBERED_BYTES:
                read += chunk
            yield chunk
        if item.sha256 is not None and read and hashlib.sha256(read).hexdigest() == item.sha256:
            self._small[known] = bytes(read)

    def _found(self, path: str) -> Item:
        item = self.tree.find(path)
        if item is None:
            raise StoreNotFound(errno.ENOENT, "there is no such file", self.tree.shown(path))
        return item

    def create(self, path: str, source: Source) -> None:
        with self._alone(path):
            parent, made_now = self.tree.need_folder(path.rpartition("/")[0])
            if not made_now and self._is_taken(path):
                raise self._taken(path)
            Uploads(self.tree.files, self._notes, piece=self._piece).send(path, parent, source, self.tree.shown(path))
            self._safe.add(path)

    def _is_taken(self, path: str) -> bool:
        return self.has_sent(path) or self.tree.find(path) is not None

    def _taken(self, path: str) -> StoreExists:
        return StoreExists(errno.EEXIST, "the name is taken", self.tree.shown(path))

    @contextlib.contextmanager
    def _alone(self, path: str) -> Iterator[None]:
        """Of two in this process that create one name, one does."""
        with self._lock:
            if path in self._creating:
                raise self._taken(path)
            self._creating.add(path)
        try:
            yield
        finally:
            with self._lock:
                self._creating.discard(path)

    def make_folder(self, path: str) -> None:
        self.tree.need_folder(path)

    def remove(self, path: str) -> None:
        """Delete a file, past the trash, so there is nothing to empty. Missing is not an error."""
        self._safe.discard(path)
        made = self._notes.made(path)
        if made is not None and made.arrived:
            self.tree.files.delete(made.id, self.tree.shown(path))
            self.tree.removed(path, made.id)
            return
        for item in self.tree.twins(path):
            if item.is_folder:
                raise StoreDenied(errno.EISDIR, "it is a folder", self.tree.shown(path))
            self.tree.files.delete(item.id, self.tree.shown(path))
            self.tree.removed(path, item.id)
        self._notes.forget(path)

    def remove_folder(self) -> None:
        """Delete the whole store folder, past the trash. Only for one that was made to try something out."""
        for id_ in self.tree.folders(""):
            self.tree.files.delete(id_, self.tree.shown())

    def flush(self) -> None:
        """Nothing waits: what was created has arrived."""

    def durability(self, paths: Sequence[str], reference: str | None = None) -> Durability:
        """`CONFIRMED` where Drive has every file outside of the trash; what it answered once is not asked again."""
        asked = [p for p in paths if p not in self._safe and not self.has_sent(p)]
        seen = self.witness.look({path: Written() for path in asked}) if asked else {}
        self._safe.update(path for path, how in seen.items() if how is Seen.SAFE)
        return Durability.CONFIRMED if all(how is Seen.SAFE for how in seen.values()) else Durability.UNKNOWN

    def has_sent(self, path: str) -> bool:
        """Whether this machine sent a file by the API, and Drive has it."""
        made = self._notes.made(path)
        return made is not None and made.arrived

    def sent_in(self, folder: str) -> Sequence[Entry]:
        """What this machine sent directly into a folder. Asks nothing."""
        return [Entry(made.path.rpartition("/")[2], made.is_folder) for made in self._notes.made_in(folder) if made.arrived]

    def space(self) -> Space | None:
        return self.tree.files.space()


def _entries(items: Sequence[Item]) -> Sequence[Entry]:
    """Twins are one name."""
    return sorted({Entry(item.name, item.is_folder) for item in items})
