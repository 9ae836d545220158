"""Restore to another folder: nothing in the workspace is touched, nothing is remembered."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from pathlib import Path

from holdfast.errors import Corrupt, HoldfastError, LocalError
from holdfast.store.choose import refuse_if_hidden
from holdfast.store.coverage import DirectoryTest, Target, artifacts, cover
from holdfast.store.fetch import fetch
from holdfast.store.keys import Key, within
from holdfast.store.outcomes import Outcome, Restored
from holdfast.store.progress import Progress
from holdfast.store.restore import describe, look
from holdfast.store.store import Store
from holdfast.store.view import State, View
from holdfast.store.workspace import Workspace


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
        results = []
        for number, one in enumerate(targets):
            wanted = generation if one == coverage.own or coverage.own is None else None
            below = tuple(one.artifact.relative(k) for k in coverage.inner if one.artifact.covers(k) and k != one.artifact)
            results.append(_gather(store, view, one, wanted, below, scratch, number, progress))
        found = [r for r in results if r.outcome is Outcome.RESTORED]
        if not found:
            return Restored(key, Outcome.ABSENT, error=f"{key}: not in the store; `holdfast history {key}` lists what is")
        target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(scratch / "tree" / key.value, target)
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


def _gather(
    store: Store,
    view: View,
    target: Target,
    generation: str | None,
    below: tuple[str, ...],
    scratch: Path,
    number: int,
    progress: Progress | None,
) -> Restored:
    """Fetch one artifact, or a part of it, into the tree under way; damage falls back a generation."""
    key, names = target.artifact, view.of(target.artifact)
    excluded: set[str] = set()
    warnings: list[str] = []
    while True:
        if generation is None:
            heads = store.heads(names, frozenset(excluded))
        else:
            id_ = generation.rpartition("-")[2]
            chosen = [store.examine(n) for n in names if n.commit.id == id_]
            heads = [g.manifest for g in chosen if g.manifest is not None and g.state is State.WHOLE]
        if not heads:
            refuse_if_hidden(store, names, key, target.prefix, frozenset(excluded), None, warnings)
            return Restored(key, Outcome.ABSENT)
        manifest = heads[0]
        inner = [] if generation else [b for b in below if store.heads(view.of(key.join(b)))]
        wanted = [r for p, r in manifest.files.items() if within(p, target.prefix) and not any(within(p, b) for b in inner)]
        if not wanted and target.prefix:
            return Restored(key, Outcome.ABSENT)
        folder = scratch / f"{number}-{len(excluded)}"
        folder.mkdir()
        try:
            fetched = fetch(store, manifest, wanted, folder, progress)
        except Corrupt as damage:
            if generation is not None:
                raise
            excluded.add(manifest.commit.id)
            warnings.append(f"{damage}; going back a generation from {manifest.commit}")
            continue
        tree = scratch / "tree"
        for path, file in fetched.items():
            place = tree / key.join(path).value
            place.parent.mkdir(parents=True, exist_ok=True)
            os.rename(file, place)
        for empty in manifest.folders:
            if within(empty, target.prefix):
                (tree / key.join(empty).value).mkdir(parents=True, exist_ok=True)
        if not fetched:
            (tree / key.value).mkdir(parents=True, exist_ok=True)
        size = sum(r.size for r in wanted)
        return Restored(key, Outcome.RESTORED, manifest.commit.id, "", tuple(warnings), len(wanted), size)
