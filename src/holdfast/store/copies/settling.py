"""Whether a copy that waited still stands against what is remembered when its turn comes."""

from __future__ import annotations

from dataclasses import replace

from holdfast.store.copies.reading import hash_copy
from holdfast.store.copies.snapshot import Known, Snapshot, Staged
from holdfast.store.live.side_files import promises_database
from holdfast.store.local.disk import local_errors
from holdfast.store.local.records import Record


def settle(snapshot: Snapshot, record: Record, force: frozenset[str], *, hash_all: bool) -> Snapshot | None:
    """The snapshot as it stands against what is remembered now, or None where it has to be taken anew.

    Args:
        snapshot: Taken against what was expected then.
        record: What is remembered now.
        force: Paths that have to be sent, because the store lost them.
        hash_all: Every hash has to be known.

    Raises:
        LocalError: a copy cannot be read.
    """
    if not force <= snapshot.staged.keys() or any(s.same_as in force for s in snapshot.staged.values()):
        return None
    for one in snapshot.staged.values() if hash_all else ():
        if one.blake3 is None or (one.size == 0 and promises_database(snapshot.key.join(one.path).name)):
            return None
    if not all(copy.exists() for copy in (*snapshot.spools, *(s.source for s in snapshot.staged.values() if s.source))):
        return None
    kept = {}
    for path, here in snapshot.kept.items():
        base, known = Known.of(record).files.get(path), record.here.get(path)
        if base is None or known is None:
            return None
        if known.signature.same_content(here.signature) and here.blake3 in ("", known.blake3):
            # The later of two looks: a link that came or went between them moved the ctime.
            kept[path] = replace(here, blake3=known.blake3) if here.signature.ctime_ns > known.signature.ctime_ns else known
        elif here.blake3 == base.blake3:
            kept[path] = here
        else:
            return None
    for staged in snapshot.staged.values():
        if staged.same_as is not None:
            base = Known.of(record).files.get(staged.same_as)
            if base is None or base.blake3 != staged.blake3:
                return None
    return replace(snapshot, kept=kept, staged={path: _compared(s, record) for path, s in snapshot.staged.items()})


def _compared(staged: Staged, record: Record) -> Staged:
    """The same with its hash, where the base may hold just that: nobody wanted to wait for it when the copy was taken."""
    base = Known.of(record).files.get(staged.path)
    if staged.blake3 is not None or staged.source is None or base is None or base.size != staged.size or base.torn:
        return staged
    with local_errors():
        return replace(staged, blake3=hash_copy(staged.source))
