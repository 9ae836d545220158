"""Sending the payload of a commit: every file under a name that was never used, hashed as it goes."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from blake3 import blake3

from holdfast.errors import LocalError, StoreError, StoreExists, StoreUnreadable
from holdfast.platform import clone_into
from holdfast.store.backends.backend import CHUNK_BYTES, LocalFile
from holdfast.store.backends.backoff import can_pass
from holdfast.store.copies.inspecting import read_small
from holdfast.store.copies.reading import open_copy
from holdfast.store.copies.snapshot import Snapshot, Staged
from holdfast.store.copies.spools import spooled
from holdfast.store.deciding.content import Content
from holdfast.store.deciding.pages import Changed
from holdfast.store.format.entries import FileRecord, Sparse
from holdfast.store.format.holes import survey
from holdfast.store.format.keys import printable
from holdfast.store.format.manifest import Tar, local_name
from holdfast.store.format.names import PIECES_SUFFIX, TAR_STEM, CommitId, payload_folder, payload_names
from holdfast.store.format.sparse import archive
from holdfast.store.format.tars import TarWriter
from holdfast.store.local.disk import local_errors, lstat_or_none
from holdfast.store.local.records import Signature
from holdfast.store.local.workspace import Workspace
from holdfast.store.store import Store
from holdfast.store.transfer.fetch import fetch_tar_members
from holdfast.store.transfer.hashing import Hashing
from holdfast.store.transfer.pages import Pages, Read, read_runs
from holdfast.store.transfer.progress import Progress

log = logging.getLogger(__name__)

#: How often a hard link is read again because its original was about to be written. From the first time on it is a copy.
_REREADS = 3


class Sending:
    """Sends the payload of one commit.

    `sent` maps every new path in the store to its length, `size` is how many bytes there are to send, and `begun` holds every
    path at which something may lie now.
    """

    def __init__(
        self,
        store: Store,
        workspace: Workspace,
        snapshot: Snapshot,
        content: Content,
        commit_id: CommitId,
        progress: Progress,
        pages: Pages,
    ) -> None:
        self._store = store
        self._workspace = workspace
        self._snapshot = snapshot
        self._content = content
        self._commit = commit_id
        self._progress = progress
        self._pages = pages
        self._taken: set[str] = set()
        self.sent: dict[str, int] = {}
        self.begun: list[str] = []
        with local_errors():
            self._spool, self._packed = self._tar()
            self._read = {p: read for p in content.alone if (read := pages.look(snapshot.staged[p])) is not None}
            alone = sum(_length(snapshot.staged[p], self._read.get(p)) for p in content.alone)
            self.size = alone + (self._spool.stat().st_size if self._spool else 0)

    @property
    def folders(self) -> list[str]:
        """The folder in the store of each file that is to be sent."""
        key = self._snapshot.key
        return [payload_folder(key, p) for p in (*self._content.alone, *(["x"] if self._spool else []))]

    def run(self) -> tuple[dict[str, FileRecord], dict[str, Tar]]:
        """The files and tars of the new generation."""
        key, staged = self._snapshot.key, self._snapshot.staged
        files = dict(self._content.inherit)
        tar_path, packed = self._spool, self._packed
        self._progress.begin("backing up", str(key), len(self._content.alone) + bool(tar_path), self.size)
        try:
            for record in self._store.parallel_map(self._alone, [staged[p] for p in self._content.alone]):
                files[record.path] = record
            new_tar = None if tar_path is None else self._send_tar(tar_path)
        finally:
            self._progress.end()
        for path, record in packed.items():
            assert new_tar is not None
            files[path] = replace(record, tar=new_tar.payload)
        for path, other in self._content.same.items():
            files[path] = self._as_another_name(staged[path], files[other])
        used = {r.tar for r in files.values() if r.tar is not None}
        tars = {p: tar for p, tar in self._content.tars.items() if p in used}
        if new_tar is not None:
            tars[new_tar.payload] = new_tar
        return files, tars

    def committed(self, files: Mapping[str, FileRecord]) -> int:
        """The commit is done, and what it sent of databases is remembered. Gives how many bytes were sent."""
        self._pages.remember(files)
        return sum(self.sent.values())

    def _alone(self, staged: Staged) -> FileRecord:
        key, source = self._snapshot.key, staged.source
        assert source is not None
        read = self._read.get(staged.path)
        local = local_name(key.join(staged.path).name, sparse=staged.sparse)
        if read is not None and read.changed is not None:
            local = f"{local}{PIECES_SUFFIX}"
        for _ in range(_REREADS):
            before = _identity(source)
            payload, reading = self._send(lambda: self._reading(staged), payload_folder(key, staged.path), local)
            if staged.linked is None or before is None or _identity(source) == before:
                break
            # Somebody is about to write the original: what waits is a copy of its own by now, and that is what is sent.
            self._take_back(payload)
        else:
            raise StoreUnreadable(errno.EBUSY, "it is rewritten faster than it can be sent", str(source))
        said = staged.blake3 is None or reading.digest == staged.blake3
        changed = staged.linked is not None and was_rewritten(staged)  # then this commit is void, and begins again
        if not changed and not (said and reading.content_size == staged.size):
            raise StoreUnreadable(errno.EIO, "the local copy changed while it was sent; is the disk failing?", str(source))
        record = replace(_record(staged), size=reading.content_size, blake3=reading.digest, payload=payload)
        if read is not None and (pieces := self._pages.is_sent(staged, read, payload, reading.size)):
            return replace(record, payload=None, pieces=pieces)
        return replace(record, sparse=Sparse(reading.size, reading.whole)) if staged.sparse else record

    def _reading(self, staged: Staged) -> _Reading:
        assert staged.source is not None
        read = self._read.get(staged.path)
        if read is not None and read.changed is not None:
            return _PagesReading(staged.source, self._progress, read, read.changed, staged.size)
        if not staged.sparse:
            return _Reading(staged.source, self._progress)
        name = self._snapshot.key.join(staged.path).name
        return _SparseReading(staged.source, self._progress, name, staged.mode, staged.here.mtime_ns)

    def _take_back(self, path: str) -> None:
        """Remove what a failed attempt left under a name, which is not used again. Where that fails, it stays in `begun`."""
        self.sent.pop(path, None)
        try:
            self._store.backend.remove(path)
        except StoreError as error:
            log.debug("%s could not be taken back (%s)", printable(path), error)
        else:
            self.begun.remove(path)

    def _as_another_name(self, staged: Staged, record: FileRecord) -> FileRecord:
        """The record of a hard link: content and place are those of the other name."""
        named = None if record.member == staged.path else record.member
        own = _record(staged)
        return replace(record, path=staged.path, mode=own.mode, mtime_ns=own.mtime_ns, named=named)

    def _send_tar(self, path: Path) -> Tar:
        folder = payload_folder(self._snapshot.key, "x")
        payload, reading = self._send(lambda: _Reading(path, self._progress), folder, f"{TAR_STEM}.tar")
        return Tar(payload, reading.size, reading.digest)

    def _send(self, begin: Callable[[], _Reading], folder: str, local: str) -> tuple[str, _Reading]:
        """Send one file under the first free name. Gives the payload's path, and what was read of the source."""
        waits = self._store.backoff.waits()
        for file in payload_names(local, self._commit):
            path = f"{folder}/{file}" if folder else file
            folded = path.casefold()
            if folded in self._taken:
                continue
            self._taken.add(folded)
            reading = begin()
            self.begun.append(path)
            try:
                self._store.backend.create(path, reading)
            except StoreExists:
                self.begun.remove(path)
                continue
            except StoreUnreadable as error:
                wait = next(waits, None) if can_pass(error) else None
                if wait is None:
                    raise
                log.warning("sending %s failed (%s); trying again under the next name in %.1f s", printable(path), error, wait)
                self._progress.advance(-reading.size)
                self._take_back(path)
                self._store.backoff.sleep(wait)
                continue
            self.sent[path] = reading.size
            self._progress.file_done()
            return path, reading
        raise StoreExists(errno.EEXIST, "no free name is left", folder)

    def _tar(self) -> tuple[Path | None, dict[str, FileRecord]]:
        """The commit's tar: the spool as it is, or a new one with the live members of merged tars."""
        staged = [self._snapshot.staged[p] for p in self._content.packed]
        packed = {s.path: _record(s) for s in staged}
        if not staged:
            return None, {}
        spools = self._snapshot.spools
        spooled_alone = {p for p, s in self._snapshot.staged.items() if s.spool is not None and not s.member} == set(packed)
        if len(spools) == 1 and spooled_alone and not self._content.merged and not self._snapshot.merged:
            return spools.pop(), packed
        with TarWriter(self._workspace.temporary() / "merged.tar") as writer:
            for one, data in spooled(staged):
                writer.add(one.path, data, one.mode, one.here.mtime_ns)
            for record, data in self._live_members():
                writer.add(record.path, data, record.mode, record.mtime_ns or 0)
                packed[record.path] = replace(record, named=None)
        return writer.close(), packed

    def _live_members(self) -> Iterator[tuple[FileRecord, bytes]]:
        """What merged tars still hold of this generation: from the file here where it is unchanged, else from the store."""
        for payload in self._content.merged:
            live = {p: r for p, r in self._content.inherit.items() if r.tar == payload}
            from_store = {}
            for path, record in live.items():
                data = self._from_here(path, record)
                if data is None:
                    from_store[path] = record
                else:
                    yield record, data
            if from_store:
                tar = self._content.tars[payload]
                for path, data in fetch_tar_members(self._store, tar, from_store, self._workspace.temporary()):
                    yield from_store[path], data

    def _from_here(self, path: str, record: FileRecord) -> bytes | None:
        try:
            data = self._workspace.read(read_small, str(self._workspace.local(self._snapshot.key.join(path))))
        except (OSError, LocalError):
            return None
        return data if blake3(data).hexdigest() == record.blake3 else None


def was_rewritten(staged: Staged) -> bool:
    """True where a hard link shows that its original was written to. Another file in its place is the guard's copy."""
    assert staged.source is not None
    assert staged.linked is not None
    found = lstat_or_none(staged.source)
    return found is None or (found.st_ino == staged.linked.inode and not staged.linked.same_content(Signature.of(found)))


def _length(staged: Staged, read: Read | None) -> int:
    """About how many bytes are sent of a file that travels alone."""
    if read is not None and read.changed is not None:
        return read.changed.size
    if not staged.sparse or staged.source is None:
        return staged.size
    found = staged.source.stat()
    return min(found.st_size, getattr(found, "st_blocks", found.st_size) * 512)


def _identity(place: Path) -> tuple[int, int, int] | None:
    found = lstat_or_none(place)
    return None if found is None else (found.st_ino, found.st_size, found.st_mtime_ns)


def _record(staged: Staged) -> FileRecord:
    """What is known of a file before it is sent."""
    return FileRecord(
        staged.path,
        staged.size,
        staged.blake3 or "",
        staged.mode,
        sqlite=staged.sqlite,
        mtime_ns=staged.here.mtime_ns,
        torn=staged.torn,
    )


class _Reading(LocalFile):
    """A source for `create`: the chunks of a local file, or the blocks of it, hashed and counted as they go.

    `size` is how much was sent, `content_size` how large the file is for whoever gets it back, `digest` the hash of its content
    and `whole` that of what was sent.
    """

    def __init__(self, path: Path, progress: Progress) -> None:
        self._path = path
        self._progress = progress
        self.digest = self.whole = ""
        self.size = self.content_size = 0

    def __call__(self) -> Iterable[bytes]:
        self.size = 0
        with local_errors(), open_copy(self._path) as descriptor, Hashing() as hasher:
            for chunk in self.chunks(descriptor):
                hasher.update(chunk)
                self.size += len(chunk)
                self._progress.advance(len(chunk))
                yield chunk
            self.whole = hasher.hexdigest()
        self.finish()

    def clone_into(self, descriptor: int) -> bool:
        """What lies in the clone is what is hashed: of the original nobody needs to know any more."""
        with contextlib.ExitStack() as stack:
            with local_errors():
                original = stack.enter_context(open_copy(self._path))
            if os.fstat(original).st_size < CHUNK_BYTES or not clone_into(original, descriptor):
                return False
            hasher, self.size = blake3(), 0
            while chunk := os.pread(descriptor, CHUNK_BYTES, self.size):
                hasher.update(chunk)
                self.size += len(chunk)
                self._progress.advance(len(chunk))
        self.whole = hasher.hexdigest()
        self.finish()
        return True

    def chunks(self, descriptor: int) -> Iterator[bytes]:
        """What is sent, piece by piece."""
        while chunk := os.read(descriptor, CHUNK_BYTES):
            yield chunk

    def finish(self) -> None:
        """All of it was read."""
        self.digest, self.content_size = self.whole, self.size


class _SparseReading(_Reading):
    """A file with holes, as the tar that it travels in."""

    def __init__(self, path: Path, progress: Progress, name: str, mode: int, mtime_ns: int) -> None:
        super().__init__(path, progress)
        self._name = name
        self._mode = mode
        self._mtime_ns = mtime_ns
        self._stored = blake3()

    def clone_into(self, descriptor: int) -> bool:
        """A tar is no clone of the file in it."""
        return False

    def chunks(self, descriptor: int) -> Iterator[bytes]:
        self._stored = blake3()
        self.content_size = os.fstat(descriptor).st_size
        regions = survey(descriptor, self.content_size)
        yield from archive(
            descriptor, self.content_size, regions, name=self._name, mode=self._mode, mtime_ns=self._mtime_ns, stored=self._stored
        )

    def finish(self) -> None:
        self.digest = self._stored.hexdigest()


class _PagesReading(_Reading):
    """What differs of a database from what the store has."""

    def __init__(self, path: Path, progress: Progress, read: Read, changed: Changed, size: int) -> None:
        super().__init__(path, progress)
        self._read = read
        self._changed = changed
        self._size = size

    def clone_into(self, descriptor: int) -> bool:
        """What differs is no clone of the database."""
        return False

    def chunks(self, descriptor: int) -> Iterator[bytes]:
        yield from read_runs(descriptor, self._changed, self._read.marks, self._size)

    def finish(self) -> None:
        self.digest, self.content_size = self._read.blake3, self._size
