"""What lies in a folder, by one walk: regular files with their signatures, empty folders, and what cannot be kept."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import LocalError
from holdfast.store.keys import MAX_DEPTH, check_component, within
from holdfast.store.local.side_files import is_side_file
from holdfast.store.records import Signature

_TOO_DEEP = f"lies deeper than {MAX_DEPTH} folders"


@dataclass(frozen=True)
class Found:
    """A regular file: its signature and permission bits."""

    signature: Signature
    mode: int

    @classmethod
    def of(cls, found: os.stat_result) -> Found:
        """What a stat shows."""
        return cls(Signature.of(found), stat.S_IMODE(found.st_mode) & 0o777)


@dataclass(frozen=True)
class Scan:
    """Relative POSIX path to what is there. `refused` says by name what is not a regular file or cannot be named."""

    files: Mapping[str, Found]
    folders: tuple[str, ...]
    refused: Mapping[str, str]


def scan(root: Path, scope: tuple[str, ...] = ("",), owned: tuple[str, ...] = (), depth: int = 0, *, strict: bool = False) -> Scan:
    """Walk what lies below `root` within `scope`, leaving out what inner artifacts own.

    Args:
        root: A directory, or the single file that an artifact is.
        scope: Relative paths to walk; the empty one is all.
        owned: Relative paths that belong to inner artifacts.
        depth: How deep `root` itself lies.
        strict: A folder that may not be listed is an error, not a name that is refused.

    Raises:
        LocalError: a folder cannot be listed.
    """
    walk = _Walk(scope, tuple(prefix for prefix in owned if prefix), depth, strict)
    try:
        for prefix in scope:
            walk.visit(prefix, f"{root}/{prefix}" if prefix else str(root))
    except OSError as error:
        raise LocalError(error.errno, error.strerror, error.filename) from error
    return Scan(walk.files, tuple(walk.folders), walk.refused)


class _Walk:
    """One walk."""

    def __init__(self, scope: tuple[str, ...], owned: tuple[str, ...], depth: int, strict: bool) -> None:
        self._scope = scope
        self._owned = owned
        self._depth = depth
        self._strict = strict
        self.files: dict[str, Found] = {}
        self.folders: list[str] = []
        self.refused: dict[str, str] = {}

    def visit(self, path: str, place: str) -> None:
        """Take what lies at a path, whatever it is."""
        try:
            found = os.lstat(place)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(found.st_mode):
            self._enter(path, place)
        elif self._is_owned(path):
            return
        elif not stat.S_ISREG(found.st_mode):
            self.refused[path] = f"is {_kind(found.st_mode)}, and only regular files are kept"
        elif not is_side_file(Path(place)):
            self.files[path] = Found.of(found)
        elif path in self._scope:
            self.refused[path] = "is a side file of a database, which never travels alone; back up the database"

    def _enter(self, path: str, place: str) -> None:
        if self._is_owned(path):
            return
        try:
            names = sorted(os.listdir(place))
        except FileNotFoundError:
            if not path:
                raise
            return
        except PermissionError as error:
            if self._strict or not path:
                raise
            self.refused[path] = f"cannot be listed ({error.strerror})"
            return
        if not names and path:
            self.folders.append(path)
        for name in names:
            child = f"{path}/{name}" if path else name
            problem = check_component(name) or (_TOO_DEEP if self._depth + child.count("/") >= MAX_DEPTH else None)
            if problem is not None:
                self.refused[child] = problem
            else:
                self.visit(child, f"{place}/{name}")

    def _is_owned(self, path: str) -> bool:
        return bool(self._owned) and any(within(path, prefix) for prefix in self._owned)


def _kind(mode: int) -> str:
    for test, text in (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if test(mode):
            return text
    return "not a regular file"
