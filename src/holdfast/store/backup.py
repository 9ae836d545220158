"""Backup: one commit of one artifact, in an order in which a kill at any point loses nothing.

Read `commit` from top to bottom: it is the protocol. What it decides is decided in `deciding/`, and its longer steps lie in
`committing/`.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from holdfast.errors import Corrupt, Refused, StoreUnreadable
from holdfast.store.committing.arriving import check_lengths, find_rewritten, prove_readable
from holdfast.store.committing.base import (
    drop_copies,
    held_links,
    here_now,
    last_looks,
    last_stamps,
    learn,
    of_what_is_held,
    remember_commit,
)
from holdfast.store.committing.examined import Examined, older_agreeing
from holdfast.store.committing.interrupted import NAMED, settle_intent
from holdfast.store.copies.overtaken import in_order
from holdfast.store.copies.settling import settle
from holdfast.store.copies.snapshot import Known, Snapshot
from holdfast.store.copies.taking import take, take_differing
from holdfast.store.deciding.content import plan_content
from holdfast.store.deciding.hard_links import sound_groups
from holdfast.store.deciding.line import Line, ancestors_of, plan_drop, plan_line
from holdfast.store.deciding.looked_last import Stamps, newest_is_theirs
from holdfast.store.deciding.requests import Request
from holdfast.store.format.keys import Key, printable, within
from holdfast.store.format.manifest import Kind, Manifest
from holdfast.store.format.names import CommitId, ManifestName, key_code
from holdfast.store.local.disk import lstat_or_none
from holdfast.store.local.records import Here, Intent, Record
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.view import View
from holdfast.store.reporting.outcomes import BackedUp
from holdfast.store.store import Store
from holdfast.store.transfer.pages import Pages
from holdfast.store.transfer.progress import Progress, Silent
from holdfast.store.transfer.room import give_back, giving_back, refuse_if_full, within_limits
from holdfast.store.transfer.sending import Sending

log = logging.getLogger(__name__)


#: How often a commit starts over because a large file was rewritten while it was sent. From the second time on the
#: file is copied, so more is only ever needed where several files are rewritten in turn.
_RESTARTS = 5


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
    record, voided = settle_intent(store, workspace, key, view)
    before, now, outdated, waited = workspace.looked(key, record), request.taken or clock(), taken, taken is not None
    for _ in range(_RESTARTS):
        # 1. What the store has, and what of the base is gone from it.
        examined = Examined(store, found, record)
        lost = examined.lost_payloads
        # 2. A stable snapshot of what changed. From here on the caller may go on writing.
        force = frozenset[str]() if request.drop else _files_in(record, lost)
        hash_all = record.base is None and bool(found)
        rest = record.base is not None and not lost and examined.stands(record.base)  # what nobody looks into is in the store
        left = None if taken is None else in_order(_as_told(taken, record, rest=rest), record)
        if taken is not None and left is not None and left is not taken:
            record = drop_copies(workspace, key, record, [s for p, s in taken.staged.items() if p not in left.staged])
        earlier = None if left is None else settle(left, record, force, hash_all=hash_all)
        snapshot = earlier or _take_anew(workspace, request, record, force, outdated, hash_all=hash_all, rest=rest)
        taken, outdated = None, snapshot  # once is all: a round that starts over needs what is here now
        looked, stamps = last_looks(before, snapshot, record, now), last_stamps(record, snapshot)
        # 3. Decide: what it descends from, what is taken over, what is sent.
        record, void = _before(record, voided, snapshot)
        broken = {p for p in force if p not in snapshot.staged and not (snapshot.covers(p) and p in record.here)}
        older = None if record.base is not None or failed or request.drop else older_agreeing(store, found, examined, snapshot)
        line = (
            plan_drop(record, examined.heads, found)
            if request.drop
            else plan_line(
                record,
                examined.heads,
                found,
                snapshot,
                failed=failed,
                broken=bool(broken),
                lost=examined.not_whole,
                older=older,
                behind=void,
            )
        )
        if snapshot.still:
            return _unchanged(store, workspace, key, record, line, snapshot, looked, stamps)
        known = Record() if line.adopted else record
        content = plan_content(
            snapshot,
            line,
            known.here,
            owned=request.settled,
            lost_payloads=lost,
            links_here=known.links,
            folders_here=known.folders,
            whole=frozenset(p for p, s in snapshot.staged.items() if s.sqlite and workspace.goes_whole(key.join(p))),
        )
        if content.unchanged and line.parent is not None and examined.stands(line.parent):
            return _unchanged(store, workspace, key, record, line, snapshot, looked, stamps)
        _say_fork(key, line, broken)
        # 4. Record the intent: a kill between manifest and base makes no fork with itself.
        store.backend.check()
        behind = tuple(dict.fromkeys((*voided[:NAMED], *record.passed, *line.over)))
        id_ = CommitId(max(line.sequence, *(b.sequence + 1 for b in behind), 1), store.commit_id())
        name = ManifestName(key_code(key), id_, _parent_id(line))
        workspace.begin(
            key, Intent(id_, name.file, here_now(snapshot), voided, looked, held_links(record, snapshot, content.links), stamps)
        )
        # 5. Send the payload in parallel, hashed as it goes.
        try:
            sending = Sending(
                store,
                workspace,
                snapshot,
                content,
                id_,
                progress or Silent(),
                Pages(store, workspace, key, line, record, lost, id_, view.store_id or ""),
            )
            refuse_if_full(store, sending.size, awaited)
            with within_limits(store, workspace, view, key, sending, line.content, clock=clock), giving_back(store, sending):
                files, tars = sending.run()
                # 6. Flush, and check that every length arrived.
                store.backend.flush()
                check_lengths(store, sending.sent)
        except Corrupt as damage:
            # A tar of the base that was to be merged is rotten. Nothing of that base is referred to any more.
            if record.base is None or record.base.commit.id in record.damaged:
                raise
            log.warning("%s: %s; sending again what is here", key, damage)
            record = replace(record, damaged=record.damaged | {record.base.commit.id})
            continue
        # 7. A linked file that was rewritten meanwhile voids the commit: no generation is ever mixed.
        rewritten = find_rewritten(snapshot)
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
            time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(min(of_what_is_held(looked, files).values()))),
            writer=f"{store.machine}/{os.getpid()}",
            progress=counted,
            files=files,
            tars=tars,
            folders=content.folders,
            links=content.links,
            hard_links=sound_groups(content.hard_links, files),
            drops=line.drops,
        )
        data = manifest.encoded_after(line.content)
        with giving_back(store, sending, manifest.name.path):
            prove_readable(manifest, line.content)
            store.backend.check()
            store.backend.create(manifest.name.path, lambda: (data,))  # noqa: B023 - called before the loop goes on
        store.backend.flush()
        check_lengths(store, {manifest.name.path: len(data)})
        store.backend.check()
        store.remember(manifest)
        if store.missing(manifest.payloads().items()):
            # Somebody pruned, meanwhile, what this commit took over from its base. The next round sends it again.
            log.warning("%s: what generation %s refers to has gone meanwhile; sending it again", key, id_)
            continue
        # 9. The base: this workspace now stands on the new generation.
        more = replace(record, earlier=tuple(dict.fromkeys((*(v.id for v in void), *record.earlier))))
        remember_commit(workspace, key, more, line, manifest, snapshot, looked, stamps)
        workspace.end(key)
        workspace.forgive(key)
        size = sending.committed(files)
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


def _files_in(record: Record, lost: frozenset[str]) -> frozenset[str]:
    """Files of the base whose payload is lost."""
    held = record.base.files.values() if record.base is not None and lost else ()
    return frozenset(r.path for r in held if not lost.isdisjoint((*r.places, r.tar or "")))


def _as_told(taken: Snapshot, record: Record, *, rest: bool) -> Snapshot:
    """A snapshot that waited. What a glance told beyond it is told against what was remembered then."""
    if taken.beyond is None or (rest and taken.beyond.base is record.base):
        return taken
    return taken.spelled_out()


def _take_anew(
    workspace: Workspace,
    request: Request,
    record: Record,
    force: frozenset[str],
    outdated: Snapshot | None,
    *,
    hash_all: bool,
    rest: bool,
) -> Snapshot:
    """A snapshot of what is here now, in place of one that does not stand. Of what differs only, where the store has the rest."""
    if outdated is not None:
        outdated.unlink()  # a link that goes later would move a ctime that is remembered by then
    key = request.artifact

    def taking(scope: tuple[str, ...]) -> Snapshot:
        folder = workspace.temporary()
        return take(workspace, key, Known.of(record), folder, scope=scope, owned=request.inner, force=force, hash_all=hash_all)

    snapshot = take_differing(workspace, key, record, request.inner, taking) if rest and request.scope == ("",) else None
    snapshot = snapshot or taking(_widened(workspace, key, request.scope, force))
    if "" in snapshot.refused:
        raise Refused(errno.EINVAL, f"{snapshot.refused['']}; nothing was backed up", str(key))
    return snapshot


def _take_back(store: Store, sending: Sending, key: Key, rewritten: list[str]) -> None:
    give_back(store, sending)
    log.warning("%s: %s changed while it was sent; sending a copy of it instead", key, printable(rewritten[0]))


def _widened(workspace: Workspace, key: Key, scope: tuple[str, ...], force: frozenset[str]) -> tuple[str, ...]:
    """The scope, and what is here of files that the store has lost: they are sent again whoever asked for what."""
    lost = [p for p in sorted(force) if not any(within(p, s) for s in scope)]
    return (*scope, *(p for p in lost if lstat_or_none(workspace.local(key.join(p))) is not None))


def _parent_id(line: Line) -> str | None:
    return None if line.parent is None else line.parent.commit.id


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


def _before(record: Record, voided: tuple[CommitId, ...], snapshot: Snapshot) -> tuple[Record, tuple[CommitId, ...]]:
    """The record, and the interrupted commits, as far as they go before a commit of this.

    What looked at all of it leaves out only what was removed here. What looked at a part goes above the last few of these.
    """
    if snapshot.is_all:
        return record, voided
    return (replace(record, passed=(), earlier=()) if record.base is None else record), voided[:NAMED]


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
    workspace.end(key)
    here: Mapping[str, Here] = {} if line.adopted else record.here
    learned = {} if snapshot.still else learn(workspace, key, snapshot, parent.files, record)
    if any(here.get(path) != now for path, now in learned.items()):  # else it stays the object that `Expected` was made of
        here = {**here, **learned}
    updated = Record(
        parent,
        here,
        record.copied,
        # What is here without memory, and is an older generation, is what somebody goes on from: the newest from then on.
        chosen=record.chosen or (line.adopted and bool(line.others)),
        damaged=record.damaged,
        looked=of_what_is_held(looked, parent.files),
        links=record.links if snapshot.still else held_links(Record() if line.adopted else record, snapshot, parent.links),
        passed=record.passed,
        stamps=stamps,
        earlier=record.earlier_than(parent),
    )
    if replace(updated, looked=record.looked, stamps=record.stamps) != record:
        workspace.save(key, updated)
    elif updated != record:
        workspace.found_again(key, updated)
    workspace.looked_into(key, record, updated, snapshot.scope)
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
