"""What Drive says of one file or folder, as plain data; which of several of one name counts; and how they are asked for. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

FOLDER = "application/vnd.google-apps.folder"
_GOOGLES_OWN = "application/vnd.google-apps."
FIELDS = "id,name,mimeType,size,md5Checksum,sha256Checksum,trashed,parents,createdTime,driveId,capabilities/canAddChildren"
_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
#: So many names are asked about in one request.
AT_ONCE = 100


@dataclass(frozen=True)
class Item:
    """One file or folder.

    Args:
        id: What Drive knows it by.
        name: Not unique in its folder.
        is_folder: As it says.
        is_file: It has content; Google's own documents and shortcuts have none.
        size: Bytes.
        md5: Checksum by Drive; None where it gives none.
        sha256: Likewise.
        trashed: Itself, or a folder above it.
        parent: Id of its folder; None where this account may not know.
        born: When it was made, as text that sorts.
        drive: Id of the shared drive that it lies in, or None.
        takes: Whether this account may put something into it.
    """

    id: str
    name: str
    is_folder: bool
    is_file: bool
    size: int = 0
    md5: str | None = None
    sha256: str | None = None
    trashed: bool = False
    parent: str | None = None
    born: str = ""
    drive: str | None = None
    takes: bool = True

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Item:
        """From the JSON of an answer, which is untrusted.

        Raises:
            ValueError: it is no file resource.
        """
        try:
            id_, kind = str(said["id"]), str(said.get("mimeType", ""))
            parents = said.get("parents") or [None]
            takes = (said.get("capabilities") or {}).get("canAddChildren", True)
            if not _ID.fullmatch(id_):
                raise ValueError(id_)
            return cls(
                id_,
                str(said.get("name", "")),
                kind == FOLDER,
                not kind.startswith(_GOOGLES_OWN),
                int(said.get("size", 0)),
                _text(said.get("md5Checksum")),
                _text(said.get("sha256Checksum")),
                bool(said.get("trashed", False)),
                _text(parents[0]),
                str(said.get("createdTime", "")),
                _text(said.get("driveId")),
                bool(takes),
            )
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"no file resource: {error}") from error

    @property
    def age(self) -> tuple[str, str]:
        """Sorts twins: the oldest counts, and of those of one moment the one of the least id."""
        return self.born, self.id


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def in_order(items: Iterable[Item]) -> list[Item]:
    """Twins, the one that counts first. Every machine finds the same."""
    return sorted(items, key=lambda item: item.age)


def quoted(text: str) -> str:
    """A name or an id in a query."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def within(parents: Sequence[str]) -> str:
    """Part of a query: directly in any of these folders."""
    return "(" + " or ".join(f"{quoted(p)} in parents" for p in parents) + ")"


def called(names: Sequence[str]) -> str:
    """Part of a query: of any of these names."""
    return "(" + " or ".join(f"name = {quoted(n)}" for n in names) + ")"


def called_within(places: Iterable[tuple[str, Sequence[str]]]) -> str:
    """A query: of any of these names, each in any of its folders."""
    parts = []
    for parents, group in groupby(sorted((tuple(parents), name) for name, parents in places), key=lambda place: place[0]):
        parts.append(f"({called([name for _, name in group])} and {within(parents)})")
    return " or ".join(parts)
