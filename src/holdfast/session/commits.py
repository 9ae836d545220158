"""The commits of a session: commit, confirm, prune. One thing at a time, under the workspace's lock."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from holdfast.errors import HoldfastError, StoreError, UsageError, WorkspaceBusy
from holdfast.session.background.stake import AtStake, Ledger
from holdfast.session.finding.changed import is_still
from holdfast.store.backends.second_way import WayChanged
from holdfast.store.backup import commit
from holdfast.store.cleanup import plan_artifact, remove, worth_a_look
from holdfast.store.copies.snapshot import Snapshot
from holdfast.store.copies.taking import nothing_left
from holdfast.store.deciding.coverage import cover
from holdfast.store.deciding.requests import Request, group
from holdfast.store.format.keys import Key
from holdfast.store.format.manifest import Manifest
from holdfast.store.local.disk import is_folder, lstat_or_none
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.attached import Attached, confirm
from holdfast.store.looking.known import DirectoryTest, artifacts
from holdfast.store.looking.marks import mark_safe
from holdfast.store.looking.same_store import look
from holdfast.store.looking.view import View
from holdfast.store.reporting.durability import Durability
from holdfast.store.reporting.one_line import describe
from holdfast.store.reporting.outcomes import BackedUp
from holdfast.store.store import Store
from holdfast.store.transfer.progress import Progress, Silent

log = logging.getLogger(__name__)

_ASK_EVERY_SECONDS = 1.0
#: Who asks for a backup waits so long for a look at the store while another process of this workspace sends to it.
_FIRST_LOOK_SECONDS = 5.0


class Commits:
    """What a session commits of one workspace to one store, and what it knows of that.

    Args:
        store: Where to.
        workspace: Where from.
        began: When the session began, Unix seconds; default now.
    """

    def __init__(self, store: Store, workspace: Workspace, began: float | None = None) -> None:
        self.store = store
        self.workspace = workspace
        self._attached: Attached | None = None
        self._ledger = Ledger(began=began)

    def attach(self, view: View) -> Attached:
        """What this session knows: its first look, what was on its way then, and what it writes from then on."""
        if self._attached is None:
            self._attached = Attached(view)
            bases = (self.workspace.record_in(k, view).base for k in self.workspace.known_keys())
            try:
                self._attached.remembered(self.store, [b for b in bases if b is not None and b.name in view.names])
            except StoreError as error:
                log.warning("what was written before cannot be confirmed now (%s)", error)
        return self._attached

    def awaited(self) -> list[str]:
        """What this session backed up and does not know to be safe. Asks nothing of the store."""
        attached = self._attached
        # Another thread may add to it meanwhile.
        return [] if attached is None else sorted({m.key.value for m in list(attached.awaited.values())})

    def begins(self, keys: Iterable[Key]) -> None:
        """Work on these artifacts begins now: from here on something of them is at stake."""
        for key in keys:
            self._ledger.begins(key)

    def at_stake(self, key: Key) -> AtStake:
        """What a disconnect would cost of an artifact now, from memory."""
        return self._ledger.at_stake(key, {} if self._attached is None else self._attached.own)

    def goes_on_from(self, before: Commits) -> None:
        """Take over what was at stake with another, over a mount that this one replaces."""
        self._ledger = before._ledger.over_another_mount({} if before._attached is None else before._attached.own)

    def first_look(self) -> View | None:
        """What the store showed first in this session, or None where it cannot be seen, or another process is busy with it."""
        if self._attached is None:
            try:
                with self.workspace.lock(_FIRST_LOOK_SECONDS):
                    self.attach(look(self.store, self.workspace))
            except (StoreError, WorkspaceBusy) as error:
                log.debug("the store cannot be seen now (%s)", error)
        return None if self._attached is None else self._attached.view

    def ask(self) -> None:
        """Learn what has been uploaded meanwhile, and prune what that makes needless.

        Raises:
            HoldfastError: it cannot be told now.
        """
        with self.workspace.lock():
            if self._attached is None:
                return
            touched = [*confirm(self.store, self._attached), *self._sent_again(self._attached)]
            if touched:
                self._prune(look(self.store, self.workspace), self._attached, touched)

    def requests(
        self, keys: Iterable[Key], view: View | None, progress: float | None, waiting: Iterable[Key] = ()
    ) -> list[Request]:
        """What to commit for these paths. Without a view only what this workspace remembers is known of the store.

        Args:
            keys: Each is here.
            view: Of the store.
            progress: What the caller counts.
            waiting: Artifacts that are to be sent before, and are known from then on.
        """
        workspace, store = self.workspace, self.store
        waiting = tuple(waiting)
        known = artifacts(store, view, workspace) | set(waiting)
        is_artifact_directory = DirectoryTest(store, view, workspace)
        queued = frozenset(waiting)

        def is_here(key: Key) -> bool:
            """Something is there, or was, and that it is gone is to be said."""
            if lstat_or_none(workspace.local(key)) is not None or workspace.was_here(key):
                return True
            return key in queued and workspace.has_outputs

        def is_settled(key: Key) -> bool:
            return (workspace.record(key) if view is None else workspace.record_in(key, view)).base is not None

        taken, found = (
            time.time(),
            group(
                keys,
                known,
                is_directory=lambda k: is_folder(lstat_or_none(workspace.local(k))) or (k in known and is_artifact_directory(k)),
                is_here=is_here,
                is_settled=is_settled,
                progress=progress,
            ),
        )
        return [replace(r, taken=taken) for r in found]

    def back_up(self, keys: Sequence[Key], counted: float | None, progress: Progress, *, patient: bool = False) -> list[BackedUp]:
        """Commit what is here now. One result for every artifact that is meant.

        Args:
            keys: Each is here.
            counted: What the caller counts.
            progress: Told about the transfer.
            patient: The caller tries again what fails because of the store, and wants that raised.

        Raises:
            HoldfastError: nothing was committed; with `patient`, not all.
        """
        if not keys:
            return []
        with self.workspace.lock():
            view = self._look_to_write()
            attached = self.attach(view)
            touched, results = self._confirm(attached), []
            for request in self.requests(keys, view, counted):
                try:
                    result, new = self._commit_either_way(view, attached, request, None, progress)
                except HoldfastError as error:
                    if patient and isinstance(error, StoreError):
                        raise
                    results.append(BackedUp(request.artifact, error=describe(request.artifact, error)))
                    continue
                results.append(result)
                touched += new
            self._prune(view, attached, touched)
            return results

    def drop(self, key: Key) -> list[BackedUp]:
        """Have everything that the store has at and below a path be over. One result for every artifact of which it had something.

        Raises:
            UsageError: it is a part of an artifact.
            HoldfastError: the rest is not dropped.
        """
        store, workspace = self.store, self.workspace
        with workspace.lock():
            view = look(store, workspace)
            attached = self.attach(view)
            known = artifacts(store, view, workspace)
            coverage = cover(key, known, DirectoryTest(store, view, workspace))
            if coverage.own is not None and coverage.own.prefix:
                owner = coverage.own.artifact
                raise UsageError(f"{key}: it is a part of {owner}; remove it here and back up {owner}, or drop {owner}")
            keys = [*([key] if coverage.own is not None else []), *coverage.inner]
            results, touched = [], self._confirm(attached)
            for one in (k for k in keys if view.of(k) or workspace.record_in(k, view).base is not None):
                request = Request(one, drop=True, taken=time.time())
                result, new = self._commit_either_way(view, attached, request, nothing_left(workspace, one), Silent())
                results.append(result)
                touched += new
            self._prune(view, attached, touched)
            return results

    @contextlib.contextmanager
    def seeing(self) -> Iterator[View]:
        """Hold the workspace and see the store, to `send` to it. What fails on the way there is about no artifact.

        Raises:
            StoreError: the store cannot be seen, or not be made.
            WorkspaceBusy, LocalError: the workspace cannot be used.
        """
        with self.workspace.lock():
            view = look(self.store, self.workspace, create=True)
            self.attach(view)
            yield view

    def send(self, view: View, request: Request, taken: Snapshot) -> BackedUp | None:
        """Commit a snapshot that was taken earlier. None where it was taken as what it is not.

        That is so where another artifact holds the path, or where a part of it is an artifact of its own by now.

        Args:
            view: Of `seeing`, which goes on.
            request: What to commit.
            taken: The snapshot.

        Raises:
            HoldfastError: nothing was committed.
        """
        attached = self.attach(view)
        now = next((r for r in self.requests([request.artifact], view, None) if r.artifact == request.artifact), None)
        if now is None or any(taken.covers(path) for path in now.inner):
            taken.unlink()  # a link that goes later would move a ctime that is remembered by then
            return None
        request = replace(request, settled=tuple(path for path in now.settled if path in request.inner))
        touched = self._confirm(attached)
        result, new = self._commit(view, attached, request, taken, Silent())
        self._prune(view, attached, [*touched, *new])
        return result

    def _look_to_write(self) -> View:
        """A look for a backup, which makes a store where none is; by the other way where the mount dies under that."""
        try:
            return look(self.store, self.workspace, create=True)
        except WayChanged:
            return look(self.store, self.workspace, create=True)

    def _commit_either_way(
        self, view: View, attached: Attached, request: Request, taken: Snapshot | None, progress: Progress
    ) -> tuple[BackedUp, list[Manifest]]:
        """As `_commit`. Where the mount dies under the manifest, whose name is used up then, another generation goes by the API."""
        try:
            return self._commit(view, attached, request, taken, progress)
        except WayChanged as error:
            log.info("%s: %s", request.artifact, error.strerror)
            return self._commit(self._look_to_write(), attached, request, taken, progress)

    def _commit(
        self, view: View, attached: Attached, request: Request, taken: Snapshot | None, progress: Progress
    ) -> tuple[BackedUp, list[Manifest]]:
        store, workspace, key = self.store, self.workspace, request.artifact
        if not view.of(key):
            view = store.look_wider(view)
        base = workspace.record_in(key, view).base
        workspace.refuse_links([key], only_above=True, following=True)
        result = commit(store, workspace, view, request, taken=taken, progress=progress, awaited=attached.awaited_bytes)
        if base is not None and store.elsewhere(base):
            mark_safe(store, base.key)
        new = self._learn(attached, result)
        if result.manifest is not None:
            oldest = min(workspace.record(key).looked.values(), default=request.taken)
            self._ledger.backed_up(key, result.manifest.commit.id, oldest, result.manifest.progress, attached.own)
        return result, new

    def _learn(self, attached: Attached, result: BackedUp) -> list[Manifest]:
        """Learn of the generation that holds what was backed up; gives it where this machine wrote it, new to the session."""
        manifest = result.manifest
        if manifest is None or result.durability is None or manifest.commit.id in attached.own or self.store.elsewhere(manifest):
            return []
        attached.wrote(self.store, manifest, result.durability)
        return [manifest]

    def _confirm(self, attached: Attached) -> list[Manifest]:
        """Learn what has been uploaded meanwhile. That it cannot be told now is no reason not to back up."""
        try:
            return [*confirm(self.store, attached), *self._sent_again(attached)]
        except StoreError as error:
            log.warning("what was written before cannot be confirmed now (%s)", error)
            return []

    def _sent_again(self, attached: Attached) -> list[Manifest]:
        """What the mount was given and had not uploaded when it died goes by Drive's API, where it is still here as it was then.

        What is here otherwise may be in the middle of something. It goes with its next backup, which somebody asks for.

        Raises:
            StoreError: not all of it was sent; it is tried again.
        """
        if not self.store.abandoned:
            return []
        view, workspace, new, sent = self._look_to_write(), self.workspace, list[Manifest](), list[str]()
        self.store.abandoned = False
        try:
            for request in self.requests(dict.fromkeys(m.key for m in attached.awaited.values()), view, None):
                key = request.artifact
                record = workspace.record(key)
                if record.base is None or record.base.commit.id not in attached.awaited:
                    continue
                try:
                    if is_still(workspace, key, record, request.inner):
                        new += self._commit_either_way(view, attached, request, None, Silent())[1]
                        sent.append(key.value)
                except StoreError:
                    raise
                except HoldfastError as error:  # of what is here: that is for its own next backup, and stands in no other's way
                    log.warning("not sent again (%s)", describe(key, error))
        except StoreError:
            self.store.abandoned = True
            raise
        if sent:
            log.warning("what the mount had not uploaded was sent again by Drive's API: %s", ", ".join(sent))
        return new

    def _prune(self, view: View, attached: Attached, touched: Sequence[Manifest]) -> None:
        """Prune the artifacts of these generations where that is worth a look. That it fails costs space, not safety."""
        keys = []
        for key in dict.fromkeys(m.key for m in touched):
            names = dict.fromkeys((*view.of(key), *(m.name for m in touched if m.key == key)))
            if worth_a_look(self.store, tuple(names), key, attached):
                keys.append(key)
        if not keys:
            return
        try:
            fresh = self.store.look_wider(self.store.relist())
            for key in keys:
                record = self.workspace.record(key)
                base = () if record.base is None else (record.base.commit.id,)
                remove(self.store, plan_artifact(self.store, fresh, key, attached, record.damaged, base))
        except StoreError as error:
            log.warning("not pruned now (%s)", describe(keys[0], error))

    def confirm(self, wait: float = 0.0) -> dict[Key, Durability]:
        """See `Keeper.confirm`."""
        deadline = time.monotonic() + wait
        while True:
            with self.workspace.lock():
                view = look(self.store, self.workspace)
                attached = self.attach(view)
                self._prune(view, attached, self._confirm(attached))
                bases = {k: self.workspace.record_in(k, view).base for k in self.workspace.known_keys()}
            found = {k: self.store.durability(b) for k, b in bases.items() if b is not None}
            left = deadline - time.monotonic()
            if left <= 0 or Durability.WRITTEN not in found.values():
                return found
            time.sleep(min(_ASK_EVERY_SECONDS, left))

    def wait_for(self, results: list[BackedUp], seconds: float) -> list[BackedUp]:
        """Ask again until everything is confirmed, nobody can tell, or the time is over."""
        deadline, store = time.monotonic() + seconds, self.store
        while True:
            results = [
                replace(r, durability=store.durability(r.manifest)) if r.manifest and r.durability is Durability.WRITTEN else r
                for r in results
            ]
            left = deadline - time.monotonic()
            if left <= 0 or all(r.durability is not Durability.WRITTEN for r in results):
                return results
            time.sleep(min(_ASK_EVERY_SECONDS, left))
