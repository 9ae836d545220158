"""What a manifest says of one file, folder or link (FORMAT.md, "Manifests"). Plain data, and the checks that need nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass

from holdfast.errors import Corrupt
from holdfast.store.format.keys import Key, check_component, printable

_NS = 1_000_000_000
_TIME = re.compile(r"(-?)(0|[1-9][0-9]{0,18})\.([0-9]{9})")
#: As far as Linux counts, in seconds before and after 1970.
_MAX_SECONDS = 1 << 63
#: Linux takes no longer target of a symbolic link (PATH_MAX, with a NUL at its end).
_MAX_TARGET_BYTES = 4095
#: Longest reason that a manifest gives for a torn file.
MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class Sparse:
    """The payload of a file with holes: a tar of one member in GNU's sparse form. `size` in bytes, `blake3` of the whole tar."""

    size: int
    blake3: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file: `length` bytes from `offset` of a payload of `size` bytes. A file is its pieces one after the other."""

    payload: str
    size: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of a generation.

    Args:
        path: Below the artifact; empty where the artifact is the file itself.
        size: Bytes.
        blake3: Hash of the content, 64 hex digits; of a sparse file the hash of its data and where they lie
            (`store/format/sparse.py`).
        mode: Permission bits, 0 to 0o777.
        payload: Path in the store, or None where the content is a member of a tar, or in pieces.
        tar: The payload path of that tar, or None.
        sqlite: The file is a SQLite database, kept by its online backup.
        mtime_ns: Time of the last change, Unix nanoseconds; None in generations of format 1.
        named: The path, below the artifact, that the payload or the member is named for, where it is another's: this file is, or
            was, a hard link of that one.
        torn: Why it is no whole file of its own format; empty where nothing says so.
        sparse: Of the payload, where the file is sent with its holes.
        pieces: Where the content is parts of payloads.
    """

    path: str
    size: int
    blake3: str
    mode: int
    payload: str | None = None
    tar: str | None = None
    sqlite: bool = False
    mtime_ns: int | None = None
    named: str | None = None
    torn: str = ""
    sparse: Sparse | None = None
    pieces: tuple[Piece, ...] = ()

    @property
    def member(self) -> str:
        """The path that the payload, or the member of the tar, is named for."""
        return self.path if self.named is None else self.named

    @property
    def places(self) -> dict[str, int]:
        """Payload paths that hold nothing but this file, with their lengths in bytes."""
        if self.payload is not None:
            return {self.payload: self.size if self.sparse is None else self.sparse.size}
        return {piece.payload: piece.size for piece in self.pieces}


@dataclass(frozen=True, slots=True)
class FolderRecord:
    """One folder of a generation; mode and time are None in generations of format 1, which name only folders without a file.

    Args:
        path: Below the artifact; empty for the artifact itself.
        mode: Permission bits, 0 to 0o777.
        mtime_ns: Unix nanoseconds.
    """

    path: str
    mode: int | None = None
    mtime_ns: int | None = None


def time_text(ns: int) -> str:
    """Unix nanoseconds as seconds with nine decimals. Text, because a float holds only every 200th nanosecond or so."""
    seconds, rest = divmod(abs(ns), _NS)
    return f"{'-' if ns < 0 else ''}{seconds}.{rest:09}"


def time_of_text(text: str) -> int:
    """The nanoseconds that `time_text` wrote. Raises Corrupt for anything else."""
    found = _TIME.fullmatch(text)
    ns = 0 if found is None else int(f"{found[1]}{found[2]}{found[3]}")
    if found is None or (found[1] and not ns) or not -_MAX_SECONDS * _NS <= ns < _MAX_SECONDS * _NS:
        raise Corrupt(f"{printable(text)[:40]} is not a time")
    return ns


def check_target(holder: Key, target: str) -> str | None:
    """Say what is wrong with the target of a symbolic link from an untrusted source, or None where nothing is.

    A target is relative, `..` stands only at its beginning, and it stays below the first folder of the link's own path. So
    where no folder on the way to a link is itself a link, which a reader sees to, no link leads out, whatever it goes through.

    Args:
        holder: The full path of the link, outputs folder included.
        target: Its text.
    """
    if target == ".":
        return None
    parts = target.split("/")
    up = next((i for i, part in enumerate(parts) if part != ".."), len(parts))
    problem = next((p for p in map(check_component, parts[up:]) if p is not None), None)
    if problem is not None:
        return f"leads to a path that {problem}"
    if len(target.encode()) > _MAX_TARGET_BYTES:
        return f"leads to a path of more than {_MAX_TARGET_BYTES} bytes"
    return "leads out of the outputs" if up > len(holder.parts) - 2 else None
