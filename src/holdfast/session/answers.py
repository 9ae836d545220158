"""What the keeper is asked: what there is here and in the store. Nothing is fetched, and nothing here is changed."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from holdfast.errors import StoreError
from holdfast.session.finding import status
from holdfast.session.finding.safety import remember_proven
from holdfast.session.project import Project
from holdfast.session.running import running_at
from holdfast.session.seeing.sight import Where
from holdfast.session.seeing.status import Status
from holdfast.store.backends.backend import Space
from holdfast.store.backends.mounts import GDRIVE, kind_at
from holdfast.store.local.disk import is_file, lstat_or_none
from holdfast.store.local.records import Signature
from holdfast.store.looking.same_store import look

if TYPE_CHECKING:
    from holdfast.session.finding.held import Held
    from holdfast.session.finding.history import HistoryEntry
    from holdfast.session.finding.status import ArtifactStatus
    from holdfast.session.seeing.welcome import Welcome

log = logging.getLogger(__name__)


def held_of(project: Project, paths: Sequence[str | PurePath]) -> list[Held]:
    """See `Keeper.held`."""
    from holdfast.session.finding.held import Held, held

    keys = [project.workspace.key(p) for p in paths]
    if project.store is None:
        return [Held(k) for k in keys]
    view = look(project.store, project.workspace, fresh=False)
    return [held(project.store, view, project.workspace, k) for k in keys]


def identity(project: Project, path: str | PurePath) -> str | None:
    """See `Keeper.identity`."""
    from holdfast.store.copies.inspecting import hash_content

    key = project.workspace.key(path)
    place = project.workspace.local(key)
    found = lstat_or_none(place)
    if not is_file(found) or found is None:
        return None
    for owner in (key, *key.parents()):
        known = project.workspace.record(owner).here.get(owner.relative(key))
        if known is not None and known.trusted and known.signature == Signature.of(found):
            return known.blake3
    return project.workspace.read(hash_content, str(place), size=found.st_size)


def history_of(project: Project, path: str | PurePath) -> list[HistoryEntry]:
    """See `Keeper.history`."""
    from holdfast.session.finding.history import history
    from holdfast.store.deciding.coverage import cover
    from holdfast.store.looking.known import DirectoryTest, artifacts

    store = project.need_store("history")
    key = project.workspace.key(path)
    view = look(store, project.workspace)
    coverage = cover(key, artifacts(store, view, project.workspace), DirectoryTest(store, view, project.workspace))
    keys = [coverage.own.artifact] if coverage.own else list(coverage.inner)
    return [entry for k in keys for entry in history(store, view, project.workspace, k)]


def standing_of(project: Project) -> list[ArtifactStatus]:
    """See `Keeper.standing`."""
    waiting = [] if project.worker is None else project.worker.snapshots()  # first, as below
    view = None if project.store is None else look(project.store, project.workspace, fresh=False)
    found = status.status(project.store, view, project.workspace, waiting=waiting, thorough=False)
    remember_proven(project.workspace)
    return found


def status_of(project: Project) -> Status:
    """See `Keeper.status`."""
    waiting = [] if project.worker is None else project.worker.snapshots()  # first: what is sent meanwhile is remembered by then
    view = None if project.store is None else look(project.store, project.workspace)
    found = status.status(project.store, view, project.workspace, waiting=waiting)
    remember_proven(project.workspace)
    told = "" if project.store is None else kind_at(project.store.backend.location).told
    running = tuple(running_at(project.root))
    here = _where(project)
    return Status(tuple(found), **here, space=_space(project), time=time.time(), queue=project.queue, told=told, running=running)


def welcome(project: Project) -> Welcome:
    """See `Keeper.welcome`."""
    from holdfast.session.finding.overview import overview
    from holdfast.session.seeing.welcome import Welcome

    try:
        view = None if project.store is None else look(project.store, project.workspace, only_shown=True)
        found, space = overview(project.store, view, project.workspace), _space(project)
    except StoreError as error:
        return unseen(project, error.strerror or str(error))
    return Welcome(found, **_where(project), space=space)


def unseen(project: Project, problem: str) -> Welcome:
    """See `Keeper.unseen`."""
    from holdfast.session.seeing.welcome import Welcome

    return Welcome(None, **_where(project), problem=problem)


def _where(project: Project) -> Where:
    place = None if project.store is None else project.store.backend.location
    on_drive = place is not None and (place.startswith(GDRIVE) or Path(place).is_relative_to(project.config.mount_point))
    return {"root": str(project.root), "environment": project.environment.value, "place": place, "on_drive": on_drive}


def _space(project: Project) -> Space | None:
    if project.store is None:
        return None
    try:
        return project.store.backend.space()
    except StoreError as error:  # that it is not known is no reason not to show the rest
        log.debug("the room in the store is not known (%s)", error)
        return None
