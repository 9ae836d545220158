"""The manifest: the record that makes payload into a generation, and its bytes (FORMAT.md, "Manifests").

A manifest is written last and hashes itself. What may be taken for one is said in `manifest_reading`.
"""

from __future__ import annotations

import enum
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any

from blake3 import blake3

from holdfast.store.format.entries import FileRecord, FolderRecord, time_text
from holdfast.store.format.keys import Key
from holdfast.store.format.names import (
    PIECES_SUFFIX,
    SPARSE_SUFFIX,
    TAR_STEM,
    CommitId,
    ManifestName,
    key_code,
    names_payload_of,
    parse_payload_name,
    payload_folder,
)

#: What is written. Format 1 had no links, no times, no hard links, no sparse files, and only the folders without a file.
FORMAT = 2
MAX_TARS = 8
MAX_ANCESTORS = 8
#: Files up to this size travel in tars.
MAX_TAR_MEMBER = 1 << 20
MAX_SIZE = 1 << 53  #: the largest size that JSON readers everywhere keep exact

# In no text of a manifest, where quotes are escaped. The first key of a file's row is always its hash.
_FILES, _FOLDERS = b'"files":[', b'],"folders":['
_FIRST, _BETWEEN, _LAST = b'{"blake3":', b'},{"blake3":', b"}"


class Kind(enum.Enum):
    """What an artifact is."""

    FILE = "file"
    DIRECTORY = "directory"
    SQLITE = "sqlite"
    LINK = "link"
    DROPPED = "dropped"  #: it was removed, or dropped to be begun anew: there is nothing of it


@dataclass(frozen=True)
class Tar:
    """A plain tar with small files of one or more commits. `size` in bytes, `blake3` of the whole tar."""

    payload: str
    size: int
    blake3: str


@dataclass(frozen=True)
class Manifest:
    """One generation of one artifact.

    Args:
        store_id: Identity of the store that it was written to.
        key: The artifact.
        kind: File, directory or SQLite database.
        commit: Sequence and id.
        parent: Id of the generation that it descends from, or None for a new line.
        ancestors: Ids of the nearest ancestors, parent first, at most eight.
        fresh_line: This line was begun because a restore had failed; it never beats an equal generation.
        time: When the oldest part of what it holds was last looked at, UTC, ISO 8601; for people, nothing is decided by it.
        writer: Host and process; for people.
        progress: What the caller counts (finished trials, training step), or None.
        drops: How many times the artifact was dropped before this. What was dropped never counts against what came after.
        files: By path.
        tars: By payload path.
        folders: By path. In format 1 only those that hold no file.
        links: Symbolic links, path to target; the path is empty where the artifact is a link itself.
        hard_links: Groups of paths that are one file.
        format: The format that it is written in.
    """

    store_id: str
    key: Key
    kind: Kind
    commit: CommitId
    parent: str | None
    ancestors: tuple[str, ...]
    fresh_line: bool
    time: str
    writer: str
    progress: float | None
    files: Mapping[str, FileRecord]
    tars: Mapping[str, Tar]
    folders: Mapping[str, FolderRecord] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    hard_links: tuple[tuple[str, ...], ...] = ()
    drops: int = 0
    format: int = FORMAT

    @functools.cached_property
    def encoded(self) -> bytes:
        """The canonical bytes: compact JSON with sorted keys, led by its digest."""
        return self.encoded_after(None)

    def encoded_after(self, base: Manifest | None) -> bytes:
        """`encoded`. What is as an earlier generation has it is taken out of that one's bytes, which is quicker."""
        tars = sorted(self.tars)
        index = {payload: number for number, payload in enumerate(tars)}
        before, _, after = _json(_body(self, tars)).encode().partition(_FILES + _FOLDERS)
        rows = {} if base is None else _rows_of(base, index)
        known = {} if base is None else base.files
        taken = [
            row if (row := rows.get(path)) is not None and known[path] is self.files[path] else _file_row(self.files[path], index)
            for path in sorted(self.files)
        ]
        first, last = (_FIRST, _LAST) if taken else (b"", b"")
        folders = ",".join([_folder_row(self.folders[path], self.format) for path in sorted(self.folders)]).encode()
        pieces = [before, _FILES, first, _BETWEEN.join(taken), last, _FOLDERS, folders, after]
        del taken, rows  # of a large one there are never more than two copies in memory
        hasher = blake3()
        for piece in pieces:
            hasher.update(piece)
        digest = hasher.hexdigest().encode()
        self.__dict__["encoded"] = data = b"".join((b'{"digest":"', digest, b'","manifest":', *pieces, b"}\n"))
        return data

    @functools.cached_property
    def name(self) -> ManifestName:
        """Its file name, taken apart."""
        return ManifestName(key_code(self.key), self.commit, self.parent)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(record.size for record in self.files.values())

    @functools.cached_property
    def torn(self) -> dict[str, str]:
        """Files that are not whole by their own format, with the reason."""
        return {path: record.torn for path, record in self.files.items() if record.torn}

    @functools.cached_property
    def paths(self) -> frozenset[str]:
        """Every path that it holds: files, links and folders."""
        return frozenset((*self.files, *self.links, *self.folders))

    def own_payloads(self) -> set[str]:
        """The payload paths that this artifact's commits can have written: in the mirrored folder, under the file's name.

        What a forged manifest names besides is another artifact's, and is never removed with this one.
        """
        claims = {
            (payload, record.member, local_name(self.key.join(record.member).name, sparse=record.sparse is not None))
            for record in self._alone
            for payload in record.places
        }
        claims |= {
            (piece.payload, record.member, f"{self.key.join(record.member).name}{PIECES_SUFFIX}")
            for record in self._alone
            for piece in record.pieces
        }
        claims |= {(payload, "x", f"{TAR_STEM}.tar") for payload in self.tars}
        return {payload for payload, path, local in claims if _is_place_of(payload, payload_folder(self.key, path), local)}

    def sent_payloads(self) -> dict[str, int]:
        """Those of `payloads` that this very commit wrote, by their names."""
        return {p: size for p, size in self.payloads().items() if parse_payload_name(p.rpartition("/")[2]) == self.commit}

    def payloads(self) -> dict[str, int]:
        """Every payload path that this generation needs, tars included, with its length in bytes."""
        return dict(self._payloads)

    @functools.cached_property
    def _payloads(self) -> dict[str, int]:
        needed = {tar.payload: tar.size for tar in self.tars.values()}
        for record in self._alone:
            needed.update(record.places)
        return needed

    @functools.cached_property
    def _alone(self) -> tuple[FileRecord, ...]:
        """The files with payloads of their own."""
        return tuple(r for r in self.files.values() if r.payload is not None or r.pieces)


def local_name(name: str, *, sparse: bool) -> str:
    """The file name that a payload is named for: a sparse file travels in a tar, which the name says."""
    return f"{name}{SPARSE_SUFFIX}" if sparse else name


def _rows_of(manifest: Manifest, index: Mapping[str, int]) -> dict[str, bytes]:
    """The rows of its files by path, cut out of its bytes; none where its tars have other numbers than in `index`."""
    if not manifest.files or any(index.get(payload, n) != n for n, payload in enumerate(sorted(manifest.tars))):
        return {}
    data = manifest.encoded
    begin = data.index(_FILES) + len(_FILES) + len(_FIRST)
    end = data.index(_FOLDERS, begin) - len(_LAST)
    return dict(zip(sorted(manifest.files), data[begin:end].split(_BETWEEN), strict=True))


def _body(manifest: Manifest, tars: list[str]) -> dict[str, Any]:
    """All but the rows of files and folders, which are many."""
    body = {
        "format": manifest.format,
        "store": manifest.store_id,
        "key": manifest.key.value,
        "kind": manifest.kind.value,
        "sequence": manifest.commit.sequence,
        "id": manifest.commit.id,
        "parent": manifest.parent,
        "ancestors": list(manifest.ancestors),
        "fresh_line": manifest.fresh_line,
        "time": manifest.time,
        "writer": manifest.writer,
        "progress": manifest.progress,
        "files": [],
        "tars": [{"payload": p, "size": manifest.tars[p].size, "blake3": manifest.tars[p].blake3} for p in tars],
        "folders": [],
    }
    if manifest.format > 1:
        body["links"] = [{"path": path, "target": manifest.links[path]} for path in sorted(manifest.links)]
        body["hard_links"] = [list(group) for group in manifest.hard_links]
        if manifest.drops:
            body["drops"] = manifest.drops
    return body


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _file_row(record: FileRecord, index: Mapping[str, int]) -> bytes:
    """The row of a file as JSON, between `_FIRST` and `_LAST`.

    That of a small file in a tar, of which there may be many, is put together here: it is quicker.
    """
    tar, mtime = record.tar, record.mtime_ns
    plain = record.payload is None and record.named is None and not (record.sqlite or record.torn or record.pieces or record.sparse)
    if tar is None or mtime is None or not plain:
        return _json(_file_fields(record, index)).encode()[len(_FIRST) : -len(_LAST)]
    return (
        f'{_quoted(record.blake3)},"mode":"{record.mode:o}","mtime":"{time_text(mtime)}",'
        f'"path":{_quoted(record.path)},"size":{record.size:d},"tar":{index[tar]}'
    ).encode()


def _file_fields(record: FileRecord, index: Mapping[str, int]) -> dict[str, Any]:
    row: dict[str, Any] = {"path": record.path, "size": record.size, "blake3": record.blake3, "mode": f"{record.mode:o}"}
    if record.payload is not None:
        row["payload"] = record.payload
    if record.tar is not None:
        row["tar"] = index[record.tar]
    if record.pieces:
        row["pieces"] = [{"payload": p.payload, "size": p.size, "offset": p.offset, "length": p.length} for p in record.pieces]
    if record.sqlite:
        row["sqlite"] = True
    if record.mtime_ns is not None:
        row["mtime"] = time_text(record.mtime_ns)
    if record.named is not None:
        row["named"] = record.named
    if record.torn:
        row["torn"] = record.torn
    if record.sparse is not None:
        row["sparse"] = {"size": record.sparse.size, "blake3": record.sparse.blake3}
    return row


@functools.lru_cache(maxsize=1 << 14)
@functools.lru_cache(maxsize=1 << 14)  # a generation has nearly all folders from the one before it
def _folder_row(folder: FolderRecord, format_: int) -> str:
    """The row of a folder as JSON. In format 1 it is its path."""
    if format_ == 1:
        return _json(folder.path)
    row: dict[str, Any] = {"path": folder.path}
    if folder.mode is not None:
        row["mode"] = f"{folder.mode:o}"
    if folder.mtime_ns is not None:
        row["mtime"] = time_text(folder.mtime_ns)
    return _json(row)


def _is_place_of(payload: str, folder: str, local: str) -> bool:
    found, _, file = payload.rpartition("/")
    commit = parse_payload_name(file)
    return found == folder and commit is not None and names_payload_of(file, local, commit)
