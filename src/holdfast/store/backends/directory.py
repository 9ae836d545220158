"""A store in a plain folder: a disk, a network share, a synchronised folder."""

from __future__ import annotations

import contextlib
import copy
import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

from holdfast.errors import (
    HoldfastError,
    StoreDenied,
    StoreError,
    StoreExists,
    StoreFull,
    StoreNotFound,
    StoreUnreachable,
    StoreUnreadable,
)
from holdfast.platform import (
    BINARY,
    NO_BLOCK,
    NO_FOLLOW,
    WRITE_BACK_BYTES,
    WRITE_BYTES,
    begin_write_back,
    disk_space,
    fsync_folder,
    mount_table,
    real_path,
)
from holdfast.store.backends.backend import CHUNK_BYTES, Entry, LocalFile, Source, Space, Stat
from holdfast.store.backends.mounts import DISK, DRIVE_FILE_SYSTEM, keeps, kind_of, told_space
from holdfast.store.format.keys import printable
from holdfast.store.reporting.durability import Durability

P = ParamSpec("P")
T = TypeVar("T")

_BY_ERRNO: dict[int, type[StoreError]] = {
    errno.ENOENT: StoreNotFound,
    errno.ENOTDIR: StoreNotFound,
    errno.ELOOP: StoreNotFound,  # a link where a file should be: not ours, so not there
    errno.EEXIST: StoreExists,
    errno.EACCES: StoreDenied,
    errno.EPERM: StoreDenied,
    errno.EROFS: StoreDenied,
    errno.ENOSPC: StoreFull,
    errno.EDQUOT: StoreFull,
    errno.EFBIG: StoreFull,
    errno.ENOTCONN: StoreUnreachable,
    errno.ESTALE: StoreUnreachable,
    errno.ENODEV: StoreUnreachable,
    errno.ENXIO: StoreUnreachable,
    errno.EHOSTDOWN: StoreUnreachable,
    errno.ETIMEDOUT: StoreUnreachable,
}


def as_store_error(error: OSError, where: str) -> StoreError:
    """The typed error for an errno; whatever is not known counts as unreadable, never as missing."""
    kind = _BY_ERRNO.get(error.errno or 0, StoreUnreadable)
    return kind(error.errno or errno.EIO, f"{error.strerror or error}", printable(where))


def _close_quietly(handle: int) -> None:
    """After a failure, or a read: a mount that died says so at every close, and nothing depends on it."""
    with contextlib.suppress(OSError):
        os.close(handle)


class DirectoryBackend:
    """A store folder below an existing folder.

    Args:
        folder: The folder that must exist (`--drive DIR`).
        project: Path of the store folder below it, usually one name.
        mount_point: Where Drive is expected to be mounted. Below it only a `fuse.drive` mount counts: an unmounted
            mount point is an ordinary folder on a disk about to vanish.
        durable: What the user says of this place: `fsync` or `close` means that the bytes are safe. None says nothing.
    """

    def __init__(self, folder: Path, project: str, *, mount_point: Path | None = None, durable: str | None = None) -> None:
        self._folder = Path(os.path.abspath(folder))
        self._parts = tuple(project.split("/"))
        self._root = self._folder.joinpath(*self._parts)
        self._mount_point = None if mount_point is None else Path(os.path.abspath(mount_point))
        self._durable = durable
        self._device: int | None = None
        self._made: set[Path] = set()
        self._dirty: set[Path] = set()

    @property
    def location(self) -> str:
        return printable(str(self._root))

    @property
    def name(self) -> str:
        return self._parts[-1]

    def beside(self, name: str) -> Self:
        made = copy.copy(self)
        made._parts = (*self._parts[:-1], name)
        made._root = self._root.with_name(name)
        made._made, made._dirty = set(), set()
        return made

    def check(self) -> None:
        try:
            found = os.stat(self._folder)
        except OSError as error:
            raise StoreUnreachable(
                error.errno, f"{error.strerror}: is the drive mounted, and the folder right?", printable(str(self._folder))
            ) from error
        if not stat.S_ISDIR(found.st_mode):
            raise StoreUnreachable(errno.ENOTDIR, "the drive folder is not a folder", printable(str(self._folder)))
        self._check_mount()
        if self._device is None:
            self._device = found.st_dev
        elif self._device != found.st_dev:
            raise StoreUnreachable(
                errno.ENODEV,
                "another device lies here than when the store was opened: mount the drive again, then attach again",
                printable(str(self._folder)),
            )

    def _check_mount(self) -> None:
        point = self._mount_point
        if point is None or (point != self._folder and point not in self._folder.parents):
            return
        table = mount_table()
        found = table.get(str(real_path(point, table)))
        if found != DRIVE_FILE_SYSTEM:
            raise StoreUnreachable(
                errno.ENOTCONN,
                f"Drive is not mounted here (found {found or 'an ordinary folder'}, expected {DRIVE_FILE_SYSTEM}): "
                "mount it in a notebook cell and run again",
                printable(str(point)),
            )

    def siblings(self) -> Sequence[Entry]:
        place = self._folder
        for part in self._parts[:-1]:
            entries = self._scan(place)
            place /= part
            if Entry(part, is_folder=True) not in entries:
                if Entry(part, is_folder=False) in entries:
                    raise StoreUnreachable(errno.ENOTDIR, "a folder should be here, and something else is", printable(str(place)))
                return ()
        return self._scan(place)

    def _scan(self, place: Path) -> list[Entry]:
        try:
            with os.scandir(place) as found:
                return sorted(Entry(e.name, e.is_dir(follow_symlinks=False)) for e in found)
        except OSError as error:
            raise StoreUnreachable(error.errno, error.strerror, printable(str(place))) from error

    def list(self, folder: str) -> Sequence[Entry]:
        def scan() -> list[Entry]:
            with os.scandir(self._path(folder)) as found:
                return sorted(Entry(e.name, e.is_dir(follow_symlinks=False)) for e in found)

        try:
            return self._call(folder, scan)
        except StoreNotFound as error:
            try:
                found = self._call(folder, os.lstat, self._path(folder)).st_mode
            except StoreNotFound:
                raise error from None
            if not stat.S_ISDIR(found):  # a file, or a link to a disk that is unplugged: not absence
                raise StoreUnreadable(
                    errno.ENOTDIR, "a folder should be here, and something else is", self._shown(folder)
                ) from error
            return self._call(folder, scan)  # made this very moment

    def stat(self, path: str) -> Stat:
        found = self._call(path, lambda: os.stat(self._path(path), follow_symlinks=False))
        if not (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)):
            raise StoreNotFound(errno.ENOENT, "neither a file nor a folder", self._shown(path))
        return Stat(found.st_size, stat.S_ISDIR(found.st_mode))

    def read(self, path: str) -> Iterator[bytes]:
        # O_NONBLOCK: a pipe planted in the store must not hang the restore.
        handle = self._call(path, lambda: os.open(self._path(path), os.O_RDONLY | NO_FOLLOW | NO_BLOCK | BINARY))
        try:
            if not stat.S_ISREG(self._call(path, os.fstat, handle).st_mode):
                raise StoreNotFound(errno.ENOENT, "not a regular file", self._shown(path))
            while chunk := self._call(path, lambda: os.read(handle, CHUNK_BYTES)):
                yield chunk
        finally:
            _close_quietly(handle)

    def create(self, path: str, source: Source) -> None:
        target = self._path(path)
        self._make_folder(target.parent)
        may_clone = isinstance(source, LocalFile) and self._is_disk()
        flags = (os.O_RDWR if may_clone else os.O_WRONLY) | os.O_CREAT | os.O_EXCL | NO_FOLLOW | BINARY
        try:
            handle = self._call(path, lambda: os.open(target, flags, 0o600))
        except StoreNotFound:  # a folder that was there a moment ago has gone
            self._made.clear()
            self._make_folder(target.parent)
            handle = self._call(path, lambda: os.open(target, flags, 0o600))
        self._dirty.add(target.parent)
        try:
            if not (may_clone and isinstance(source, LocalFile) and self._clone(path, handle, source)):
                self._fill(path, handle, source)
            self._call(path, lambda: os.fsync(handle))
        except BaseException:
            _close_quietly(handle)
            raise
        self._call(path, lambda: os.close(handle))  # on a network file system this is where a write may still fail

    def _clone(self, path: str, handle: int, source: LocalFile) -> bool:
        try:
            return source.clone_into(handle)
        except HoldfastError:
            raise
        except OSError as error:
            raise as_store_error(error, self._shown(path)) from error

    def _fill(self, path: str, handle: int, source: Source) -> None:
        """Write what a source gives. A disk of this machine begins with the first bytes, so that little is left for `fsync`."""
        written = begun = 0
        disk: bool | None = None  # asked once, and not for a small file: it reads the table of mounts
        for chunk in source():
            rest = memoryview(chunk)
            if disk is None and len(rest) > WRITE_BYTES:
                disk = self._is_disk()
            most = WRITE_BYTES if disk else len(rest)
            while rest:
                rest = rest[self._write(path, handle, rest[:most]) :]
            written += len(chunk)
            if disk and written - begun >= WRITE_BACK_BYTES:
                begin_write_back(handle, begun, written - begun)
                begun = written

    def _is_disk(self) -> bool:
        return kind_of(self._folder) is DISK

    def _write(self, path: str, handle: int, data: memoryview) -> int:
        return self._call(path, lambda: os.write(handle, data))

    def make_folder(self, path: str) -> None:
        self._make_folder(self._path(path))

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and those above it, up to the folder that must exist. Never through a link."""
        if folder in self._made or folder == self._folder:
            return
        self._make_folder(folder.parent)
        shown = printable(str(folder))
        try:
            try:
                os.mkdir(folder, 0o700)
                self._dirty.add(folder.parent)
            except FileExistsError:
                if not stat.S_ISDIR(os.lstat(folder).st_mode):
                    raise StoreDenied(errno.ENOTDIR, "a file or a link is where a folder must be; move it", shown) from None
        except StoreError:
            raise
        except OSError as error:
            if error.errno == errno.ENOENT:  # the folder that must exist has gone: nothing is made in its place
                raise StoreUnreachable(errno.ENOENT, "the drive folder has gone", shown) from error
            raise as_store_error(error, str(folder)) from error
        self._made.add(folder)

    def remove(self, path: str) -> None:
        target = self._path(path)
        with contextlib.suppress(StoreNotFound):
            if kind_of(self._folder).empties:
                handle = self._call(path, lambda: os.open(target, os.O_WRONLY | os.O_TRUNC | NO_FOLLOW | NO_BLOCK))
                self._call(path, lambda: os.close(handle))
            self._call(path, lambda: os.unlink(target))
            self._dirty.add(target.parent)

    def flush(self) -> None:
        for folder in sorted(self._dirty):
            with contextlib.suppress(FileNotFoundError):
                self._call(str(folder), fsync_folder, folder)
        self._dirty.clear()

    def durability(self, paths: Sequence[str], reference: str | None = None) -> Durability:
        known = keeps(kind_of(self._folder), self._durable)
        return Durability.CONFIRMED if known else Durability.UNKNOWN

    def space(self) -> Space | None:
        total, free = self._call("", disk_space, self._folder)
        return told_space(kind_of(self._folder), total, free)

    def _path(self, path: str) -> Path:
        return self._root / path if path else self._root

    def _shown(self, path: str) -> str:
        return printable(str(self._path(path)))

    def _call(self, path: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(*args, **kwargs)
        except StoreError:
            raise
        except OSError as error:
            raise as_store_error(error, self._shown(path)) from error
