"""Backing up as the keeper says it: what of it can be, in which way, and what came of it in words."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from holdfast.errors import HoldfastError, NotBackedUp, UsageError
from holdfast.session.claiming import refuse_rival
from holdfast.session.commits import Commits
from holdfast.session.numbers import countable
from holdfast.session.project import Project
from holdfast.store.format.keys import Key
from holdfast.store.live.side_files import side_files
from holdfast.store.local.disk import lstat_or_none
from holdfast.store.reporting.durability import Durability
from holdfast.store.reporting.one_line import describe
from holdfast.store.reporting.outcomes import BackedUp

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backup:
    """What a backup came to: one result for every artifact that was meant. True where all of it is in a generation."""

    results: tuple[BackedUp, ...]

    def __bool__(self) -> bool:
        return bool(self.results) and all(self.results)

    @property
    def confirmed(self) -> bool:
        """True where everything is known to be safe."""
        return bool(self) and all(r.durability is Durability.CONFIRMED for r in self.results)


def backup(project: Project, paths: Sequence[str | PurePath], *, progress: object, wait: float | None) -> Backup:
    """See `Keeper.backup`."""
    counted = _counted(progress)
    keys = [project.workspace.key(p) for p in paths]
    if project.commits is None:
        project.say_without_store(log.warning)
        return Backup(tuple(BackedUp(k, error=f"{k}: not backed up: there is no store; give --drive DIR") for k in keys))
    missing = [k for k in keys if not _is_or_was_here(project, k)]
    failed = [BackedUp(k, error=f"{k}: nothing is there to back up") for k in missing]
    present = [k for k in keys if k not in missing]
    try:
        results = _sent(project, project.commits, present, counted, wait)
    except HoldfastError as error:
        results = [BackedUp(k, error=describe(k, error)) for k in present]
    for result in [*failed, *results]:
        if result.problem():
            log.error("%s", result.problem())
    return Backup((*failed, *results))


def _counted(progress: object) -> int | float | None:
    """The progress as a plain number. What cannot be compared must cost no backup, nor end the loop that counts: it is said."""
    try:
        return None if progress is None else countable(progress)
    except ValueError as error:
        shown = " ".join(f"{progress!r}"[:60].split())
        log.error("progress is %s: %s; backed up without it. Give a number that can be compared", shown, error)
        return None


def _is_or_was_here(project: Project, key: Key) -> bool:
    """Whether there is anything to back up: content, or that it is gone."""
    if lstat_or_none(project.workspace.local(key)) is not None or project.workspace.was_here(key):
        return True
    return project.worker is not None and key in project.worker.queue().waiting and project.workspace.has_outputs


def _sent(project: Project, commits: Commits, keys: list[Key], progress: float | None, wait: float | None) -> list[BackedUp]:
    if project.worker is None:
        results = commits.back_up(keys, progress, project.progress)
    else:
        results = project.worker.put(keys, progress) if keys else []
        if wait is None:
            return results
        until = time.monotonic() + max(wait, project.config.timeout)
        problem = ""
        try:
            project.worker.flush(until - time.monotonic())
        except NotBackedUp as error:
            problem = str(error)
        results = [replace(r, queued=False, error=problem) if r.queued else r for r in project.worker.results(results)]
    return commits.wait_for(results, wait) if wait else results


def drop(project: Project, path: str | PurePath, *, keep_here: bool) -> Backup:
    """See `Keeper.drop`."""
    key = project.workspace.key(path)
    if project.commits is None:
        project.say_without_store(log.warning)
        return Backup((BackedUp(key, error=f"{key}: not dropped: there is no store; give --drive DIR"),))
    place = project.workspace.local(key)
    try:
        refuse_rival(project, [key])
        project.flush()
        results = project.commits.drop(key)
        is_here = lstat_or_none(place) is not None
        if results and is_here and not keep_here:
            with project.workspace.lock():
                project.workspace.set_aside(place, *side_files(place))
    except UsageError:
        raise
    except HoldfastError as error:
        results, is_here = [BackedUp(key, error=describe(key, error))], False
    if not results:
        results = [BackedUp(key, error=f"{key}: nothing of it is in the store; `holdfast status` lists what is")]
    for result in results:
        if result.error:
            log.error("%s", result.error)
        else:
            log.warning("%s: dropped; `holdfast history %s` shows what was before, until it is pruned", result.key, result.key)
    done = Backup(tuple(results))
    return Backup((*results, *backup(project, [path], progress=None, wait=0).results)) if keep_here and is_here and done else done
