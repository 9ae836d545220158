"""What lies in a folder, by one walk: files, folders and links with what they look like, and by name what cannot be kept."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from holdfast.errors import LocalError
from holdfast.store.format.entries import FolderRecord
from holdfast.store.format.keys import MAX_DEPTH, Key, check_component, folders_above, within
from holdfast.store.live.side_files import LOCK_NAMES, SIDE_NAMES, is_lock, may_be_side_file, which_hold_no_data
from holdfast.store.local.keeping import Keeping
from holdfast.store.local.links import Outputs, kept_target
from holdfast.store.local.records import Signature
from holdfast.store.local.workspace import Workspace

#: Which of some files hold nothing that a copy would need.
Asking = Callable[[tuple[str, ...]], tuple[bool, ...]]

_TOO_DEEP = f"lies deeper than {MAX_DEPTH} folders"


class Found(NamedTuple):
    """A regular file. A tuple, because there are many.

    Args:
        signature: What it looks like.
        mode: Permission bits.
        device: Of the file system that holds it.
        links: Under how many names it is known, anywhere.
        blocks: Of 512 bytes that it takes on the disk; None where the system does not say.
    """

    signature: Signature
    mode: int
    device: int = 0
    links: int = 1
    blocks: int | None = None

    @classmethod
    def of(cls, found: os.stat_result) -> Found:
        """What a stat shows."""
        return cls(
            Signature.of(found),
            stat.S_IMODE(found.st_mode) & 0o777,
            found.st_dev,
            found.st_nlink,
            getattr(found, "st_blocks", None),
        )


@dataclass(frozen=True)
class Scan:
    """Relative POSIX path to what is there.

    Args:
        files: Regular files.
        folders: Every folder, the walked one itself under the empty path, and those above what was walked.
        links: Symbolic links that stay inside outputs, with the target as it is kept.
        refused: By name, why something is not kept.
        left_out: What patterns leave out: the highest path of each.
    """

    files: Mapping[str, Found]
    folders: Mapping[str, FolderRecord] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    @property
    def hard_links(self) -> tuple[tuple[str, ...], ...]:
        """Groups of paths that are one file, each sorted."""
        groups: dict[tuple[int, int], list[str]] = {}
        for path, found in self.files.items():
            if found.links > 1:
                groups.setdefault((found.device, found.signature.inode), []).append(path)
        return tuple(sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1))


def scan(
    root: Path,
    key: Key,
    outputs: Outputs,
    keeping: Keeping,
    scope: tuple[str, ...] = ("",),
    owned: tuple[str, ...] = (),
    *,
    strict: bool = False,
    asking: Asking = which_hold_no_data,
) -> Scan:
    """Walk what lies below `root` within `scope`, leaving out what inner artifacts own.

    Args:
        root: A directory, or the single file that an artifact is.
        key: Its key.
        outputs: All that is kept.
        keeping: What the user says of it.
        scope: Relative paths to walk; the empty one is all.
        owned: Relative paths that belong to inner artifacts.
        strict: A folder that may not be listed is an error, not a name that is refused.
        asking: Opens files that are called like side files. The walk itself opens none.

    Raises:
        LocalError: a folder cannot be listed.
    """
    walk = _Walk(key, outputs, keeping, scope, tuple(prefix for prefix in owned if prefix), strict)
    try:
        for prefix in scope:
            if not prefix or not walk.is_left_out_above(prefix):
                walk.visit(prefix, f"{root}/{prefix}" if prefix else str(root))
        walk.settle(asking)
        for above in {"", *folders_above(scope)} if walk.has_taken_anything and scope != ("",) else ():
            walk.folders[above] = _folder(above, os.lstat(root / above if above else root))
    except OSError as error:
        raise LocalError(error.errno, error.strerror, error.filename) from error
    return Scan(walk.files, walk.folders, walk.links, walk.refused, tuple(sorted(walk.left_out)))


def walk(
    workspace: Workspace, key: Key, scope: tuple[str, ...] = ("",), owned: tuple[str, ...] = (), *, strict: bool = False
) -> Scan:
    """`scan` of an artifact, or of a part of it, as the workspace has it. Files are opened only where its reader does."""

    def asking(places: tuple[str, ...]) -> tuple[bool, ...]:
        return workspace.read(which_hold_no_data, places)

    return scan(workspace.local(key), key, workspace.places, workspace.keeping, scope, owned, strict=strict, asking=asking)


class _Walk:
    """One walk."""

    def __init__(
        self, key: Key, outputs: Outputs, keeping: Keeping, scope: tuple[str, ...], owned: tuple[str, ...], strict: bool
    ) -> None:
        self._key = key
        self._depth = len(key.parts)
        self._outputs = outputs
        self._rules = keeping.rules or None
        self._follow = keeping.follow
        self._scope = scope
        self._owned = owned
        self._strict = strict
        self.files: dict[str, Found] = {}
        self.folders: dict[str, FolderRecord] = {}
        self.links: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.left_out: list[str] = []
        self._in_doubt: dict[str, str] = {}

    @property
    def has_taken_anything(self) -> bool:
        return bool(self.files or self.folders or self.links)

    def is_left_out_above(self, path: str) -> bool:
        """Whether a pattern leaves out a folder on the way to a path that was asked for by name; then it is listed."""
        if self._rules is None:
            return False
        above = [f for f in sorted(folders_above([path])) if self._is_left_out(f, is_folder=True)]
        self.left_out += above[:1]
        return bool(above)

    def visit(self, path: str, place: str) -> None:
        """Take what lies at a path, whatever it is."""
        try:
            found = os.lstat(place)
            if stat.S_ISLNK(found.st_mode) and self._follow and self._key.join(path) in self._follow:
                found = os.stat(place)
        except FileNotFoundError:
            if stat.S_ISLNK(_mode_or_none(place)):
                self._refuse(path, "is a symbolic link that is to be followed, and leads nowhere")
            return
        if self._is_owned(path):
            return
        is_folder = stat.S_ISDIR(found.st_mode)
        if self._rules is not None and path and self._is_left_out(path, is_folder=is_folder):
            self.left_out.append(path)
        elif is_folder:
            self._enter(path, place, found)
        elif stat.S_ISLNK(found.st_mode):
            self._link(path, place)
        elif not stat.S_ISREG(found.st_mode):
            self._refuse(path, f"is {_kind(found.st_mode)}, which holds no file")
        elif place.endswith(LOCK_NAMES) and is_lock(Path(place), found):
            self._belongs_to_a_database(path)
        else:
            self.files[path] = Found.of(found)
            if place.endswith(SIDE_NAMES) and may_be_side_file(Path(place)):
                self._in_doubt[path] = place

    def settle(self, asking: Asking) -> None:
        """Take out what turns out to be a side file."""
        if not self._in_doubt:
            return
        for path, holds_none in zip(self._in_doubt, asking(tuple(self._in_doubt.values())), strict=True):
            if holds_none:
                del self.files[path]
                self._belongs_to_a_database(path)

    def _belongs_to_a_database(self, path: str) -> None:
        """It is nothing by itself: its library makes it anew, or the copy of the database holds what it says."""
        if path in self._scope:
            self._refuse(path, "is a side file of a database, which never travels alone; back up the database")

    def _refuse(self, path: str, why: str) -> None:
        self.refused[path] = why

    def _is_left_out(self, path: str, *, is_folder: bool) -> bool:
        return self._rules is not None and self._rules.leaves_out(self._key.join(path).value, is_folder=is_folder)

    def _link(self, path: str, place: str) -> None:
        try:
            target, problem = kept_target(place, self._key.join(path), self._outputs)
        except FileNotFoundError:
            return
        if problem:
            self._refuse(path, problem)
        else:
            self.links[path] = target

    def _enter(self, path: str, place: str, found: os.stat_result) -> None:
        try:
            names = sorted(os.listdir(place))
        except FileNotFoundError:
            if not path:
                raise
            return
        except PermissionError as error:
            if self._strict or not path:
                raise
            self._refuse(path, f"cannot be listed ({error.strerror})")
            return
        self.folders[path] = _folder(path, found)
        for name in names:
            child = f"{path}/{name}" if path else name
            problem = check_component(name) or (_TOO_DEEP if self._depth + child.count("/") >= MAX_DEPTH else None)
            if problem is not None:
                self._refuse(child, problem)
            else:
                self.visit(child, f"{place}/{name}")

    def _is_owned(self, path: str) -> bool:
        return bool(self._owned) and any(within(path, prefix) for prefix in self._owned)


def _folder(path: str, found: os.stat_result) -> FolderRecord:
    return FolderRecord(path, stat.S_IMODE(found.st_mode) & 0o777, found.st_mtime_ns)


def _mode_or_none(place: str) -> int:
    try:
        return os.lstat(place).st_mode
    except OSError:
        return 0


def _kind(mode: int) -> str:
    for test, text in (
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if test(mode):
            return text
    return "something unknown"
