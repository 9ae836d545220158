"""What `status` and `history` tell, as plain data."""

from __future__ import annotations

import calendar
import functools
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.store.backends.backend import Durability
from holdfast.store.copies.inspecting import hash_content
from holdfast.store.copies.snapshot import Snapshot
from holdfast.store.copies.unproven import changed_unseen
from holdfast.store.deciding.coverage import cover
from holdfast.store.format.keys import Key, folders_above
from holdfast.store.format.manifest import Kind, Manifest
from holdfast.store.format.names import ManifestName
from holdfast.store.live.side_files import side_files
from holdfast.store.local.disk import local_errors, lstat_or_none
from holdfast.store.local.records import Here, Record, Signature, looked_at
from holdfast.store.local.scan import Found, Scan, walk
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.known import DirectoryTest, artifacts
from holdfast.store.looking.view import State, View
from holdfast.store.store import Store


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


@dataclass(frozen=True)
class HistoryEntry:
    """One generation of one artifact, newest first in a history."""

    key: Key
    generation: str
    sequence: int
    parent: str | None
    state: State
    head: bool
    default: bool
    base: bool
    time: str = ""
    writer: str = ""
    files: int = 0
    size: int = 0
    progress: float | None = None
    problem: str = ""
    dropped: bool = False


@dataclass(frozen=True)
class Held:
    """What the store holds of a path.

    Args:
        key: The path.
        files: Each file at or below it, by key, with size in bytes and BLAKE3; of the generation that a restore would take.
        progress: Of the artifact that owns the path, as its writer counted.
        ahead: The store has gone on, on another machine, from what this workspace last took or gave.
    """

    key: Key
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    progress: float | None = None
    ahead: bool = False

    @property
    def size(self) -> int:
        """Bytes that a restore of all of it would fetch."""
        return sum(size for size, _ in self.files.values())

    def __bool__(self) -> bool:
        return bool(self.files)


def held(store: Store, view: View, workspace: Workspace, key: Key) -> Held:
    """See `Held`; nothing where no whole generation covers the path."""
    known = artifacts(store, view, workspace)
    coverage = cover(key, known, DirectoryTest(store, view, workspace))
    files: dict[str, tuple[int, str]] = {}
    progress, ahead = None, False
    owners = [*([coverage.own.artifact] if coverage.own else []), *coverage.inner]
    for owner in owners:
        heads = store.heads(view.of(owner))
        if coverage.own is not None and owner == coverage.own.artifact and heads:
            progress, ahead = heads[0].progress, _is_ahead(view, workspace, heads[0])
        for path, entry in heads[0].files.items() if heads else ():
            place = owner.join(path) if path else owner
            if key.covers(place) and not any(k != owner and owner.covers(k) and k.covers(place) for k in known):
                files[place.value] = (entry.size, entry.blake3)
    return Held(key, files, progress, ahead)


def _is_ahead(view: View, workspace: Workspace, head: Manifest) -> bool:
    """True where the head descends from this workspace's base, or where the base was pruned because newer ones are there."""
    base = workspace.record(head.key).base
    if base is None or base.commit.id == head.commit.id:
        return False
    parents = {n.commit.id: n.parent for n in view.of(head.key)}
    if base.commit.id not in parents:
        return head.commit.sequence > base.commit.sequence
    at: str | None = head.commit.id
    seen = set()
    while at is not None and at not in seen:
        seen.add(at)
        at = parents.get(at)
        if at == base.commit.id:
            return True
    return base.commit.id in head.ancestors


def status(
    store: Store | None,
    view: View | None,
    workspace: Workspace,
    clock: Callable[[], float] = time.time,
    waiting: Sequence[Snapshot] = (),
) -> list[ArtifactStatus]:
    """Every artifact, and every file in outputs that no artifact holds.

    Args:
        store: The store, if any.
        view: A look at it.
        workspace: What is here.
        clock: Unix seconds.
        waiting: Copies that wait to be sent, oldest first. What came back since and is gone in them will not be in the store.
    """
    known = artifacts(store, view, workspace)
    rows = [_artifact(store, view, workspace, key, known, clock(), [s for s in waiting if s.key == key]) for key in sorted(known)]
    return rows + _untracked(workspace, known, clock())


def _artifact(
    store: Store | None,
    view: View | None,
    workspace: Workspace,
    key: Key,
    known: Iterable[Key],
    now: float,
    waiting: Sequence[Snapshot],
) -> ArtifactStatus:
    record = workspace.record(key) if view is None else workspace.record_in(key, view)
    inner = tuple(key.relative(k) for k in known if k != key and key.covers(k))
    scan = walk(workspace, key, owned=inner, strict=True) if lstat_or_none(workspace.local(key)) is not None else Scan({})
    found = scan.files
    changed = [p for p, f in found.items() if _differs(workspace, key, p, f, record)]
    unproven = [p for p in found.keys() - set(changed) if record.here[p].signature == found[p].signature]
    changed += sorted(changed_unseen(workspace, key, unproven, record))
    changed += [p for p in found.keys() - set(changed) if _goes(p, waiting)]
    heads: list[Manifest] = []
    debris = 0
    durability = ""
    if store is not None and view is not None:
        heads = store.heads(view.of(key), record.damaged)
        debris = sum(store.examine(n).state is not State.WHOLE for n in view.of(key))
        if heads:
            durability = store.durability(heads[0]).value
    head = heads[0] if heads else None
    base = record.base
    held = base is not None and any(base.commit.id in (h.commit.id, *h.ancestors) for h in heads)
    if store is not None and not held:  # whatever is here, no generation that is whole is known to hold it
        changed = list(found)
    beside = _changed_beside(scan, base if held else None)
    refused, accepted = _refused(workspace, key, scan)
    safe = None if store is None or view is None or base is None or not held else _newest_confirmed(store, view, base)
    unconfirmed = [p for p in found if p not in changed and not _same(base, safe, p)] if store is not None else []
    here_durability = durability if head is not None and base is not None and head.commit == base.commit else ""
    if not here_durability and held and store is not None and view is not None and base is not None:
        here_durability = _durability_of(store, view, base)
    looked = workspace.looked(key, record)
    unsaved_seconds = _age(found, changed, record, lambda p: _since(looked, p), now)
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
        loss_seconds=max(unsaved_seconds, _age(found, unconfirmed, record, lambda _: begun, now)),
        stale=_is_stale(head, record),
        forks=tuple(h.commit.id for h in heads[1:]),
        debris=debris,
        progress=head.progress if head else None,
        here_durability=here_durability,
        damaged=0 if view is None else _damaged_above(view.of(key), head, record),
        refused=refused,
        torn=_torn(base, found, changed, passed_over=bool(unconfirmed)) if base is not None and held else {},
        accepted=accepted,
        left_out=scan.left_out,
        dropped=head is not None and head.kind is Kind.DROPPED,
    )


def _goes(path: str, waiting: Sequence[Snapshot]) -> bool:
    """Whether the last copy that looked at a path found nothing there."""
    last = next((s for s in reversed(waiting) if s.covers(path)), None)
    return last is not None and path not in last.found


def _torn(base: Manifest, found: Collection[str], changed: Collection[str], *, passed_over: bool) -> dict[str, str]:
    """Torn files that are here, and those gone here for which a fresh machine would still pass over what is."""
    torn = {p: why for p, why in base.torn.items() if p in found and p not in changed}
    gone = {p: f"{why} in the last backup, and gone here: back it up again" for p, why in base.torn.items() if p not in found}
    return {**torn, **gone} if passed_over else torn


def _changed_beside(scan: Scan, base: Manifest | None) -> list[str]:
    """Links and folders here that the base has not, or otherwise. A folder's time alone is no change."""
    links = [p for p, target in scan.links.items() if base is None or base.links.get(p) != target]
    if base is None or base.format == 1:
        return links
    return [*links, *(p for p, f in scan.folders.items() if p not in base.folders or base.folders[p].mode != f.mode)]


def _refused(workspace: Workspace, key: Key, scan: Scan) -> tuple[dict[str, str], tuple[str, ...]]:
    """What cannot be kept, and that part of it which may be lost, because somebody said so."""
    refused = workspace.keeping.not_accepted(key, scan.refused)
    return refused, tuple(sorted(scan.refused.keys() - refused.keys()))


def _is_stale(head: Manifest | None, record: Record) -> bool:
    """The store has a newer generation than the base, and not one that was passed over because files in it are torn."""
    base = record.base
    if head is None or base is None or head.commit.id == base.commit.id or head.commit in record.passed:
        return False
    return base.commit.id in head.ancestors


def _durability_of(store: Store, view: View, base: Manifest) -> str:
    """How safe a base is that is no head; empty where it was pruned or is not whole."""
    name = next((n for n in view.of(base.key) if n.commit == base.commit), None)
    generation = None if name is None else store.examine(name)
    return "" if generation is None or generation.state is not State.WHOLE else store.durability(base).value


def _damaged_above(names: Iterable[ManifestName], head: Manifest | None, record: Record) -> int:
    above = 0 if head is None else head.commit.sequence
    return sum(n.commit.id in record.damaged and n.commit.sequence > above for n in names)


def _newest_confirmed(store: Store, view: View, base: Manifest) -> Manifest | None:
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


def _same(base: Manifest | None, safe: Manifest | None, path: str) -> bool:
    held = base.files.get(path) if base is not None else None
    kept = safe.files.get(path) if safe is not None else None
    if held is None or kept is None or (held.blake3, held.mode) != (kept.blake3, kept.mode):
        return False
    return None in (held.mtime_ns, kept.mtime_ns) or held.mtime_ns == kept.mtime_ns


def _age(
    found: Mapping[str, Found], paths: Iterable[str], record: Record, since: Callable[[str], float | None], now: float
) -> float:
    """How much work these files may hold: a new file is as old as its mtime, one that was changed may have been changed since."""
    held = record.base.files if record.base else {}
    begun = [at if p in held and (at := since(p)) is not None else found[p].signature.mtime_ns / 1e9 for p in paths]
    return max(now - min(begun), 0.0) if begun else 0.0


def _since(looked: Mapping[str, float], path: str) -> float | None:
    """When a file of the base was last looked at; where it never was, when the oldest part of it was."""
    at = looked_at(looked, path)
    return min(looked.values(), default=None) if at is None else at


def time_of(text: str) -> float | None:
    """Unix seconds of a time as manifests have it, None where it is none."""
    try:
        return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        return None


def _differs(workspace: Workspace, key: Key, path: str, found: Found, record: Record) -> bool:
    """As the next backup would see it. A live database counts as changed while it has side files."""
    known, base = record.here.get(path), record.base.files.get(path) if record.base else None
    # A mode can change unseen by the signature: dropping a hard link moves the ctime as well, and it is taken anew then.
    if known is None or (base is not None and base.mode != found.mode):
        return True
    sparse = base is not None and base.sparse is not None
    if known.signature != found.signature and not _is_other_name(workspace, workspace.local(key.join(path)), known, sparse=sparse):
        return True
    return base is not None and base.sqlite and bool(side_files(workspace.local(key.join(path))))


def _is_other_name(workspace: Workspace, place: Path, known: Here, *, sparse: bool) -> bool:
    """True where a file is unchanged but for its ctime, which a backup under another of its names moves.

    This is the one case in which status reads content, because no signature could ever tell for such a file.
    """
    now = lstat_or_none(place)
    if now is None or now.st_nlink == 1 or not known.signature.same_content(Signature.of(now)):
        return False
    with local_errors():
        return workspace.read(functools.partial(hash_content, sparse=sparse), str(place), size=now.st_size) == known.blake3


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
    age = max(now - min(f.signature.mtime_ns for f in files) / 1e9, 0.0) if files else 0.0
    return ArtifactStatus(
        key=key,
        here="yes",
        unsaved=len(files) + sum(p in scan.links for p in paths) + len(folders),
        unsaved_seconds=age,
        loss_seconds=age,
        refused={below(p): refused[p] for p in paths if p in refused},
        accepted=tuple(below(p) for p in paths if p in accepted),
        left_out=tuple(below(p) for p in paths if p in scan.left_out),
    )


def history(store: Store, view: View, workspace: Workspace, key: Key) -> list[HistoryEntry]:
    """Every generation of one artifact, newest first, with what each is."""
    heads = store.heads(view.of(key))
    base = workspace.record_in(key, view).base
    entries = []
    for name in sorted(view.of(key), key=lambda n: n.commit, reverse=True):
        generation = store.examine(name)
        manifest = generation.manifest
        entries.append(
            HistoryEntry(
                key=key,
                generation=name.commit.id,
                sequence=name.commit.sequence,
                parent=name.parent,
                state=generation.state,
                head=any(h.commit == name.commit for h in heads),
                default=bool(heads) and heads[0].commit == name.commit,
                base=base is not None and base.commit == name.commit,
                time=manifest.time if manifest else "",
                writer=manifest.writer if manifest else "",
                files=len(manifest.files) if manifest else 0,
                size=manifest.size if manifest else 0,
                progress=manifest.progress if manifest else None,
                problem=generation.problem,
                dropped=manifest is not None and manifest.kind is Kind.DROPPED,
            )
        )
    return entries
