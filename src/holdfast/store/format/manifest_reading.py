"""What is taken for a manifest: it is untrusted input.

`parse` accepts exactly the bytes that `Manifest.encoded` would give again, with every path, size and reference checked, and raises
`Corrupt` for anything else.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

from blake3 import blake3

from holdfast.errors import Corrupt, CutOff, NewerFormat
from holdfast.store.format.entries import MAX_REASON, FileRecord, FolderRecord, Piece, Sparse, check_target, time_of_text
from holdfast.store.format.keys import Key, check_relative, folders_above, printable
from holdfast.store.format.manifest import FORMAT, MAX_ANCESTORS, MAX_SIZE, MAX_TAR_MEMBER, MAX_TARS, Kind, Manifest, Tar
from holdfast.store.format.names import CommitId, ManifestName, parse_payload_name

#: What is read.
FORMATS = (1, 2)
_READ = " and ".join(map(str, FORMATS))
#: A manifest larger than this is not read: it describes some 500,000 files, Drive's limit for a whole folder.
MAX_MANIFEST_BYTES = 128 << 20
_HASH = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{8}")
#: So many rows are proven at once: what is read of them takes several times as much memory as they do.
_PROVEN_AT_ONCE = 10_000
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
        if isinstance(body["format"], bool) or body["format"] not in FORMATS:
            _refuse_format(data, document, name)
        manifest = _from_body(body)
        document = body = None  # which is several times as large as the bytes
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


def prove(manifest: Manifest, base: Manifest | None = None) -> None:
    """Return where `parse` would take a manifest, of which the records that are a base's own have been taken before.

    Raises:
        Corrupt: it would not.
    """
    tars = {record.tar for record in manifest.files.values()} - {None}
    if manifest.kind is not Kind.DIRECTORY or not tars <= manifest.tars.keys():
        parse(manifest.encoded, manifest.name)
        return
    known: tuple[Mapping[str, Any], ...] = ({}, {}, {}) if base is None else (base.files, base.folders, base.links)
    new = [(path, record) for path, record in manifest.files.items() if known[0].get(path) is not record]
    folders = {path: folder for path, folder in manifest.folders.items() if known[1].get(path) != folder}
    links = {path: target for path, target in manifest.links.items() if known[2].get(path) != target}
    apart = replace(manifest, folders=folders, links=links, hard_links=())
    for at in range(0, max(len(new), 1), _PROVEN_AT_ONCE):
        part = replace(apart, files=dict(new[at : at + _PROVEN_AT_ONCE]))
        parse(part.encoded, part.name)
    _hard_links(manifest.files, list(manifest.hard_links))
    _check_tree(manifest.files, manifest.folders, manifest.links)


def _refuse_format(data: bytes, document: Any, name: ManifestName) -> NoReturn:
    """A sound manifest of another format must stop a reader; a flipped byte that looks like one is damage."""
    start = len('{"digest":"","manifest":') + 64
    if blake3(data[start:-2]).hexdigest() != document["digest"]:
        raise Corrupt(f"{name.file}: damaged manifest: its digest does not match its content")
    found = document["manifest"]["format"]
    version = printable(str(found))[:20]
    if isinstance(found, bool) or not isinstance(found, int) or found < FORMAT:
        raise Corrupt(
            f"{name.file}: there is no format {version}; this version reads up to {FORMAT}; upgrade holdfast if it is newer"
        )
    raise NewerFormat(f"{name.file}: written in format {version}, and this version reads {_READ}; upgrade holdfast")


def _from_body(body: Mapping[str, Any]) -> Manifest:
    tars = [Tar(_payload(row["payload"]), _size(row["size"]), _hash(row["blake3"])) for row in body["tars"]]
    if len(tars) > MAX_TARS or len(body["ancestors"]) > MAX_ANCESTORS:
        raise Corrupt(f"{printable(str(body['key']))}: more than {MAX_TARS} tars or {MAX_ANCESTORS} ancestors")
    kind, key, format_ = Kind(body["kind"]), _key(body["key"]), int(body["format"])
    read_file, read_folder = (_record_1, _folder_1) if format_ == 1 else (_record, _folder)
    files = _by_path(read_file(row, tars) for row in body["files"])
    folders = _by_path(read_folder(row) for row in body["folders"])
    links, hard_links = ({}, ()) if format_ == 1 else (_links(key, body["links"]), _hard_links(files, body["hard_links"]))
    if kind is Kind.DIRECTORY:
        _check_tree(files, folders, links)
    elif kind is Kind.DROPPED:
        if format_ == 1 or files or folders or links or tars:
            raise Corrupt("what was dropped holds nothing")
    elif kind is Kind.LINK:
        if format_ == 1 or list(links) != [""] or files or folders:
            raise Corrupt("a single link needs exactly one target")
    elif list(files) != [""] or folders or links or files[""].sqlite != (kind is Kind.SQLITE):
        raise Corrupt("a single file needs exactly one file record")
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
        folders=folders,
        links=links,
        hard_links=hard_links,
        drops=_size(body.get("drops", 0)) if format_ > 1 else 0,
        format=format_,
    )


_Entry = TypeVar("_Entry", FileRecord, FolderRecord)


def _by_path(entries: Iterable[_Entry]) -> dict[str, _Entry]:
    found: dict[str, _Entry] = {}
    for entry in entries:
        if entry.path in found:
            raise Corrupt(f"the path {printable(entry.path)} stands twice")
        found[entry.path] = entry
    return found


def _links(key: Key, rows: list[Any]) -> dict[str, str]:
    links: dict[str, str] = {}
    for row in rows:
        path, target = _text(row["path"]), _text(row["target"])
        place = key.join(_relative(path)) if path else key
        problem = check_target(place, target)
        if problem is not None or path in links:
            raise Corrupt(f"the link {printable(path)} {problem or 'stands twice'}")
        links[path] = target
    return links


def _hard_links(files: Mapping[str, FileRecord], groups: list[Any]) -> tuple[tuple[str, ...], ...]:
    seen: set[str] = set()
    for group in groups:
        contents = {(files[path].size, files[path].blake3) for path in group if path in files}
        if not all(path in files for path in group):
            raise Corrupt("a group of hard links names a file that is not there")
        if len(group) < 2 or len(contents) != 1 or not seen.isdisjoint(group) or len(set(group)) != len(group):
            raise Corrupt("a group of hard links is none")
        seen.update(group)
    return tuple(tuple(group) for group in groups)


def _record_1(row: Mapping[str, Any], tars: list[Tar]) -> FileRecord:
    """A row of format 1, which knows fewer fields."""
    known = {name: row[name] for name in ("path", "size", "blake3", "mode", "payload", "tar", "sqlite") if name in row}
    return _record(known, tars)


def _record(row: Mapping[str, Any], tars: list[Tar]) -> FileRecord:
    tar = row.get("tar")
    if tar is not None and (isinstance(tar, bool) or not isinstance(tar, int) or tar < 0):
        raise Corrupt("a file names a tar that is not there")
    packed = None if tar is None else tars[tar].payload
    sparse, pieces = row.get("sparse"), row.get("pieces", ())
    return _checked(
        row["path"],
        row["size"],
        row["blake3"],
        row["mode"],
        row.get("payload"),
        packed,
        row.get("sqlite", False),
        row.get("mtime"),
        row.get("named"),
        row.get("torn", ""),
        None if sparse is None else (sparse["size"], sparse["blake3"]),
        tuple((p["payload"], p["size"], p["offset"], p["length"]) for p in pieces),
    )


# A generation takes most of its files over from the one before, so most records have been checked already.
# Typed, because 1, 1.0 and True are one key otherwise.
@functools.lru_cache(maxsize=1 << 14, typed=True)
def _checked(
    path: Any,
    size: Any,
    digest: Any,
    mode: Any,
    payload: Any,
    tar: str | None,
    sqlite: Any,
    mtime: Any,
    named: Any,
    torn: Any,
    sparse: tuple[Any, Any] | None,
    pieces: tuple[tuple[Any, Any, Any, Any], ...],
) -> FileRecord:
    if _text(path):
        _relative(path)
    if (payload is not None) + (tar is not None) + bool(pieces) != 1:
        raise Corrupt(f"the file {printable(path)} needs a payload, a tar or pieces, and one of them only")
    if _size(size) > MAX_TAR_MEMBER and tar is not None:
        raise Corrupt(f"the file {printable(path)} is too large for a tar")
    if sparse is not None and (payload is None or sqlite):
        raise Corrupt(f"the file {printable(path)} is sparse and has no payload of its own")
    if named is not None and _relative(named) == path:
        raise Corrupt(f"the file {printable(path)} is named for itself")
    if len(_text(torn)) > MAX_REASON:
        raise Corrupt(f"the file {printable(path)} has too long a reason for being torn")
    parts = tuple(Piece(_payload(p), _size(whole), _size(offset), _size(length)) for p, whole, offset, length in pieces)
    beyond = any(p.offset + p.length > p.size for p in parts)
    two_sizes = len({(p.payload, p.size) for p in parts}) > len({p.payload for p in parts})
    if parts and (sum(p.length for p in parts) != size or beyond or two_sizes):
        raise Corrupt(f"the pieces of the file {printable(path)} do not make it up")
    return FileRecord(
        path,
        size,
        _hash(digest),
        _mode(mode, path),
        None if payload is None else _payload(payload),
        tar,
        sqlite is True,
        None if mtime is None else time_of_text(_text(mtime)),
        named,
        torn,
        None if sparse is None else Sparse(_size(sparse[0]), _hash(sparse[1])),
        parts,
    )


def _folder_1(row: Any) -> FolderRecord:
    return FolderRecord(_relative(row))


def _folder(row: Mapping[str, Any]) -> FolderRecord:
    path, mode, mtime = row["path"], row.get("mode"), row.get("mtime")
    return FolderRecord(
        _relative(path) if _text(path) else "",
        None if mode is None else _mode(mode, path),
        None if mtime is None else time_of_text(_text(mtime)),
    )


def _mode(value: Any, path: str) -> int:
    bits = int(_text(value), 8)
    if not 0 <= bits <= 0o777:
        raise Corrupt(f"{printable(path)} has the mode {bits:o}")
    return bits


def _check_tree(files: Mapping[str, FileRecord], folders: Mapping[str, FolderRecord], links: Mapping[str, str]) -> None:
    """A path is one thing only, and nothing lies below what is no folder: least of all below a link."""
    if "" in files or "" in links:
        raise Corrupt("a directory holds a file without a name")
    above = folders_above([*files, *folders, *links])
    for path in files.keys() & above:
        raise Corrupt(f"{printable(path)} is a file, and a folder that holds others")
    for path in links.keys() & above:
        raise Corrupt(f"{printable(path)} is a symbolic link, and a path leads through it")
    if files.keys() & folders.keys() or files.keys() & links.keys() or folders.keys() & links.keys():
        raise Corrupt("a path is two things at once")


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
