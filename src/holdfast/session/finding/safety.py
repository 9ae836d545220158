"""How safe what is here is: which generation of its line is known to be safe, and how much work is in none."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from holdfast.errors import LocalError, WorkspaceBusy
from holdfast.store.format.manifest import Manifest
from holdfast.store.format.names import ManifestName
from holdfast.store.local.records import Record, looked_at
from holdfast.store.local.scan import Found
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.view import State, View
from holdfast.store.reporting.durability import Durability
from holdfast.store.store import Store

log = logging.getLogger(__name__)

#: `time.strptime` would do, and loads three libraries for it.
_TIME = re.compile("([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z")


def torn_here(base: Manifest, found: Collection[str], changed: Collection[str], *, passed_over: bool) -> dict[str, str]:
    """Torn files that are here, and those gone here for which a fresh machine would still pass over what is."""
    torn = {p: why for p, why in base.torn.items() if p in found and p not in changed}
    gone = {p: f"{why} in the last backup, and gone here: back it up again" for p, why in base.torn.items() if p not in found}
    return {**torn, **gone} if passed_over else torn


def is_stale(head: Manifest | None, record: Record) -> bool:
    """The store has a newer generation than the base, and not one that was passed over because files in it are torn."""
    base = record.base
    if head is None or base is None or head.commit.id == base.commit.id or head.commit in record.passed:
        return False
    return base.commit.id in head.ancestors


def durability_of(store: Store, view: View, base: Manifest) -> str:
    """How safe a base is that is no head; empty where it was pruned or is not whole."""
    name = next((n for n in view.of(base.key) if n.commit == base.commit), None)
    generation = None if name is None else store.examine(name)
    return "" if generation is None or generation.state is not State.WHOLE else store.durability(base).value


def damaged_above(names: Iterable[ManifestName], head: Manifest | None, record: Record) -> int:
    """Generations newer than the head that this workspace proved damaged."""
    above = 0 if head is None else head.commit.sequence
    return sum(n.commit.id in record.damaged and n.commit.sequence > above for n in names)


def newest_confirmed(store: Store, view: View, base: Manifest) -> Manifest | None:
    """The base, or the nearest before it in its line, that is known to be safe.

    One with a torn file only where no other is: a fresh machine passes it over, with all that it holds besides.
    """
    line, newest = (base.commit.id, *base.ancestors), None
    for name in sorted(view.of(base.key), key=lambda n: n.commit, reverse=True):
        if name.commit.id in line:
            generation = store.examine(name)
            whole = generation.manifest if generation.state is State.WHOLE else None
            if whole is not None and store.durability(whole) is Durability.CONFIRMED:
                if not whole.torn:
                    return whole
                newest = newest or whole
    return newest


def is_same(base: Manifest | None, safe: Manifest | None, path: str) -> bool:
    """Whether the generation that is known to be safe holds a file as the base does."""
    held = base.files.get(path) if base is not None else None
    kept = safe.files.get(path) if safe is not None else None
    if held is None or kept is None or (held.blake3, held.mode) != (kept.blake3, kept.mode):
        return False
    return None in (held.mtime_ns, kept.mtime_ns) or held.mtime_ns == kept.mtime_ns


def age(
    found: Mapping[str, Found], paths: Iterable[str], record: Record, since: Callable[[str], float | None], now: float
) -> float:
    """How much work these files may hold: a new file is as old as its mtime, one that was changed may have been changed since."""
    held = record.base.files if record.base else {}
    begun = [at if p in held and (at := since(p)) is not None else found[p].signature.mtime_ns / 1e9 for p in paths]
    return max(now - min(begun), 0.0) if begun else 0.0


def since(looked: Mapping[str, float], path: str) -> float | None:
    """When a file of the base was last looked at; where it never was, when the oldest part of it was."""
    at = looked_at(looked, path)
    return min(looked.values(), default=None) if at is None else at


def time_of(text: str) -> float | None:
    """Unix seconds of a time as manifests have it, None where it is none."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups())
    if second > 61:  # a leap second
        return None
    try:
        return datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp() + second
    except ValueError:
        return None


def remember_proven(workspace: Workspace) -> None:
    """Remember of files that were looked into what this proved: their signature shows their content, so nobody reads them again.

    Where another process works in the workspace, or nothing can be written, the next look reads them once more.
    """
    proven = dict(workspace.proven)
    if not proven:
        return
    try:
        with workspace.lock(0):
            for key in sorted({key for key, _ in proven}):
                record = workspace.record(key)  # as it is now: a backup may have been made meanwhile
                here = {p: replace(h, trusted=True) if proven.get((key, p)) == h else h for p, h in record.here.items()}
                if here != record.here:
                    workspace.save(key, replace(record, here=here))
    except (LocalError, WorkspaceBusy) as error:
        log.debug("what is proven of files here is not remembered (%s)", error)
