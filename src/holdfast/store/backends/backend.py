"""The contract between Holdfast and the place where a store lies.

A backend sees one store folder and, for the proof of absence, its parent. Paths are relative POSIX paths below the
store folder; the empty path is the folder itself. Every method raises only `StoreError`s. Retry, counting, faults and
bounded waits are wrappers of this same shape (`wrappers.py`), so the code above asks one thing and never which.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from holdfast.store.reporting.durability import Durability

#: A payload as it is sent: called once for every attempt, gives the bytes in chunks.
Source = Callable[[], Iterable[bytes]]

CHUNK_BYTES = 1 << 20


class LocalFile(ABC):
    """A `Source` that is a file of this machine. A backend may take its chunks, as of any source, or its blocks where it can."""

    @abstractmethod
    def __call__(self) -> Iterable[bytes]:
        """The bytes in chunks, hashed as they go."""

    @abstractmethod
    def clone_into(self, descriptor: int) -> bool:
        """Have a new, empty file share the blocks of this one, and hash what lies there then.

        Args:
            descriptor: The new file, open for reading and writing.

        Returns:
            False where that cannot be; the file is still empty then, and the chunks are to be written.

        Raises:
            LocalError: the original cannot be opened.
            OSError: the disk, which is that of both, is full, or fails.
        """


@dataclass(frozen=True, order=True)
class Entry:
    """One name in a listing."""

    name: str
    is_folder: bool


@dataclass(frozen=True)
class Stat:
    """What a path in the store is. `size` is in bytes and means nothing for a folder."""

    size: int
    is_folder: bool


@dataclass(frozen=True)
class Space:
    """Bytes in the place where the store lies."""

    total: int
    free: int


class Backend(Protocol):
    """The file operations that Holdfast asks of a store. Nothing here renames, locks or overwrites."""

    @property
    def location(self) -> str:
        """Where the store folder is, for messages."""
        ...

    @property
    def name(self) -> str:
        """Name of the store folder as `siblings` shows it."""
        ...

    def beside(self, name: str) -> Backend:
        """The same for another folder beside the store folder. Touches nothing."""
        ...

    def check(self) -> None:
        """Return where the place is really there: right mount, right device, parent folder present.

        Raises:
            StoreUnreachable: it is not, so nothing that is missing may be taken for absent.
        """
        ...

    def siblings(self) -> Sequence[Entry]:
        """List the parent of the store folder.

        Raises:
            StoreUnreachable: the parent cannot be listed.
        """
        ...

    def list(self, folder: str) -> Sequence[Entry]:
        """List one folder, sorted by name.

        Raises:
            StoreNotFound: there is no such folder.
            StoreUnreadable: it cannot be listed now.
        """
        ...

    def stat(self, path: str) -> Stat:
        """Size and kind of one path, never through a link.

        Raises:
            StoreNotFound: there is no such path, or it is neither file nor folder.
        """
        ...

    def read(self, path: str) -> Iterator[bytes]:
        """The content of a file in chunks of at most `CHUNK_BYTES`.

        Errors surface while iterating. A short read is not detected here: callers compare lengths and hashes.

        Raises:
            StoreNotFound: there is no such file.
            StoreUnreadable: it cannot be read now.
        """
        ...

    def create(self, path: str, source: Source) -> None:
        """Write a new file under a name that was never used, making the folders above it.

        The file may be left torn by a failure or a kill; nothing that was there before is ever touched.

        Raises:
            StoreExists: the name is taken.
            StoreFull, StoreDenied, StoreUnreachable: as they say.
        """
        ...

    def make_folder(self, path: str) -> None:
        """Have a folder there, with those above it. One that is there already is no error.

        Raises:
            StoreFull, StoreDenied, StoreUnreachable: as they say.
        """
        ...

    def remove(self, path: str) -> None:
        """Empty a file, then remove it (what is in a trash counts against the quota). Missing is not an error."""
        ...

    def flush(self) -> None:
        """Make everything that this backend created as durable as this place can promise."""
        ...

    def durability(self, paths: Sequence[str], reference: str | None = None) -> Durability:
        """How safe these files are now, each of which was created once. An absent signal is `UNKNOWN`, never `CONFIRMED`.

        Args:
            paths: The files.
            reference: A file that another machine wrote, which is therefore safe: a signal that this place does not even
                give for that one is not demanded of the others. None where there is none yet.
        """
        ...

    def space(self) -> Space | None:
        """Bytes in this place, or None where it does not say."""
        ...
