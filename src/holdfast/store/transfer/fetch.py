"""Fetching payload into a temporary, hashed as it goes. Proven damage is told apart from a dying mount."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

from blake3 import blake3

from holdfast.errors import Corrupt, HoldfastError, LocalError, StoreUnreadable
from holdfast.platform import CAN_SYNC_ALL, WRITE_BACK_BYTES, WRITE_BYTES, begin_write_back, random_hex, sync_all
from holdfast.store.backends.backend import CHUNK_BYTES
from holdfast.store.format.entries import FileRecord, Piece
from holdfast.store.format.keys import printable
from holdfast.store.format.manifest import Manifest, Tar
from holdfast.store.format.sparse_reading import unpack
from holdfast.store.format.tars import read_members
from holdfast.store.store import Store
from holdfast.store.transfer.hashing import Hashing
from holdfast.store.transfer.progress import Progress, Silent
from holdfast.store.transfer.unpacking import Unpacking

#: A wrong hash is read once more before it counts as damage: a network mount may hand out a short or stale read.
_READS = 2
#: From this many files on, one sync of everything is quicker than one of each.
_SYNC_ALL = 16


def fetch(
    store: Store, manifest: Manifest, wanted: Iterable[FileRecord], folder: Path, progress: Progress | None = None
) -> dict[str, str]:
    """Fetch files of one generation.

    Args:
        store: Where from.
        manifest: The generation.
        wanted: Which of its files.
        folder: An existing local folder, empty; the files are made below it at their paths.
        progress: Told about the transfer.

    Returns:
        Path below the artifact to the temporary file. Each has its mode and time, is synced, and has the content of its record;
        hard links of each other are that.

    Raises:
        Corrupt: proven damage; the text names key and file.
        StoreUnreadable: it cannot be read now.
        LocalError: the local disk is too full.
    """
    asked = {r.path: r for r in wanted}
    same = _hard_links(manifest, asked)
    records = [r for path, r in asked.items() if path not in same]
    told = progress or Silent()
    alone = [r for r in records if r.tar is None]
    by_tar: dict[str, dict[str, FileRecord]] = {}
    for record in records:
        if record.tar is not None:
            by_tar.setdefault(record.tar, {})[record.path] = record
    tars = [manifest.tars[payload] for payload in sorted(by_tar)]
    sizes = {r.path: r.size if r.sparse is None else r.sparse.size for r in records}
    _check_space(folder, sum(sizes.values()) + sum(t.size for t in tars))
    places = {path: f"{folder}/{path or 'file'}" for path in asked}
    at_once = len(records) > _SYNC_ALL and CAN_SYNC_ALL
    size = sum(sizes[r.path] for r in alone) + sum(t.size for t in tars)
    scratches = folder.with_name(f"{folder.name}-tars")
    told.begin("restoring", str(manifest.key), len(alone) + len(tars), size)

    def one(item: FileRecord | Tar) -> None:
        if isinstance(item, Tar):
            scratch = scratches / str(tars.index(item))
            scratch.mkdir(parents=True)
            members = by_tar[item.payload]
            with contextlib.closing(Unpacking(folder, lasting=not at_once)) as unpacking:
                for path, data in fetch_tar_members(store, item, members, scratch, told, str(manifest.key)):
                    unpacking.put(places[path], data, members[path])
        else:
            fetch_payload(store, item, _parent_made(Path(places[item.path])), scratches, told, str(manifest.key))
        told.file_done()

    try:
        items: list[FileRecord | Tar] = [*alone, *tars]
        for _ in store.parallel_map(one, items):
            pass
        if at_once:
            sync_all(folder)
        else:
            _make_durable(places[r.path] for r in alone)
        for record in alone:
            os.chmod(places[record.path], record.mode)
            if record.mtime_ns is not None:
                os.utime(places[record.path], ns=(record.mtime_ns, record.mtime_ns))
        for path, first in same.items():
            link_or_copy(Path(places[first]), _parent_made(Path(places[path])))
    except HoldfastError:
        raise
    except FileExistsError as error:
        shown = manifest.key.join(os.path.relpath(error.filename, folder)) if error.filename else manifest.key
        raise LocalError(errno.EEXIST, "two names that this file system cannot tell apart", str(shown)) from error
    except OSError as error:
        raise LocalError(error.errno, error.strerror, error.filename) from error
    finally:
        told.end()
    return places


def _hard_links(manifest: Manifest, asked: Mapping[str, FileRecord]) -> dict[str, str]:
    """Paths that are made as hard links, to the first of their group that is asked for."""
    same = {}
    for group in manifest.hard_links:
        paths = [path for path in group if path in asked]
        same.update(dict.fromkeys(paths[1:], paths[0] if paths else ""))
    return same


def link_or_copy(first: Path, path: Path) -> None:
    """Another name of a file; a copy where the file system has no hard links.

    Raises:
        FileExistsError: something is there.
        OSError: the disk refuses.
    """
    try:
        os.link(first, path, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        shutil.copy2(first, path, follow_symlinks=False)


def fetch_payload(store: Store, record: FileRecord, target: Path, scratches: Path, progress: Progress, key: str) -> None:
    """Fetch a file that is no member of a tar, and check it. Raises as `fetch`."""
    if record.sparse is not None:
        scratches.mkdir(parents=True, exist_ok=True)
        tar = scratches / random_hex(8)
        _stream(store, record.payload or "", record.sparse.size, record.sparse.blake3, tar, progress, key)
        _unpack_sparse(tar, record, target, key)
    elif record.pieces:
        _fetch_pieces(store, record, target, progress, key)
    else:
        _stream(store, record.payload or "", record.size, record.blake3, target, progress, key)


def _unpack_sparse(tar: Path, record: FileRecord, target: Path, key: str) -> None:
    with open(tar, "rb") as source, open(target, "xb") as handle:
        try:
            digest = unpack(iter(lambda: source.read(CHUNK_BYTES), b""), handle, record.size)
        except Corrupt as error:
            raise Corrupt(f"{key}: {printable(record.payload or '')}: {error}") from None
    if digest != record.blake3:
        raise Corrupt(f"{key}: {printable(record.payload or '')} is damaged: its hash does not match")
    tar.unlink()


def _fetch_pieces(store: Store, record: FileRecord, target: Path, progress: Progress, key: str) -> None:
    """A file that is parts of payloads, one after the other. A payload has no hash of its own, so the file's own decides."""
    with open(target, "xb+") as handle:
        for _ in range(_READS):
            if assemble(store, record, handle, progress, key) == record.blake3:
                return
            progress.advance(-record.size)
    store.confirm_healthy()
    raise Corrupt(f"{key}: {printable(record.path)} is damaged: the hash of its pieces does not match")


def assemble(store: Store, record: FileRecord, handle: IO[bytes], progress: Progress, key: str) -> str:
    """Put a file together that is kept in pieces, in an open local file. Each payload is read once, however its pieces lie.

    Gives the hash of what came out, for the caller to check. Raises as `fetch`.
    """
    by_payload: dict[str, list[tuple[Piece, int]]] = {}
    at = 0
    for piece in record.pieces:
        by_payload.setdefault(piece.payload, []).append((piece, at))
        at += piece.length
    handle.truncate(0)
    handle.truncate(record.size)
    for payload, parts in by_payload.items():
        size = parts[0][0].size
        where = store.locate(payload, size)
        if where is None:
            store.confirm_healthy()
            raise Corrupt(f"{key}: the payload {printable(payload)} is missing or short (expected {size} bytes)")
        _scatter(store.backend.read(where), parts, handle, progress, where)
    handle.seek(0)
    hasher = blake3()
    while chunk := handle.read(CHUNK_BYTES):
        hasher.update(chunk)
    return hasher.hexdigest()


def _scatter(chunks: Iterable[bytes], parts: list[tuple[Piece, int]], handle: IO[bytes], progress: Progress, where: str) -> None:
    """Write the pieces of one payload to where they belong, as it is read."""
    rest = sorted(parts, key=lambda part: part[0].offset, reverse=True)
    under_way: list[tuple[Piece, int]] = []
    start = 0
    for chunk in chunks:
        end = start + len(chunk)
        while rest and rest[-1][0].offset < end:
            under_way.append(rest.pop())
        for piece, at in under_way:
            part = chunk[max(piece.offset - start, 0) : piece.offset + piece.length - start]
            handle.seek(at + max(start - piece.offset, 0))
            handle.write(part)
            progress.advance(len(part))
        under_way = [(piece, at) for piece, at in under_way if piece.offset + piece.length > end]
        start = end
        if not rest and not under_way:
            return
    if under_way or any(piece.length for piece, _ in rest):
        raise StoreUnreadable(errno.EIO, f"only {start} bytes of it can be read", printable(where))


def fetch_tar_members(
    store: Store,
    tar: Tar,
    wanted: Mapping[str, FileRecord],
    scratch: Path,
    progress: Progress | None = None,
    key: str = "",
) -> Iterable[tuple[str, bytes]]:
    """Fetch a tar whole, check it, and give the wanted members. Raises as `fetch`."""
    local = scratch / "members.tar"
    _stream(store, tar.payload, tar.size, tar.blake3, local, progress or Silent(), key)
    members: dict[str, list[FileRecord]] = {}
    for record in wanted.values():
        members.setdefault(record.member, []).append(record)
    for member, data in read_members(local, {m: records[0].size for m, records in members.items()}):
        digest = blake3(data).hexdigest()
        for record in members[member]:
            if digest != record.blake3 or len(data) != record.size:
                raise Corrupt(f"{key}: {printable(member)} in {printable(tar.payload)} is damaged: its hash does not match")
            yield record.path, data
    local.unlink()


def _stream(store: Store, payload: str, size: int, digest: str, target: Path, progress: Progress, key: str) -> None:
    """Copy one payload to `target`; wrong twice with the store healthy right after is damage."""
    where = store.locate(payload, size)
    found = ""
    if where is None:
        store.confirm_healthy()
        raise Corrupt(f"{key}: the payload {printable(payload)} is missing or short (expected {size} bytes)")
    with open(target, "xb", buffering=0) as handle:
        for _ in range(_READS):
            length = begun = 0
            if handle.tell():
                handle.seek(0)
                handle.truncate()
            with Hashing() as hasher:
                for chunk in store.backend.read(where):
                    length += len(chunk)
                    if length > size:
                        break
                    hasher.update(chunk)
                    _write_all(handle, chunk)
                    progress.advance(len(chunk))
                    if length - begun >= WRITE_BACK_BYTES:
                        begin_write_back(handle.fileno(), begun, length - begun)
                        begun = length
                found = hasher.hexdigest()
            if found == digest and length == size:
                return
            progress.advance(-min(length, size))
    store.confirm_healthy()
    if length < size:
        raise StoreUnreadable(errno.EIO, f"only {length} of {size} bytes can be read", printable(where))
    raise Corrupt(f"{key}: {printable(where)} is damaged: expected BLAKE3 {digest[:16]}..., got {found[:16]}...")


def _write_all(handle: IO[bytes], data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[handle.write(rest[:WRITE_BYTES]) :]


def _make_durable(places: Iterable[str]) -> None:
    """Have the content on the disk before a name points to it, or a power cut would leave empty files that look restored."""
    for place in places:
        with open(place, "r+b") as handle:
            os.fsync(handle.fileno())


def _parent_made(place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise LocalError(errno.ENOSPC, f"{needed} bytes are needed here and {free} are free; make space and run again", str(folder))
