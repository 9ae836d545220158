"""Every backend and every wrapper passes the one suite, and a backend with a defect does not."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from holdfast.errors import StoreExists, StoreNotFound
from holdfast.store.backends.backend import CHUNK_BYTES, Backend, Entry, Source, Space, Stat
from holdfast.store.backends.backoff import Backoff
from holdfast.store.backends.directory import DirectoryBackend
from holdfast.store.backends.drive import DriveBackend
from holdfast.store.backends.wrappers import Bounded, Counting, Faulty, Retrying
from holdfast.store.reporting.durability import Durability
from holdfast.testing.backends import BackendTests, Place
from tests.drive import Mount, mount, nothing_stays_mounted
from tests.support import PROJECT

__all__ = ["mount", "nothing_stays_mounted"]


class Folder(Place):
    """Past the backend by the file system."""

    def __init__(self, backend: Backend, folder: Path) -> None:
        super().__init__(backend)
        self._folder = folder

    def put(self, path: str, data: bytes) -> None:
        place = self._folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    def get(self, path: str) -> bytes | None:
        place = self._folder / path
        return place.read_bytes() if place.is_file() else None

    def paths(self) -> set[str]:
        return {p.relative_to(self._folder).as_posix() for p in self._folder.rglob("*") if p.is_file()}


WRAPPERS: dict[str, Callable[[Backend], Backend]] = {
    "none": lambda inner: inner,
    "counting": Counting,
    "faulty": lambda inner: Faulty(inner, lambda operation, path: None),
    "retrying": lambda inner: Retrying(inner, Backoff(sleep=lambda _: None)),
    "bounded": lambda inner: Bounded(inner, 60),
}


class TestAFolder(BackendTests):
    @pytest.fixture(params=WRAPPERS)
    def place(self, request: pytest.FixtureRequest, tmp_path: Path) -> Place:
        return Folder(WRAPPERS[request.param](DirectoryBackend(tmp_path, PROJECT)), tmp_path / PROJECT)


class TestDrivesMount(BackendTests):
    @pytest.fixture
    def place(self, mount: Mount) -> Place:
        drive = mount()
        return Folder(DriveBackend(drive.my_drive, PROJECT, mount_point=drive.mountpoint), drive.my_drive / PROJECT)


class Dictionary:
    """The smallest backend."""

    location, name = "a dictionary", PROJECT

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.folders: set[str] = set()

    def beside(self, name: str) -> Dictionary:
        return Dictionary()

    def check(self) -> None:
        pass

    def siblings(self) -> Sequence[Entry]:
        return [Entry(self.name, is_folder=True)] if self.files or self.folders else []

    def list(self, folder: str) -> Sequence[Entry]:
        above = f"{folder}/" if folder else ""
        below = [p[len(above) :] for p in (*self.files, *(f"{f}/" for f in self.folders)) if p.startswith(above) and p != above]
        if not below and folder not in self.folders:
            raise StoreNotFound(errno.ENOENT, "no such folder", folder)
        return sorted({Entry(p.partition("/")[0], is_folder="/" in p) for p in below})

    def stat(self, path: str) -> Stat:
        if path in self.files:
            return Stat(len(self.files[path]), is_folder=False)
        self.list(path)
        return Stat(0, is_folder=True)

    def read(self, path: str) -> Iterator[bytes]:
        if path not in self.files:
            raise StoreNotFound(errno.ENOENT, "no such file", path)
        yield from (self.files[path][at : at + CHUNK_BYTES] for at in range(0, len(self.files[path]), CHUNK_BYTES))

    def create(self, path: str, source: Source) -> None:
        if path in self.files or any(p.startswith(f"{path}/") for p in self.files):
            raise StoreExists(errno.EEXIST, "the name is taken", path)
        self.files[path] = b""
        self.files[path] = b"".join(source())

    def make_folder(self, path: str) -> None:
        self.folders.add(path)

    def remove(self, path: str) -> None:
        self.files.pop(path, None)

    def flush(self) -> None:
        pass

    def durability(self, paths: Sequence[str], reference: str | None = None) -> Durability:
        return Durability.UNKNOWN

    def space(self) -> Space | None:
        return None


class Entries(Place):
    """Past the backend by its dictionary."""

    backend: Dictionary

    def put(self, path: str, data: bytes) -> None:
        self.backend.files[path] = data

    def get(self, path: str) -> bytes | None:
        return self.backend.files.get(path)

    def paths(self) -> set[str]:
        return set(self.backend.files)


class TestADictionary(BackendTests):
    @pytest.fixture
    def place(self) -> Place:
        return Entries(Dictionary())


class Overwrites(Dictionary):
    def create(self, path: str, source: Source) -> None:
        self.files[path] = b"".join(source())


class LeavesOneOut(Dictionary):
    def list(self, folder: str) -> Sequence[Entry]:
        return super().list(folder)[:-1] or super().list(folder)


class ReadsShort(Dictionary):
    def read(self, path: str) -> Iterator[bytes]:
        yield from (chunk[:-1] for chunk in super().read(path))


class ReadsAtOnce(Dictionary):
    def read(self, path: str) -> Iterator[bytes]:
        yield b"".join(super().read(path))


class SwallowsErrors(Dictionary):
    def create(self, path: str, source: Source) -> None:
        try:
            super().create(path, source)
        except OSError as error:
            if isinstance(error, StoreExists):
                raise


class IsNotExclusive(Dictionary):
    def create(self, path: str, source: Source) -> None:
        if path in self.files:
            raise StoreExists(errno.EEXIST, "the name is taken", path)
        self.files[path] = b"".join(source())  # who came first while that was read is overwritten


class CallsMissingEmpty(Dictionary):
    def list(self, folder: str) -> Sequence[Entry]:
        try:
            return super().list(folder)
        except StoreNotFound:
            return []


class RemovesTheFolder(Dictionary):
    def remove(self, path: str) -> None:
        above = path.rpartition("/")[0]
        self.files = {p: data for p, data in self.files.items() if not p.startswith(f"{above}/")}


class MakesWhatIsBeside(Dictionary):
    def beside(self, name: str) -> Dictionary:
        self.others = {name}
        return self

    def siblings(self) -> Sequence[Entry]:
        return [*super().siblings(), *(Entry(n, is_folder=True) for n in getattr(self, "others", ()))]


DEFECTS = (
    Overwrites,
    LeavesOneOut,
    ReadsShort,
    ReadsAtOnce,
    SwallowsErrors,
    IsNotExclusive,
    CallsMissingEmpty,
    RemovesTheFolder,
    MakesWhatIsBeside,
)


def failures(made: type[Dictionary]) -> list[str]:
    """The tests of the suite that a backend does not pass."""
    found, suite = [], BackendTests()
    for name in (n for n in dir(suite) if n.startswith("test_")):
        try:
            getattr(suite, name)(Entries(made()))
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - what fails is what is asked
            found.append(name)
    return found


def test_a_backend_without_a_defect_fails_nothing() -> None:
    assert failures(Dictionary) == []


@pytest.mark.parametrize("made", DEFECTS)
def test_a_backend_with_a_defect_does_not_pass(made: type[Dictionary]) -> None:
    assert failures(made) != []
