"""One project on this machine: its folder, its store if there is one, and what waits to be sent to it.

What every verb of the keeper works with. It decides nothing of what is kept or restored.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import NotBackedUp, UsageError
from holdfast.session.background.waiting import Queue
from holdfast.session.config import Config
from holdfast.session.environment import Environment, without_store
from holdfast.store.format.keys import Key
from holdfast.store.local.workspace import Workspace
from holdfast.store.reporting.outcomes import Restored
from holdfast.store.store import Store
from holdfast.store.transfer.progress import Progress, Silent

if TYPE_CHECKING:
    from holdfast.session.background.worker import Worker
    from holdfast.session.commits import Commits

log = logging.getLogger(__name__)


class Project:
    """One project on this machine. Arguments as of `Keeper`, which is one with its verbs."""

    def __init__(
        self,
        config: Config,
        store: Store | None,
        workspace: Workspace,
        environment: Environment = Environment.ELSEWHERE,
        progress: Progress | None = None,
        *,
        may_hang: bool = False,
        opening: Callable[[], Store] | None = None,
        background: bool = False,
        force: bool = False,
    ) -> None:
        self.config = config
        self.may_hang = may_hang
        self.workspace = workspace
        self.environment = environment
        self.progress = progress or Silent()
        self._opening = opening
        self.force = force
        self._began = time.time()
        self._store = store
        self._commits: Commits | None = None
        self.worker = self._begin_work() if background and store is not None else None
        self._said_no_store = False
        self.differed: dict[Key, Restored] = {}

    def _begin_work(self) -> Worker:
        from holdfast.session.background.lease import Lease
        from holdfast.session.background.worker import Worker

        return Worker(self.need_commits("a worker"), lease=Lease(self.force, workspace=self.workspace.identity))

    @property
    def store(self) -> Store | None:
        """Where backups go, or None for local work only."""
        return self._store if self._commits is None else self._commits.store

    @property
    def commits(self) -> Commits | None:
        """What is committed to the store, None where there is none. Loaded at the first use: who only looks commits nothing."""
        if self._commits is None and self._store is not None:
            from holdfast.session.commits import Commits

            self._commits = Commits(self._store, self.workspace, began=self._began)
        return self._commits

    @property
    def root(self) -> Path:
        """The project folder."""
        return self.workspace.root

    @property
    def enabled(self) -> bool:
        """True where there is a store to back up to."""
        return self.store is not None

    @property
    def without_store(self) -> str:
        """What to know where there is no store, and what to do about it."""
        return without_store(self.environment)

    def say_without_store(self, say: Callable[[str], None]) -> None:
        """Say once that there is no store, and what to do about it."""
        if not self._said_no_store:
            self._said_no_store = True
            say(self.without_store)

    @property
    def on_drive(self) -> bool:
        """True where the store lies on Drive's mount."""
        return self.store is not None and Path(self.store.backend.location).is_relative_to(self.config.mount_point)

    def reopen(self) -> None:
        """Go on over the mount that stands there now, which may be another than this keeper was opened over."""
        if self._opening is not None:
            before, self._store, self._commits = self._commits, self._opening(), None
            commits = self.need_commits("going on")
            if before is not None:
                commits.goes_on_from(before)
            if self.worker is not None:
                self.worker.go_on_with(commits)

    def take_over(self, before: Project) -> None:
        """Go on with the queue of the keeper that was attached before, to the store of this one."""
        if before.worker is not None and self.commits is not None and before.workspace.root == self.workspace.root:
            mine, self.worker = self.worker, before.worker
            if self.worker.lease is not None and mine is not None and mine.lease is not None:
                self.worker.lease.force = mine.lease.force
            if before.commits is not None:
                self.commits.goes_on_from(before.commits)
            self.worker.go_on_with(self.commits)

    @property
    def queue(self) -> Queue:
        """What waits to be sent in the background, why, and what went wrong with it."""
        return Queue() if self.worker is None else self.worker.queue()

    def flush(self, seconds: float | None = None, *, patient: bool = False) -> None:
        """Return when everything that was backed up is written to the store. `finish` waits until it is safe there, too.

        Args:
            seconds: How long it may take; None has no limit.
            patient: Go on trying for so long; without it a store that cannot be written now is not waited for.

        Raises:
            NotBackedUp: something is not in the store; the text says what, and why.
        """
        if self.worker is not None:
            self.worker.flush(seconds, patient=patient)

    def settle(self, seconds: float | None = None) -> bool:
        """Have what waits sent, so that the store shows it. What cannot be sent was said already, and waits on.

        Args:
            seconds: How long it may take; None has no limit. A store that cannot be written now is not waited for.

        Returns:
            True where all of it is in the store.
        """
        try:
            self.flush(seconds)
        except NotBackedUp as error:
            log.debug("%s", error)
            return False
        return True

    def awaited(self) -> list[str]:
        """What this session backed up and does not know to be safe. Asks nothing of the store."""
        return [] if self._commits is None else self._commits.awaited()

    def close(self) -> None:
        """The session ends: other sessions need not heed it any more. What waits is sent by `flush`, before."""
        if self.worker is not None:
            self.worker.close()

    def need_store(self, verb: str) -> Store:
        """The store, with all that waited sent. Raises UsageError where there is none."""
        store = self.need_commits(verb).store
        self.settle()
        return store

    def need_commits(self, verb: str) -> Commits:
        """What is committed to the store. Raises UsageError where there is none."""
        if self.commits is None:
            raise UsageError(f"{verb} needs a store: give --drive DIR, set HOLDFAST_DRIVE, or mount Drive")
        return self.commits
