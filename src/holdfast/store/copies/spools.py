"""The tars in which small files of a snapshot wait, read back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from holdfast.store.copies.snapshot import Staged
from holdfast.store.format.tars import read_members


def spooled(staged: Iterable[Staged]) -> Iterator[tuple[Staged, bytes]]:
    """The small files among these, with their content.

    Raises:
        Corrupt: a spool is not as it was written.
    """
    by_spool: dict[Path, dict[str, list[Staged]]] = {}
    for one in staged:
        if one.source is None and one.copy is not None:
            spool, member = one.copy
            by_spool.setdefault(spool, {}).setdefault(member, []).append(one)
    for spool, members in by_spool.items():
        for member, data in read_members(spool, {m: same[0].size for m, same in members.items()}):
            for one in members[member]:
                yield one, data
