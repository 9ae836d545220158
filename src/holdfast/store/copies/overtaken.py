"""A copy that waited while another process of this workspace committed: what of it still counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from holdfast.store.copies.snapshot import Snapshot
from holdfast.store.deciding.looked_last import Standing, standings
from holdfast.store.local.records import Record

T = TypeVar("T")


def in_order(snapshot: Snapshot, record: Record) -> Snapshot | None:
    """The copy without what was looked at later and is committed already: that, or something newer, is in.

    Args:
        snapshot: Taken earlier.
        record: What is remembered now.

    Returns:
        What is left, which may be nothing; None where it cannot be told what came first, so that a copy has to be taken now.
    """
    found = standings(snapshot.stamps, record.stamps)
    if Standing.UNCLEAR in found:
        return None
    if Standing.OVERTAKEN not in found:
        return snapshot
    left = replace(snapshot, later=record.stamps)
    base = record.base
    return replace(
        left,
        kind=base.kind if base is not None and not left.covers("") else snapshot.kind,
        found=_left(snapshot.found, left),
        folders=_left(snapshot.folders, left),
        links=_left(snapshot.links, left),
        kept=_left(snapshot.kept, left),
        staged=_left(snapshot.staged, left),
        refused=_left(snapshot.refused, left),
        left_out=tuple(path for path in snapshot.left_out if not left.is_overtaken(path)),
    )


def _left(paths: Mapping[str, T], left: Snapshot) -> dict[str, T]:
    return {path: what for path, what in paths.items() if not left.is_overtaken(path)}
