"""The manifest: the record that makes payload into a generation (FORMAT.md, "Manifests").

A manifest is written last and hashes itself. It is untrusted input: `parse` accepts exactly the bytes that `encoded`
would give again, with every path, size and reference checked, and raises `Corrupt` for anything else.
"""

from __future__ import annotations

import enum
import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from blake3 import blake3

from holdfast.errors import Corrupt, CutOff, NewerFormat
from holdfast.store.keys import Key, check_relative, folders_above, printable
from holdfast.store.names import (
    TAR_STEM,
    CommitId,
    ManifestName,
    key_code,
    names_payload_of,
    parse_payload_name,
    payload_folder,
)

FORMAT = 1
MAX_TARS = 8
MAX_ANCESTORS = 8
#: Files up to this size travel in tars.
MAX_TAR_MEMBER = 1 << 20
#: A manifest larger than this is not read: it describes some 500,000 files, Drive's limit for a whole folder.
MAX_MANIFEST_BYTES = 128 << 20
MAX_SIZE = 1 << 53  #: the largest size that JSON readers everywhere keep exact

_HASH = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{8}")


class Kind(enum.Enum):
    """What an artifact is."""

    FILE = "file"
    DIRECTORY = "directory"
    SQLITE = "sqlite"


@dataclass(frozen=True)
class Tar:
    """A plain tar with small files of one or more commits. `size` in bytes, `blake3` of the whole tar."""

    payload: str
    size: int
    blake3: str


@dataclass(frozen=True)
class FileRecord:
    """One file of a generation.

    Args:
        path: Below the artifact; empty where the artifact is the file itself.
        size: Bytes.
        blake3: Hash of the content, 64 hex digits.
        mode: Permission bits, 0 to 0o777.
        payload: Path in the store, or None where the content is a member (named `path`) of a tar.
        tar: The payload path of that tar, or None.
        sqlite: The file is a SQLite database, kept by its online backup.
    """

    path: str
    size: int
    blake3: str
    mode: int
    payload: str | None = None
    tar: str | None = None
    sqlite: bool = False


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
        files: By path.
        tars: By payload path.
        folders: Relative paths of folders that hold no file.
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
    folders: tuple[str, ...] = ()

    @functools.cached_property
    def encoded(self) -> bytes:
        """The canonical bytes: compact JSON with sorted keys, led by its digest."""
        text = json.dumps(_body(self), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        digest = blake3(text.encode()).hexdigest()
        return f'{{"digest":"{digest}","manifest":{text}}}\n'.encode()

    @functools.cached_property
    def name(self) -> ManifestName:
        """Its file name, taken apart."""
        return ManifestName(key_code(self.key), self.commit, self.parent)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(record.size for record in self.files.values())

    def own_payloads(self) -> set[str]:
        """The payload paths that this artifact's commits can have written: in the mirrored folder, under the file's name.

        What a forged manifest names besides is another artifact's, and is never removed with this one.
        """
        claims = {(r.payload, r.path, self.key.join(r.path).name) for r in self.files.values() if r.payload is not None}
        claims |= {(payload, "x", f"{TAR_STEM}.tar") for payload in self.tars}
        return {payload for payload, path, local in claims if _is_place_of(payload, payload_folder(self.key, path), local)}

    def sent_payloads(self) -> dict[str, int]:
        """Those of `payloads` that this very commit wrote, by their names."""
        return {p: size for p, size in self.payloads().items() if parse_payload_name(p.rpartition("/")[2]) == self.commit}

    def payloads(self) -> dict[str, int]:
        """Every payload path that this generation needs, tars included, with its length in bytes."""
        needed = {tar.payload: tar.size for tar in self.tars.values()}
        for record in self.files.values():
            if record.payload is not None:
                needed[record.payload] = record.size
        return needed


def _body(manifest: Manifest) -> dict[str, Any]:
    tars = sorted(manifest.tars)
    index = {payload: number for number, payload in enumerate(tars)}
    files = []
    for path in sorted(manifest.files):
        record = manifest.files[path]
        row: dict[str, Any] = {"path": path, "size": record.size, "blake3": record.blake3, "mode": f"{record.mode:o}"}
        if record.payload is not None:
            row["payload"] = record.payload
        if record.tar is not None:
            row["tar"] = index[record.tar]
        if record.sqlite:
            row["sqlite"] = True
        files.append(row)
    return {
        "format": FORMAT,
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
        "files": files,
        "tars": [{"payload": p, "size": manifest.tars[p].size, "blake3": manifest.tars[p].blake3} for p in tars],
        "folders": sorted(manifest.folders),
    }


#: How every manifest begins and ends, whatever its format.
_BEGINNING, _END = b'{"digest":"', b"}\n"


def parse(data: bytes, name: ManifestName) -> Manifest:
    """Read and check a manifest.

    Args:
        data: The whole file.
        name: What its file name says; the content must say the same.

    Raises:
        Corrupt: any byte is not as it was written, or a value is not one that Holdfast writes. The text says which.
        NewerFormat: it is sound, and of another format.
        CutOff: it is the beginning of a manifest, or empty.
    """
    if not data.endswith(_END) and data[: len(_BEGINNING)] == _BEGINNING[: len(data)]:
        raise CutOff(f"{name.file}: torn manifest: its end is missing after {len(data)} bytes")
    try:
        document = json.loads(data)
        body = document["manifest"]
        if body["format"] != FORMAT:
            _refuse_format(data, document, name)
        manifest = _from_body(body)
    except Corrupt:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError) as error:
        raise Corrupt(f"{name.file}: torn or damaged manifest ({type(error).__name__}: {error})") from None
    if manifest.encoded != data:
        raise Corrupt(f"{name.file}: damaged manifest: its digest does not match its content")
    said = manifest.name
    if (said.key_code, said.commit, said.parent) != (name.key_code, name.commit, name.parent):
        raise Corrupt(f"{name.file}: damaged manifest: it belongs to {said.file}")
    return manifest


def _refuse_format(data: bytes, document: Any, name: ManifestName) -> NoReturn:
    """A sound manifest of another format must stop a reader; a flipped byte that looks like one is damage."""
    start = len('{"digest":"","manifest":') + 64
    if blake3(data[start:-2]).hexdigest() != document["digest"]:
        raise Corrupt(f"{name.file}: damaged manifest: its digest does not match its content")
    found = document["manifest"]["format"]
    version = printable(str(found))[:20]
    if isinstance(found, bool) or not isinstance(found, int) or found < FORMAT:
        raise Corrupt(f"{name.file}: there is no format {version}; this version reads {FORMAT}; upgrade holdfast if it is newer")
    raise NewerFormat(f"{name.file}: written in format {version}, and this version reads {FORMAT}; upgrade holdfast")


def _from_body(body: Mapping[str, Any]) -> Manifest:
    tars = [Tar(_payload(row["payload"]), _size(row["size"]), _hash(row["blake3"])) for row in body["tars"]]
    if len(tars) > MAX_TARS or len(body["ancestors"]) > MAX_ANCESTORS:
        raise Corrupt(f"{printable(str(body['key']))}: more than {MAX_TARS} tars or {MAX_ANCESTORS} ancestors")
    kind = Kind(body["kind"])
    files: dict[str, FileRecord] = {}
    for row in body["files"]:
        record = _record(row, tars)
        if record.path in files:
            raise Corrupt(f"the path {printable(record.path)} stands twice")
        files[record.path] = record
    if kind is Kind.DIRECTORY:
        _check_tree(files, body["folders"])
    elif list(files) != [""] or body["folders"] or files[""].sqlite != (kind is Kind.SQLITE):
        raise Corrupt("a single file needs exactly one file record")
    key = _key(body["key"])
    progress = body["progress"]
    if progress is not None and (isinstance(progress, bool) or not isinstance(progress, int | float)):
        raise Corrupt("progress is not a number")
    if progress is not None and not abs(progress) <= MAX_SIZE:  # neither NaN, which has no order, nor infinity
        raise Corrupt("progress is not a number that can be compared")
    sequence = _size(body["sequence"])
    return Manifest(
        store_id=_text(body["store"]),
        key=key,
        kind=kind,
        commit=CommitId(sequence, _id(body["id"])),
        parent=None if body["parent"] is None else _id(body["parent"]),
        ancestors=tuple(_id(a) for a in body["ancestors"]),
        fresh_line=body["fresh_line"] is True,
        time=_text(body["time"]),
        writer=_text(body["writer"]),
        progress=progress,
        files=files,
        tars={tar.payload: tar for tar in tars},
        folders=tuple(_relative(f) for f in body["folders"]),
    )


def _is_place_of(payload: str, folder: str, local: str) -> bool:
    found, _, file = payload.rpartition("/")
    commit = parse_payload_name(file)
    return found == folder and commit is not None and names_payload_of(file, local, commit)


def _record(row: Mapping[str, Any], tars: list[Tar]) -> FileRecord:
    tar = row.get("tar")
    if tar is not None and (isinstance(tar, bool) or not isinstance(tar, int) or tar < 0):
        raise Corrupt("a file names a tar that is not there")
    packed = None if tar is None else tars[tar].payload
    return _checked(row["path"], row["size"], row["blake3"], row["mode"], row.get("payload"), packed, row.get("sqlite", False))


# A generation takes most of its files over from the one before, so most records have been checked already.
# Typed, because 1, 1.0 and True are one key otherwise.
@functools.lru_cache(maxsize=1 << 14, typed=True)
def _checked(path: Any, size: Any, digest: Any, mode: Any, payload: Any, tar: str | None, sqlite: Any) -> FileRecord:
    if _text(path):
        _relative(path)
    if (payload is None) == (tar is None):
        raise Corrupt(f"the file {printable(path)} needs a payload or a tar, not both")
    if _size(size) > MAX_TAR_MEMBER and tar is not None:
        raise Corrupt(f"the file {printable(path)} is too large for a tar")
    bits = int(_text(mode), 8)
    if not 0 <= bits <= 0o777:
        raise Corrupt(f"the file {printable(path)} has the mode {bits:o}")
    return FileRecord(path, size, _hash(digest), bits, None if payload is None else _payload(payload), tar, sqlite is True)


def _check_tree(files: Mapping[str, FileRecord], folders: list[str]) -> None:
    """A path cannot be a file and a folder at once."""
    names = set(files)
    if "" in names or "" in folders:
        raise Corrupt("a directory holds a file without a name")
    for path in names & folders_above([*files, *folders]):
        raise Corrupt(f"{printable(path)} is a file, and a folder that holds others")
    if names & set(folders):
        raise Corrupt("a path is a file and a folder at once")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Corrupt(f"expected text, got {printable(repr(value))[:80]}")
    return value


def _key(value: Any) -> Key:
    return Key(_relative(value))


def _relative(value: Any) -> str:
    problem = check_relative(_text(value))
    if problem is not None:
        raise Corrupt(f"the path {printable(value)[:80]} {problem}")
    return str(value)


def _payload(value: Any) -> str:
    path = _relative(value)
    if parse_payload_name(path.rpartition("/")[2]) is None:
        raise Corrupt(f"{printable(path)[:80]} is not the name of a payload")
    return path


def _size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SIZE:
        raise Corrupt(f"{printable(repr(value))[:80]} is not a size")
    return value


def _hash(value: Any) -> str:
    if _HASH.fullmatch(_text(value)) is None:
        raise Corrupt(f"{printable(value)[:80]} is not a BLAKE3 hash")
    return str(value)


def _id(value: Any) -> str:
    if _ID.fullmatch(_text(value)) is None:
        raise Corrupt(f"{printable(value)[:80]} is not an id")
    return str(value)
