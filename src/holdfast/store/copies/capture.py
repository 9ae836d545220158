"""Looking into files of outputs: their content, hashed and copied such that the copy is what lay there at one instant.

Everything here opens files, so it runs where a `Reader` runs it: closing a descriptor in the job's own process would drop its
locks. `docs/files-in-use.md` says what is done with which kind of file.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from blake3 import blake3

from holdfast.errors import LocalError, Refused
from holdfast.platform import BINARY, NO_BLOCK, NO_FOLLOW
from holdfast.store.backends.backend import CHUNK_BYTES
from holdfast.store.copies.copying import clone, copy
from holdfast.store.copies.leases import somebody_writes
from holdfast.store.copies.mappings import Mapped, shared_mappings
from holdfast.store.copies.proofs import NOTHING, Look, Proof, age, arm, nobody_writes, trusted, worth_arming
from holdfast.store.copies.space import refuse_copy
from holdfast.store.format.holes import Region, TooManyRegions, has_holes, is_sparse, survey
from holdfast.store.format.keys import printable
from holdfast.store.format.manifest import MAX_TAR_MEMBER
from holdfast.store.format.sparse import digest
from holdfast.store.format.tars import TarWriter
from holdfast.store.live import libraries
from holdfast.store.live.kind import FileKind, Treatment
from holdfast.store.live.kinds import recognise
from holdfast.store.live.pinned import hash_raw, is_database
from holdfast.store.live.side_files import promises_database, side_files
from holdfast.store.live.sqlite import snapshot as copy_database
from holdfast.store.live.table import DUCKDB
from holdfast.store.live.torn import torn, whole_prefix
from holdfast.store.local.records import RACY_NS, Signature

#: At 65 MB/s a file of 1 MiB moves in 16 ms, and Drive takes 400 ms to
#: create one: below this size the create is nearly all of the cost.
SMALL_FILE = MAX_TAR_MEMBER
#: The tar with the small files of one snapshot.
SPOOL = "spool.tar"
#: Two writes closer than the kernel's clock tick (at most 10 ms on Linux) can leave one mtime.
_TICK_NS = 50_000_000
_TRIES = 3
#: A mapped file is at rest if nothing is written to it for so long. A program that fills one is held up by the disk now and then,
#: and what lies there until it goes on is the same at two looks, and half of one state.
_MAPPED_REST_SECONDS = 0.25
_READ = os.O_RDONLY | NO_BLOCK | BINARY
#: What is said of a file that its program has not closed.
_OPEN = "open for writing: what its program keeps in memory is missing, and parts of two states may lie in it"
_WITHOUT_LOG = "a database without its log, which lies beside it: back up the folder in which both are"
#: What is said of a copy that nobody can vouch for.
WRITTEN_TO = "a mixture: it was written to while it was copied"


@dataclass(frozen=True)
class Wanted:
    """A file to look into.

    Args:
        path: Below the artifact.
        place: Where it lies.
        signature: What the walk saw.
        base: Hash of what the store has of it, empty where it has nothing or that is to be replaced in any case.
        base_sparse: The store has it with its holes.
        was_database: The store has a database there.
        hashed: Its hash has to be known, whatever its size.
        alone: It is an artifact of its own: it does not travel with others.
        copied: A hard link of it did not hold.
        followed: The place is a symbolic link that is to be followed.
        unknown: The store has generations of the artifact, and nothing is remembered of them.
    """

    path: str
    place: str
    signature: Signature
    base: str = ""
    base_sparse: bool = False
    was_database: bool = False
    hashed: bool = False
    alone: bool = False
    copied: bool = False
    followed: bool = False
    unknown: bool = False


@dataclass(frozen=True)
class Captured:
    """What was found in a file, and its copy.

    Args:
        path: Below the artifact.
        refused: Why it was not taken, empty where it was.
        gone: It was there no more.
        size: Bytes.
        blake3: Hash; empty for a large file that is hashed as it is sent.
        sqlite: Copied by SQLite.
        here: Signature of the original when it was taken.
        taken_ns: When.
        proven: The same signature will prove the same content.
        same: Its content is that of the base; there is no copy.
        source: The copy; empty where it lies in the spool.
        linked: The copy is a hard link of the original.
        torn: Why it is no whole file of its own format.
        sparse: It travels with its holes.
        kind: What kind of file it is, empty where it is none that is known.
    """

    path: str
    refused: str = ""
    gone: bool = False
    size: int = 0
    blake3: str = ""
    sqlite: bool = False
    here: Signature = field(default_factory=lambda: Signature(0, 0, 0, 0))
    taken_ns: int = 0
    proven: bool = False
    same: bool = False
    source: str = ""
    linked: bool = False
    torn: str = ""
    sparse: bool = False
    kind: str = ""


@dataclass(frozen=True)
class Terms:
    """How files are looked into.

    Args:
        folder: Where copies are made, empty at first, on the file system of outputs.
        proofs: By device, what times prove.
        links: Large files may be hard-linked: whoever waits guards them, or sends them at once.
        waiting: Bytes that copies take already.
    """

    folder: str
    proofs: Mapping[int, Proof]
    links: bool
    waiting: int = 0


def capture(wanted: tuple[Wanted, ...], terms: Terms) -> list[Captured]:
    """Look into files one after the other. What is special to one of them is in its result.

    Raises:
        OSError: the local disk is full or fails.
    """
    capturing = _Capturing(terms)
    try:
        return capturing.settled([capturing.take(one) for one in wanted])
    finally:
        capturing.close()


@dataclass(frozen=True)
class Looked:
    """What a look at a file came to whose signature is unchanged and proves nothing.

    Args:
        path: Below the artifact.
        same: Its content is that of the base.
        proven: From now on this signature proves it.
        here: Its signature.
    """

    path: str
    same: bool
    proven: bool
    here: Signature


def look_again(wanted: tuple[Wanted, ...], terms: Terms) -> list[Looked]:
    """Whether files still have the content of the base. Copies none but databases, which nothing else tells."""
    found, mappings = [], _Mappings(terms)
    for one in wanted:
        try:
            found.append(_look_at_database(one, terms) if one.was_database else _look_at(one, terms, mappings))
        except (OSError, Refused):
            found.append(Looked(one.path, False, False, one.signature))
    return found


def _look_at(wanted: Wanted, terms: Terms, mappings: _Mappings) -> Looked:
    descriptor = os.open(wanted.place, _READ if wanted.followed else _READ | NO_FOLLOW)
    try:
        seen = _begin(wanted, descriptor, terms, mappings)
        if seen.kind is not None and seen.kind.treatment is Treatment.LIBRARY and seen.writing is not False:
            return Looked(wanted.path, _library_hashes_as(seen, Path(wanted.place), Path(terms.folder)), False, seen.before)
        same = _hashes_as(seen, wanted)
        return Looked(wanted.path, same, seen.proven(seen.now()), seen.before)
    finally:
        os.close(descriptor)


def _look_at_database(wanted: Wanted, terms: Terms) -> Looked:
    place, target = Path(wanted.place), Path(terms.folder) / "database"
    before, taken = Signature.of(os.stat(place)), time.time_ns()
    try:
        copy_database(place, target)
        same = hash_raw(target) == wanted.base
        return Looked(wanted.path, same, _database_rests(place, before, taken), before)
    finally:
        target.unlink(missing_ok=True)


def hash_content(place: str, *, sparse: bool = False) -> str:
    """The hash of a file's content, as a manifest has it.

    Raises:
        OSError: it cannot be read.
    """
    if not sparse:
        return hash_raw(Path(place))
    descriptor = os.open(place, _READ)
    try:
        size = os.fstat(descriptor).st_size
        return digest(descriptor, size, survey(descriptor, size))
    finally:
        os.close(descriptor)


def read_small(place: str) -> bytes:
    """The content of a file that travels in a tar.

    Raises:
        OSError: it cannot be read.
    """
    descriptor = os.open(place, _READ | NO_FOLLOW)
    try:
        return _read(descriptor, SMALL_FILE + 1)
    finally:
        os.close(descriptor)


def is_checkpoint(place: str) -> bool:
    """True where the file is what frameworks keep weights in, by its content."""
    try:
        descriptor = os.open(place, _READ | NO_FOLLOW)
    except OSError:
        return False
    try:
        found = os.fstat(descriptor)
        kind = recognise(place, _Open(descriptor, found.st_size)) if stat.S_ISREG(found.st_mode) else None
        return kind is not None and kind.name in libraries.CHECKPOINTS
    finally:
        os.close(descriptor)


class _Open:
    """A descriptor as `Content`."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        return os.pread(self._descriptor, length, offset)


@dataclass(frozen=True)
class _Seen:
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
        return Signature.of(os.fstat(self.descriptor))

    def proven(self, after: Signature) -> bool:
        look = Look(self.unmapped, age(self.before, self.taken_ns), self.before, self.writing, self.armed, after)
        return trusted(look, self.proof)


class _Mappings:
    """What was mapped before the first of several files was looked into: one look for all, where leases do not tell it."""

    def __init__(self, terms: Terms) -> None:
        self.at_ns = time.time_ns()
        wanted = any(proof.leases and proof.proc_tells and not proof.lease_tells for proof in terms.proofs.values())
        self._mapped = shared_mappings() if wanted else None

    def exclude(self, place: str, found: os.stat_result) -> bool:
        """True where nobody had a file mapped."""
        return self._mapped is not None and not _is_mapped(place, found, self._mapped)


def _begin(wanted: Wanted, descriptor: int, terms: Terms, mappings: _Mappings) -> _Seen:
    """Signature, then lease or arming: the order in which a look proves something (`proofs`)."""
    found = os.fstat(descriptor)
    proof = terms.proofs.get(found.st_dev, NOTHING)
    unmapped = mappings.exclude(wanted.place, found)
    taken, before = mappings.at_ns if unmapped else time.time_ns(), Signature.of(found)
    writing = somebody_writes(descriptor)
    worth = found.st_size > SMALL_FILE and worth_arming(proof, age(before, taken), writing=writing, unmapped=unmapped)
    armed = worth and arm(descriptor)
    kind = recognise(os.path.basename(wanted.place), _Open(descriptor, found.st_size))
    return _Seen(wanted, descriptor, before, found, kind, writing, proof, unmapped, taken, armed)


class _Capturing:
    """One capture under way."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._folder = Path(terms.folder)
        self._spool: TarWriter | None = None
        self._taken = terms.waiting
        self._mappings = _Mappings(terms)
        self._number = 0
        self._open: dict[str, tuple[Wanted, os.stat_result]] = {}

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()

    def settled(self, captured: list[Captured]) -> list[Captured]:
        """The same, with those named that a program fills through a mapping."""
        mapped = shared_mappings() if self._open else None
        at_rest = {p: w for p, (w, found) in self._open.items() if mapped is not None and _is_mapped(w.place, found, mapped)}
        if not at_rest:
            return captured
        time.sleep(_MAPPED_REST_SECONDS)
        return [self._still(one, at_rest[one.path]) if one.path in at_rest else one for one in captured]

    def _still(self, captured: Captured, wanted: Wanted) -> Captured:
        if captured.refused or captured.gone or captured.torn or captured.linked:
            return captured
        try:
            hashed = captured.blake3 or hash_content(captured.source, sparse=captured.sparse)
            now = hash_content(wanted.place, sparse=captured.sparse)
        except OSError:
            return captured  # gone by now; it was a file of one moment
        return captured if now == hashed else replace(captured, torn=WRITTEN_TO, proven=False)

    def take(self, wanted: Wanted) -> Captured:
        """Take one file. It is gone only where its name is: one that is replaced all the time is there all the time."""
        for _ in range(_TRIES):
            try:
                return self._take(wanted, Path(wanted.place))
            except FileNotFoundError:
                if not os.path.lexists(wanted.place):
                    return Captured(wanted.path, gone=True)
            except PermissionError as error:
                return Captured(wanted.path, refused=f"cannot be read ({error.strerror})")
            except (Refused, LocalError) as error:
                return Captured(wanted.path, refused=error.strerror or str(error))
        return Captured(wanted.path, refused="is replaced faster than it can be read")

    def _take(self, wanted: Wanted, place: Path) -> Captured:
        if is_database(place):
            return self._database(wanted, place)
        if wanted.was_database and wanted.signature.size == 0 and promises_database(place.name):
            raise Refused(0, "it should be a database and is empty; the last good version is kept", wanted.place)
        if wanted.signature.size == 0 and promises_database(place.name) and side_files(place):
            raise Refused(0, "no transaction of it is finished yet; back up again after the first commit", wanted.place)
        if wanted.was_database:
            raise Refused(0, "it should be a database and is damaged; the last good version is kept", wanted.place)
        if wanted.unknown and wanted.signature.size == 0 and promises_database(place.name):
            why = "it is empty, and the store may hold a database there that this workspace does not know; `ensure` it first"
            raise Refused(0, why, wanted.place)
        descriptor = os.open(place, _READ if wanted.followed else _READ | NO_FOLLOW)
        try:
            return self._file(wanted, place, descriptor)
        finally:
            os.close(descriptor)

    def _database(self, wanted: Wanted, place: Path) -> Captured:
        target, taken = self._new(), time.time_ns()
        found = os.stat(place)
        self._room(found, wanted)
        copy_database(place, target)
        hashed = hash_raw(target)
        size = target.stat().st_size
        here = Signature.of(found)
        captured = Captured(
            wanted.path, "", False, size, hashed, True, here, taken, _database_rests(place, here, taken), source=str(target)
        )
        return self._held_against_base(wanted, replace(captured, kind="SQLite"))

    def _file(self, wanted: Wanted, place: Path, descriptor: int) -> Captured:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return Captured(wanted.path, gone=True)
        seen = _begin(wanted, descriptor, self._terms, self._mappings)
        kind = seen.kind
        if kind is not None and kind.treatment is Treatment.LIBRARY and seen.writing is not False:
            return self._by_library(seen, place)
        if seen.writing and found.st_size > 0 and (kind is None or kind.treatment is Treatment.REST):
            self._open[wanted.path] = (wanted, found)
        captured = self._small(seen) if found.st_size <= SMALL_FILE else self._large(seen, place)
        if kind is None:
            return captured
        why = captured.torn or _unfinished(seen, kind, place)
        return replace(captured, kind=kind.name, torn=why, proven=captured.proven and not why)

    # -- small files: in memory ------------------------------------------------------------------------------------------

    def _small(self, seen: _Seen) -> Captured:
        wanted, why = seen.wanted, ""
        for _ in range(_TRIES):
            data = _read(seen.descriptor, SMALL_FILE + 1)
            after = seen.now()
            if len(data) > SMALL_FILE:
                found = os.fstat(seen.descriptor)
                return self._large(replace(seen, found=found, before=Signature.of(found)), Path(wanted.place))
            rests = len(data) == after.size and after.same_content(seen.before)
            if rests and (seen.quiet or _read(seen.descriptor, SMALL_FILE + 1) == data):
                if seen.writing is not False:
                    data = data[: self._prefix(seen, len(data))]
                break
            if _only_grows(seen, data):
                data = data[: self._prefix(seen, len(data))]
                break
            seen = replace(seen, before=after, taken_ns=time.time_ns())
        else:
            why = WRITTEN_TO
        why = why or _torn(seen.kind, _Bytes(data))
        hashed = blake3(data).hexdigest()
        captured = Captured(
            wanted.path,
            size=len(data),
            blake3=hashed,
            here=seen.before,
            taken_ns=seen.taken_ns,
            proven=not why and len(data) == seen.before.size and seen.proven(seen.now()),
            torn=why,
        )
        if wanted.base == hashed:
            return replace(captured, same=True)
        if wanted.alone:
            target = self._new()
            target.write_bytes(data)
            return replace(captured, source=str(target))
        if self._spool is None:
            self._spool = TarWriter(self._folder / SPOOL)
        self._spool.add(wanted.path, data, stat.S_IMODE(seen.found.st_mode) & 0o777, seen.before.mtime_ns)
        return captured

    # -- large files -----------------------------------------------------------------------------------------------------

    def _large(self, seen: _Seen, place: Path) -> Captured:
        wanted = seen.wanted
        if wanted.base and not wanted.hashed and seen.quiet and _hashes_as(seen, wanted):
            captured = Captured(wanted.path, size=seen.before.size, blake3=wanted.base, here=seen.before, taken_ns=seen.taken_ns)
            return replace(captured, proven=seen.proven(seen.now()), same=True, sparse=wanted.base_sparse)
        target = self._new()
        if clone(seen.descriptor, target):
            return self._finished(seen, target, seen.before, "")
        if self._terms.links and not wanted.copied and seen.quiet and (linked := _link(place, target, seen)) is not None:
            return self._finished(replace(seen, before=linked), target, linked, "", linked=True)
        self._room(seen.found, wanted)
        if seen.kind is not None and seen.kind.treatment is Treatment.PREFIX and seen.writing is not False:
            return self._growing(seen, target)
        for _ in range(_TRIES):
            made = copy(seen.descriptor, target, None, hashing=True)
            after = seen.now()
            rests = made.size == after.size and after.same_content(seen.before)
            if rests and (seen.quiet or _hash(seen.descriptor, made.size) == made.blake3):
                return self._finished(seen, target, after, "", hashed=made.blake3 or "")
            if after.size > made.size and _hash(seen.descriptor, made.size) == made.blake3:
                return self._growing(seen, target, made.size)
            target.unlink()
            found = os.fstat(seen.descriptor)
            seen = replace(seen, before=Signature.of(found), found=found, taken_ns=time.time_ns(), armed=False)
        made = copy(seen.descriptor, target, None, hashing=True)
        return self._finished(seen, target, seen.now(), WRITTEN_TO, hashed=made.blake3 or "")

    def _growing(self, seen: _Seen, target: Path, length: int | None = None) -> Captured:
        """The first bytes of a file of which only the end grows, to its last whole record."""
        size = self._prefix(seen, seen.before.size if length is None else length)
        if length is None:
            copy(seen.descriptor, target, size, hashing=False)
        elif size < length:
            os.truncate(target, size)
        return self._finished(replace(seen, writing=None, armed=False), target, seen.before, "")

    def _prefix(self, seen: _Seen, length: int) -> int:
        if seen.kind is None or seen.kind.treatment is not Treatment.PREFIX:
            return length
        return whole_prefix(seen.kind, _Open(seen.descriptor, length), length)

    def _finished(
        self, seen: _Seen, target: Path, here: Signature, why: str, *, linked: bool = False, hashed: str = ""
    ) -> Captured:
        """What a copy came to: whole or torn, with holes or without, the base's content or another."""
        wanted = seen.wanted
        descriptor = os.open(target, _READ)
        try:
            found = os.fstat(descriptor)
            why = why or _torn(seen.kind, _Open(descriptor, found.st_size))
            regions = _regions(descriptor, found) if is_sparse(found) or wanted.base_sparse else None
            if regions is not None:
                hashed = digest(descriptor, found.st_size, regions)
            elif not hashed and (wanted.base or wanted.hashed):
                hashed = _hash(descriptor, found.st_size)
        finally:
            os.close(descriptor)
        self._taken += 0 if linked else found.st_size
        whole = not why and found.st_size == here.size
        captured = Captured(
            wanted.path,
            size=found.st_size,
            blake3=hashed,
            here=here,
            taken_ns=seen.taken_ns,
            proven=whole and seen.proven(here),
            source=str(target),
            linked=linked,
            torn=why,
            sparse=regions is not None,
        )
        return self._held_against_base(wanted, captured)

    def _held_against_base(self, wanted: Wanted, captured: Captured) -> Captured:
        if not wanted.base or captured.blake3 != wanted.base:
            return captured
        os.unlink(captured.source)
        here = captured.here
        if captured.linked:  # dropping a hard link moves the ctime of the original
            found = Signature.of(os.stat(wanted.place))
            here = found if here.same_content(found) else here
        return replace(captured, same=True, source="", linked=False, here=here)

    def _by_library(self, seen: _Seen, place: Path) -> Captured:
        """A file whose library alone can make a consistent copy while somebody writes."""
        target = self._new()
        self._room(seen.found, seen.wanted)
        why = libraries.copy(seen.kind, place, target)
        if why:
            copy(seen.descriptor, target, None, hashing=False)
            after = seen.now()
            if after.same_content(seen.before) and _hash(seen.descriptor, after.size) == hash_content(str(target)):
                why = ""  # nothing moved while it was read twice
        captured = self._finished(replace(seen, writing=None, armed=False), target, seen.before, why)
        return replace(captured, proven=False, kind="" if seen.kind is None else seen.kind.name)

    def _new(self) -> Path:
        self._number += 1
        return self._folder / str(self._number)

    def _room(self, found: os.stat_result, wanted: Wanted) -> None:
        """Refuse a copy that would fill the disk: the job needs it more."""
        taken = min(found.st_size, getattr(found, "st_blocks", found.st_size) * 512)
        refuse_copy(self._folder, taken, printable(wanted.place), waiting=self._taken)


def _database_rests(place: Path, before: Signature, taken_ns: int) -> bool:
    """Whether a database was at rest: SQLite writes by `write` alone, so whatever comes later moves its times."""
    return age(before, taken_ns) >= RACY_NS and not side_files(place) and Signature.of(os.stat(place)) == before


class _Bytes:
    """Bytes in memory as `Content`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]


def _torn(kind: FileKind | None, content: _Open | _Bytes) -> str:
    return "" if kind is None else torn(kind, content)


def _is_mapped(place: str, found: os.stat_result, mapped: Mapped) -> bool:
    return mapped.holds(found.st_ino, os.path.realpath(place))


def _unfinished(seen: _Seen, kind: FileKind, place: Path) -> str:
    """Why a file that is whole by its format is not all that its program has written."""
    if kind.name in libraries.WHOLE_WHEN_CLOSED and seen.writing:
        return _OPEN
    log = Path(f"{place}.wal")
    alone = kind is DUCKDB and seen.wanted.alone and log.exists() and log.stat().st_size > 0
    return _WITHOUT_LOG if alone else ""


def _regions(descriptor: int, found: os.stat_result) -> tuple[Region, ...] | None:
    """Where the data of a sparse file lie, or None where it travels as a plain file."""
    try:
        regions = survey(descriptor, found.st_size)
    except TooManyRegions:
        return None
    return regions if has_holes(found.st_size, regions) else None


def _read(descriptor: int, most: int) -> bytes:
    return os.pread(descriptor, most, 0)


def _only_grows(seen: _Seen, data: bytes) -> bool:
    """True where the first bytes stay and more come behind them."""
    return seen.now().size > seen.before.size <= len(data) and _read(seen.descriptor, len(data)) == data


def _hash(descriptor: int, size: int) -> str:
    hasher, at = blake3(), 0
    while at < size and (chunk := os.pread(descriptor, min(CHUNK_BYTES, size - at), at)):
        hasher.update(chunk)
        at += len(chunk)
    return hasher.hexdigest() if at == size else ""


def _hashes_as(seen: _Seen, wanted: Wanted) -> bool:
    """Whether a large file of unchanged size has the base's content, told without a copy."""
    size = seen.before.size
    hashed = digest(seen.descriptor, size, survey(seen.descriptor, size)) if wanted.base_sparse else _hash(seen.descriptor, size)
    return hashed == wanted.base and seen.now() == seen.before


def _library_hashes_as(seen: _Seen, place: Path, folder: Path) -> bool:
    """Whether a copy by its library is what the base has: the file itself is another while a program has it open."""
    target = folder / "library"
    try:
        return not libraries.copy(seen.kind, place, target) and hash_content(str(target)) == seen.wanted.base
    finally:
        target.unlink(missing_ok=True)


def _link(place: Path, target: Path, seen: _Seen) -> Signature | None:
    """Hard-link a large file; None where the file system cannot, or where its clock is too coarse to show a change."""
    before = os.stat(place)
    since = time.time_ns() - before.st_mtime_ns
    if before.st_mtime_ns % 1_000_000_000 == 0 and since < RACY_NS:
        return None  # whole seconds: a rewrite within the same second would not show
    if 0 <= since < _TICK_NS:
        time.sleep((_TICK_NS - since) / 1e9)  # from here on a rewrite gets another mtime
    try:
        os.link(place, target, follow_symlinks=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        # Also ENOENT: Linux says that of a name that is there all the time, where the file under it was replaced during the call
        # (vfs_link refuses an inode without names). The content is open here.
        return None
    linked = os.lstat(target)
    if (linked.st_ino, linked.st_dev) != (seen.found.st_ino, seen.found.st_dev):
        target.unlink()
        return None
    return Signature.of(linked)
