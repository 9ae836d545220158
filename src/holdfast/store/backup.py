"""Backup: one commit of one artifact, in an order in which a kill at any point loses nothing.

Read `commit` from top to bottom: it is the protocol. Everything that it decides is decided in `planning.py`.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from holdfast.errors import Corrupt, Refused, StoreNotFound, StoreUnreadable
from holdfast.store.copies.overtaken import in_order
from holdfast.store.copies.snapshot import Known, Snapshot, Staged
from holdfast.store.copies.taking import settle, take
from holdfast.store.deciding.lineage import find_heads
from holdfast.store.deciding.order import Stamp, Stamps, advanced, newest_is_theirs
from holdfast.store.deciding.planning import Line, agrees, ancestors_of, plan_content, plan_drop, plan_line, sound_groups
from holdfast.store.deciding.requests import Request
from holdfast.store.format.entries import FileRecord
from holdfast.store.format.keys import Key, folders_above, printable, within
from holdfast.store.format.manifest import Kind, Manifest, parse
from holdfast.store.format.names import CommitId, ManifestName, key_code
from holdfast.store.local.records import Here, Intent, Record, Signature, looked_at
from holdfast.store.local.workspace import Workspace, lstat_or_none, refreshed
from holdfast.store.looking.view import State, View
from holdfast.store.reporting.outcomes import BackedUp
from holdfast.store.store import Store
from holdfast.store.transfer.progress import Progress, Silent
from holdfast.store.transfer.room import give_back, giving_back, refuse_if_full
from holdfast.store.transfer.sending import Sending, was_rewritten

log = logging.getLogger(__name__)

#: How often a commit starts over because a large file was rewritten while it was sent. From the second time on the
#: file is copied, so more is only ever needed where several files are rewritten in turn.
_RESTARTS = 5
#: So many failed commits in a row are remembered for what may still come of them.
_VOIDED = 3


def commit(
    store: Store,
    workspace: Workspace,
    view: View,
    request: Request,
    *,
    taken: Snapshot | None = None,
    progress: Progress | None = None,
    awaited: int = 0,
    clock: Callable[[], float] = time.time,
) -> BackedUp:
    """Back up one artifact, or a part of it, as a new generation. The workspace's lock is held.

    Args:
        store: Where to.
        workspace: Where from.
        view: A fresh look at the store.
        request: What.
        taken: The snapshot, taken earlier; where it does not stand any more, and by default, one is taken now.
        progress: Told about the transfer.
        awaited: Bytes that earlier commits wrote and that are still to be uploaded: they will take space too.
        clock: Unix seconds; for people.

    Raises:
        StoreFull: nothing was committed, and what was sent is taken back; the text says how much is needed and free.
        StoreError: nothing was committed; what earlier commits wrote is untouched.
        LocalError, Refused: likewise, the reason is on this machine.
    """
    key, found = request.artifact, view.of(request.artifact)
    failed = workspace.has_failed(key)
    record, voided = _settle_intent(store, workspace, key, view)
    before, now, outdated, waited = workspace.looked(key, record), request.taken or clock(), taken, taken is not None
    for _ in range(_RESTARTS):
        # 1. What the store has, and what of the base is gone from it.
        examined = _Examined(store, found, record)
        lost = examined.lost_payloads
        # 2. A stable snapshot of what changed. From here on the caller may go on writing.
        held = record.base.files.values() if record.base else ()
        force = frozenset(r.path for r in held if not request.drop and not lost.isdisjoint((*r.places, r.tar or "")))
        hash_all = record.base is None and bool(found)
        left = None if taken is None else in_order(taken, record)
        if taken is not None and left is not None and left is not taken:
            record = _without(workspace, key, record, [s for p, s in taken.staged.items() if p not in left.staged])
        earlier = None if left is None else settle(left, record, force, hash_all=hash_all)
        snapshot = earlier or _take_anew(workspace, request, record, force, outdated, hash_all=hash_all)
        taken, outdated = None, snapshot  # once is all: a round that starts over needs what is here now
        looked = _looked(before, snapshot, record, now)
        stamps = _stamps(record, snapshot)
        # 3. Decide: what it descends from, what is taken over, what is sent.
        broken = {p for p in force if p not in snapshot.staged and not (snapshot.covers(p) and p in record.here)}
        older = None if record.base is not None or failed or request.drop else _older_agreeing(store, found, examined, snapshot)
        line = (
            plan_drop(record, examined.heads, found)
            if request.drop
            else plan_line(
                record, examined.heads, found, snapshot, failed=failed, broken=bool(broken), lost=examined.not_whole, older=older
            )
        )
        here = {} if line.adopted else record.here
        links_here, folders_here = (frozenset(), frozenset()) if line.adopted else (record.links, record.folders)
        content = plan_content(
            snapshot,
            line,
            here,
            owned=request.settled,
            lost_payloads=lost,
            links_here=links_here,
            folders_here=folders_here,
        )
        if content.unchanged and line.parent is not None and examined.stands(line.parent):
            workspace.end(key)
            return _unchanged(store, workspace, key, record, line, snapshot, looked, stamps)
        _say_fork(key, line, broken)
        # 4. Record the intent: a kill between manifest and base makes no fork with itself.
        store.backend.check()
        behind = tuple(dict.fromkeys((*voided, *record.passed, *line.over)))
        id_ = CommitId(max(line.sequence, *(b.sequence + 1 for b in behind), 1), store.commit_id())
        name = ManifestName(key_code(key), id_, _parent_id(line))
        workspace.begin(
            key, Intent(id_, name.file, _here_now(snapshot), voided, looked, _links_here(record, snapshot, content.links), stamps)
        )
        # 5. Send the payload in parallel, hashed as it goes.
        try:
            sending = Sending(store, workspace, snapshot, content, id_, progress or Silent())
            refuse_if_full(store, sending.size, awaited)
            with giving_back(store, sending):
                files, tars = sending.run()
                # 6. Flush, and check that every length arrived.
                store.backend.flush()
                _check_lengths(store, sending.sent)
        except Corrupt as damage:
            # A tar of the base that was to be merged is rotten. Nothing of that base is referred to any more.
            if record.base is None or record.base.commit.id in record.damaged:
                raise
            log.warning("%s: %s; sending again what is here", key, damage)
            record = replace(record, damaged=record.damaged | {record.base.commit.id})
            continue
        # 7. A linked file that was rewritten meanwhile voids the commit: no generation is ever mixed.
        rewritten = _rewritten(snapshot)
        if rewritten:
            _take_back(store, sending, key, rewritten)
            record = replace(record, copied=record.copied | set(rewritten))
            continue
        # 8. The manifest, last: from here on the generation exists.
        stands = earlier is not None or not waited  # of other content nobody has counted
        counted = _counted(request.progress if stands else None, record, line, snapshot)
        manifest = Manifest(
            store_id=view.store_id or "",
            key=key,
            kind=snapshot.kind,
            commit=id_,
            parent=_parent_id(line),
            ancestors=ancestors_of(line.parent, (n.commit.id for n in found), behind),
            fresh_line=line.fresh,
            time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(_of_what_is_held(looked, files).values()))),
            writer=f"{store.machine}/{os.getpid()}",
            progress=counted,
            files=files,
            tars=tars,
            folders=content.folders,
            links=content.links,
            hard_links=sound_groups(content.hard_links, files),
            drops=line.drops,
        )
        data = manifest.encoded
        with giving_back(store, sending, manifest.name.path):
            _prove(manifest)
            store.backend.check()
            store.backend.create(manifest.name.path, lambda: (data,))  # noqa: B023 - called before the loop goes on
        store.backend.flush()
        _check_lengths(store, {manifest.name.path: len(data)})
        store.backend.check()
        store.remember(manifest)
        if store.missing(manifest.payloads().items()):
            # Somebody pruned, meanwhile, what this commit took over from its base. The next round sends it again.
            log.warning("%s: what generation %s refers to has gone meanwhile; sending it again", key, id_)
            continue
        # 9. The base: this workspace now stands on the new generation.
        _remember(workspace, key, record, line, manifest, snapshot, looked, stamps)
        workspace.end(key)
        workspace.forgive(key)
        size = sum(sending.sent.values())
        if snapshot.kind is Kind.DROPPED:
            log.info("%s: it is gone here; generation %s says so, and `holdfast history %s` shows what was before", key, id_, key)
        else:
            log.info("%s: backed up as generation %s (%d files, %d bytes sent)", key, id_, len(snapshot.staged), size)
        return BackedUp(
            key,
            store.durability(manifest),
            id_.id,
            id_.sequence,
            _parent_id(line),
            forked=tuple(h.commit.id for h in line.others),
            refused=workspace.keeping.not_accepted(key, snapshot.refused),
            files=len(snapshot.staged),
            size=size,
            manifest=manifest,
        )
    raise StoreUnreadable(errno.EBUSY, "its files are rewritten faster than they can be sent; back up when they rest", str(key))


def _counted(counts: float | None, record: Record, line: Line, snapshot: Snapshot) -> float | None:
    """The progress of a commit, of which its caller counted so much."""
    if snapshot.kind is Kind.DROPPED:  # what comes after begins to count anew
        return None
    if newest_is_theirs(snapshot.stamps, record.stamps) and record.base is not None and record.base.progress is not None:
        counts = None  # who looked last has counted
    return counts if counts is not None or line.parent is None else line.parent.progress


def _take_anew(
    workspace: Workspace, request: Request, record: Record, force: frozenset[str], outdated: Snapshot | None, *, hash_all: bool
) -> Snapshot:
    """A snapshot of what is here now, in place of one that does not stand."""
    if outdated is not None:
        outdated.unlink()  # a link that goes later would move a ctime that is remembered by then
    key = request.artifact
    snapshot = take(
        workspace,
        key,
        Known.of(record),
        workspace.temporary(),
        scope=_widened(workspace, key, request.scope, force),
        owned=request.inner,
        force=force,
        hash_all=hash_all,
    )
    if "" in snapshot.refused:
        raise Refused(errno.EINVAL, f"{snapshot.refused['']}; nothing was backed up", str(key))
    return snapshot


def _take_back(store: Store, sending: Sending, key: Key, rewritten: list[str]) -> None:
    give_back(store, sending)
    log.warning("%s: %s changed while it was sent; sending a copy of it instead", key, printable(rewritten[0]))


def _prove(manifest: Manifest) -> None:
    """What no reader would take must never be written."""
    try:
        parse(manifest.encoded, manifest.name)
    except Corrupt as error:
        raise Refused(errno.EINVAL, f"it cannot be described in the store's format ({error})", str(manifest.key)) from error


def _widened(workspace: Workspace, key: Key, scope: tuple[str, ...], force: frozenset[str]) -> tuple[str, ...]:
    """The scope, and what is here of files that the store has lost: they are sent again whoever asked for what."""
    lost = [p for p in sorted(force) if not any(within(p, s) for s in scope)]
    return (*scope, *(p for p in lost if lstat_or_none(workspace.local(key.join(p))) is not None))


def _older_agreeing(store: Store, found: tuple[ManifestName, ...], examined: _Examined, snapshot: Snapshot) -> Manifest | None:
    """Without memory: the newest whole generation that holds everything here as it is, where the head does not agree."""
    if not examined.heads or agrees(examined.heads[0], snapshot):
        return None
    for name in sorted(found, key=lambda n: n.commit, reverse=True):
        generation = store.examine(name)
        manifest = generation.manifest
        if generation.state is not State.WHOLE or manifest is None:
            continue
        if snapshot.staged.keys() <= manifest.files.keys() and agrees(manifest, snapshot, need_common=True):
            return manifest
    return None


class _Examined:
    """What the store has of one artifact, as far as a commit needs to know. With one line and no damage nothing is read."""

    def __init__(self, store: Store, found: tuple[ManifestName, ...], record: Record) -> None:
        self.not_whole: frozenset[str] = record.damaged
        base = record.base
        self.lost_payloads: frozenset[str] = frozenset()
        self._base_whole = False
        if base is not None:
            at = next((n.path for n in found if n.commit == base.commit), None)
            length = {} if at is None else {at: len(base.encoded)}
            self.lost_payloads = frozenset(store.missing({**base.payloads(), **length}.items()))
            self._base_whole = at is not None and not self.lost_payloads
            if base.commit.id in record.damaged:  # which of its payload is rotten is not known, so none is referred to
                self.lost_payloads = frozenset(base.payloads())
                self._base_whole = False
        seen: set[str] = set()

        def whole(name: ManifestName) -> Manifest | None:
            if base is not None and name.commit == base.commit:
                return base if self._base_whole else None
            generation = store.examine(name)
            if generation.state is not State.WHOLE:
                seen.add(name.commit.id)
                return None
            return generation.manifest

        self.heads = find_heads(found, whole, record.damaged)
        self.not_whole |= seen

    def stands(self, parent: Manifest) -> bool:
        """True where the store still holds this generation, or one that descends from it."""
        return any(parent.commit.id == h.commit.id or parent.commit.id in h.ancestors for h in self.heads)


def _parent_id(line: Line) -> str | None:
    return None if line.parent is None else line.parent.commit.id


def _settle_intent(store: Store, workspace: Workspace, key: Key, view: View) -> tuple[Record, tuple[CommitId, ...]]:
    """Settle a commit that a kill interrupted: done if its manifest verifies, void if not.

    Gives what is remembered then, and the commits that are void. A write that hung may still come through, so
    the next commit goes above them and counts them among its ancestors: they are no forks of it.
    """
    record = workspace.record_in(key, view)
    intent = workspace.intent(key)
    if intent is None:
        return record, ()
    voided = (intent.commit, *intent.voided)[:_VOIDED]
    for name in view.of(key):
        if name.commit == intent.commit and name.file == intent.manifest_name:
            generation = store.examine(name)
            if generation.manifest is not None and generation.state is State.WHOLE:
                manifest = generation.manifest
                # Trusted is what was remembered with the same signature; the rest is hashed again when it is next used.
                here = {p: h for p, h in record.here.items() if p in manifest.files}
                for path in intent.here.keys() & manifest.files.keys():
                    here[path] = _rebased(here.get(path), intent.here[path], manifest.files[path])
                looked = intent.looked or record.looked
                damaged, stamps = record.damaged, intent.stamps or record.stamps
                record = Record(manifest, here, record.copied, damaged=damaged, looked=looked, links=intent.links, stamps=stamps)
                workspace.save(key, record)
                log.info("%s: the interrupted backup %s had been finished", key, intent.commit)
                voided = ()
    return record, voided


def _rebased(known: Here | None, signature: Signature, record: FileRecord) -> Here:
    trusted = known is not None and known.trusted and known.signature == signature and known.blake3 == record.blake3
    return Here(record.blake3, signature, trusted)


def _say_fork(key: Key, line: Line, broken: set[str]) -> None:
    if broken:
        log.error(
            "%s: the payload of %d file(s) is gone from the store, %s among them; the new generation leaves them out and begins a "
            "line of its own, and every older generation stays",
            key,
            len(broken),
            printable(min(broken)),
        )
    if line.others:
        ids = ", ".join(str(h.commit) for h in line.others)
        log.warning(
            "%s: this backup is a fork: it does not descend from %s, which stays, and which a fresh machine takes where it was "
            "dropped since or counts further; `holdfast drop --keep-here %s` chooses what is here, "
            "`holdfast history %s` shows both",
            key,
            ids,
            key,
            key,
        )


def _here_now(snapshot: Snapshot) -> dict[str, Signature]:
    return {
        **{p: h.signature for p, h in snapshot.kept.items()},
        **{p: s.here for p, s in snapshot.staged.items()},
    }


def _looked(before: Mapping[str, float], snapshot: Snapshot, record: Record, now: float) -> dict[str, float]:
    """When what is here was last looked at, once this is committed. What was refused stays as it was."""
    held = record.base.files if record.base is not None and snapshot.refused.keys() - snapshot.found.keys() else ()
    folders, refused = folders_above(held), dict[str, float]()
    for path in snapshot.refused:
        if path in snapshot.found or path in folders:  # anything else, such as a link, holds no work
            found, at = snapshot.found.get(path), looked_at(before, path)
            refused[path] = at if at is not None else now if found is None else min(found.signature.mtime_ns / 1e9, now)
    kept = {
        path: at
        for path, at in before.items()
        if any(within(path, r) for r in refused) or not any(within(path, s) for s in snapshot.scope) or snapshot.is_overtaken(path)
    }
    return {**kept, **dict.fromkeys((s for s in snapshot.scope if not snapshot.is_overtaken(s)), now), **refused}


def _stamps(record: Record, snapshot: Snapshot) -> dict[str, Stamp | None]:
    """In which order what is here was looked at, once this is committed."""
    base = () if record.base is None else record.base.files
    held = {*base, *folders_above(base), *snapshot.found, *snapshot.folders}
    return advanced(snapshot.stamps, record.stamps, snapshot.refused, held)


def _of_what_is_held(looked: Mapping[str, float], files: Mapping[str, FileRecord]) -> Mapping[str, float]:
    """Without what a generation does not hold."""
    if len(looked) == 1:
        return looked
    held = {"", *files, *folders_above(files)}
    return {path: at for path, at in looked.items() if path in held} or {"": max(looked.values())}


def _unchanged(
    store: Store,
    workspace: Workspace,
    key: Key,
    record: Record,
    line: Line,
    snapshot: Snapshot,
    looked: Mapping[str, float],
    stamps: Stamps,
) -> BackedUp:
    """Nothing to send: remember what was learned on the way (signatures, an adopted base)."""
    parent = line.parent
    assert parent is not None
    here = {**({} if line.adopted else record.here), **_learned(workspace, key, snapshot, parent.files, record)}
    updated = Record(
        parent,
        here,
        record.copied,
        # What is here without memory, and is an older generation, is what somebody goes on from: the newest from then on.
        chosen=record.chosen or (line.adopted and bool(line.others)),
        damaged=record.damaged,
        looked=_of_what_is_held(looked, parent.files),
        links=_links_here(Record() if line.adopted else record, snapshot, parent.links),
        passed=record.passed,
        stamps=stamps,
    )
    if updated != record:
        workspace.save(key, updated)
    return BackedUp(
        key,
        store.durability(parent),
        parent.commit.id,
        parent.commit.sequence,
        parent.parent,
        unchanged=True,
        refused=workspace.keeping.not_accepted(key, snapshot.refused),
        manifest=parent,
    )


def _learned(
    workspace: Workspace, key: Key, snapshot: Snapshot, files: Mapping[str, FileRecord], record: Record
) -> dict[str, Here]:
    """What files here look like now that their content is in the store."""
    learned = {**snapshot.kept, **{p: s.as_here(files[p].blake3) for p, s in snapshot.staged.items()}}
    # Dropping a hard link moves the ctime of the original, under each of its names, so signatures are taken once more.
    snapshot.unlink()
    moved = {s.linked.inode for s in snapshot.staged.values() if s.linked is not None}
    # So did copies of earlier snapshots that went since. Nobody can tell that from a write any more.
    seen = {p for p, h in snapshot.kept.items() if p in record.here and record.here[p].signature != h.signature}
    for path, here in learned.items():
        if here.signature.inode in moved:
            learned[path] = _moved(workspace, key.join(path), here)
        elif path in seen or (path in snapshot.staged and not snapshot.staged[path].sqlite):
            learned[path] = _unproven(workspace, key.join(path), here)
    return learned


def _without(workspace: Workspace, key: Key, record: Record, staged: Iterable[Staged]) -> Record:
    """Drop copies that are not needed, and know what that does to their originals."""
    links = [(s.source, s.linked.inode) for s in staged if s.linked is not None and s.source is not None]
    for link, _ in links:
        link.unlink(missing_ok=True)
    moved = {inode for _, inode in links}
    here = {p: _unproven(workspace, key.join(p), h) for p, h in record.here.items() if h.signature.inode in moved}
    if here:
        record = replace(record, here={**record.here, **here})
        workspace.save(key, record)
    return record


def _moved(workspace: Workspace, key: Key, here: Here) -> Here:
    """What is known of a file of which only the ctime was moved, by us."""
    found = lstat_or_none(workspace.local(key))
    return here if found is None else refreshed(here, found)


def _unproven(workspace: Workspace, key: Key, here: Here) -> Here:
    """The same where that may have been somebody else: its content is read again before anybody calls it safe."""
    now = _moved(workspace, key, here)
    return here if now == here else replace(now, trusted=False)


def _remember(
    workspace: Workspace,
    key: Key,
    record: Record,
    line: Line,
    manifest: Manifest,
    snapshot: Snapshot,
    looked: Mapping[str, float],
    stamps: Stamps,
) -> None:
    before = {} if line.adopted else {p: h for p, h in record.here.items() if p in manifest.files}
    here = {**before, **_learned(workspace, key, snapshot, manifest.files, record)}
    held = _of_what_is_held(looked, manifest.files)
    links = _links_here(Record() if line.adopted else record, snapshot, manifest.links)
    damaged = record.damaged
    workspace.save(key, Record(manifest, here, record.copied, damaged=damaged, looked=held, links=links, stamps=stamps))


def _links_here(record: Record, snapshot: Snapshot, held: Iterable[str]) -> frozenset[str]:
    """The links of a generation that are or were here."""
    return (record.links | snapshot.links.keys()) & frozenset(held)


def _check_lengths(store: Store, sent: Mapping[str, int]) -> None:
    for path, size in sent.items():
        try:
            found = store.backend.stat(path)
        except StoreNotFound as error:
            raise StoreUnreadable(errno.EIO, "it vanished right after it was written", path) from error
        if found.size != size:
            raise StoreUnreadable(errno.EIO, f"{size} bytes were written and {found.size} are there", path)


def _rewritten(snapshot: Snapshot) -> list[str]:
    return [path for path, staged in snapshot.staged.items() if staged.linked is not None and was_rewritten(staged)]
