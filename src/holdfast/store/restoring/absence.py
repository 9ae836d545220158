"""What has to be known before it is said that there is nothing: of a path, of an artifact, of one generation."""

from __future__ import annotations

import errno
import logging
import time
from dataclasses import replace

from holdfast.errors import StoreUnreadable
from holdfast.store.deciding.choose import refuse_if_hidden, say
from holdfast.store.deciding.coverage import Target
from holdfast.store.format.keys import Key
from holdfast.store.format.manifest import Manifest
from holdfast.store.format.names import ManifestName
from holdfast.store.local.needed import leads_through
from holdfast.store.local.records import Record
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.known import artifacts
from holdfast.store.looking.marks import refuse_if_known
from holdfast.store.looking.same_store import look
from holdfast.store.looking.view import Presence, View
from holdfast.store.reporting.outcomes import Outcome, Restored
from holdfast.store.store import Store

log = logging.getLogger(__name__)


def prove_absent(store: Store, workspace: Workspace, view: View, key: Key) -> None:
    """Return where a second listing agrees with the first, no name contradicts them, and everything is healthy after that.

    Raises:
        StoreUnreadable: it is not proven.
    """
    again = look(store, workspace)
    if (again.presence, set(again.names)) != (view.presence, set(view.names)):
        raise StoreUnreadable(errno.EIO, "two listings of the store contradict each other; try again", store.backend.location)
    if view.presence is Presence.STORE:
        store.refuse_incomplete()
        refuse_if_known(store, key, (k for k in artifacts(store, view, workspace) if view.of(k)))
        store.confirm_healthy()


def not_held(
    store: Store,
    names: tuple[ManifestName, ...],
    target: Target,
    excluded: frozenset[str],
    manifest: Manifest | None,
    warnings: list[str],
) -> Restored:
    """The generation does not hold the path, unless it leads through one of its links.

    Raises:
        Corrupt, StoreUnreadable: it may be in another that cannot be read now.
    """
    key, prefix = target.artifact, target.prefix
    through = None if manifest is None else leads_through(key, manifest, prefix)
    if through is None:
        refuse_if_hidden(store, names, key, prefix, excluded, manifest, warnings)
    return Restored(key.join(prefix), Outcome.ABSENT, warnings=tuple(warnings), through=through)


def was_dropped(
    store: Store,
    workspace: Workspace,
    names: tuple[ManifestName, ...],
    target: Target,
    excluded: frozenset[str],
    manifest: Manifest,
    record: Record,
    warnings: list[str],
) -> Restored:
    """There is nothing of it on purpose: what is made here from now on follows that.

    Raises:
        Corrupt, StoreUnreadable: it may be in another generation that cannot be read now.
    """
    key = target.artifact
    answer = not_held(store, names, target, excluded, manifest, warnings)
    if record.base is None or record.base.commit != manifest.commit:
        looked, earlier = {"": time.time()}, record.earlier_than(manifest)
        workspace.save(key, Record(manifest, damaged=record.damaged, looked=looked, earlier=earlier))
    machine = manifest.writer.partition("/")[0]
    text = (
        f"{key}: nothing is left of it since {manifest.time}, when it was dropped or removed on {machine}; "
        f"`holdfast history {key}` lists what was before"
    )
    if manifest.drops:  # somebody decided that, and whoever finds nothing has to know
        say(warnings, text)
        return replace(answer, warnings=tuple(warnings))
    log.info("%s", text)
    return answer
