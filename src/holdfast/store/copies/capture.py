"""Copying files of outputs such that the copy is what lay there at one instant: each kind of file in its own way.

Everything here opens files, so it runs where a `Reader` runs it: closing a descriptor in the job's own process would drop its
locks. `docs/files-in-use.md` says what is done with which kind of file.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import sys
import time
from dataclasses import replace
from pathlib import Path

from blake3 import blake3

from holdfast.errors import LocalError, Refused
from holdfast.platform import NO_FOLLOW
from holdfast.store.copies.copying import clone, copy
from holdfast.store.copies.inspecting import hash_content
from holdfast.store.copies.mappings import shared_mappings
from holdfast.store.copies.opened import (
    READ,
    Bytes,
    Mappings,
    OpenFile,
    Seen,
    begin,
    database_rests,
    hash_first,
    hashes_as,
    is_mapped,
    look,
    read_first,
)
from holdfast.store.copies.space import refuse_copy
from holdfast.store.copies.wanted import SMALL_FILE, SPOOL, Captured, Terms, Wanted
from holdfast.store.format.holes import Region, TooManyRegions, has_holes, is_sparse, survey
from holdfast.store.format.keys import printable
from holdfast.store.format.sparse import digest
from holdfast.store.format.tars import TarWriter
from holdfast.store.live import libraries
from holdfast.store.live.entries.databases import DUCKDB
from holdfast.store.live.kind import FileKind, Treatment
from holdfast.store.live.kinds import recognise
from holdfast.store.live.pinned import begins_database, hash_raw, is_database, is_pinned, pin
from holdfast.store.live.side_files import promises_database, side_files
from holdfast.store.live.sqlite import snapshot as copy_database
from holdfast.store.live.torn import torn, whole_prefix
from holdfast.store.local.collecting import uncollected
from holdfast.store.local.records import RACY_NS, Signature

log = logging.getLogger(__name__)

#: Two writes closer than the kernel's clock tick (at most 10 ms on Linux, if it comes in time) can leave one mtime.
_TICK_NS = 50_000_000
#: The clock that files are stamped by, which moves at each tick (clock_gettime(2), CLOCK_REALTIME_COARSE).
_STAMPING_CLOCK = 5
_TRIES = 3
#: A mapped file is at rest if nothing is written to it for so long. A program that fills one is held up by the disk now and then,
#: and what lies there until it goes on is the same at two looks, and half of one state.
_MAPPED_REST_SECONDS = 0.25
#: What is said of a file that its program has not closed.
_OPEN = "open for writing: what its program keeps in memory is missing, and parts of two states may lie in it"
_WITHOUT_LOG = "a database without its log, which lies beside it: back up the folder in which both are"
#: What is said of a copy that nobody can vouch for.
WRITTEN_TO = "a mixture: it was written to while it was copied"


def capture(wanted: tuple[Wanted, ...], terms: Terms) -> list[Captured]:
    """Look into files one after the other. What is special to one of them is in its result.

    Raises:
        OSError: the local disk is full or fails.
    """
    capturing = _Capturing(terms)
    try:
        with uncollected():
            captured = [capturing.take(one) for one in wanted]
        return capturing.settled(captured)
    finally:
        capturing.close()


class _Capturing:
    """One capture under way."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._folder = Path(terms.folder)
        self._spool: TarWriter | None = None
        self._taken = terms.waiting
        self._mappings = Mappings(terms)
        self._number = 0
        self._open: dict[str, tuple[Wanted, os.stat_result]] = {}

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()

    def settled(self, captured: list[Captured]) -> list[Captured]:
        """The same, with those named that a program fills through a mapping."""
        mapped = shared_mappings() if self._open else None
        at_rest = {p: w for p, (w, found) in self._open.items() if mapped is not None and is_mapped(w.place, found, mapped)}
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
        small = 0 < wanted.signature.size <= SMALL_FILE and not wanted.was_database
        for _ in range(_TRIES):
            try:
                captured = self._take_small(wanted) if small else None
                return captured or self._take(wanted, Path(wanted.place))
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
        descriptor = os.open(place, READ if wanted.followed else READ | NO_FOLLOW)
        try:
            return self._file(wanted, place, descriptor)
        finally:
            os.close(descriptor)

    def _take_small(self, wanted: Wanted) -> Captured | None:
        """A small plain file, opened once and read once where nobody writes to it; None where it turns out to be something else.

        A database is opened past SQLite once at the most, and stays open then.
        """
        if is_pinned(wanted.place):
            return None
        descriptor = os.open(wanted.place, READ if wanted.followed else READ | NO_FOLLOW)
        stays_open = False
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or not 0 < found.st_size <= SMALL_FILE:
                return None
            seen = look(wanted, descriptor, found, self._terms, self._mappings)
            data = read_first(descriptor, found.st_size + 1)
            stays_open = begins_database(data)
            if stays_open:
                pin(descriptor)
                return None
            kind = recognise(wanted.place, Bytes(data))
            return self._treated(seen if kind is None else replace(seen, kind=kind), Path(wanted.place), data)
        finally:
            if not stays_open:
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
            wanted.path, "", False, size, hashed, True, here, taken, database_rests(place, here, taken), source=str(target)
        )
        return self._held_against_base(wanted, replace(captured, kind="SQLite"))

    def _file(self, wanted: Wanted, place: Path, descriptor: int) -> Captured:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return Captured(wanted.path, gone=True)
        return self._treated(begin(wanted, descriptor, self._terms, self._mappings), place)

    def _treated(self, seen: Seen, place: Path, data: bytes | None = None) -> Captured:
        """What a file came to that is open. `data` is what lay in a small one after the look began, where somebody has read it."""
        wanted, kind, size = seen.wanted, seen.kind, seen.found.st_size
        if kind is not None and kind.treatment is Treatment.LIBRARY and seen.writing is not False:
            return self._by_library(seen, place)
        if seen.writing and size > 0 and (kind is None or kind.treatment is Treatment.REST):
            self._open[wanted.path] = (wanted, seen.found)
        captured = self._small(seen, data) if size <= SMALL_FILE else self._large(seen, place)
        if kind is None:
            return captured
        why = captured.torn or _unfinished(seen, kind, place)
        return replace(captured, kind=kind.name, torn=why, proven=captured.proven and not why)

    # -- small files: in memory ------------------------------------------------------------------------------------------

    def _small(self, seen: Seen, data: bytes | None) -> Captured:
        wanted, why = seen.wanted, ""
        for _ in range(_TRIES):
            if data is None:
                data = read_first(seen.descriptor, seen.before.size + 1)
            after = seen.now()
            if after.size > SMALL_FILE:
                found = os.fstat(seen.descriptor)
                return self._large(replace(seen, found=found, before=Signature.of(found)), Path(wanted.place))
            rests = len(data) == after.size and after.same_content(seen.before)
            if rests and (seen.quiet or read_first(seen.descriptor, after.size + 1) == data):
                if seen.writing is not False:
                    data = data[: self._prefix(seen, len(data))]
                break
            if _only_grows(seen, data):
                data = data[: self._prefix(seen, seen.before.size)]
                break
            seen, data = replace(seen, before=after, taken_ns=time.time_ns()), None
        else:
            data, why = read_first(seen.descriptor, SMALL_FILE), WRITTEN_TO
        why = why or _torn(seen.kind, Bytes(data))
        hashed = blake3(data).hexdigest()
        captured = Captured(
            wanted.path,
            size=len(data),
            blake3=hashed,
            here=seen.before,
            taken_ns=seen.taken_ns,
            proven=not why and len(data) == seen.before.size and seen.proven(after),
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

    def _large(self, seen: Seen, place: Path) -> Captured:
        wanted = seen.wanted
        if wanted.base and not (wanted.hashed or wanted.later) and seen.quiet and hashes_as(seen, wanted):
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
            if rests and (seen.quiet or hash_first(seen.descriptor, made.size) == made.blake3):
                return self._finished(seen, target, after, "", hashed=made.blake3 or "")
            if after.size > made.size and hash_first(seen.descriptor, made.size) == made.blake3:
                return self._growing(seen, target, made.size)
            target.unlink()
            found = os.fstat(seen.descriptor)
            seen = replace(seen, before=Signature.of(found), found=found, taken_ns=time.time_ns(), armed=False)
        made = copy(seen.descriptor, target, None, hashing=True)
        return self._finished(seen, target, seen.now(), WRITTEN_TO, hashed=made.blake3 or "")

    def _growing(self, seen: Seen, target: Path, length: int | None = None) -> Captured:
        """The first bytes of a file of which only the end grows, to its last whole record."""
        size = self._prefix(seen, seen.before.size if length is None else length)
        if length is None:
            copy(seen.descriptor, target, size, hashing=False)
        elif size < length:
            os.truncate(target, size)
        return self._finished(replace(seen, writing=None, armed=False), target, seen.before, "")

    def _prefix(self, seen: Seen, length: int) -> int:
        if seen.kind is None or seen.kind.treatment is not Treatment.PREFIX:
            return length
        return whole_prefix(seen.kind, OpenFile(seen.descriptor, length), length)

    def _finished(self, seen: Seen, target: Path, here: Signature, why: str, *, linked: bool = False, hashed: str = "") -> Captured:
        """What a copy came to: whole or torn, with holes or without, the base's content or another."""
        wanted = seen.wanted
        descriptor = os.open(target, READ)
        try:
            found = os.fstat(descriptor)
            why = why or _torn(seen.kind, OpenFile(descriptor, found.st_size))
            regions = _regions(descriptor, found) if is_sparse(found) or wanted.base_sparse else None
            if regions is not None:
                hashed = digest(descriptor, found.st_size, regions)
            elif not hashed and (wanted.base or wanted.hashed) and not wanted.later:
                hashed = hash_first(descriptor, found.st_size)
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

    def _by_library(self, seen: Seen, place: Path) -> Captured:
        """A file whose library alone can make a consistent copy while somebody writes."""
        target = self._new()
        self._room(seen.found, seen.wanted)
        why = libraries.copy(seen.kind, place, target)
        if why:
            copy(seen.descriptor, target, None, hashing=False)
            after = seen.now()
            if after.same_content(seen.before) and hash_first(seen.descriptor, after.size) == hash_content(str(target)):
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


def _torn(kind: FileKind | None, content: OpenFile | Bytes) -> str:
    return "" if kind is None else torn(kind, content)


def _unfinished(seen: Seen, kind: FileKind, place: Path) -> str:
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


def _only_grows(seen: Seen, data: bytes) -> bool:
    """True where the first bytes stay and more come behind them."""
    return seen.now().size > seen.before.size <= len(data) and read_first(seen.descriptor, len(data)) == data


def _wait_for_tick(mtime_ns: int) -> None:
    """Return once a rewrite would get another mtime than this one, where it is not in the future."""
    while 0 <= (since := time.time_ns() - mtime_ns) < _TICK_NS:
        if sys.platform != "linux":
            time.sleep((_TICK_NS - since) / 1e9)
        elif time.clock_gettime_ns(_STAMPING_CLOCK) > mtime_ns:
            return
        else:
            time.sleep(0.0005)


def _link(place: Path, target: Path, seen: Seen) -> Signature | None:
    """Hard-link a large file; None where the file system cannot, or where its clock is too coarse to show a change."""
    before = os.stat(place)
    if before.st_mtime_ns % 1_000_000_000 == 0 and time.time_ns() - before.st_mtime_ns < RACY_NS:
        return None  # whole seconds: a rewrite within the same second would not show
    _wait_for_tick(before.st_mtime_ns)
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
