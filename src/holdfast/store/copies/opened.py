"""A file of outputs that is open: how it was when the look began, who writes to it, and what the look proves.

Whoever opens one runs where a `Reader` runs it: closing a descriptor in the job's own process would drop its locks.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from blake3 import blake3

from holdfast.platform import BINARY, NO_BLOCK
from holdfast.store.backends.backend import CHUNK_BYTES
from holdfast.store.copies.leases import somebody_writes
from holdfast.store.copies.mappings import Mapped, shared_mappings
from holdfast.store.copies.proofs import NOTHING, Look, Proof, age, arm, nobody_writes, trusted, worth_arming
from holdfast.store.copies.wanted import SMALL_FILE, Terms, Wanted
from holdfast.store.format.holes import survey
from holdfast.store.format.sparse import digest
from holdfast.store.live.kind import FileKind
from holdfast.store.live.kinds import recognise
from holdfast.store.live.side_files import side_files
from holdfast.store.local.records import RACY_NS, Signature

#: How a file of outputs is opened: a pipe that lies there holds nobody up.
READ = os.O_RDONLY | NO_BLOCK | BINARY


class OpenFile:
    """A descriptor as `Content`."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        """At most so many bytes from there."""
        return os.pread(self._descriptor, length, offset)


class Bytes:
    """Bytes in memory as `Content`."""

    __slots__ = ("_data", "size")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        """At most so many bytes from there."""
        return self._data[offset : offset + length]


@dataclass(frozen=True, slots=True)
class Seen:
    """A file that is open, as it was when the look began."""

    wanted: Wanted
    descriptor: int
    before: Signature
    found: os.stat_result
    kind: FileKind | None
    writing: bool | None
    proof: Proof
    unmapped: bool
    taken_ns: int
    armed: bool

    @property
    def quiet(self) -> bool:
        """Nobody has it open for writing or mapped, so that a change would move its times."""
        return nobody_writes(self.proof, writing=self.writing, unmapped=self.unmapped)

    def now(self) -> Signature:
        """What it looks like at this moment."""
        return Signature.of(os.fstat(self.descriptor))

    def proven(self, after: Signature) -> bool:
        """True where the signature that it had afterwards will prove the same content from now on."""
        look = Look(self.unmapped, age(self.before, self.taken_ns), self.before, self.writing, self.armed, after)
        return trusted(look, self.proof)


class Mappings:
    """What was mapped before the first of several files was looked into: one look for all, where leases do not tell it."""

    def __init__(self, terms: Terms) -> None:
        self.at_ns = time.time_ns()
        wanted = any(proof.leases and proof.proc_tells and not proof.lease_tells for proof in terms.proofs.values())
        self._mapped = shared_mappings() if wanted else None

    def exclude(self, place: str, found: os.stat_result) -> bool:
        """True where nobody had a file mapped."""
        return self._mapped is not None and not is_mapped(place, found, self._mapped)


def begin(wanted: Wanted, descriptor: int, terms: Terms, mappings: Mappings) -> Seen:
    """Signature, then lease or arming: the order in which a look proves something (`proofs`)."""
    seen = look(wanted, descriptor, os.fstat(descriptor), terms, mappings)
    return replace(seen, kind=recognise(os.path.basename(wanted.place), OpenFile(descriptor, seen.found.st_size)))


def look(wanted: Wanted, descriptor: int, found: os.stat_result, terms: Terms, mappings: Mappings) -> Seen:
    """The same of a file that was just asked for what it looks like. Its kind is still to be told, by what is read from now on."""
    proof = terms.proofs.get(found.st_dev, NOTHING)
    unmapped = mappings.exclude(wanted.place, found)
    taken, before = mappings.at_ns if unmapped else time.time_ns(), Signature.of(found)
    writing = somebody_writes(descriptor)
    worth = found.st_size > SMALL_FILE and worth_arming(proof, age(before, taken), writing=writing, unmapped=unmapped)
    armed = worth and arm(descriptor)
    return Seen(wanted, descriptor, before, found, None, writing, proof, unmapped, taken, armed)


def database_rests(place: Path, before: Signature, taken_ns: int) -> bool:
    """Whether a database was at rest: SQLite writes by `write` alone, so whatever comes later moves its times."""
    return age(before, taken_ns) >= RACY_NS and not side_files(place) and Signature.of(os.stat(place)) == before


def is_mapped(place: str, found: os.stat_result, mapped: Mapped) -> bool:
    """True where a process has the file mapped."""
    return mapped.holds(found.st_ino, os.path.realpath(place))


def read_first(descriptor: int, most: int) -> bytes:
    """The first bytes of an open file."""
    return os.pread(descriptor, most, 0)


def hash_first(descriptor: int, size: int) -> str:
    """BLAKE3 of so many first bytes of an open file; empty where it has fewer."""
    hasher, at = blake3(), 0
    while at < size and (chunk := os.pread(descriptor, min(CHUNK_BYTES, size - at), at)):
        hasher.update(chunk)
        at += len(chunk)
    return hasher.hexdigest() if at == size else ""


def hashes_as(seen: Seen, wanted: Wanted) -> bool:
    """Whether a large file of unchanged size has the base's content, told without a copy."""
    size = seen.before.size
    hashed = (
        digest(seen.descriptor, size, survey(seen.descriptor, size)) if wanted.base_sparse else hash_first(seen.descriptor, size)
    )
    return hashed == wanted.base and seen.now() == seen.before
