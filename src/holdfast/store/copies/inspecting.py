"""Looking into files of outputs without keeping a copy: their hash, their content, whether it is still that of the base.

Everything here opens files, so it runs where a `Reader` runs it.
"""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from holdfast.errors import Refused
from holdfast.platform import NO_FOLLOW
from holdfast.store.copies.opened import READ, Mappings, OpenFile, Seen, begin, database_rests, hashes_as, read_first
from holdfast.store.copies.wanted import SMALL_FILE, Looked, Terms, Wanted
from holdfast.store.format.holes import survey
from holdfast.store.format.sparse import digest
from holdfast.store.live import libraries
from holdfast.store.live.kind import Treatment
from holdfast.store.live.kinds import recognise
from holdfast.store.live.pinned import hash_raw
from holdfast.store.live.sqlite import snapshot as copy_database
from holdfast.store.local.records import Signature


def look_again(wanted: tuple[Wanted, ...], terms: Terms) -> list[Looked]:
    """Whether files still have the content of the base. Copies none but databases, which nothing else tells."""
    found, mappings = [], Mappings(terms)
    for one in wanted:
        try:
            found.append(_look_at_database(one, terms) if one.was_database else _look_at(one, terms, mappings))
        except (OSError, Refused):
            found.append(Looked(one.path, False, False, one.signature))
    return found


def _look_at(wanted: Wanted, terms: Terms, mappings: Mappings) -> Looked:
    descriptor = os.open(wanted.place, READ if wanted.followed else READ | NO_FOLLOW)
    try:
        seen = begin(wanted, descriptor, terms, mappings)
        if seen.kind is not None and seen.kind.treatment is Treatment.LIBRARY and seen.writing is not False:
            return Looked(wanted.path, _library_hashes_as(seen, Path(wanted.place), Path(terms.folder)), False, seen.before)
        same = hashes_as(seen, wanted)
        return Looked(wanted.path, same, seen.proven(seen.now()), seen.before)
    finally:
        os.close(descriptor)


def _look_at_database(wanted: Wanted, terms: Terms) -> Looked:
    place, target = Path(wanted.place), Path(terms.folder) / "database"
    before, taken = Signature.of(os.stat(place)), time.time_ns()
    try:
        copy_database(place, target)
        same = hash_raw(target) == wanted.base
        return Looked(wanted.path, same, database_rests(place, before, taken), before)
    finally:
        target.unlink(missing_ok=True)


def hash_content(place: str, *, sparse: bool = False) -> str:
    """The hash of a file's content, as a manifest has it.

    Raises:
        OSError: it cannot be read.
    """
    if not sparse:
        return hash_raw(Path(place))
    descriptor = os.open(place, READ)
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
    descriptor = os.open(place, READ | NO_FOLLOW)
    try:
        return read_first(descriptor, SMALL_FILE + 1)
    finally:
        os.close(descriptor)


def is_checkpoint(place: str) -> bool:
    """True where the file is what frameworks keep weights in, by its content."""
    try:
        descriptor = os.open(place, READ | NO_FOLLOW)
    except OSError:
        return False
    try:
        found = os.fstat(descriptor)
        kind = recognise(place, OpenFile(descriptor, found.st_size)) if stat.S_ISREG(found.st_mode) else None
        return kind is not None and kind.name in libraries.CHECKPOINTS
    finally:
        os.close(descriptor)


def _library_hashes_as(seen: Seen, place: Path, folder: Path) -> bool:
    """Whether a copy by its library is what the base has: the file itself is another while a program has it open."""
    target = folder / "library"
    try:
        return not libraries.copy(seen.kind, place, target) and hash_content(str(target)) == seen.wanted.base
    finally:
        target.unlink(missing_ok=True)
