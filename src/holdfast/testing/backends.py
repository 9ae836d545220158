"""One suite for every backend: whoever writes one inherits it, gives a place, and passes.

    class TestMine(BackendTests):
        @pytest.fixture
        def place(self, tmp_path): ...

Every check goes past the backend (`Place.put`, `get`, `paths`), so none is tested with itself.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator

import pytest

from holdfast.errors import StoreError, StoreExists, StoreNotFound
from holdfast.store.backends.backend import CHUNK_BYTES, Backend, Entry, Stat
from holdfast.store.reporting.durability import Durability


class Place(ABC):
    """A place for one store folder, empty at first, with access to it that does not use the backend.

    Args:
        backend: The one under test.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @abstractmethod
    def put(self, path: str, data: bytes) -> None:
        """Have a file there, with the folders above it."""

    @abstractmethod
    def get(self, path: str) -> bytes | None:
        """What is in a file; None where there is none."""

    @abstractmethod
    def paths(self) -> set[str]:
        """Every file below the store folder."""


def content(size: int) -> bytes:
    """So many bytes, which repeat nowhere."""
    return random.Random(size).randbytes(size)


class BackendTests:
    """What the Protocol promises, each as a test. All of them take the fixture `place`, and nothing else."""

    @pytest.fixture
    def place(self) -> Place:
        """A place with nothing in it."""
        raise NotImplementedError("give a fixture `place`")

    # -- writing -----------------------------------------------------------------------------------------------------

    def test_what_is_created_lies_there(self, place: Place) -> None:
        """Of any size, in however many chunks, below folders that were not there."""
        sizes = (0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES)
        for size in sizes:
            data = content(size)
            place.backend.create(f"a/b-{size}/file", lambda data=data: (data[:7], data[7:]))  # type: ignore[misc]
        place.backend.flush()
        assert {p: place.get(p) for p in place.paths()} == {f"a/b-{size}/file": content(size) for size in sizes}

    def test_a_name_is_never_written_twice(self, place: Place) -> None:
        """What lies there stays, whoever put it there."""
        place.put("a/theirs", b"theirs")
        place.backend.create("a/mine", lambda: (b"mine",))
        for path, held in (("a/theirs", b"theirs"), ("a/mine", b"mine")):
            with pytest.raises(StoreExists):
                place.backend.create(path, lambda: (b"other",))
            assert place.get(path) == held

    def test_a_folder_is_no_name_for_a_file(self, place: Place) -> None:
        """Nor is a file lost for it."""
        place.put("a/file", b"file")
        with pytest.raises(StoreError):
            place.backend.create("a", lambda: (b"other",))
        assert place.get("a/file") == b"file"

    def test_of_two_that_create_one_name_at_once_one_wins(self, place: Place) -> None:
        """Whole, and the other is told."""
        won = []

        def source() -> Iterator[bytes]:
            yield b"first, "
            try:
                place.backend.create("a/file", lambda: (b"second",))
                won.append(b"second")
            except StoreExists:
                pass
            yield b"to its end"

        try:
            place.backend.create("a/file", source)
            won.append(b"first, to its end")
        except StoreExists:
            pass
        assert len(won) == 1
        assert place.get("a/file") == won[0]

    def test_a_source_that_fails_is_told(self, place: Place) -> None:
        """And what else is there is untouched."""
        place.put("a/other", b"other")

        def source() -> Iterator[bytes]:
            yield b"the beginning"
            raise OSError("the file could not be read")

        with pytest.raises(OSError, match="could not be read"):
            place.backend.create("a/file", source)
        assert place.get("a/other") == b"other"
        place.backend.create("a/file-2", lambda: (b"again",))
        assert place.get("a/file-2") == b"again"

    def test_a_folder_is_made_once_and_stays(self, place: Place) -> None:
        """With those above it, and with what is in it."""
        place.backend.make_folder("a/b/c")
        place.put("a/b/c/file", b"file")
        place.backend.make_folder("a/b/c")
        place.backend.make_folder("a")
        assert place.get("a/b/c/file") == b"file"
        assert place.backend.stat("a/b") == Stat(place.backend.stat("a/b").size, is_folder=True)

    def test_what_is_removed_is_gone_and_nothing_else(self, place: Place) -> None:
        """What is not there is no error."""
        place.put("a/file", b"file")
        place.put("a/other", b"other")
        for _ in range(2):
            place.backend.remove("a/file")
        place.backend.remove("nowhere/file")
        assert place.paths() == {"a/other"}
        assert place.get("a/other") == b"other"

    # -- looking -----------------------------------------------------------------------------------------------------

    def test_a_listing_shows_all_in_order(self, place: Place) -> None:
        """Files and folders, and nothing of what is below those."""
        names = sorted(f"file-{random.Random(n).randrange(10**9)}" for n in range(300))
        for name in names:
            place.put(f"a/{name}", b"")
        place.put("a/folder/below", b"")
        expected = sorted([Entry(n, is_folder=False) for n in names] + [Entry("folder", is_folder=True)])
        assert list(place.backend.list("a")) == expected
        assert list(place.backend.list("")) == [Entry("a", is_folder=True)]

    def test_what_is_read_is_all_of_it(self, place: Place) -> None:
        """In chunks of at most `CHUNK_BYTES`."""
        for size in (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 1):
            place.put(f"a/file-{size}", content(size))
            chunks = list(place.backend.read(f"a/file-{size}"))
            assert b"".join(chunks) == content(size)
            assert max(map(len, chunks), default=0) <= CHUNK_BYTES
            assert place.backend.stat(f"a/file-{size}") == Stat(size, is_folder=False)

    def test_what_is_missing_is_said_to_be_missing(self, place: Place) -> None:
        """By its own error, in a store that is there."""
        place.put("a/file", b"file")
        for ask in (place.backend.list, place.backend.stat, lambda path: list(place.backend.read(path))):
            for path in ("a/nothing", "nowhere/at/all"):
                with pytest.raises(StoreNotFound):
                    ask(path)

    def test_a_file_is_no_folder_to_list(self, place: Place) -> None:
        """And never an empty one: whatever is called absent gets made again."""
        place.put("a/file", b"file")
        with pytest.raises(StoreError):
            place.backend.list("a/file")

    def test_the_store_folder_is_among_its_siblings_once_it_is_there(self, place: Place) -> None:
        """Under its name; another one beside it is only named, not made."""
        place.backend.beside("another")
        place.backend.create("a/file", lambda: (b"file",))
        place.backend.flush()
        shown = list(place.backend.siblings())
        assert Entry(place.backend.name, is_folder=True) in shown
        assert "another" not in {e.name for e in shown}
        place.backend.check()

    def test_how_safe_and_how_large_it_is_can_be_asked(self, place: Place) -> None:
        """Whatever the answer is."""
        place.backend.create("a/file", lambda: (b"file",))
        place.backend.flush()
        assert place.backend.durability(["a/file"]) in Durability
        space = place.backend.space()
        assert space is None or 0 <= space.free <= space.total
        assert place.backend.location
