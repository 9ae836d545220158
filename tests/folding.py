"""A file system that folds names, as those of macOS and Windows do: it keeps a name as it was given, and finds it under others.

A FUSE mount over a plain folder, because not every kernel folds case itself. `python -m tests.folding FOLDER MOUNTPOINT HOW`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from holdfast.simulator.mounting import mounted, unmount

Fold = Callable[[str], str]
HOW: dict[str, Fold] = {
    "case": str.casefold,  # NTFS, ext4 in a folder with +F
    "accents": lambda name: unicodedata.normalize("NFD", name),  # APFS where case counts
    "both": lambda name: unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold()),  # APFS as it comes, HFS+
}


class Folding:
    """The FUSE operations, each handed on to the folder below."""

    use_ns = True

    def __init__(self, root: str, fold: Fold) -> None:
        self._root = root
        self._fold = fold

    def _at(self, path: str) -> str:
        place = self._root
        for name in filter(None, path.split("/")):
            place = f"{place}/{self._found(place, name)}"
        return place

    def _found(self, folder: str, name: str) -> str:
        try:
            return next((known for known in os.listdir(folder) if self._fold(known) == self._fold(name)), name)
        except OSError:
            return name

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        found = os.lstat(self._at(path))
        names = ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks")
        times = {f"st_{which}time": getattr(found, f"st_{which}time_ns") for which in "amc"}
        return {**{name: getattr(found, name) for name in names}, **times}

    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
        place = self._at(path)
        found = {name: os.lstat(f"{place}/{name}") for name in (".", "..", *os.listdir(place))}
        return [(name, {"st_ino": status.st_ino, "st_mode": status.st_mode}, 0) for name, status in found.items()]

    def readlink(self, path: str) -> str:
        return os.readlink(self._at(path))

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self._root)
        return {name: getattr(found, name) for name in ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_namemax")}

    def open(self, path: str, flags: int) -> int:
        return os.open(self._at(path), flags)

    def create(self, path: str, mode: int, flags: int) -> int:
        return os.open(self._at(path), flags | os.O_CREAT, mode)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        os.truncate(self._at(path) if fh is None else fh, length)
        return 0

    def flush(self, path: str, fh: int) -> int:
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        return 0

    def release(self, path: str, fh: int) -> int:
        os.close(fh)
        return 0

    def unlink(self, path: str) -> int:
        os.unlink(self._at(path))
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        os.mkdir(self._at(path), mode)
        return 0

    def rmdir(self, path: str) -> int:
        os.rmdir(self._at(path))
        return 0

    def rename(self, old: str, new: str) -> int:
        source, target = self._at(old), self._at(new)
        if source == target:  # a name is given other capitals
            target = f"{os.path.dirname(target)}/{os.path.basename(new)}"
        os.rename(source, target)
        return 0

    def link(self, target: str, source: str) -> int:
        os.link(self._at(source), self._at(target), follow_symlinks=False)
        return 0

    def symlink(self, target: str, source: str) -> int:
        os.symlink(source, self._at(target))
        return 0

    def chmod(self, path: str, mode: int) -> int:
        os.chmod(self._at(path), mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        return 0

    def utimens(self, path: str, times: tuple[int, int]) -> int:
        os.utime(self._at(path), ns=times, follow_symlinks=False)
        return 0

    def getxattr(self, path: str, name: str, position: int = 0) -> bytes:
        raise OSError(errno.ENODATA, os.strerror(errno.ENODATA), path)


@contextlib.contextmanager
def folding(place: Path, how: str = "both") -> Iterator[Path]:
    """A folder in which names fold, mounted at `place`."""
    below = place.with_name(f"{place.name}-below")
    for folder in (place, below):
        folder.mkdir(parents=True)
    command = [sys.executable, "-m", "tests.folding", str(below), str(place), how]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 60
            while mounted(place) is None:
                assert process.poll() is None, "the mount ended"
                assert time.monotonic() < until, "the mount does not stand"
                time.sleep(0.02)
            yield place
        finally:
            unmount(place)
            process.kill()  # a process in a mount namespace of its own may hold the mount for as long as it runs


def _serve(root: str, mountpoint: str, how: str) -> None:
    from holdfast.simulator.libfuse import load

    load()(
        Folding(root, HOW[how]),
        mountpoint,
        foreground=True,
        fsname="folding",
        use_ino=True,
        attr_timeout=0,
        entry_timeout=0,
        negative_timeout=0,
        hard_remove=True,
        allow_other=os.geteuid() == 0,
    )


if __name__ == "__main__":
    _serve(*sys.argv[1:])
