"""Restore as the keeper says it: make a path present, or bring it back over what is here."""

from __future__ import annotations

import logging
from pathlib import Path, PurePath

from holdfast.errors import NotRestored, UsageError
from holdfast.session.project import Project
from holdfast.store.deciding.choose import Prefer, Wish
from holdfast.store.ensure import ensure as ensure_present
from holdfast.store.local.disk import lstat_or_none
from holdfast.store.reporting.outcomes import Outcome, Restored

log = logging.getLogger(__name__)

_SIDES = {None: Prefer.NEITHER, "store": Prefer.STORE, "local": Prefer.LOCAL}


def ensure(project: Project, path: str | PurePath, prefer: str | None) -> Restored:
    """See `Keeper.ensure`."""
    result = present(project, path, prefer)
    if result.outcome in (Outcome.FAILED, Outcome.DIFFERS):
        log.error("%s", result.error)
    project.differed.pop(result.key, None)
    if result.outcome is Outcome.DIFFERS:
        project.differed[result.key] = result
    return result


def present(project: Project, path: str | PurePath, prefer: str | None = None) -> Restored:
    """Make a path present. What came of it is for the caller to say."""
    side = next((side for said, side in _SIDES.items() if said == prefer), None)
    if side is None:
        raise UsageError(f'prefer is {prefer!r}; give "store" or "local", or leave it out')
    key = project.workspace.key(path)
    if project.worker is not None and (lstat_or_none(project.workspace.local(key)) is None or project.worker.takes_away(key)):
        project.settle()  # it, or a part of it, may have been removed here after a backup that is still in the queue
    return ensure_present(project.store, project.workspace, key, project.progress, side)


def require(project: Project, path: str | PurePath) -> Path:
    """See `Keeper.require`."""
    result = present(project, path)
    if result:
        return project.workspace.local(result.key)
    why = result.error or f"{result.key}: neither here nor in the store; run the step that makes it"
    raise NotRestored(why)


def restore(project: Project, path: str | PurePath, *, generation: str | None, to: Path | None, unverified: bool) -> Restored:
    """See `Keeper.restore`."""
    store = project.need_store("restore")
    key = project.workspace.key(path)
    if to is not None:
        from holdfast.store.extract import extract

        return extract(store, project.workspace, key, to, generation=generation, progress=project.progress)
    from holdfast.store.restore import restore as restore_over

    return restore_over(store, project.workspace, key, Wish(generation), unverified=unverified, progress=project.progress)
