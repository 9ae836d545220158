"""Restore: bring back what is missing, whole or not at all.

`ensure` answers "is it here now?" and looks at the store only where it must. `restore_artifact` is the protocol, to be
read from top to bottom.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from functools import partial
from pathlib import Path

from holdfast.errors import Corrupt, HoldfastError, LocalError, StoreError, StoreUnreadable
from holdfast.store.backends.backoff import can_pass
from holdfast.store.deciding.choose import Prefer, Wish, choose, owned_below, refuse_if_hidden, say
from holdfast.store.deciding.coverage import Coverage, Target, cover
from holdfast.store.format.entries import FileRecord, FolderRecord
from holdfast.store.format.keys import Key, printable, within
from holdfast.store.format.manifest import Kind, Manifest
from holdfast.store.format.names import ManifestName
from holdfast.store.live.side_files import side_files
from holdfast.store.local.disk import is_file, is_link, local_errors, lstat_or_none
from holdfast.store.local.here import is_complete, twins_here
from holdfast.store.local.links import MOST_LINKS
from holdfast.store.local.needed import (
    Needed,
    asked_for,
    in_places,
    join_here,
    leads_through,
    links_out,
    missing_above,
    needed,
    say_torn,
    say_twins,
    written_to,
)
from holdfast.store.local.placing import inodes, make_links, publish_files, publish_tree, settle_folders
from holdfast.store.local.plain import plain_outcome, restore_plain
from holdfast.store.local.records import Here, Publication, Record, Signature, refreshed
from holdfast.store.local.state import STATE_FOLDER
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.known import DirectoryTest, artifacts
from holdfast.store.looking.marks import refuse_if_known
from holdfast.store.looking.remembering import knocked, note_look, wait
from holdfast.store.looking.view import Presence, View
from holdfast.store.reporting.outcomes import Outcome, Restored
from holdfast.store.store import Store, first_error
from holdfast.store.transfer.fetch import fetch
from holdfast.store.transfer.progress import Progress
from holdfast.store.transfer.room import telling_room

log = logging.getLogger(__name__)

#: The answer for a path of several artifacts is the worst of theirs, else that something came.
_WORST_FIRST = (Outcome.FAILED, Outcome.DIFFERS, Outcome.MERGED, Outcome.RESTORED, Outcome.LOCAL)

#: What a store takes before anything is in it: its sentinel, and a test file.
_FIRST_BYTES = 4096


def ensure(
    store: Store | None, workspace: Workspace, key: Key, progress: Progress | None = None, prefer: Prefer = Prefer.NEITHER
) -> Restored:
    """Make a path present: here already, restored, proven absent, or failed. Does not raise for what a store can do.

    Args:
        store: Where from, or None.
        workspace: Where to.
        key: The path.
        progress: Told about the transfer.
        prefer: Which side counts where a database or a checkpoint here is another than the store's.

    Raises:
        OutsideOutputs: the path cannot be kept at all.
    """
    try:
        if is_complete(workspace, key):
            return Restored(key, Outcome.LOCAL)
        if store is None:
            here = lstat_or_none(workspace.local(key)) is not None
            return Restored(key, Outcome.LOCAL if here else Outcome.ABSENT)
        result = _surely(store, workspace, key, Wish(prefer=prefer), progress)
    except HoldfastError as error:
        result = Restored(key, Outcome.FAILED, error=describe(key, error), damaged=isinstance(error, Corrupt))
    if result.outcome in (Outcome.FAILED, Outcome.DIFFERS):
        _remember_failure(workspace, key)
    return result


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
        return _surely(store, workspace, key, wish, progress)
    except HoldfastError as error:
        return Restored(key, Outcome.FAILED, error=describe(key, error), damaged=isinstance(error, Corrupt))


def _surely(store: Store, workspace: Workspace, key: Key, wish: Wish, progress: Progress | None) -> Restored:
    """Restore a path; what is missing only because the mount shows what it remembers is looked for again.

    Raises:
        HoldfastError: nothing was published, and it cannot be told whether the store has it.
    """
    made = waited = False
    while True:
        with workspace.lock():
            view: View | None = None
            try:
                view = look(store, workspace)
                result = _following(store, workspace, view, key, wish, progress)
            except StoreUnreadable as error:
                if waited or not store.memory.left:
                    raise
                if error.errno == errno.ENOENT and not made and knocked(store, key.parts[0]):  # the store that should be here
                    made = True
                    continue
                if not can_pass(error):
                    raise
                result = Restored(key, Outcome.FAILED)
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


def look(store: Store, workspace: Workspace, *, create: bool = False, only_shown: bool = False) -> View:
    """A look at the store that knows what this workspace met there before.

    Args:
        store: The store.
        workspace: Whose memory.
        create: It is for a backup: make a store where none is yet. Without it twins are looked for too.
        only_shown: Somebody is shown what there is, and nothing follows from it: the workspace remembers nothing.

    Raises:
        StoreUnreadable: the store that was here is not, which is a broken mount or another account, not absence.
    """
    known = workspace.known_store(store.backend.location)  # first: a backup of this session may make the store meanwhile
    view = store.look(tell=create or not only_shown)
    if known is not None and known != view.store_id and not _made_at_once(store, workspace, view, known):
        raise StoreUnreadable(
            errno.ENOENT,
            f"this workspace met the store {known} here, and now {view.store_id or 'none'} is: is this the right account and "
            f"folder? To begin with another store, delete {STATE_FOLDER}/ beside outputs",
            store.backend.location,
        )
    if not only_shown:
        note_look(store)
    if create:
        with telling_room(store, _FIRST_BYTES):
            if view.presence is not Presence.STORE and store.memory.shows_made and store.knock():
                view = store.look()
            view = store.prepare(view)
    else:
        view = store.look_wider(view)
    location = store.backend.location
    if view.store_id is not None and not only_shown and (known != view.store_id or not workspace.knows_as_safe(location)):
        try:
            # Without a sentinel that can be read nothing says that it arrived; the next backup writes it again.
            arrived = view.sentinel_problem is None and not store.is_on_its_way()
            workspace.meet(location, view.store_id, safe=arrived)
        except LocalError as error:  # looking needs no memory; whatever is about to write will say what is wrong
            log.debug("the store could not be remembered (%s)", error)
    return view


def _made_at_once(store: Store, workspace: Workspace, view: View, known: str) -> bool:
    """Whether this workspace's store and the one in view were made by two machines at once, so that it may go on in this one.

    Either it is one folder, in which two identities were written: then what this workspace gave to the store is in view. Or Drive
    made two folders of one name: then its own store lies beside, as a twin.
    """
    if view.store_id is None:
        return False
    bases = [b for k in workspace.known_keys() if (b := workspace.record(k).base) is not None and b.store_id == known]
    if any(b.commit.id in (n.commit.id, n.parent) for b in bases for n in view.of(b.key)):
        log.warning(
            "%s: two machines made this store at once; this one goes on in it under the identity that stayed (store_id: %s)",
            store.backend.location,
            view.store_id,
        )
        return True
    for twin in store.twins():
        with contextlib.suppress(StoreError):
            if twin.look(tell=False).store_id == known:
                log.warning(
                    "%s: two machines made this store at once, and Drive kept both; what this one has backed up lies in %s and is "
                    "found there; from now on it goes into the other, with all that is here",
                    store.backend.location,
                    twin.backend.location,
                )
                return True
    return False


def describe(key: Key, error: HoldfastError) -> str:
    """One line for a person: which path, and what went wrong."""
    if isinstance(error, OSError) and error.strerror:
        mend = "; it is mounted for reading only: mount it anew for writing, then run again" if error.errno == errno.EROFS else ""
        return f"{key}: {first_error(error)}{mend}"
    return f"{key}: {error}" if str(key) not in str(error) else str(error)


def _remember_failure(workspace: Workspace, key: Key) -> None:
    """A commit that follows without base begins a fresh line, and never descends from what could not be restored."""
    try:
        workspace.restore_failed(key)
    except (HoldfastError, OSError) as error:
        log.warning("%s: that its restore failed could not be remembered (%s)", key, error)


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
    _prove_absent(store, workspace, view, key)
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


def _prove_absent(store: Store, workspace: Workspace, view: View, key: Key) -> None:
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


def _not_held(
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


def _was_dropped(
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
    answer = _not_held(store, names, target, excluded, manifest, warnings)
    if record.base is None or record.base.commit != manifest.commit:
        workspace.save(key, Record(manifest, damaged=record.damaged, looked={"": time.time()}))
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


def _anything_here(workspace: Workspace, record: Record) -> bool:
    base = record.base
    return base is not None and any(lstat_or_none(workspace.local(base.key.join(p))) is not None for p in record.here)


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
    in_use = {} if base is None else _in_use(workspace, key, record)
    fell_back = base is not None and base.commit.id in excluded
    skip_base = False
    while True:
        # 1. The generation: the chosen one, the base, or the head.
        known = replace(record, base=None) if skip_base else record
        choice = choose(
            store, names, known, wish, frozenset(excluded), warnings, anything_here=partial(_anything_here, workspace, record)
        )
        manifest = choice.manifest
        if manifest is None and base is not None and (not names or store.elsewhere(base)):
            shown = "no whole one" if names else "none"
            raise StoreUnreadable(errno.EIO, f"this workspace has seen generations of it, and the store shows {shown}", str(key))
        if manifest is None:
            return _not_held(store, names, target, frozenset(excluded), None, warnings)
        if manifest.kind is Kind.DROPPED:
            return _was_dropped(store, workspace, names, target, frozenset(excluded), manifest, record, warnings)
        record = replace(record, passed=choice.passed or record.passed)
        owned = owned_below(store, view, key, coverage)
        asked = asked_for(key, manifest, prefix, owned, warnings)
        nothing = not asked.files and not asked.links and prefix
        if nothing and base is not None and manifest.commit == base.commit and not skip_base:
            skip_base = True  # what came after the base may hold it
            continue
        if nothing and prefix not in manifest.folders:
            return _not_held(store, names, target, frozenset(excluded), manifest, warnings)
        if (out := links_out(workspace, key, asked.links)) is not None:
            record = _excluding(workspace, key, record, manifest, out, wish, excluded, warnings)
            fell_back = True
            continue
        # 2. What is needed: a directory that is partly here gets what is missing; what is here stays.
        now = time.time()
        need = needed(workspace, key, prefix, asked, record, wish)
        here, others = need.here, need.others
        if base is not None and manifest.commit != base.commit:
            _refuse_mixture(key.join(prefix), base, manifest, in_use, here.differing if fell_back else (), warnings)
        if need.why or prefix in need.twins:
            return _untouched(key, prefix, manifest, need, warnings)
        if need.nothing:
            outcome = Outcome.MERGED if others else Outcome.LOCAL
            if others and workspace.has_failed(key):
                outcome = Outcome.LOCAL  # made anew because it could not be restored: that descends from nothing
            else:
                after = _record_after(record, manifest, here.equal, here.same_links, wish, prefix, now)
                _remember(workspace, key, after, record)
            said = _said(key, prefix, manifest, others, warnings)
            return _without_twins(Restored(key.join(prefix), outcome, manifest.commit.id, "", said), key, prefix, need.twins)
        workspace.refuse_links(written_to(key, need))
        # 3. Fetched into a temporary, hashed as it goes. Proven damage: the generation before, all of it, said aloud.
        folder = workspace.temporary() / "tree"
        folder.mkdir()
        try:
            joined = join_here(workspace, key, manifest, need, folder)
            fetched = fetch(store, manifest, [r for r in need.files if r.path not in joined], folder, progress)
        except Corrupt as damage:
            record = _excluding(workspace, key, record, manifest, damage, wish, excluded, warnings)
            fell_back = True
            continue
        # 4. Published without replacing anything that appeared meanwhile. Links come last: nothing is written through one.
        new = {**_here_of(workspace, fetched, manifest.files), **{p: here.equal[first] for p, first in joined.items()}}
        fetched |= {path: folder / path for path in joined}
        after = _record_after(record, manifest, {**here.equal, **new}, here.same_links | need.links.keys(), wish, prefix, now)
        workspace.publishing(key, Publication(after, inodes(fetched)))
        missing = in_places(workspace, key, {**missing_above(workspace, key, prefix, manifest.folders), **need.folders})
        appeared = _publish(workspace, key, prefix, manifest, folder, fetched, need, wish)
        if appeared is None:
            continue  # a folder appeared where nothing was: decide again, with what is in it
        made.update(missing)
        say_torn(key, manifest, need.files, warnings)
        # 5. The base: this workspace now stands on that generation.
        kept = {p: h for p, h in after.here.items() if p not in appeared}
        after = replace(after, here=_refreshed(workspace, key, kept, {*new, *joined.values()}), links=after.links - set(appeared))
        workspace.published(key, after)
        size = sum(r.size for r in need.files)
        log.info("%s: restored from generation %s (%d files, %d bytes)", key.join(prefix), manifest.commit, len(need.files), size)
        return _came(workspace, key, prefix, manifest, need, appeared, warnings)


def _untouched(key: Key, prefix: str, manifest: Manifest, need: Needed, warnings: list[str]) -> Restored:
    """The answer where nothing is done: somebody has to say which side counts, or no name is left for it here."""
    if need.why:
        return _differs(key.join(prefix), manifest, need.why, warnings)
    return _without_twins(Restored(key.join(prefix), Outcome.LOCAL, manifest.commit.id), key, prefix, need.twins)


def _came(
    workspace: Workspace,
    key: Key,
    prefix: str,
    manifest: Manifest,
    need: Needed,
    appeared: tuple[str, ...],
    warnings: list[str],
) -> Restored:
    """The answer once what was needed is in place."""
    twins = {**need.twins, **(twins_here(workspace, key, appeared) if appeared else {})}
    for path in (p for p in appeared if p not in twins):
        say(warnings, f"{key.join(path)} appeared during the restore; the local file was kept")
    came = len(need.files) + len(need.links) - len(appeared)
    outcome = Outcome.MERGED if need.others else Outcome.RESTORED if came or not appeared else Outcome.LOCAL
    said, size = _said(key, prefix, manifest, need.others, warnings), sum(r.size for r in need.files)
    result = Restored(key.join(prefix), outcome, manifest.commit.id, "", said, len(need.files), size)
    return _without_twins(result, key, prefix, twins)


def _without_twins(result: Restored, key: Key, prefix: str, twins: Mapping[str, str]) -> Restored:
    """The answer where something could not come because this file system cannot tell its name from another: it is not true."""
    return replace(result, outcome=Outcome.FAILED, error=say_twins(key, prefix, twins)) if twins else result


def _excluding(
    workspace: Workspace,
    key: Key,
    record: Record,
    manifest: Manifest,
    damage: Corrupt,
    wish: Wish,
    excluded: set[str],
    warnings: list[str],
) -> Record:
    """The record once a generation is proven damaged. Raises the damage where that very generation was asked for."""
    if wish.generation is not None:
        raise damage
    excluded.add(manifest.commit.id)
    record = replace(record, damaged=frozenset(excluded))
    workspace.save(key, record)
    warnings.append(f"{damage}; going back a generation from {manifest.commit}")
    log.warning("%s", warnings[-1])
    return record


def _differs(key: Key, manifest: Manifest, why: str, warnings: list[str]) -> Restored:
    error = (
        f"{key}: {why} differs from the store's generation {manifest.commit}, and nobody here took it from there; nothing was "
        f"touched. `holdfast ensure --prefer store {key}` takes the store's and moves what is here aside, `--prefer local` keeps "
        "what is here"
    )
    return Restored(key, Outcome.DIFFERS, manifest.commit.id, error, tuple(warnings))


def _said(key: Key, prefix: str, manifest: Manifest, others: tuple[str, ...], warnings: list[str]) -> tuple[str, ...]:
    if others:
        named = f"{printable(others[0])}{f' and {len(others) - 1} more' if len(others) > 1 else ''}"
        text = (
            f"{key.join(prefix)}: {named} here differs from generation {manifest.commit} and stays; what was missing came from it"
        )
        log.warning("%s", text)
        return (*warnings, text)
    return tuple(warnings)


def _refuse_mixture(
    key: Key, base: Manifest, manifest: Manifest, in_use: Mapping[str, str], differing: tuple[str, ...], warnings: list[str]
) -> None:
    """Another generation than the base comes in only beside files that it holds as well: two are never mixed.

    Raises:
        Corrupt: something of the base is here that the other generation has not, or has otherwise.
    """
    other = [p for p, digest in in_use.items() if p not in manifest.files or manifest.files[p].blake3 != digest]
    if other or differing:
        why = warnings[-1] if warnings else f"generation {base.commit}, on which this workspace stands, does not hold it"
        raise Corrupt(
            f"{key}: {why}, and {printable((other or list(differing))[0])} here is of another generation than {manifest.commit}; "
            f"`holdfast restore {base.key}` brings that back whole and moves what is here aside"
        )


def _here_of(workspace: Workspace, fetched: Mapping[str, Path], files: Mapping[str, FileRecord]) -> dict[str, Here]:
    proven = workspace.times_prove
    return {p: Here(files[p].blake3, Signature.of(os.lstat(t)), proven and not files[p].sqlite) for p, t in fetched.items()}


def _refreshed(workspace: Workspace, key: Key, kept: Mapping[str, Here], moved: Set[str]) -> dict[str, Here]:
    """Publishing moves ctimes, so the signatures of what was published are taken once more."""
    result = dict(kept)
    for path in moved & kept.keys():
        found = lstat_or_none(workspace.local(key.join(path)))
        if found is not None:
            result[path] = refreshed(kept[path], found)
    return result


def _record_after(
    record: Record,
    manifest: Manifest,
    here: Mapping[str, Here],
    linked: Iterable[str],
    wish: Wish,
    prefix: str,
    now: float,
) -> Record:
    """The record once this is published.

    A part of another generation than the base's leaves the base alone, and counts as a change made here. So does a
    file that is added to a directory that stands on another generation.
    """
    base = record.base
    whole = wish.replace_here and not prefix
    damaged = record.damaged - {manifest.commit.id}
    if prefix and wish.generation is not None:
        return replace(record, damaged=damaged)
    if base is not None and base.commit != manifest.commit and record.here and not whole and base.commit.id not in record.damaged:
        return replace(record, damaged=damaged)
    same = base is not None and base.commit == manifest.commit
    # Of a damaged base only what the other generation holds as well is here: `_refuse_mixture` saw to that.
    kept = {
        p: h for p, h in record.here.items() if same or (not whole and p in manifest.files and manifest.files[p].blake3 == h.blake3)
    }
    looked = {**{p: at for p, at in record.looked.items() if not within(p, prefix)}, prefix: now}
    links = (record.links if same or not whole else frozenset()) & manifest.links.keys() | frozenset(linked)
    return Record(
        manifest,
        {**kept, **here},
        record.copied,
        chosen=wish.generation is not None,
        damaged=damaged,
        looked=looked,
        links=links,
        passed=record.passed if wish.generation is None else (),
        stamps=record.stamps,
    )


def _remember(workspace: Workspace, key: Key, after: Record, before: Record) -> None:
    if after != before:
        workspace.save(key, after)


def _in_use(workspace: Workspace, key: Key, record: Record) -> dict[str, str]:
    """Files of the base that are on this machine, with their hashes in the base."""
    return {p: h.blake3 for p, h in record.here.items() if lstat_or_none(workspace.local(key.join(p))) is not None}


def _at_first(folder: FolderRecord) -> FolderRecord:
    """The folder as it is published: where its mode would stand in the way of what is still to come, that is set at the end."""
    bars = folder.mode is not None and folder.mode & 0o700 != 0o700
    return replace(folder, mode=None) if bars else folder


def _publish(
    workspace: Workspace,
    key: Key,
    prefix: str,
    manifest: Manifest,
    folder: Path,
    fetched: Mapping[str, Path],
    need: Needed,
    wish: Wish,
) -> tuple[str, ...] | None:
    """Put what was fetched in place, then the links.

    Gives the paths at which something had appeared, or None where a whole folder had.
    """
    place = workspace.local(key.join(prefix))
    tree = manifest.kind is Kind.DIRECTORY and prefix not in manifest.files and prefix not in manifest.links
    if wish.replace_here and lstat_or_none(place) is not None:
        is_database = prefix in manifest.files and manifest.files[prefix].sqlite
        workspace.set_aside(place, *(side_files(place) if is_database else ()))
    for path in need.here.broken:
        broken = workspace.local(key.join(path))
        workspace.set_aside(broken, *side_files(broken))
    if tree and not need.here.exists:
        with local_errors():
            for path in need.folders:
                (folder / path).mkdir(parents=True, exist_ok=True)
            (folder / prefix).mkdir(parents=True, exist_ok=True)
        make_links(need.links, folder)
        settle_folders({folder / p: _at_first(f) for p, f in need.folders.items()})
        return () if publish_tree(folder / prefix if prefix else folder, place) else None
    for path in fetched:
        # Side files without their database are another database's: SQLite must never replay them into this one.
        stale = side_files(workspace.local(key.join(path))) if manifest.files[path].sqlite else []
        if stale and lstat_or_none(workspace.local(key.join(path))) is None:
            workspace.set_aside(*stale)
    for path in need.folders:
        with local_errors(), contextlib.suppress(FileExistsError):
            workspace.local(key.join(path)).mkdir(parents=True)
    return (*publish_files(fetched, workspace.local(key)), *make_links(need.links, workspace.local(key)))
