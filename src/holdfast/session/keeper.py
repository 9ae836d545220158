"""The keeper: the object that a notebook holds. A root, a store, and the verbs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import SupportsFloat, SupportsIndex

from holdfast.errors import HoldfastError, NotBackedUp, NotRestored, StoreError, UsageError
from holdfast.session import reports
from holdfast.session.background.claims import Claim, claim
from holdfast.session.background.lease import Lease
from holdfast.session.background.stake import AtStake
from holdfast.session.background.waiting import Queue
from holdfast.session.background.worker import Worker
from holdfast.session.backups import Backups
from holdfast.session.config import Config
from holdfast.session.environment import Environment, without_store
from holdfast.session.finish import Finish, finish
from holdfast.session.numbers import countable
from holdfast.session.overview import overview
from holdfast.session.reports import Held
from holdfast.session.seeing.sight import Where
from holdfast.session.seeing.status import Status
from holdfast.session.seeing.welcome import Welcome
from holdfast.store.backends.backend import Durability, Space
from holdfast.store.backends.mounts import kind_of
from holdfast.store.cleanup import Pruned, prune_store
from holdfast.store.copies.inspecting import hash_content
from holdfast.store.deciding.choose import Prefer, Wish
from holdfast.store.deciding.coverage import cover
from holdfast.store.extract import extract
from holdfast.store.format.keys import Key
from holdfast.store.live.side_files import side_files
from holdfast.store.local.disk import is_file, lstat_or_none
from holdfast.store.local.records import Signature
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.known import DirectoryTest, artifacts
from holdfast.store.looking.same_store import look
from holdfast.store.reporting.one_line import describe
from holdfast.store.reporting.outcomes import BackedUp, Outcome, Restored
from holdfast.store.restore import ensure, restore
from holdfast.store.store import Store
from holdfast.store.transfer.progress import Progress, Silent
from holdfast.store.verify import Damage, verify

log = logging.getLogger(__name__)

_ASK_EVERY_SECONDS = 1.0
_SIDES = {None: Prefer.NEITHER, "store": Prefer.STORE, "local": Prefer.LOCAL}


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


class Keeper:
    """Keeps the outputs of one project.

    Args:
        config: The project.
        store: Where backups go, or None for local work only.
        workspace: The local side.
        environment: What machine this is.
        progress: Told about transfers.
        may_hang: The store lies on a mount that may hold a call for ever.
        opening: Opens the store anew, over a mount that was made since.
        background: Backups are sent in the background.
        force: Write also where another live session works. What both write is kept.
    """

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
        self._progress = progress or Silent()
        self._opening = opening
        self._backups = None if store is None else Backups(store, workspace)
        lease = Lease(force, workspace=workspace.identity)
        self.worker = Worker(self._backups, lease=lease) if background and self._backups is not None else None
        self.force = force
        self._said_no_store = False
        self._differing: dict[Key, Restored] = {}

    @property
    def store(self) -> Store | None:
        """Where backups go, or None for local work only."""
        return None if self._backups is None else self._backups.store

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

    # -- restore -----------------------------------------------------------------------------------------------------

    def ensure(self, path: str | PurePath, prefer: str | None = None) -> Restored:
        """Make a path present: `LOCAL`, `RESTORED`, `MERGED`, `ABSENT`, `DIFFERS` or `FAILED`. True where it is present now.

        Args:
            path: Relative to the root, or absolute; below outputs.
            prefer: Which side counts where a database or a checkpoint here is another than the store's: `"store"` takes the store's
                and moves what is here aside, `"local"` keeps what is here and takes only what is missing. Without it nothing is
                touched then, and the answer is `DIFFERS`, which is false.

        Raises:
            UsageError: the path cannot be kept, or `prefer` is something else.
        """
        result = self._ensure(path, prefer)
        if result.outcome in (Outcome.FAILED, Outcome.DIFFERS):
            log.error("%s", result.error)
        self._differing.pop(result.key, None)
        if result.outcome is Outcome.DIFFERS:
            self._differing[result.key] = result
        return result

    def differing(self, path: str | PurePath) -> Restored | None:
        """The last answer for a path where that was `DIFFERS`. For who was told no more than "not present"."""
        return self._differing.get(self.workspace.key(path))

    def _ensure(self, path: str | PurePath, prefer: str | None = None) -> Restored:
        side = next((side for said, side in _SIDES.items() if said == prefer), None)
        if side is None:
            raise UsageError(f'prefer is {prefer!r}; give "store" or "local", or leave it out')
        key = self.workspace.key(path)
        if self.worker is not None and (lstat_or_none(self.workspace.local(key)) is None or self.worker.takes_away(key)):
            self.settle()  # it, or a part of it, may have been removed here after a backup that is still in the queue
        return ensure(self.store, self.workspace, key, self._progress, side)

    def require(self, path: str | PurePath) -> Path:
        """The path on this machine, restored if need be. The only way to a path that a step needs.

        Raises:
            NotRestored: it is absent, differs from the store's, or was not restored; the text says which.
        """
        result = self._ensure(path)
        if result:
            return self.workspace.local(result.key)
        why = result.error or f"{result.key}: neither here nor in the store; run the step that makes it"
        raise NotRestored(why)

    def restore(
        self, path: str | PurePath, *, generation: str | None = None, to: Path | None = None, unverified: bool = False
    ) -> Restored:
        """Bring a path back from the store; what is here is moved aside first, never deleted.

        Args:
            path: Below outputs.
            generation: Id of a generation (`holdfast history`); None for the head.
            to: Put it below this folder instead, at its full path, and leave outputs alone.
            unverified: Take a plain file or folder that no manifest vouches for.

        Raises:
            UsageError: there is no store, or the path cannot be kept.
        """
        store = self._need_store("restore")
        key = self.workspace.key(path)
        if to is not None:
            return extract(store, self.workspace, key, to, generation=generation, progress=self._progress)
        return restore(store, self.workspace, key, Wish(generation), unverified=unverified, progress=self._progress)

    def held(self, *paths: str | PurePath) -> list[Held]:
        """What the store holds of each path, by manifest: nothing is fetched, nothing here is changed.

        Raises:
            StoreError: it cannot be told; that is not "nothing".
        """
        keys = [self.workspace.key(p) for p in paths]
        if self.store is None:
            return [Held(k) for k in keys]
        view = look(self.store, self.workspace)
        return [reports.held(self.store, view, self.workspace, k) for k in keys]

    def identity(self, path: str | PurePath) -> str | None:
        """BLAKE3 of a file that is here, from memory where it is unchanged since it was hashed; None where there is no file."""
        key = self.workspace.key(path)
        place = self.workspace.local(key)
        found = lstat_or_none(place)
        if not is_file(found) or found is None:
            return None
        for owner in (key, *key.parents()):
            known = self.workspace.record(owner).here.get(owner.relative(key))
            if known is not None and known.trusted and known.signature == Signature.of(found):
                return known.blake3
        return self.workspace.read(hash_content, str(place), size=found.st_size)

    # -- backup ------------------------------------------------------------------------------------------------------

    def backup(
        self, *paths: str | PurePath, progress: SupportsFloat | SupportsIndex | None = None, wait: float | None = None
    ) -> Backup:
        """Back up files or directories. Paths inside one artifact commit together.

        A keeper that `holdfast.attach` opened returns as soon as it has a stable copy, and sends that in the background: you may go
        on writing, and `flush` waits for it. A keeper without background has sent everything when it returns.

        Args:
            paths: Below outputs, each present here, or here before: then it is backed up that it was removed, and it does not come
                back by itself.
            progress: What you count (finished trials, training step): a fresh machine takes the generation with most. A number of
                any library, or a tensor of one; what cannot be compared (NaN, a text) is said, and the backup goes on without it.
            wait: Seconds to wait for confirmation where it comes after the fact; 0 waits until everything is written to the store,
                None for nothing.

        Returns:
            True where everything is in a generation now, or in the queue. Errors are in its results, one line each, and logged.

        Raises:
            UsageError: a path cannot be kept.
        """
        counted = self._counted(progress)
        keys = [self.workspace.key(p) for p in paths]
        if self._backups is None:
            self.say_without_store(log.warning)
            return Backup(tuple(BackedUp(k, error=f"{k}: not backed up: there is no store; give --drive DIR") for k in keys))
        missing = [k for k in keys if not self._is_or_was_here(k)]
        failed = [BackedUp(k, error=f"{k}: nothing is there to back up") for k in missing]
        present = [k for k in keys if k not in missing]
        try:
            results = self._back_up(self._backups, present, counted, wait)
        except HoldfastError as error:
            results = [BackedUp(k, error=describe(k, error)) for k in present]
        for result in [*failed, *results]:
            if result.problem():
                log.error("%s", result.problem())
        return Backup((*failed, *results))

    def _counted(self, progress: object) -> int | float | None:
        """The progress as a plain number. What cannot be compared must cost no backup, nor end the loop that counts: it is said."""
        try:
            return None if progress is None else countable(progress)
        except ValueError as error:
            shown = " ".join(f"{progress!r}"[:60].split())
            log.error("progress is %s: %s; backed up without it. Give a number that can be compared", shown, error)
            return None

    def _is_or_was_here(self, key: Key) -> bool:
        """Whether there is anything to back up: content, or that it is gone."""
        if lstat_or_none(self.workspace.local(key)) is not None or self.workspace.was_here(key):
            return True
        return self.worker is not None and key in self.worker.queue().waiting and self.workspace.has_outputs

    def drop(self, path: str | PurePath, *, keep_here: bool = False) -> Backup:
        """Begin anew on purpose: whatever the store has at and below a path is over, for every machine.

        What is here is moved aside, never deleted. What the store has stays, and `restore(generation=)` brings it back, until
        `prune(dropped=True)`. Progress counts anew. Waits for the store.

        Args:
            path: An artifact, or a folder above some.
            keep_here: Leave what is here, and back it up: it is what comes after. So one line of a fork is chosen for good.

        Returns:
            True where the store says so now, though it may have to be uploaded yet.

        Raises:
            UsageError: the path cannot be kept, or is a part of an artifact.
        """
        key = self.workspace.key(path)
        if self._backups is None:
            self.say_without_store(log.warning)
            return Backup((BackedUp(key, error=f"{key}: not dropped: there is no store; give --drive DIR"),))
        place = self.workspace.local(key)
        try:
            self.refuse_rival(path)
            self.flush()
            results = self._backups.drop(key)
            is_here = lstat_or_none(place) is not None
            if results and is_here and not keep_here:
                with self.workspace.lock():
                    self.workspace.set_aside(place, *side_files(place))
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
        return Backup((*results, *self.backup(path, wait=0).results)) if keep_here and is_here and done else done

    def _back_up(self, backups: Backups, keys: list[Key], progress: float | None, wait: float | None) -> list[BackedUp]:
        if self.worker is None:
            results = backups.back_up(keys, progress, self._progress)
        else:
            results = self.worker.put(keys, progress) if keys else []
            if wait is None:
                return results
            until = time.monotonic() + max(wait, self.config.timeout)
            problem = ""
            try:
                self.worker.flush(until - time.monotonic())
            except NotBackedUp as error:
                problem = str(error)
            results = [replace(r, queued=False, error=problem) if r.queued else r for r in self.worker.results(results)]
        return backups.wait_for(results, wait) if wait else results

    def confirm(self, wait: float = 0.0) -> dict[Key, Durability]:
        """How safe the newest backup of each artifact is that this workspace made or restored.

        Args:
            wait: Seconds to wait while any of them is still on its way.

        Raises:
            StoreError: it cannot be told now.
        """
        return {} if self._backups is None else self._backups.confirm(wait)

    def awaited(self) -> list[str]:
        """What this session backed up and does not know to be safe. Asks nothing of the store."""
        return [] if self._backups is None else self._backups.awaited()

    def at_stake(self, path: str | PurePath) -> AtStake | None:
        """What a disconnect would cost of an artifact now. From memory, so it may be asked at every step; None without a store."""
        return None if self._backups is None else self._backups.at_stake(self.workspace.key(path))

    def reopen(self) -> None:
        """Go on over the mount that stands there now, which may be another than this keeper was opened over."""
        if self._opening is not None:
            before, self._backups = self._backups, Backups(self._opening(), self.workspace)
            if before is not None:
                self._backups.goes_on_from(before)
            if self.worker is not None:
                self.worker.go_on_with(self._backups)

    def finish(self, *, disconnect: bool = False, wait: float | None = None) -> Finish:
        """Wait until everything is known to be safe, say so, and if wanted give Colab's machine back, which ends its cost.

        Args:
            disconnect: Give the machine back, but only if everything in outputs is safe. Where the mount does not tell, Drive is
                flushed and mounted anew, and what that shows whole is safe.
            wait: Seconds to wait for uploads; default an hour where the machine is given back, else a minute.

        Returns:
            True where everything is safe. It says what is not.
        """
        return finish(self, disconnect=disconnect, wait=wait)

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

    @property
    def queue(self) -> Queue:
        """What waits to be sent in the background, why, and what went wrong with it."""
        return Queue() if self.worker is None else self.worker.queue()

    def take_over(self, before: Keeper) -> None:
        """Go on with the queue of the keeper that was attached before, to the store of this one."""
        if before.worker is not None and self._backups is not None and before.workspace.root == self.workspace.root:
            mine, self.worker = self.worker, before.worker
            if self.worker.lease is not None and mine is not None and mine.lease is not None:
                self.worker.lease.force = mine.lease.force
            if before._backups is not None:
                self._backups.goes_on_from(before._backups)
            self.worker.go_on_with(self._backups)

    # -- one writer --------------------------------------------------------------------------------------------------

    def claim(self, *paths: str | PurePath) -> Claim:
        """Work on these paths begins, by this process alone: a second one is told, before it does the same work.

        It keeps nobody from backing up: processes of one project folder back up whatever they like. `at_stake` counts from here,
        and sessions on other machines are told; a backup in the background tells them, too.

        Returns:
            The claim. It ends with its `release()`, at the end of a `with keep.claim(…):`, or with the process, however that ends.

        Raises:
            AnotherSession: a live process works at, above or below one of these, or a session elsewhere was there first. With
                `attach(force=True)` that is only said.
        """
        keys = [self.workspace.key(p) for p in paths]
        made = claim(self.workspace.claims, keys, log.warning if self.force else None)
        try:
            if self.worker is not None:
                self.worker.claim(keys)
        except BaseException:
            made.release()
            raise
        if self._backups is not None:
            self._backups.begins(keys)
        return made

    def refuse_rival(self, *paths: str | PurePath) -> None:
        """Raise `AnotherSession` where a live one, that was there first, was seen at these paths. Asks nothing of the store."""
        if self.worker is not None:
            self.worker.refuse_rival([self.workspace.key(p) for p in paths])

    def close(self) -> None:
        """The session ends: other sessions need not heed it any more. What waits is sent by `flush`, before."""
        if self.worker is not None:
            self.worker.close()

    # -- looking after the store -------------------------------------------------------------------------------------

    def verify(self, *paths: str | PurePath) -> list[Damage]:
        """Read back every manifest and payload; every damage is named. Raises StoreError where it cannot be told."""
        store = self._need_store("verify")
        keys = tuple(self.workspace.key(p) for p in paths)
        view = look(store, self.workspace)
        known = artifacts(store, view, self.workspace)
        for key in keys:
            if not any(key.covers(k) or k.covers(key) for k in known):
                raise UsageError(f"{key}: nothing of it is in the store; `holdfast status` lists what is")
        return verify(store, view, keys, self._progress)

    def history(self, path: str | PurePath) -> list[reports.HistoryEntry]:
        """The generations of the artifact that owns a path, or of those below it."""
        store = self._need_store("history")
        key = self.workspace.key(path)
        view = look(store, self.workspace)
        coverage = cover(key, artifacts(store, view, self.workspace), DirectoryTest(store, view, self.workspace))
        keys = [coverage.own.artifact] if coverage.own else list(coverage.inner)
        return [entry for k in keys for entry in reports.history(store, view, self.workspace, k)]

    def status(self) -> Status:
        """Every artifact: here, in the store, safe, stale, forked, and what would be lost now. Shows itself as a table.

        Raises:
            StoreError: it cannot be told now.
        """
        waiting = [] if self.worker is None else self.worker.snapshots()  # first: what is sent meanwhile is remembered by then
        view = None if self.store is None else look(self.store, self.workspace)
        found = reports.status(self.store, view, self.workspace, waiting=waiting)
        told = "" if self.store is None else kind_of(Path(self.store.backend.location)).told
        return Status(tuple(found), **self._where(), space=self._space(), time=time.time(), queue=self.queue, told=told)

    def welcome(self) -> Welcome:
        """What is here, what is in the store, and what will happen now. Shows itself; changes nothing, and never raises StoreError.

        One look at the store, and the manifests of what is not here.
        """
        try:
            view = None if self.store is None else look(self.store, self.workspace, only_shown=True)
            found, space = overview(self.store, view, self.workspace), self._space()
        except StoreError as error:
            return self.unseen(error.strerror or str(error))
        return Welcome(found, **self._where(), space=space)

    def unseen(self, problem: str) -> Welcome:
        """The welcome where it could not be told what there is."""
        return Welcome(None, **self._where(), problem=problem)

    def _where(self) -> Where:
        place = None if self.store is None else self.store.backend.location
        on_drive = place is not None and Path(place).is_relative_to(self.config.mount_point)
        return {"root": str(self.root), "environment": self.environment.value, "place": place, "on_drive": on_drive}

    def _space(self) -> Space | None:
        if self.store is None:
            return None
        try:
            return self.store.backend.space()
        except StoreError as error:  # that it is not known is no reason not to show the rest
            log.debug("the room in the store is not known (%s)", error)
            return None

    def prune(
        self, *paths: str | PurePath, orphans: bool = False, forks: bool = False, dropped: bool = False, dry_run: bool = False
    ) -> Pruned:
        """Remove what newer generations make needless, and settled leftovers of interrupted backups.

        Args:
            paths: Only the artifacts at, above or below these; every artifact where none is given.
            orphans: Also remove leftovers that are not settled yet. Only while nobody else is backing up.
            forks: Also remove every head but the default one, with what only it descends from.
            dropped: Also remove what was dropped, or was removed here and is in older generations only.
            dry_run: Remove nothing, only tell.

        Raises:
            StoreError: the rest stays for the next time; what was removed was needless.
        """
        backups = self._need_backups("prune")
        store = backups.store
        wanted = [self.workspace.key(p) for p in paths]
        with self.workspace.lock():
            view = look(store, self.workspace)
            keys = sorted(artifacts(store, view, self.workspace))
            keys = [k for k in keys if not wanted or any(w.covers(k) or k.covers(w) for w in wanted)]
            return prune_store(
                store,
                backups.attach(view),
                keys,
                damaged=lambda k: self.workspace.record(k).damaged,
                with_orphans=orphans,
                with_forks=forks,
                with_dropped=dropped,
                dry_run=dry_run,
            )

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

    def _need_store(self, verb: str) -> Store:
        store = self._need_backups(verb).store
        self.settle()
        return store

    def _need_backups(self, verb: str) -> Backups:
        if self._backups is None:
            raise UsageError(f"{verb} needs a store: give --drive DIR, set HOLDFAST_DRIVE, or mount Drive")
        return self._backups
