"""Fetching payload into a temporary, hashed as it goes. Proven damage is told apart from a dying mount."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from blake3 import blake3

from holdfast.errors import Corrupt, HoldfastError, LocalError, StoreUnreadable
from holdfast.store.keys import printable
from holdfast.store.manifest import FileRecord, Manifest, Tar
from holdfast.store.platform import sync_all
from holdfast.store.progress import Progress, Silent
from holdfast.store.store import Store
from holdfast.store.tars import read_members

#: A wrong hash is read once more before it counts as damage: a network mount may hand out a short or stale read.
_READS = 2
#: From this many files on, one sync of everything is quicker than one of each.
_SYNC_ALL = 16


def fetch(
    store: Store, manifest: Manifest, wanted: Iterable[FileRecord], folder: Path, progress: Progress | None = None
) -> dict[str, Path]:
    """Fetch files of one generation.

    Args:
        store: Where from.
        manifest: The generation.
        wanted: Which of its files.
        folder: An existing local folder, empty; the files are made below it at their paths.
        progress: Told about the transfer.

    Returns:
        Path below the artifact to the temporary file. Each has its mode, is synced, and has the content of its record.

    Raises:
        Corrupt: proven damage; the text names key and file.
        StoreUnreadable: it cannot be read now.
        LocalError: the local disk is too full.
    """
    records = list(wanted)
    told = progress or Silent()
    alone = [r for r in records if r.payload is not None]
    by_tar: dict[str, dict[str, FileRecord]] = {}
    for record in records:
        if record.tar is not None:
            by_tar.setdefault(record.tar, {})[record.path] = record
    tars = [manifest.tars[payload] for payload in sorted(by_tar)]
    _check_space(folder, sum(r.size for r in records) + sum(t.size for t in tars))
    places = {r.path: folder / (r.path or "file") for r in records}
    told.begin("restoring", str(manifest.key), len(alone) + len(tars), sum(r.size for r in alone) + sum(t.size for t in tars))

    def one(item: FileRecord | Tar) -> None:
        if isinstance(item, Tar):
            scratch = folder.with_name(f"{folder.name}-tars") / str(tars.index(item))
            scratch.mkdir(parents=True)
            for path, data in fetch_tar_members(store, item, by_tar[item.payload], scratch, told, str(manifest.key)):
                _put(places[path], data)
        else:
            _stream(store, item.payload or "", item.size, item.blake3, _parent_made(places[item.path]), told, str(manifest.key))
        told.file_done()

    try:
        items: list[FileRecord | Tar] = [*alone, *tars]
        for _ in store.parallel_map(one, items):
            pass
        _make_durable(list(places.values()))
    except HoldfastError:
        raise
    except FileExistsError as error:
        raise LocalError(errno.EEXIST, "two names that this file system cannot tell apart", error.filename) from error
    except OSError as error:
        raise LocalError(error.errno, error.strerror, error.filename) from error
    finally:
        told.end()
    for record in records:
        os.chmod(places[record.path], (record.mode | 0o600) & 0o777)
    return places


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
    for path, data in read_members(local, {p: r.size for p, r in wanted.items()}):
        if blake3(data).hexdigest() != wanted[path].blake3:
            raise Corrupt(f"{key}: {printable(path)} in {printable(tar.payload)} is damaged: its hash does not match")
        yield path, data
    local.unlink()


def _stream(store: Store, payload: str, size: int, digest: str, target: Path, progress: Progress, key: str) -> None:
    """Copy one payload to `target`; wrong twice with the store healthy right after is damage."""
    where = store.locate(payload, size)
    found = ""
    if where is None:
        store.confirm_healthy()
        raise Corrupt(f"{key}: the payload {printable(payload)} is missing or short (expected {size} bytes)")
    with open(target, "xb") as handle:
        for _ in range(_READS):
            hasher, length = blake3(), 0
            handle.seek(0)
            handle.truncate()
            for chunk in store.backend.read(where):
                length += len(chunk)
                if length > size:
                    break
                hasher.update(chunk)
                handle.write(chunk)
                progress.advance(len(chunk))
            found = hasher.hexdigest()
            if found == digest and length == size:
                return
            progress.advance(-min(length, size))
    store.confirm_healthy()
    if length < size:
        raise StoreUnreadable(errno.EIO, f"only {length} of {size} bytes can be read", printable(where))
    raise Corrupt(f"{key}: {printable(where)} is damaged: expected BLAKE3 {digest[:16]}..., got {found[:16]}...")


def _put(place: Path, data: bytes) -> None:
    with open(_parent_made(place), "xb") as handle:
        handle.write(data)


def _make_durable(places: list[Path]) -> None:
    """Have the content on the disk before a name points to it, or a power cut would leave empty files that look restored."""
    if len(places) > _SYNC_ALL and sync_all():
        return
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
