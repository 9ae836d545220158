"""What tests share: machines that come and go, trees of files, and the store that they all see."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from holdfast.session.config import Config
from holdfast.session.keeper import Keeper
from holdfast.store.backends.backend import Backend
from holdfast.store.backends.directory import DirectoryBackend
from holdfast.store.backends.wrappers import Counting
from holdfast.store.local.workspace import Workspace
from holdfast.store.store import Store

PROJECT = "proj"
Tree = Mapping[str, bytes]
#: What a tree looks like: by path kind, content or target, whether it has large holes, mode, mtime, and the names of one file.
Picture = dict[str, tuple[object, ...]]


class Machine:
    """One machine: a workspace of its own on the shared drive.

    Every call of `keeper` attaches anew, as a new process would; `keep` is the one that lasts.
    """

    def __init__(self, root: Path, drive: Path, wrap: Callable[[Backend], Backend] = lambda b: b, *, parallel: int = 4) -> None:
        self.root = root
        self.drive = drive
        self.outputs = root / "outputs"
        root.mkdir(parents=True, exist_ok=True)
        self._wrap = wrap
        self._parallel = parallel
        self.keep = self.keeper()

    def keeper(self) -> Keeper:
        backend = self._wrap(DirectoryBackend(self.drive, PROJECT))
        config = Config(self.root, "outputs", PROJECT, Path("/nowhere/drive"), parallel=self._parallel)
        return Keeper(
            config, Store(backend, parallel=self._parallel, machine=self.root.name), Workspace(self.root, lock_seconds=10)
        )

    def write(self, path: str, content: bytes | str) -> Path:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        return place

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def tree(self, path: str = "outputs") -> dict[str, bytes]:
        return read_tree(self.root / path)


class Rig:
    """A drive folder and the machines that use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.drive = folder / "drive"
        self.drive.mkdir(exist_ok=True)
        self._numbers = itertools.count(1)

    @property
    def store(self) -> Path:
        return self.drive / PROJECT

    def machine(self, wrap: Callable[[Backend], Backend] = lambda b: b, *, parallel: int = 4) -> Machine:
        return Machine(self.folder / f"machine-{next(self._numbers)}", self.drive, wrap, parallel=parallel)

    def counted(self) -> tuple[Machine, Counting]:
        """A machine whose store operations are counted. One backend for all of its keepers."""
        counters: list[Counting] = []

        def wrap(backend: Backend) -> Backend:
            if not counters:
                counters.append(Counting(backend))
            return counters[0]

        return self.machine(wrap), counters[0]

    def manifests(self) -> list[Path]:
        return sorted((self.store / "generations").iterdir())

    def payloads(self) -> list[Path]:
        return sorted(p for p in (self.store / "outputs").rglob("*") if p.is_file())


def read_tree(root: Path) -> dict[str, bytes]:
    """Relative path to content of every regular file below a folder, or of the single file (path empty)."""
    if root.is_file():
        return {"": root.read_bytes()}
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file() and not p.is_symlink()}


def picture(root: Path, *, folder_times: bool = True) -> Picture:
    """Everything at and below a path. A link's own mode and time are no part of it.

    Args:
        root: The path.
        folder_times: With the times of folders. They alone make no generation, so the newest one may have older ones.
    """
    found: Picture = {}
    names: dict[int, list[str]] = {}
    for place in [root, *sorted(root.rglob("*"))] if root.is_dir() and not root.is_symlink() else [root]:
        path, status = str(place.relative_to(root)), os.lstat(place)
        mode, at = stat.S_IMODE(status.st_mode), status.st_mtime_ns
        if stat.S_ISLNK(status.st_mode):
            found[path] = ("link", os.readlink(place))
        elif stat.S_ISDIR(status.st_mode):
            found[path] = ("folder", mode, at) if folder_times else ("folder", mode)
        else:
            names.setdefault(status.st_ino, []).append(path)
            found[path] = ("file", place.read_bytes(), status.st_size - 512 * status.st_blocks > 1 << 20, mode, at)
    groups = {path: tuple(group) for group in names.values() if len(group) > 1 for path in group}
    return {path: (*what, groups.get(path, ())) for path, what in found.items()}


def furnish(folder: Path, number: int) -> None:
    """Put into a folder one of everything that is more than bytes under a name: links, hard links, times, modes, holes.

    Args:
        folder: The folder. What an earlier number put there is replaced.
        number: Everything of another number differs.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / f"empty-{number % 3}").mkdir(parents=True)
    (folder / f"empty-{number % 3}").chmod(0o700 + number % 8)
    for step in (number, number + 1):
        (folder / f"step-{step}").write_text(f"checkpoint {step}")
        os.utime(folder / f"step-{step}", ns=(0, 1_600_000_000_123_456_789 + step))
    (folder / f"step-{number}").chmod(0o600)
    os.link(folder / f"step-{number + 1}", folder / "best")
    (folder / "last").symlink_to(f"step-{number + 1}")
    with open(folder / "holes", "wb") as handle:
        handle.seek((3 << 20) + number)
        handle.write(b"the end")


def make_database(path: Path, rows: int = 10) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.execute("create table if not exists trials (number integer primary key, value real)")
    have = connection.execute("select count(*) from trials").fetchone()[0]
    connection.executemany("insert into trials values (?, ?)", [(i, i / 7) for i in range(have, rows)])
    connection.commit()
    connection.close()


def rows_in(path: Path) -> int:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return int(connection.execute("select count(*) from trials").fetchone()[0])
    finally:
        connection.close()


def age(path: Path, seconds: float = 10) -> None:
    """Make files look older, so that their hashes may be trusted at once."""
    places = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    for place in places:
        found = place.stat()
        os.utime(place, ns=(found.st_atime_ns, found.st_mtime_ns - int(seconds * 1e9)))
