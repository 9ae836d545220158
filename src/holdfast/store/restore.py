"""Restore: bring back what is missing, whole or not at all.

`ensure` answers "is it here now?" and looks at the store only where it must. `restore_artifact` is the protocol, to be
read from top to bottom; its longer steps lie in `restoring/`.
"""

from __future__ import annotations

import errno
import logging
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from holdfast.errors import Corrupt, HoldfastError, LocalError, StoreUnreadable
from holdfast.store.backends.backoff import can_pass
from holdfast.store.deciding.choose import Wish, choose, owned_below
from holdfast.store.deciding.coverage import Coverage, Target, cover
from holdfast.store.format.entries import FolderRecord
from holdfast.store.format.keys import Key
from holdfast.store.format.manifest import Kind
from holdfast.store.local.disk import is_file, is_link, lstat_or_none
from holdfast.store.local.here import is_complete
from holdfast.store.local.links import MOST_LINKS
from holdfast.store.local.needed import asked_for, in_places, join_here, links_out, missing_above, needed, say_torn, written_to
from holdfast.store.local.placing import settle_folders
from holdfast.store.local.plain import plain_outcome, restore_plain
from holdfast.store.local.records import Publication
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.known import DirectoryTest, artifacts
from holdfast.store.looking.remembering import knocked, wait
from holdfast.store.looking.same_store import look
from holdfast.store.looking.view import Presence, View
from holdfast.store.reporting.one_line import describe
from holdfast.store.reporting.outcomes import Outcome, Restored
from holdfast.store.restoring.absence import not_held, prove_absent, was_dropped
from holdfast.store.restoring.answers import answer_with_twins, say_others, untouched, what_came
from holdfast.store.restoring.base import (
    anything_here,
    exclude,
    files_in_use,
    landed,
    record_after,
    refreshed_here,
    refuse_mixture,
    remember_if_changed,
)
from holdfast.store.restoring.publishing import comes_as_folder, publish
from holdfast.store.store import Store
from holdfast.store.transfer.progress import Progress

log = logging.getLogger(__name__)


#: The answer for a path of several artifacts is the worst of theirs, else that something came.
_WORST_FIRST = (Outcome.FAILED, Outcome.DIFFERS, Outcome.MERGED, Outcome.RESTORED, Outcome.LOCAL)


def restore(
    store: Store, workspace: Workspace, key: Key, wish: Wish, *, unverified: bool = False, progress: Progress | None = None
) -> Restored:
    """Bring a path back from the store whatever is here; what is here is moved aside first.

    Args:
        store: Where from.
        workspace: Where to.
        key: The path.
        wish: Which generation.
        unverified: Take files that no manifest vouches for (a plain mirror), folders included.
        progress: Told about the transfer.
    """
    wish = replace(wish, replace_here=True)
    try:
        if unverified:
            with workspace.lock():
                look(store, workspace)
                plain = restore_plain(store, workspace, key, replace_here=True)
                if plain.outcome is Outcome.ABSENT:
                    look(store, workspace)  # absent is only what is missing from a store that is healthy afterwards
                return plain
        return surely(store, workspace, key, wish, progress)
    except HoldfastError as error:
        return Restored(key, Outcome.FAILED, error=describe(key, error), damaged=isinstance(error, Corrupt))


def surely(store: Store, workspace: Workspace, key: Key, wish: Wish, progress: Progress | None) -> Restored:
    """Restore a path; what is missing only because the mount shows what it remembers is looked for again.

    Raises:
        HoldfastError: nothing was published, and it cannot be told whether the store has it.
    """
    made = waited = False
    fresh = store.shared is None
    while True:
        with workspace.lock():
            view: View | None = None
            try:
                view = look(store, workspace, fresh=fresh)
                result = _following(store, workspace, view, key, wish, progress)
            except StoreUnreadable as error:
                if not fresh:
                    fresh = True
                    continue
                if waited or not store.memory.left:
                    raise
                if error.errno == errno.ENOENT and not made and knocked(store, key.parts[0]):  # the store that should be here
                    made = True
                    continue
                if not can_pass(error):
                    raise
                result = Restored(key, Outcome.FAILED)
            if not fresh and not result:
                fresh = True  # what was looked at a moment ago proves that something is there, and not that nothing is
                continue
            if result.outcome not in (Outcome.ABSENT, Outcome.FAILED):
                sure = True
            elif made and view is not None and view.presence is not Presence.STORE:
                sure = True
                store.memory.proven()
            elif knocked(store, key.parts[0]):
                made = True
                continue
            else:
                sure = waited or not store.memory.left
            if sure and not wish.replace_here and result.outcome in (Outcome.RESTORED, Outcome.MERGED, Outcome.ABSENT):
                workspace.forgive(key)
        if sure:
            return result
        wait(store, str(key))  # others may use the workspace meanwhile
        waited = True


def _following(
    store: Store, workspace: Workspace, view: View, key: Key, wish: Wish, progress: Progress | None, links: int = MOST_LINKS
) -> Restored:
    """Restore a path, and what it leads to where it is a symbolic link, or leads through one that the store has."""
    result = _each(store, workspace, view, key, wish, progress)
    then: Key | None = None
    if result.through is not None:
        link, then = result.through
        made = _each(store, workspace, view, link, wish, progress)
        if not made:
            return replace(made, key=key)
    elif result and is_link(lstat_or_none(workspace.local(key))):
        then = workspace.leads_to(key)
    if then is None or (result and is_complete(workspace, then)):
        return result
    if not links:
        raise LocalError(errno.ELOOP, f"it leads through more than {MOST_LINKS} symbolic links", str(key))
    target = _following(store, workspace, view, then, replace(wish, generation=None, replace_here=False), progress, links - 1)
    if result and target.outcome is Outcome.ABSENT:  # a link that leads nowhere, as it did when it was backed up
        return result
    came = Outcome.RESTORED in (result.outcome, target.outcome) and target
    return replace(target, key=key, outcome=Outcome.RESTORED if came else target.outcome)


def _each(store: Store, workspace: Workspace, view: View, key: Key, wish: Wish, progress: Progress | None) -> Restored:
    """Restore the artifact that owns the path, then those below it; the worst outcome is the answer."""
    known = artifacts(store, view, workspace)
    coverage = cover(key, known, DirectoryTest(store, view, workspace))
    results: list[Restored] = []
    made: dict[Path, FolderRecord] = {}
    try:
        return _all(store, workspace, view, key, wish, progress, known, coverage, results, made)
    finally:
        settle_folders(made)


def _all(
    store: Store,
    workspace: Workspace,
    view: View,
    key: Key,
    wish: Wish,
    progress: Progress | None,
    known: frozenset[Key],
    coverage: Coverage,
    results: list[Restored],
    made: dict[Path, FolderRecord],
) -> Restored:
    if coverage.own is not None:
        results.append(restore_artifact(store, workspace, view, coverage, coverage.own, wish, progress, made))
    if not results or (
        results[0].outcome not in (Outcome.FAILED, Outcome.DIFFERS) and not is_file(lstat_or_none(workspace.local(key)))
    ):
        for inner in coverage.inner:
            below = cover(inner, known, lambda _: True)
            # A generation is of one artifact; what stands below the artifact that it was named for comes from the head.
            inner_wish = wish if coverage.own is None else replace(wish, generation=None)
            results.append(restore_artifact(store, workspace, view, below, Target(inner, ""), inner_wish, progress, made))
    present = [r for r in results if r.outcome is not Outcome.ABSENT]
    leading = next((r for r in results if r.through is not None), None)
    if not present and leading is not None:
        return leading
    if not present:
        answer = _not_in_store(store, workspace, view, key, wish)
        return replace(answer, warnings=(*answer.warnings, *(w for r in results for w in r.warnings)))
    answer = next(r for outcome in _WORST_FIRST for r in present if r.outcome is outcome)
    return replace(
        answer,
        key=key,
        warnings=tuple(w for r in results for w in r.warnings),
        files=sum(r.files for r in results),
        size=sum(r.size for r in results),
    )


def _not_in_store(store: Store, workspace: Workspace, view: View, key: Key, wish: Wish) -> Restored:
    """No generation holds the path. Absence has to be proven before it is said."""
    if not wish.replace_here and lstat_or_none(workspace.local(key)) is not None:
        return Restored(key, Outcome.LOCAL)
    asked = f"generation {wish.generation} of it" if wish.generation else "it"
    error = f"{key}: {asked} is not in the store; `holdfast history {key}` lists what is" if wish.replace_here else ""
    if not wish.replace_here and view.presence is not Presence.NONE:
        plain = plain_outcome(store, workspace, key)
        if plain is not None and plain.outcome is not Outcome.ABSENT:
            return plain
    prove_absent(store, workspace, view, key)
    return _in_twin(store, workspace, key, wish) or Restored(key, Outcome.ABSENT, error=error)


def _in_twin(store: Store, workspace: Workspace, key: Key, wish: Wish) -> Restored | None:
    """The path from a store of another machine that Drive shows as a twin of this one's folder; None where none holds it."""
    for twin in store.twins():
        view = twin.look(tell=False)
        if view.presence is not Presence.STORE:
            continue
        result = _each(twin, workspace, view, key, wish, None)
        if result.outcome not in (Outcome.ABSENT, Outcome.LOCAL):
            text = f"{key}: taken from {twin.backend.location}: two machines made this store at once, and Drive kept both"
            log.warning("%s", text)
            return replace(result, warnings=(*result.warnings, text))
    return None


def restore_artifact(
    store: Store,
    workspace: Workspace,
    view: View,
    coverage: Coverage,
    target: Target,
    wish: Wish,
    progress: Progress | None,
    made: dict[Path, FolderRecord],
) -> Restored:
    """Restore one artifact, or a part of it. The workspace's lock is held.

    Args:
        store: Where from.
        workspace: Where to.
        view: A fresh look at the store.
        coverage: What the path means.
        target: The artifact, and the part of it.
        wish: What is asked for.
        progress: Told about the transfer.
        made: Takes the folders that are made, to be given their times and modes once everything lies in them.

    Raises:
        StoreError, LocalError: nothing was published.
        Corrupt: every generation is damaged.
    """
    key, prefix, names = target.artifact, target.prefix, view.of(target.artifact)
    record = workspace.record_in(key, view)
    excluded = set() if wish.replace_here else set(record.damaged)
    warnings: list[str] = []
    base = None if wish.replace_here else record.base
    in_use = {} if base is None else files_in_use(workspace, key, record)
    fell_back = base is not None and base.commit.id in excluded
    skip_base = False
    while True:
        # 1. The generation: the chosen one, the base, or the head.
        known = replace(record, base=None) if skip_base else record
        choice = choose(
            store, names, known, wish, frozenset(excluded), warnings, anything_here=partial(anything_here, workspace, record)
        )
        manifest = choice.manifest
        if manifest is None and base is not None and (not names or store.elsewhere(base)):
            shown = "no whole one" if names else "none"
            raise StoreUnreadable(errno.EIO, f"this workspace has seen generations of it, and the store shows {shown}", str(key))
        if manifest is None:
            return not_held(store, names, target, frozenset(excluded), None, warnings)
        if manifest.kind is Kind.DROPPED:
            return was_dropped(store, workspace, names, target, frozenset(excluded), manifest, record, warnings)
        record = replace(record, passed=choice.passed or record.passed)
        owned = owned_below(store, view, key, coverage)
        asked = asked_for(key, manifest, prefix, owned, warnings)
        nothing = not asked.files and not asked.links and prefix
        if nothing and base is not None and manifest.commit == base.commit and not skip_base:
            skip_base = True  # what came after the base may hold it
            continue
        if nothing and prefix not in manifest.folders:
            return not_held(store, names, target, frozenset(excluded), manifest, warnings)
        if (out := links_out(workspace, key, asked.links)) is not None:
            record = exclude(workspace, key, record, manifest, out, wish, excluded, warnings)
            fell_back = True
            continue
        # 2. What is needed: a directory that is partly here gets what is missing; what is here stays.
        now = time.time()
        need = needed(workspace, key, prefix, asked, record, wish)
        here, others = need.here, need.others
        if base is not None and manifest.commit != base.commit:
            refuse_mixture(key.join(prefix), base, manifest, in_use, here.differing if fell_back else (), warnings)
        if need.why or prefix in need.twins:
            return untouched(key, prefix, manifest, need, warnings)
        if need.nothing:
            outcome = Outcome.MERGED if others else Outcome.LOCAL
            if others and workspace.has_failed(key):
                outcome = Outcome.LOCAL  # made anew because it could not be restored: that descends from nothing
            else:
                after = record_after(record, manifest, here.equal, here.same_links, wish, prefix, now)
                remember_if_changed(workspace, key, after, record)
            said = say_others(key, prefix, manifest, others, warnings)
            return answer_with_twins(Restored(key.join(prefix), outcome, manifest.commit.id, "", said), key, prefix, need.twins)
        workspace.refuse_links(written_to(key, need))
        # 3. Fetched into a temporary, hashed as it goes. Proven damage: the generation before, all of it, said aloud.
        from holdfast.store.transfer.fetch import fetch  # loads tarfile; what is here already needs none of it

        folder = workspace.temporary() / "tree"
        folder.mkdir()
        try:
            joined = join_here(workspace, key, manifest, need, folder)
            fetched = fetch(store, manifest, [r for r in need.files if r.path not in joined], folder, progress)
        except Corrupt as damage:
            record = exclude(workspace, key, record, manifest, damage, wish, excluded, warnings)
            fell_back = True
            continue
        # 4. Published without replacing anything that appeared meanwhile. Links come last: nothing is written through one.
        fetched |= {path: f"{folder}/{path}" for path in joined}
        arrived, targets = landed(workspace, fetched, manifest.files)
        new = {**arrived, **{p: here.equal[first] for p, first in joined.items()}}
        after = record_after(record, manifest, {**here.equal, **new}, here.same_links | need.links.keys(), wish, prefix, now)
        workspace.publishing(key, Publication(after, targets))
        missing = in_places(workspace, key, {**missing_above(workspace, key, prefix, manifest.folders), **need.folders})
        appeared = publish(workspace, key, prefix, manifest, folder, fetched, need, wish)
        if appeared is None:
            continue  # a folder appeared where nothing was: decide again, with what is in it
        made.update(missing)
        say_torn(key, manifest, need.files, warnings)
        # 5. The base: this workspace now stands on that generation.
        kept = {p: h for p, h in after.here.items() if p not in appeared}
        moved = set() if comes_as_folder(manifest, prefix, need) else {*new, *joined.values()}
        after = replace(after, here=refreshed_here(workspace, key, kept, moved), links=after.links - set(appeared))
        workspace.published(key, after)
        size = sum(r.size for r in need.files)
        log.info("%s: restored from generation %s (%d files, %d bytes)", key.join(prefix), manifest.commit, len(need.files), size)
        return what_came(workspace, key, prefix, manifest, need, appeared, warnings)
