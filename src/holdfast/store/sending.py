"""Sending the payload of a commit: every file under a name that was never used, hashed as it goes."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from blake3 import blake3

from holdfast.errors import StoreError, StoreExists, StoreUnreadable
from holdfast.store.backend import CHUNK_BYTES
from holdfast.store.backoff import can_pass
from holdfast.store.fetch import fetch_tar_members
from holdfast.store.keys import printable
from holdfast.store.manifest import FileRecord, Tar
from holdfast.store.names import TAR_STEM, CommitId, payload_folder, payload_names
from holdfast.store.planning import Content
from holdfast.store.progress import Progress
from holdfast.store.snapshot import Snapshot, Staged, spooled
from holdfast.store.store import Store
from holdfast.store.tars import TarWriter
from holdfast.store.workspace import Workspace, local_errors

log = logging.getLogger(__name__)


class Sending:
    """Sends the payload of one commit.

    `sent` maps every new path in the store to its length, `size` is how many bytes there are to send, and `begun` holds every
    path at which something may lie now.
    """

    def __init__(
        self, store: Store, workspace: Workspace, snapshot: Snapshot, content: Content, commit_id: CommitId, progress: Progress
    ) -> None:
        self._store = store
        self._workspace = workspace
        self._snapshot = snapshot
        self._content = content
        self._commit = commit_id
        self._progress = progress
        self._taken: set[str] = set()
        self.sent: dict[str, int] = {}
        self.begun: list[str] = []
        with local_errors():
            self._spool, self._packed = self._tar()
            alone = sum(snapshot.staged[p].size for p in content.alone)
            self.size = alone + (self._spool.stat().st_size if self._spool else 0)

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
        for path, (digest, size, mode) in packed.items():
            assert new_tar is not None
            files[path] = FileRecord(path, size, digest, mode, tar=new_tar.payload)
        used = {r.tar for r in files.values() if r.tar is not None}
        tars = {p: tar for p, tar in self._content.tars.items() if p in used}
        if new_tar is not None:
            tars[new_tar.payload] = new_tar
        return files, tars

    def _alone(self, staged: Staged) -> FileRecord:
        key = self._snapshot.key
        source = staged.source
        assert source is not None
        local = key.join(staged.path).name
        payload, digest, size = self._send(source, payload_folder(key, staged.path), local)
        if (staged.blake3 is not None and digest != staged.blake3) or (staged.linked is None and size != staged.size):
            raise StoreUnreadable(errno.EIO, "the local copy changed while it was sent; is the disk failing?", str(source))
        return FileRecord(staged.path, size, digest, staged.mode, payload=payload, sqlite=staged.sqlite)

    def _send_tar(self, path: Path) -> Tar:
        payload, digest, size = self._send(path, payload_folder(self._snapshot.key, "x"), f"{TAR_STEM}.tar")
        return Tar(payload, size, digest)

    def _send(self, source: Path, folder: str, local: str) -> tuple[str, str, int]:
        """Send one file under the first free name. Gives payload path, hash and length of what was sent."""
        waits = self._store.backoff.waits()
        for file in payload_names(local, self._commit):
            path = f"{folder}/{file}" if folder else file
            folded = path.casefold()
            if folded in self._taken:
                continue
            self._taken.add(folded)
            reading = _Reading(source, self._progress)
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
            return path, reading.digest, reading.size
        raise StoreExists(errno.EEXIST, "no free name is left", folder)

    def _take_back(self, path: str) -> None:
        """Remove what a failed attempt left under a name, which is not used again. Where that fails, it stays in `begun`."""
        try:
            self._store.backend.remove(path)
        except StoreError as error:
            log.debug("%s could not be taken back (%s)", printable(path), error)
        else:
            self.begun.remove(path)

    def _tar(self) -> tuple[Path | None, dict[str, tuple[str, int, int]]]:
        """The commit's tar: the spool as it is, or a new one with the live members of merged tars."""
        staged = [self._snapshot.staged[p] for p in self._content.packed]
        packed = {s.path: (s.blake3 or "", s.size, s.mode) for s in staged}
        if not staged:
            return None, {}
        spools = self._snapshot.spools
        spooled_alone = {p for p, s in self._snapshot.staged.items() if s.spool is not None} == set(packed)
        if len(spools) == 1 and spooled_alone and not self._content.merged and not self._snapshot.merged:
            return spools.pop(), packed
        with TarWriter(self._workspace.temporary() / "merged.tar") as writer:
            for one, data in spooled(staged):
                writer.add(one.path, data, one.mode, one.here.mtime_ns)
            for record, data in self._live_members():
                writer.add(record.path, data, record.mode, 0)
                packed[record.path] = (record.blake3, record.size, record.mode)
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
                members = fetch_tar_members(self._store, tar, from_store, self._workspace.temporary())
                for path, data in members:
                    yield from_store[path], data

    def _from_here(self, path: str, record: FileRecord) -> bytes | None:
        try:
            data = self._workspace.local(self._snapshot.key.join(path)).read_bytes()
        except OSError:
            return None
        return data if blake3(data).hexdigest() == record.blake3 else None


class _Reading:
    """A source for `create`: the chunks of a local file, hashed and counted as they go."""

    def __init__(self, path: Path, progress: Progress) -> None:
        self._path = path
        self._progress = progress
        self.digest = ""
        self.size = 0

    def __call__(self) -> Iterable[bytes]:
        hasher, self.size = blake3(), 0
        with local_errors(), open(self._path, "rb") as handle:
            while chunk := handle.read(CHUNK_BYTES):
                hasher.update(chunk)
                self.size += len(chunk)
                self._progress.advance(len(chunk))
                yield chunk
        self.digest = hasher.hexdigest()
