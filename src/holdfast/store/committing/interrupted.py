"""A commit that a kill interrupted between its intent and its base: finished, or void."""

from __future__ import annotations

import logging
from dataclasses import replace

from holdfast.store.deciding.choose import MAX_PASSED
from holdfast.store.deciding.requests import Request, outermost
from holdfast.store.format.entries import FileRecord
from holdfast.store.format.keys import Key
from holdfast.store.format.manifest import Manifest
from holdfast.store.format.names import CommitId
from holdfast.store.local.disk import lstat_or_none
from holdfast.store.local.records import MAX_EARLIER, Begun, Here, Record, Signature
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.view import State, View
from holdfast.store.store import Store

log = logging.getLogger(__name__)

#: So many failed commits in a row are remembered for what may still come of them, and so many of these are named by the next one.
_VOIDED, NAMED = 16, 3


def settle_intent(store: Store, workspace: Workspace, key: Key, view: View) -> tuple[Record, tuple[Begun, ...]]:
    """Settle a commit that a kill interrupted: done if its manifest verifies, void if not.

    Gives what is remembered then, and the commits that are void, newest first. A write that hung may still come through, so
    the next commit goes above them, and counts those of its line among its ancestors: they are no forks of it.
    """
    record, made = workspace.record_in(key, view), workspace.record(key)
    if record.base is None:
        record = _made_from(record, made, view, key)
    intent = workspace.intent(key)
    if intent is None:
        return record, ()
    begun, others = intent.begun, intent.others
    manifest = _arrived(store, view, key, begun.commit)
    # Where another generation was restored since, it is one among the others. Nothing else is remembered anew but by a commit.
    stands = intent.stood is None or made.base is None or made.base.commit.id == intent.stood
    if manifest is not None and manifest.name.file == intent.manifest_name and stands:
        # Trusted is what was remembered with the same signature; the rest is hashed again when it is next used.
        here = {p: h for p, h in record.here.items() if p in manifest.files}
        for path in intent.here.keys() & manifest.files.keys():
            here[path] = _rebased(here.get(path), intent.here[path], manifest.files[path])
        looked = intent.looked or record.looked
        behind = (b.commit.id for b in intent.voided)
        record = Record(
            manifest,
            here,
            record.copied,
            damaged=record.damaged,
            looked=looked,
            links=intent.links,
            stamps=intent.stamps or record.stamps,
            earlier=tuple(dict.fromkeys((*behind, *record.earlier_than(manifest))))[:MAX_EARLIER],
        )
        workspace.save(key, record)
        log.info("%s: the interrupted backup %s had been finished", key, begun.commit)
        return record, others
    # A kill may have come after the base was remembered.
    pending, base = tuple(b for b in (begun, *intent.voided, *others) if b.commit.id not in _line(record))[:_VOIDED], record.base
    late = next(filter(None, (_arrived(store, view, key, b.commit) for b in pending if _is_of_line(b, record))), None)
    if late is not None and (base is None or base.commit.id in (late.parent, *late.ancestors)):
        # What was seen here of what it changed is not remembered, so nothing of that counts as deleted.
        here = {p: h for p, h in record.here.items() if p in late.files and late.files[p].blake3 == h.blake3}
        links, earlier = record.links & late.links.keys(), record.earlier_than(late)
        record = replace(record, base=late, here=here, links=links, earlier=earlier)
        workspace.save(key, record)
        pending = tuple(b for b in pending if b.commit != late.commit)
        log.info("%s: the interrupted backup %s has come through late", key, late.commit)
    return record, pending


def with_what_hung(
    workspace: Workspace, request: Request, record: Record, pending: tuple[Begun, ...]
) -> tuple[Request, tuple[Begun, ...]]:
    """A request that asks for what was looked at for commits that hung, too, and these with what of that is still here.

    Else what lies in one of these alone would be hidden by a commit that goes above it, or stay beside it as a fork.
    """

    def is_here(path: str) -> bool:
        return not path or lstat_or_none(workspace.local(request.artifact.join(path))) is not None

    pending = tuple(b._replace(scope=tuple(filter(is_here, b.scope))) for b in pending)
    asked = {path for b in pending if _is_of_line(b, record) for path in b.scope}
    if request.drop or Begun(CommitId(0, ""), scope=tuple(asked)).is_within(request.scope):
        return request, pending
    return replace(request, scope=outermost({*request.scope, *asked})), pending


def _line(record: Record) -> tuple[str | None, ...]:
    base = record.base
    return () if base is None else (base.commit.id, base.parent, *base.ancestors, *record.earlier)


def _is_of_line(begun: Begun, record: Record) -> bool:
    """True where it was begun on the line on which the workspace stands, or the workspace stands on none."""
    return record.base is None or {*begun.after} <= {*_line(record), *(p.id for p in record.passed)}


def _arrived(store: Store, view: View, key: Key, commit: CommitId) -> Manifest | None:
    """A commit that the store shows whole; else None."""
    for name in view.of(key):
        if name.commit == commit:
            generation = store.examine(name)
            if generation.state is State.WHOLE:
                return generation.manifest
    return None


def _made_from(record: Record, made: Record, view: View, key: Key) -> Record:
    """What is here was made from, where that was given to another store: it goes before what is given to this one.

    The two may turn out to be one: what Drive's mount was given had not arrived when Drive's API was asked. Nothing is then a fork,
    neither what this store shows of it nor what it does not show yet. Of what was here in part only, the rest lies there alone.
    """
    base = made.base
    if base is None or not (base.files.keys() <= made.here.keys() and base.links.keys() <= made.links):
        return record
    shown = (n.commit for n in view.of(key) if n.commit.id == base.parent or n.commit.id in base.ancestors)
    passed = tuple(dict.fromkeys((base.commit, *made.passed, *shown)))
    earlier = tuple(dict.fromkeys((*(p.id for p in passed), *base.ancestors, *made.earlier)))
    return replace(record, passed=passed[:MAX_PASSED], earlier=earlier[:MAX_EARLIER])


def _rebased(known: Here | None, signature: Signature, record: FileRecord) -> Here:
    trusted = known is not None and known.trusted and known.signature == signature and known.blake3 == record.blake3
    return Here(record.blake3, signature, trusted)
