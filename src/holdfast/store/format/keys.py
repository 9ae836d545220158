"""Paths as types: the key of an artifact, and the relative paths inside one.

A key is a POSIX path relative to the root, outputs folder included (`outputs/hpo/distilbert`). Core code never sees a
path in the store or an absolute local path where a key is meant, so two ideas of one path cannot arise.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from holdfast.errors import OutsideOutputs, UsageError

#: Longest file name, in bytes, on the file systems that people use (ext4, APFS, NTFS, Drive's mount).
MAX_COMPONENT_BYTES = 255
#: Longest path, in bytes, that Linux takes in one call (PATH_MAX).
MAX_PATH_BYTES = 4096
#: Deepest path. Far beyond any real tree, and a bound for everything that walks one.
MAX_DEPTH = 200


@functools.lru_cache(maxsize=1 << 14)
def check_component(name: str) -> str | None:
    """Say what is wrong with one path component, or None where nothing is."""
    if name in ("", ".", ".."):
        return f"has the component {name!r}"
    if "/" in name or "\0" in name:
        return f"has a component with a slash or a NUL: {name!r}"
    try:
        length = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        return f"has a name that is not UTF-8: {name!a}"
    if length > MAX_COMPONENT_BYTES:
        return f"has a name of {length} bytes, and {MAX_COMPONENT_BYTES} is the most: {name[:40]!r}..."
    if os.name == "nt" and any(c in name for c in '\\:*?"<>|'):
        return f"has a name that Windows cannot hold: {name!r}"
    return None


def check_relative(path: str) -> str | None:
    """Say what is wrong with a relative POSIX path from an untrusted source, or None where nothing is."""
    if len(path) > MAX_PATH_BYTES:
        return f"has more than {MAX_PATH_BYTES} characters"
    parts = path.split("/")
    if len(parts) > MAX_DEPTH:
        return f"lies deeper than {MAX_DEPTH} folders"
    return next((problem for problem in map(check_component, parts) if problem is not None), None)


def printable(text: str) -> str:
    """The text on one line: control characters and bytes that are not UTF-8 are shown as escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


@dataclass(frozen=True, order=True)
class Key:
    """The path of an artifact, or of something inside one, relative to the root.

    Args:
        value: POSIX path such as `outputs/hpo/distilbert`. Use `Key.parse` for text that comes from outside.
    """

    value: str

    @classmethod
    def parse(cls, text: str) -> Key:
        """Check and wrap a POSIX path.

        Raises:
            OutsideOutputs: the path is absolute or has an empty, `.` or `..` component.
            UsageError: the store cannot hold it.
        """
        if text.startswith("/"):
            raise OutsideOutputs(f"{printable(text)}: an absolute path is not a key; give a path below outputs")
        for part in text.split("/"):
            if part in ("", ".", ".."):
                raise OutsideOutputs(f"{printable(text)}: has the component {part!r}; give a plain path below outputs")
        problem = check_relative(text)
        if problem is not None:
            raise UsageError(f"{printable(text)[:300]}: {problem}; rename it")
        return cls(text)

    def __str__(self) -> str:
        return printable(self.value)

    @property
    def parts(self) -> tuple[str, ...]:
        """The components, outermost first."""
        return tuple(self.value.split("/"))

    @property
    def name(self) -> str:
        """The last component."""
        return self.parts[-1]

    def covers(self, other: Key) -> bool:
        """True where `other` is this key or lies below it."""
        return other == self or other.value.startswith(self.value + "/")

    def relative(self, other: Key) -> str:
        """The path of `other` below this key, empty for the key itself."""
        if other == self:
            return ""
        if not self.covers(other):
            raise ValueError(f"{other} does not lie below {self}")
        return other.value[len(self.value) + 1 :]

    def join(self, relative: str) -> Key:
        """The key of a path below this one; the key itself for the empty path."""
        return Key(f"{self.value}/{relative}") if relative else self

    def parents(self) -> tuple[Key, ...]:
        """The keys above this one, deepest first."""
        parts = self.parts
        return tuple(Key("/".join(parts[:n])) for n in range(len(parts) - 1, 0, -1))


def within(path: str, prefix: str) -> bool:
    """True where the relative path is the prefix or lies below it; the empty prefix holds everything."""
    return not prefix or path == prefix or path.startswith(prefix + "/")


def all_within(paths: Collection[str], scope: Collection[str], folders: Collection[str]) -> list[str]:
    """Those of the paths that lie within any of several prefixes.

    Args:
        paths: A set of them, or a mapping.
        scope: The prefixes.
        folders: Which paths are folders. Where no prefix is one, not every path is looked at.
    """
    if not any(prefix in folders for prefix in scope):
        return [prefix for prefix in scope if prefix in paths]
    below = tuple(f"{prefix}/" for prefix in scope)
    return [path for path in paths if "" in scope or path in scope or path.startswith(below)]


def folders_above(paths: Iterable[str]) -> set[str]:
    """Every folder on the way to these relative paths."""
    found: set[str] = set()
    folders = {path.rpartition("/")[0] for path in paths}
    while folders:
        found |= folders
        folders = {folder.rpartition("/")[0] for folder in folders} - found
    found.discard("")
    return found
