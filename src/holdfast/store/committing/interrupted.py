"""A commit that a kill interrupted between its intent and its base: finished, or void."""

from __future__ import annotations

import logging
from dataclasses import replace

from holdfast.store.deciding.choose import MAX_PASSED
from holdfast.store.format.entries import FileRecord
from holdfast.store.format.keys import Key
from holdfast.store.format.manifest import Manifest
from holdfast.store.format.names import CommitId
from holdfast.store.local.records import MAX_EARLIER, Here, Record, Signature
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.view import State, View
from holdfast.store.store import Store

log = logging.getLogger(__name__)

#: So many failed commits in a row are remembered for what may still come of them, and so many of these are named by the next one.
_VOIDED, NAMED = 16, 3


def settle_intent(store: Store, workspace: Workspace, key: Key, view: View) -> tuple[Record, tuple[CommitId, ...]]:
    """Settle a commit that a kill interrupted: done if its manifest verifies, void if not.

    Gives what is remembered then, and the commits that are void. A write that hung may still come through, so
    the next commit goes above them and counts them among its ancestors: they are no forks of it.
    """
    record = workspace.record_in(key, view)
    if record.base is None:
        record = _made_from(record, workspace.record(key), view, key)
    intent = workspace.intent(key)
    if intent is None:
        return record, ()
    voided = (intent.commit, *intent.voided)[:_VOIDED]
    manifest = _arrived(store, view, key, intent.commit)
    if manifest is not None and manifest.name.file == intent.manifest_name:
        # Trusted is what was remembered with the same signature; the rest is hashed again when it is next used.
        here = {p: h for p, h in record.here.items() if p in manifest.files}
        for path in intent.here.keys() & manifest.files.keys():
            here[path] = _rebased(here.get(path), intent.here[path], manifest.files[path])
        looked = intent.looked or record.looked
        record = Record(
            manifest,
            here,
            record.copied,
            damaged=record.damaged,
            looked=looked,
            links=intent.links,
            stamps=intent.stamps or record.stamps,
            earlier=record.earlier_than(manifest),
        )
        workspace.save(key, record)
        log.info("%s: the interrupted backup %s had been finished", key, intent.commit)
        return record, ()
    late = next(filter(None, (_arrived(store, view, key, v) for v in intent.voided)), None)
    base = record.base
    if late is not None and (base is None or base.commit.id in (late.parent, *late.ancestors)):
        # What was seen here of what it changed is not remembered, so nothing of that counts as deleted.
        here = {p: h for p, h in record.here.items() if p in late.files and late.files[p].blake3 == h.blake3}
        links, earlier = record.links & late.links.keys(), record.earlier_than(late)
        record = replace(record, base=late, here=here, links=links, earlier=earlier)
        log.info("%s: the interrupted backup %s has come through late", key, late.commit)
    return record, voided


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
