"""The keeper: the object that a notebook holds. A project, and the verbs; each is one line over the module that does it.

A verb loads what it needs when it is called: a command calls one of them, and is over in a tenth of a second.
"""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, SupportsFloat, SupportsIndex

from holdfast.session.project import Project

if TYPE_CHECKING:
    from holdfast.session.background.claims import Claim
    from holdfast.session.background.stake import AtStake
    from holdfast.session.backing_up import Backup
    from holdfast.session.finding.held import Held
    from holdfast.session.finding.history import HistoryEntry
    from holdfast.session.finding.status import ArtifactStatus
    from holdfast.session.finish import Finish
    from holdfast.session.seeing.status import Status
    from holdfast.session.seeing.welcome import Welcome
    from holdfast.store.cleanup import Pruned
    from holdfast.store.format.keys import Key
    from holdfast.store.reporting.durability import Durability
    from holdfast.store.reporting.outcomes import Restored
    from holdfast.store.verify import Damage


class Keeper(Project):
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

    # -- restore -------------------------------------------------------------------------------------------------------

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
        from holdfast.session import restoring

        return restoring.ensure(self, path, prefer)

    def differing(self, path: str | PurePath) -> Restored | None:
        """The last answer for a path where that was `DIFFERS`. For who was told no more than "not present"."""
        return self.differed.get(self.workspace.key(path))

    def require(self, path: str | PurePath) -> Path:
        """The path on this machine, restored if need be. The only way to a path that a step needs.

        Raises:
            NotRestored: it is absent, differs from the store's, or was not restored; the text says which.
        """
        from holdfast.session import restoring

        return restoring.require(self, path)

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
        from holdfast.session import restoring

        return restoring.restore(self, path, generation=generation, to=to, unverified=unverified)

    def held(self, *paths: str | PurePath) -> list[Held]:
        """What the store holds of each path, by manifest: nothing is fetched, nothing here is changed.

        Raises:
            StoreError: it cannot be told; that is not "nothing".
        """
        from holdfast.session import answers

        return answers.held_of(self, paths)

    def identity(self, path: str | PurePath) -> str | None:
        """BLAKE3 of a file that is here, from memory where it is unchanged since it was hashed; None where there is no file."""
        from holdfast.session import answers

        return answers.identity(self, path)

    # -- backup --------------------------------------------------------------------------------------------------------

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
        from holdfast.session import backing_up

        return backing_up.backup(self, paths, progress=progress, wait=wait)

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
        from holdfast.session import backing_up

        return backing_up.drop(self, path, keep_here=keep_here)

    def confirm(self, wait: float = 0.0) -> dict[Key, Durability]:
        """How safe the newest backup of each artifact is that this workspace made or restored.

        Args:
            wait: Seconds to wait while any of them is still on its way.

        Raises:
            StoreError: it cannot be told now.
        """
        return {} if self.commits is None else self.commits.confirm(wait)

    def at_stake(self, path: str | PurePath) -> AtStake | None:
        """What a disconnect would cost of an artifact now. From memory, so it may be asked at every step; None without a store."""
        return None if self.commits is None else self.commits.at_stake(self.workspace.key(path))

    def finish(self, *, disconnect: bool = False, wait: float | None = None) -> Finish:
        """Wait until everything is known to be safe, say so, and if wanted give Colab's machine back, which ends its cost.

        Args:
            disconnect: Give the machine back, but only if everything in outputs is safe. Where the mount does not tell, Drive is
                flushed and mounted anew, and what that shows whole is safe.
            wait: Seconds to wait for uploads; default an hour where the machine is given back, else a minute.

        Returns:
            True where everything is safe. It says what is not.
        """
        from holdfast.session.finish import finish

        return finish(self, disconnect=disconnect, wait=wait)

    # -- one writer ----------------------------------------------------------------------------------------------------

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
        from holdfast.session import claiming

        return claiming.begin(self, paths)

    def refuse_rival(self, *paths: str | PurePath) -> None:
        """Raise `AnotherSession` where a live one, that was there first, was seen at these paths. Asks nothing of the store."""
        from holdfast.session import claiming

        claiming.refuse_rival(self, [self.workspace.key(p) for p in paths])

    # -- looking after the store ---------------------------------------------------------------------------------------

    def verify(self, *paths: str | PurePath) -> list[Damage]:
        """Read back every manifest and payload; every damage is named. Raises StoreError where it cannot be told."""
        from holdfast.session import upkeep

        return upkeep.verify(self, paths)

    def history(self, path: str | PurePath) -> list[HistoryEntry]:
        """The generations of the artifact that owns a path, or of those below it."""
        from holdfast.session import answers

        return answers.history_of(self, path)

    def status(self) -> Status:
        """Every artifact: here, in the store, safe, stale, forked, and what would be lost now. Shows itself as a table.

        Raises:
            StoreError: it cannot be told now.
        """
        from holdfast.session import answers

        return answers.status_of(self)

    def standing(self) -> list[ArtifactStatus]:
        """As `status`, as plain data, and without what only a person wants to know: how many generations are not whole.

        What it costs does not grow with the number of generations.

        Raises:
            StoreError: it cannot be told now.
        """
        from holdfast.session import answers

        return answers.standing_of(self)

    def read_ahead(self) -> None:
        """On a fresh machine, have what a run begins with read at once, rather than one after the other. Changes nothing."""
        from holdfast.session.ahead import read_ahead

        read_ahead(self)

    def one_look(self) -> AbstractContextManager[None]:
        """Until the end of this, one look at the store serves all that is asked of it. Absence always takes a fresh one."""
        from holdfast.store.looking.same_store import one_look

        return contextlib.nullcontext() if self.store is None else one_look(self.store)

    def welcome(self) -> Welcome:
        """What is here, what is in the store, and what will happen now. Shows itself; changes nothing, and never raises StoreError.

        One look at the store, and the manifests of what is not here.
        """
        from holdfast.session import answers

        return answers.welcome(self)

    def unseen(self, problem: str) -> Welcome:
        """The welcome where it could not be told what there is."""
        from holdfast.session import answers

        return answers.unseen(self, problem)

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
        from holdfast.session import upkeep

        return upkeep.prune(self, paths, orphans=orphans, forks=forks, dropped=dropped, dry_run=dry_run)
