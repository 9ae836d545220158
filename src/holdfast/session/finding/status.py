"""Every artifact, and every file in outputs that no artifact holds, as `status` tells them; as plain data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holdfast.session.finding.changed import changed_beside, differs, goes
from holdfast.session.finding.safety import (
    age,
    damaged_above,
    durability_of,
    is_same,
    is_stale,
    newest_confirmed,
    since,
    time_of,
    torn_here,
)
from holdfast.store.format.keys import Key, folders_above
from holdfast.store.format.manifest import Kind, Manifest
from holdfast.store.local.disk import lstat_or_none
from holdfast.store.local.records import Record
from holdfast.store.local.scan import Scan, walk
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.known import artifacts
from holdfast.store.looking.view import State, View
from holdfast.store.store import Store

if TYPE_CHECKING:
    from holdfast.store.copies.snapshot import Snapshot

#: So many generations are looked into one after the other: on a disk that is quicker than threads are begun.
_FEW = 4


@dataclass(frozen=True)
class ArtifactStatus:
    """One artifact, or one path that no artifact holds.

    Args:
        key: The path.
        here: `yes`, `part` or `no`.
        generation: Id of the head in the store, empty where there is none.
        sequence: Of the head.
        size: Bytes of the head.
        time: Of the head, as its manifest has it, UTC; for people.
        durability: Of the head, empty where nothing is in the store.
        confirmed: Id of the newest generation of this workspace's line that is known to be safe, empty where none is.
        unsaved: Files here that no generation of this workspace holds as they are.
        unsaved_seconds: Work among them that would be lost if this machine vanished now, at the most.
        unconfirmed: Files here that a generation holds and none that is known to be safe.
        loss_seconds: Work that would be lost if this machine vanished now and nothing that is not confirmed arrived, at the most.
        stale: The store has a newer generation than what is here descends from.
        forks: Further heads.
        debris: Generations that are not whole.
        progress: Of the head, as its writer counted.
        here_durability: Of the generation that holds what is here, empty where none does or it is gone.
        damaged: Generations newer than the head that this workspace proved damaged.
        refused: What is here and cannot be kept, by path below the key, with the reason; nobody has accepted that.
        torn: Files that the generation which holds them marks as torn by their own format, with the reason: those here, and
            those gone here for which a fresh machine passes it over.
        accepted: What cannot be kept and was accepted.
        left_out: What patterns leave out.
        dropped: The head says that there is nothing of it: it was dropped, or removed here and backed up.
    """

    key: Key
    here: str
    generation: str = ""
    sequence: int = 0
    size: int = 0
    time: str = ""
    durability: str = ""
    confirmed: str = ""
    unsaved: int = 0
    unsaved_seconds: float = 0.0
    unconfirmed: int = 0
    loss_seconds: float = 0.0
    stale: bool = False
    forks: tuple[str, ...] = ()
    debris: int = 0
    progress: float | None = None
    here_durability: str = ""
    damaged: int = 0
    refused: Mapping[str, str] = field(default_factory=dict)
    torn: Mapping[str, str] = field(default_factory=dict)
    accepted: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    dropped: bool = False

    @property
    def named(self) -> tuple[str, ...]:
        """What is here and would not come back, or not whole, one line each."""
        lines = [f"{self.key.join(path)} {why}" for path, why in sorted(self.refused.items())]
        return (*lines, *(f"{self.key.join(path)} is {why}" for path, why in sorted(self.torn.items())))

    @property
    def only_left_out(self) -> bool:
        """Nothing is here but what need not be kept."""
        return not self.generation and not self.unsaved and not self.refused and bool(self.left_out or self.accepted)


def status(
    store: Store | None,
    view: View | None,
    workspace: Workspace,
    clock: Callable[[], float] = time.time,
    waiting: Sequence[Snapshot] = (),
    *,
    thorough: bool = True,
) -> list[ArtifactStatus]:
    """Every artifact, and every file in outputs that no artifact holds.

    Args:
        store: The store, if any.
        view: A look at it.
        workspace: What is here.
        clock: Unix seconds.
        waiting: Copies that wait to be sent, oldest first. What came back since and is gone in them will not be in the store.
        thorough: Look into every generation, to count those that are not whole; without it only into what decides how safe it is.
    """
    known = artifacts(store, view, workspace)
    rows = [
        _artifact(store, view, workspace, key, known, clock(), [s for s in waiting if s.key == key], thorough=thorough)
        for key in sorted(known)
    ]
    return rows + _untracked(workspace, known, clock())


def _artifact(
    store: Store | None,
    view: View | None,
    workspace: Workspace,
    key: Key,
    known: Iterable[Key],
    now: float,
    waiting: Sequence[Snapshot],
    *,
    thorough: bool,
) -> ArtifactStatus:
    record = workspace.record(key) if view is None else workspace.record_in(key, view)
    inner = tuple(key.relative(k) for k in known if k != key and key.covers(k))
    scan = walk(workspace, key, owned=inner, strict=True) if lstat_or_none(workspace.local(key)) is not None else Scan({})
    found = scan.files
    changed = [p for p, f in found.items() if differs(workspace, key, p, f, record)]
    same = [p for p in found.keys() - set(changed) if record.here[p].signature == found[p].signature]
    changed += _changed_unseen(workspace, key, [p for p in same if not record.here[p].trusted], record)
    changed += [p for p in found.keys() - set(changed) if goes(p, waiting)]
    heads: list[Manifest] = []
    debris = 0
    durability = ""
    if store is not None and view is not None:
        heads = store.heads(view.of(key), record.damaged)
        if thorough:
            names = view.of(key)
            looks = map(store.examine, names) if len(names) <= _FEW else store.parallel_map(store.examine, names)
            debris = sum(g.state is not State.WHOLE for g in looks)
        if heads:
            durability = store.durability(heads[0]).value
    head = heads[0] if heads else None
    base = record.base
    held = base is not None and any(base.commit.id in (h.commit.id, *h.ancestors) for h in heads)
    if store is not None and not held:  # whatever is here, no generation that is whole is known to hold it
        changed = list(found)
    beside = changed_beside(scan, base if held else None)
    refused, accepted = _refused(workspace, key, scan)
    safe = None if store is None or view is None or base is None or not held else newest_confirmed(store, view, base)
    unconfirmed = [p for p in found if p not in changed and not is_same(base, safe, p)] if store is not None else []
    here_durability = durability if head is not None and base is not None and head.commit == base.commit else ""
    if not here_durability and held and store is not None and view is not None and base is not None:
        here_durability = durability_of(store, view, base)
    looked = workspace.looked(key, record)
    unsaved_seconds = age(found, changed, record, lambda p: since(looked, p), now)
    begun = time_of(safe.time) if safe is not None and store is not None and not store.elsewhere(safe) else None
    expected = set(head.files) if head else set(record.base.files) if record.base else set()
    missing = [p for p in expected if p not in found and not any(p == i or p.startswith(i + "/") for i in inner)]
    return ArtifactStatus(
        key=key,
        here="no" if not found and lstat_or_none(workspace.local(key)) is None else "part" if missing else "yes",
        generation=head.commit.id if head else "",
        sequence=head.commit.sequence if head else 0,
        size=head.size if head else 0,
        time=head.time if head else "",
        durability=durability,
        unsaved=len(changed) + len(beside),
        unsaved_seconds=unsaved_seconds,
        confirmed=safe.commit.id if safe is not None else "",
        unconfirmed=len(unconfirmed),
        loss_seconds=max(unsaved_seconds, age(found, unconfirmed, record, lambda _: begun, now)),
        stale=is_stale(head, record),
        forks=tuple(h.commit.id for h in heads[1:]),
        debris=debris,
        progress=head.progress if head else None,
        here_durability=here_durability,
        damaged=0 if view is None else damaged_above(view.of(key), head, record),
        refused=refused,
        torn=torn_here(base, found, changed, passed_over=bool(unconfirmed)) if base is not None and held else {},
        accepted=accepted,
        left_out=scan.left_out,
        dropped=head is not None and head.kind is Kind.DROPPED,
    )


def _refused(workspace: Workspace, key: Key, scan: Scan) -> tuple[dict[str, str], tuple[str, ...]]:
    """What cannot be kept, and that part of it which may be lost, because somebody said so."""
    refused = workspace.keeping.not_accepted(key, scan.refused)
    return refused, tuple(sorted(scan.refused.keys() - refused.keys()))


def _changed_unseen(workspace: Workspace, key: Key, unproven: Sequence[str], record: Record) -> list[str]:
    """What opens files loads only where there are some that have to be opened."""
    if not unproven:
        return []
    from holdfast.store.copies.unproven import changed_unseen

    return sorted(changed_unseen(workspace, key, unproven, record))


def _untracked(workspace: Workspace, known: Iterable[Key], now: float) -> list[ArtifactStatus]:
    outputs = workspace.outputs
    keys = list(known)
    if any(k.covers(outputs) for k in keys) or lstat_or_none(workspace.local(outputs)) is None:
        return []
    owned = tuple(outputs.relative(k) for k in keys if outputs.covers(k))
    scan = walk(workspace, outputs, owned=owned, strict=True)
    refused, accepted = _refused(workspace, outputs, scan)
    # A folder is by itself only where nothing lies in it, what an artifact holds included.
    inside = folders_above((*scan.files, *scan.links, *scan.folders, *refused, *scan.left_out, *owned))
    empty = [f for f in scan.folders if f and f not in inside]
    groups: dict[str, list[str]] = {}
    for path in (*scan.files, *scan.links, *refused, *accepted, *scan.left_out, *empty):
        groups.setdefault(path.split("/")[0], []).append(path)
    return [_loose(outputs.join(top), top, paths, scan, refused, accepted, now) for top, paths in sorted(groups.items())]


def _loose(
    key: Key, top: str, paths: list[str], scan: Scan, refused: Mapping[str, str], accepted: tuple[str, ...], now: float
) -> ArtifactStatus:
    """What no artifact holds, below one name in outputs."""

    def below(path: str) -> str:
        return path[len(top) + 1 :]

    files = [scan.files[p] for p in paths if p in scan.files]
    folders = [p for p in paths if p in scan.folders]
    oldest = max(now - min(f.signature.mtime_ns for f in files) / 1e9, 0.0) if files else 0.0
    return ArtifactStatus(
        key=key,
        here="yes",
        unsaved=len(files) + sum(p in scan.links for p in paths) + len(folders),
        unsaved_seconds=oldest,
        loss_seconds=oldest,
        refused={below(p): refused[p] for p in paths if p in refused},
        accepted=tuple(below(p) for p in paths if p in accepted),
        left_out=tuple(below(p) for p in paths if p in scan.left_out),
    )
