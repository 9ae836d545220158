"""Databases on their way: of one that the store has in an earlier state, only the blocks that differ (FORMAT.md, "Pieces")."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from holdfast.errors import LocalError, StoreUnreadable
from holdfast.platform import BINARY
from holdfast.store.backends.backend import CHUNK_BYTES
from holdfast.store.copies.snapshot import Staged
from holdfast.store.deciding.line import Line
from holdfast.store.deciding.pages import (
    MARK_BYTES,
    SMALLEST,
    TOGETHER,
    Changed,
    Stored,
    as_stored,
    block_of,
    may_go_on_from,
    plan_pages,
)
from holdfast.store.format.entries import FileRecord, Piece
from holdfast.store.format.keys import Key
from holdfast.store.format.names import CommitId
from holdfast.store.local.pages import remember, remembered
from holdfast.store.local.records import Record
from holdfast.store.local.workspace import Workspace
from holdfast.store.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Read:
    """A database that was read block by block.

    Args:
        blake3: Of all of it.
        marks: Of its blocks.
        coarse: Of `TOGETHER` blocks each.
        changed: What is sent of it; None where it is sent whole.
    """

    blake3: str
    marks: bytes
    coarse: bytes
    changed: Changed | None


class Pages:
    """The databases of one commit.

    Args:
        store: Where to.
        workspace: Where from.
        key: The artifact.
        line: Where the commit stands.
        record: What is remembered of the artifact.
        lost: Payloads that are gone from the store.
        commit: The commit.
        store_id: The identity of the store.
    """

    def __init__(
        self,
        store: Store,
        workspace: Workspace,
        key: Key,
        line: Line,
        record: Record,
        lost: frozenset[str],
        commit: CommitId,
        store_id: str,
    ) -> None:
        self._store = store
        self._folder = workspace.pages / store_id  # sequences of another store say nothing here
        self._key = key
        self._goes_whole = workspace.goes_whole
        self._commit = commit
        self._lost = lost
        self._damaged = record.damaged
        stands = line.parent is not None and line.content is line.parent and not (line.adopted or line.others or record.chosen)
        self._base = line.parent.files if stands and line.parent is not None else {}
        self._there = frozenset(line.parent.payloads()) if stands and line.parent is not None else frozenset()
        self._sent: dict[str, Stored] = {}

    def look(self, staged: Staged) -> Read | None:
        """Read a database that is about to be sent, and decide what of it is; None where nothing is to be gained.

        Raises:
            OSError: the copy cannot be read.
            StoreError: the store cannot be asked now.
        """
        if not staged.sqlite or staged.source is None or staged.size < SMALLEST:
            return None
        known = remembered(self._folder, self._key.join(staged.path))
        onto = self._onto(staged, known)
        like = known[0] if known and block_of(known[0].size) == block_of(staged.size) else None
        digest, marks, coarse = _measured(staged.source, block_of(staged.size), like)
        changed = None if onto is None else plan_pages(onto, staged.size, marks)
        return Read(digest, marks, coarse, changed)

    def _onto(self, staged: Staged, known: list[Stored]) -> Stored | None:
        base = self._base.get(staged.path)
        if base is None or base.named is not None or base.blake3 == staged.blake3 or self._goes_whole(self._key.join(staged.path)):
            return None
        onto = may_go_on_from(known, base, self._commit.sequence, size=staged.size, damaged=self._damaged, lost=self._lost)
        # Those that the base names were looked for already.
        asked = {} if onto is None else {p: size for p, size in onto.places.items() if p not in self._there}
        return None if self._store.missing(asked.items()) else onto

    def is_sent(self, staged: Staged, read: Read, payload: str, size: int) -> tuple[Piece, ...]:
        """A database, or what differs of it, is in the store as `payload`. Gives the pieces that it is made up of, if it is."""
        if read.changed is None:
            piece = Piece(payload, size, 0, size)
            state = Stored(read.blake3, size, read.marks, read.coarse, (piece,), payload, 0, (), self._damaged)
        else:
            state = as_stored(read.changed, payload, staged.size, read.blake3, read.marks, read.coarse)
        self._sent[staged.path] = state
        return () if read.changed is None else state.pieces

    def remember(self, files: Mapping[str, FileRecord]) -> None:
        """The commit is done: what it sent is what the next one may go on from. Where it cannot be remembered, that sends all."""
        for path, state in self._sent.items():
            if path in files:
                try:
                    remember(self._folder, self._key.join(path), self._commit, state)
                except LocalError as error:
                    log.debug("what was sent of a database cannot be remembered (%s)", error)


def read_runs(descriptor: int, changed: Changed, marks: bytes, size: int) -> Iterator[bytes]:
    """The stretches of a database that are sent. Each block is hashed again.

    Raises:
        StoreUnreadable: a block is not what it was when it was decided on.
        OSError: it cannot be read.
    """
    block = block_of(size)
    at_once = max(CHUNK_BYTES // block, 1) * block
    for start, length in changed.runs:
        for offset in range(start, start + length, at_once):
            chunk = os.pread(descriptor, min(at_once, start + length - offset), offset)
            first = offset // block * MARK_BYTES
            found = _marks_of(chunk, block)
            if found != marks[first : first + len(found)] or len(chunk) < min(at_once, start + length - offset):
                raise StoreUnreadable(errno.EIO, "the local copy changed while it was sent; is the disk failing?")
            yield chunk


def _measured(path: Path, block: int, like: Stored | None) -> tuple[str, bytes, bytes]:
    """Hash of a file, of its blocks, and of many together. What is as it was in an earlier state is hashed only together."""
    whole, marks, coarse = blake3(), [], []
    step, at = TOGETHER * MARK_BYTES, 0
    descriptor = os.open(path, os.O_RDONLY | BINARY)
    try:
        while chunk := os.read(descriptor, TOGETHER * block):
            whole.update(chunk)
            mark = blake3(chunk).digest(length=MARK_BYTES)
            coarse.append(mark)
            same = like is not None and like.coarse[at * MARK_BYTES : (at + 1) * MARK_BYTES] == mark
            marks.append(like.marks[at * step : (at + 1) * step] if like is not None and same else _marks_of(chunk, block))
            at += 1
    finally:
        os.close(descriptor)
    return whole.hexdigest(), b"".join(marks), b"".join(coarse)


def _marks_of(chunk: bytes, block: int) -> bytes:
    view = memoryview(chunk)
    return b"".join(blake3(view[at : at + block]).digest(length=MARK_BYTES) for at in range(0, len(chunk), block))
