"""Looking after the store: everything read back, and what is needless removed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from holdfast.errors import UsageError
from holdfast.session.project import Project
from holdfast.store.cleanup import Pruned, prune_store
from holdfast.store.looking.known import artifacts
from holdfast.store.looking.same_store import look
from holdfast.store.verify import Damage
from holdfast.store.verify import verify as verify_store


def verify(project: Project, paths: Sequence[str | PurePath]) -> list[Damage]:
    """See `Keeper.verify`."""
    store = project.need_store("verify")
    keys = tuple(project.workspace.key(p) for p in paths)
    view = look(store, project.workspace)
    known = artifacts(store, view, project.workspace)
    for key in keys:
        if not any(key.covers(k) or k.covers(key) for k in known):
            raise UsageError(f"{key}: nothing of it is in the store; `holdfast status` lists what is")
    return verify_store(store, view, keys, project.progress)


def prune(project: Project, paths: Sequence[str | PurePath], *, orphans: bool, forks: bool, dropped: bool, dry_run: bool) -> Pruned:
    """See `Keeper.prune`."""
    commits = project.need_commits("prune")
    store = commits.store
    wanted = [project.workspace.key(p) for p in paths]
    with project.workspace.lock():
        view = look(store, project.workspace)
        keys = sorted(artifacts(store, view, project.workspace))
        keys = [k for k in keys if not wanted or any(w.covers(k) or k.covers(w) for w in wanted)]
        return prune_store(
            store,
            commits.attach(view),
            keys,
            damaged=lambda k: project.workspace.record(k).damaged,
            with_orphans=orphans,
            with_forks=forks,
            with_dropped=dropped,
            dry_run=dry_run,
        )
