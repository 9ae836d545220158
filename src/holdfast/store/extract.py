"""Restore to another folder: nothing in the workspace is touched, nothing is remembered."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from holdfast.errors import Corrupt, HoldfastError, LocalError
from holdfast.store.deciding.choose import Wish, choose, owned_below, refuse_if_hidden
from holdfast.store.deciding.coverage import Coverage, Target, cover
from holdfast.store.format.entries import FolderRecord
from holdfast.store.format.keys import Key, printable
from holdfast.store.format.manifest import Kind
from holdfast.store.local.folding import how_names_fold, twins
from holdfast.store.local.needed import Asked, asked_for, links_out, say_torn
from holdfast.store.local.placing import make_links, settle_folders
from holdfast.store.local.records import Record
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.known import DirectoryTest, artifacts
from holdfast.store.looking.same_store import look
from holdfast.store.looking.view import View
from holdfast.store.reporting.one_line import describe
from holdfast.store.reporting.outcomes import Outcome, Restored
from holdfast.store.store import Store
from holdfast.store.transfer.fetch import fetch
from holdfast.store.transfer.progress import Progress

log = logging.getLogger(__name__)


def extract(
    store: Store, workspace: Workspace, key: Key, to: Path, *, generation: str | None = None, progress: Progress | None = None
) -> Restored:
    """Restore a path to `to/<key>`, whole or not at all.

    Args:
        store: Where from.
        workspace: Whose artifacts are meant; it is not changed.
        key: The path.
        to: A folder, made if need be.
        generation: Id of the generation of the artifact that owns the path; None for the head.
        progress: Told about the transfer.
    """
    target = to.absolute() / key.value
    scratch = to.absolute() / f".holdfast-{secrets.token_hex(4)}"
    try:
        if os.path.lexists(target):
            raise LocalError(errno.EEXIST, "something is there already; choose another --to", str(target))
        view = look(store, workspace)
        known = artifacts(store, view, workspace)
        coverage = cover(key, known, DirectoryTest(store, view, workspace))
        targets = ([coverage.own] if coverage.own else []) + [Target(k, "") for k in coverage.inner]
        scratch.mkdir(parents=True)
        results, late = [], _Late()
        for number, one in enumerate(targets):
            wanted = generation if one == coverage.own or coverage.own is None else None
            inside = coverage if one == coverage.own else cover(one.artifact, known, lambda _: True)
            results.append(_gather(store, workspace, view, inside, one, wanted, scratch, number, progress, late))
        made = scratch / "tree" / key.value
        for place in make_links(late.links, scratch / "tree"):
            log.warning("%s: a link is not made, because an artifact lies in its place", place)
        settle_folders({place: _movable(f) if place == made else f for place, f in late.folders.items()})
        found = [r for r in results if r.outcome is Outcome.RESTORED]
        if not found:
            return Restored(key, Outcome.ABSENT, error=f"{key}: not in the store; `holdfast history {key}` lists what is")
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(made, target)
        if made in late.folders:
            settle_folders({target: late.folders[made]})
        warnings = tuple(w for r in found for w in r.warnings)
        return Restored(
            key, Outcome.RESTORED, found[0].generation, "", warnings, sum(r.files for r in found), sum(r.size for r in found)
        )
    except HoldfastError as error:
        return Restored(key, Outcome.FAILED, error=describe(key, error))
    except OSError as error:
        return Restored(key, Outcome.FAILED, error=f"{target}: {error.strerror}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _refuse_twins(key: Key, asked: Asked, folder: Path) -> None:
    """Return unless two names that are asked for are one where they are to be put: what is restored here is whole.

    Raises:
        LocalError: they are.
    """
    paths = (*asked.files, *asked.links, *asked.folders)
    fold = how_names_fold(folder) if twins(paths) else None
    for path, other in sorted(twins(paths, fold).items()) if fold is not None else ():
        why = f"the file system there cannot tell its name from {printable(other)}; choose a --to on another or take each by itself"
        raise LocalError(errno.EEXIST, why, str(key.join(path)))


def _movable(folder: FolderRecord) -> FolderRecord:
    """A folder that is moved has to be writable until it is where it belongs (rename(2))."""
    return replace(folder, mode=None)


@dataclass
class _Late:
    """What comes after every file of every artifact: links, by path below the folder, and times and modes of folders."""

    links: dict[str, str] = field(default_factory=dict)
    folders: dict[Path, FolderRecord] = field(default_factory=dict)


def _gather(
    store: Store,
    workspace: Workspace,
    view: View,
    coverage: Coverage,
    target: Target,
    generation: str | None,
    scratch: Path,
    number: int,
    progress: Progress | None,
    late: _Late,
) -> Restored:
    """Fetch one artifact, or a part of it, into the tree under way; damage falls back a generation."""
    key, names = target.artifact, view.of(target.artifact)
    wish = Wish(generation, replace_here=True)
    excluded: set[str] = set()
    warnings: list[str] = []
    while True:
        manifest = choose(store, names, Record(), wish, frozenset(excluded), warnings, anything_here=lambda: False).manifest
        if manifest is None:
            refuse_if_hidden(store, names, key, target.prefix, frozenset(excluded), None, warnings)
            return Restored(key, Outcome.ABSENT)
        if manifest.kind is Kind.DROPPED:
            refuse_if_hidden(store, names, key, target.prefix, frozenset(excluded), manifest, warnings)
            return Restored(key, Outcome.ABSENT)
        inner = owned_below(store, view, key, coverage)
        asked = asked_for(key, manifest, target.prefix, inner, warnings)
        wanted, links, folders = asked.files, asked.links, asked.folders
        if not wanted and not links and target.prefix and target.prefix not in manifest.folders:
            refuse_if_hidden(store, names, key, target.prefix, frozenset(excluded), manifest, warnings)
            return Restored(key, Outcome.ABSENT)
        folder = scratch / f"{number}-{len(excluded)}"
        folder.mkdir()
        _refuse_twins(key, asked, folder)
        try:
            if (out := links_out(workspace, key, links)) is not None:
                raise out
            fetched = fetch(store, manifest, wanted.values(), folder, progress)
        except Corrupt as damage:
            if generation is not None:
                raise
            excluded.add(manifest.commit.id)
            warnings.append(f"{damage}; going back a generation from {manifest.commit}")
            log.warning("%s", warnings[-1])
            continue
        say_torn(key, manifest, wanted.values(), warnings)
        tree = scratch / "tree"
        made = set[str]()
        for path, file in fetched.items():
            place = f"{tree}/{key.join(path).value}"
            if (above := os.path.dirname(place)) not in made:
                os.makedirs(above, exist_ok=True)
                made.add(above)
            os.rename(file, place)
        for path in folders:
            (tree / key.join(path).value).mkdir(parents=True, exist_ok=True)
        if not fetched and not links:
            (tree / key.value).mkdir(parents=True, exist_ok=True)
        late.links.update({key.join(path).value: target for path, target in links.items()})
        late.folders.update({tree / key.join(path).value: record for path, record in folders.items()})
        size = sum(r.size for r in wanted.values())
        log.info(
            "%s: restored from generation %s (%d files, %d bytes) below %s", key, manifest.commit, len(wanted), size, scratch.parent
        )
        return Restored(key, Outcome.RESTORED, manifest.commit.id, "", tuple(warnings), len(wanted), size)
