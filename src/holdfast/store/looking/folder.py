"""The folder of a store: is it there, is it healthy, what is listed in it; and when one is made or mended.

Absence must be proven here, because whatever is called absent gets made again.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from dataclasses import replace

from holdfast.errors import (
    Corrupt,
    CutOff,
    NewerFormat,
    StoreError,
    StoreNotFound,
    StoreUnreachable,
    StoreUnreadable,
)
from holdfast.platform import random_hex
from holdfast.store.backends.backend import Backend, Entry
from holdfast.store.format import names
from holdfast.store.format.keys import printable
from holdfast.store.format.manifest import Manifest
from holdfast.store.format.names import GENERATIONS, SENTINEL, ManifestName, parse_manifest_name, twin_of
from holdfast.store.looking.identity import Sentinel
from holdfast.store.looking.reading import Manifests
from holdfast.store.looking.trying import try_out
from holdfast.store.looking.view import Presence, View
from holdfast.store.reporting.one_line import NEWS

log = logging.getLogger(__name__)

#: What a look by name and a listing say at once may differ while another machine makes the store; so often it is looked again.
_BEING_MADE = (0.05, 0.1, 0.2, 0.4)


class _Contradiction(StoreUnreadable):
    """Two looks differ: one of them left something out, or another machine made it in between."""


class StoreFolder:
    """The folder of the store at one backend.

    Args:
        backend: Where it lies.
        expected_id: The identity that it must have (`drive.store_id`); with it set, no store is ever created.
        new_id: Makes random hex of a given number of bytes.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        expected_id: str | None = None,
        new_id: Callable[[int], str] = random_hex,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.backend = backend
        self._sleep = sleep
        self._expected_id = expected_id
        self._new_id = new_id
        self._manifests = Manifests(backend)
        self._sentinel = Sentinel(backend, sleep)
        self._twins: list[str] | None = None
        self._listed: dict[str, tuple[Entry, ...]] = {}
        self._told_none = False
        self._way = self._way_seen = 0

    def look(self, *, tell: bool = True) -> View:
        """Examine the store: one read and one listing where its sentinel is in order.

        Where two looks contradict each other, because another thread or machine is making the store, it is looked once more.

        Args:
            tell: Warn, once, where there is none and a backup would make one.

        Raises:
            StoreUnreadable: it cannot be told what is there; nothing may be taken for absent.
        """
        for wait in _BEING_MADE:
            way = self._way
            try:
                view = self._look(tell=tell)
                if way == self._way:
                    return view
            except _Contradiction as error:
                log.debug("looking again (%s)", error)
            except StoreError:
                if way == self._way:
                    raise
            self._sleep(wait)
        return self._look(tell=tell)

    def _look(self, *, tell: bool) -> View:
        self._listed.clear()
        if self._way_seen != self._way:
            self._way_seen, self._sentinel.seen = self._way, False
        self.backend.check()
        problem: str | None = None
        try:
            store_id = self._sentinel.read()
        except StoreNotFound:
            problem = f"{SENTINEL} is missing"
        except Corrupt as error:
            problem = str(error)
        if problem is not None:
            view = self._look_without_sentinel(problem)
            self.backend.check()
            if view.presence is not Presence.STORE and tell and not self._told_none:
                place = self.backend.location
                if view.sentinel_problem is None:
                    log.warning("nothing was backed up here yet; the first backup makes a new store, %s", place, extra=NEWS)
                else:
                    log.warning(
                        "the first backup to %s never arrived whole (%s); the next one begins there anew, beside what is there",
                        place,
                        problem,
                    )
                self._told_none = True
            return view
        self._check_expected(store_id)
        found, strays = self._list_generations(GENERATIONS)
        return View(Presence.STORE, store_id, found, strays)

    def knock(self, root: str | None = None) -> bool:
        """Make the store folder, or the manifests' folder in it, or that of the payload, where none is shown.

        Args:
            root: The folder of the payload; None for not that.

        Returns:
            True where one was made. On a mount that remembers what it listed it may have been there, and shows now what is in it.

        Raises:
            StoreFull, StoreDenied, StoreUnreachable: as they say.
        """
        for path in ("", GENERATIONS, *((root,) if root else ())):
            if not self.exists(path):
                self.backend.make_folder(path)
                return True
        return False

    def look_anew(self) -> None:
        """The way to it is another one now. What was seen may have been given to a mount that is dead, and never have arrived.

        Until the next look begins nothing is taken for missing; one that is under way is begun anew.
        """
        self._way += 1

    def look_wider(self, view: View) -> View:
        """The same view with what lies in twins of `generations/`; they are looked for once (one listing)."""
        if view.presence is not Presence.STORE:
            return view
        if self._twins is None:
            self._twins = [e.name for e in self.backend.list("") if e.is_folder and twin_of(e.name) == GENERATIONS]
        seen = {n.file for n in view.names}
        more: list[ManifestName] = []
        for folder in self._twins:
            found, _ = self._list_generations(folder)
            more += [n for n in found if n.file not in seen]
        return replace(view, names=view.names + tuple(more)) if more else view

    def relist(self) -> View:
        """One more listing of the generations of a store that was looked at before; its sentinel is not read again."""
        self._listed.clear()
        self.backend.check()
        found, strays = self._list_generations(GENERATIONS)
        return View(Presence.STORE, None, found, strays)

    def prepare(self, view: View, identity: str | None = None) -> View:
        """Make the store that a backup needs: on the first day a new one, else mend a lost sentinel. Says so.

        Args:
            view: A fresh look at it.
            identity: What a new one is to be called; None for a name of its own.
        """
        if view.presence is Presence.STORE:
            if view.sentinel_problem is not None and view.store_id is not None:
                store_id = self._sentinel.write(view.store_id)
                log.warning("%s: %s; written again from the manifests", self.backend.location, view.sentinel_problem)
                return replace(view, store_id=store_id)
            return view
        self.backend.check()
        try_out(self.backend, self._new_id)
        self.backend.check()
        mine = identity or self._new_id(16)
        store_id = self._sentinel.write(mine)
        if store_id != mine:
            log.warning(
                "%s: another machine made this store at the same moment; this one goes on in it (store_id: %s)",
                self.backend.location,
                store_id,
            )
            return self.look()
        log.warning("a new store was created at %s (store_id: %s)", self.backend.location, store_id, extra=NEWS)
        return replace(view, presence=Presence.STORE, store_id=store_id, sentinel_problem=None)

    def confirm_healthy(self) -> None:
        """Return where mount and sentinel are healthy right now, so that what is missing is really missing.

        Raises:
            StoreUnreadable: they are not; a dying mount is not damage. A mount that answers "no such file" for what exists
                (ct#5970) is told by the sentinel: where it was read before, it is there.
        """
        self.backend.check()
        try:
            self._sentinel.read()
        except Corrupt:
            return
        except StoreNotFound as error:
            gone = self._sentinel.seen or not self.exists("")
            if gone or not any(e.name == self.backend.name for e in self.backend.siblings()):
                raise StoreUnreachable(
                    errno.ENOTCONN,
                    f"{SENTINEL} was here, and now the drive says that there is none: the mount is dead, or somebody removed it",
                    self.backend.location,
                ) from error

    def list_once(self, folder: str) -> tuple[Entry, ...]:
        """What is listed in a folder, nothing where there is none. One listing for each look at the store, so not for absence."""
        if folder not in self._listed:
            try:
                self._listed[folder] = tuple(self.backend.list(folder))
            except StoreNotFound:
                self._listed[folder] = ()
        return self._listed[folder]

    def exists(self, path: str) -> bool:
        """Asked by name, which a listing that leaves names out does not touch."""
        try:
            self.backend.stat(path)
        except StoreNotFound:
            return False
        return True

    def refuse_incomplete(self) -> None:
        """Return where a listing of the store folder shows what is there by name: the sentinel, and the manifests' folder.

        Raises:
            StoreUnreadable: it does not, so listings are incomplete and prove nothing.
        """
        shown = {e.name for e in self.backend.list("")}
        for name in (SENTINEL, GENERATIONS):
            self._refuse_contradiction(name, name not in shown and self.exists(name))

    def _refuse_contradiction(self, path: str, by_name: bool) -> None:
        """Return where a path that no listing shows was not found by name either.

        Raises:
            StoreUnreadable: it was, so the listing is incomplete and proves nothing.
        """
        if by_name:
            raise _Contradiction(
                errno.EIO, "a listing leaves out what is there by name; try again", f"{self.backend.location}/{path}".rstrip("/")
            )

    def _check_expected(self, store_id: str | None) -> None:
        if self._expected_id is not None and store_id != self._expected_id:
            found = f"the store {store_id}" if store_id else "no store"
            raise StoreUnreadable(
                errno.ENOENT,
                f"drive.store_id asks for the store {self._expected_id} and {found} is here: is this the right account and folder?",
                self.backend.location,
            )

    def _look_without_sentinel(self, problem: str) -> View:
        # What is asked by name comes before the listing that has the last word: one that a dying mount still answers.
        first, by_name, second = self.backend.siblings(), self.exists(""), self.backend.siblings()
        if list(first) != list(second):
            raise _Contradiction(errno.EIO, "two listings of the parent folder contradict each other", self.backend.location)
        if Entry(self.backend.name, is_folder=False) in first:
            raise StoreUnreadable(errno.ENOTDIR, "the store folder should be here, and something else is", self.backend.location)
        if Entry(self.backend.name, is_folder=True) not in first:
            twins = [e.name for e in first if e.is_folder and twin_of(e.name) == self.backend.name]
            if twins:
                raise StoreUnreadable(
                    errno.ENOENT,
                    f"the store folder is missing and {printable(twins[0])!r} is here: rename it",
                    self.backend.location,
                )
            self._check_expected(None)
            self._refuse_contradiction("", by_name)
            return View(Presence.NONE)
        found, strays = self._list_generations(GENERATIONS)
        by_name = self.exists(GENERATIONS)
        if GENERATIONS not in [e.name for e in self.backend.list("")]:
            self._check_expected(None)
            self._refuse_contradiction(GENERATIONS, by_name)
            return View(Presence.PLAIN)
        if not by_name:
            raise _Contradiction(errno.EIO, f"{GENERATIONS}/ is listed, and not there by name; try again", self.backend.location)
        for name in sorted(found, key=lambda n: n.commit, reverse=True):
            try:
                store_id = self.manifest(name).store_id
            except NewerFormat as error:
                raise StoreUnreadable(errno.EPROTONOSUPPORT, f"{problem}, and {error}", self.backend.location) from error
            except CutOff:
                continue
            except Corrupt as error:
                raise StoreUnreadable(
                    errno.EIO,
                    f"{problem}, and a manifest is damaged ({error}): look at the folder in a browser",
                    self.backend.location,
                ) from error
            except StoreNotFound:
                self._refuse_contradiction(name.path, by_name=True)
            self._check_expected(store_id)
            return View(Presence.STORE, store_id, found, strays, sentinel_problem=problem)
        return self._unfinished(problem, found, strays)

    def _unfinished(self, problem: str, found: tuple[ManifestName, ...], strays: tuple[str, ...]) -> View:
        """A store of which nothing ever arrived whole: its first machine vanished before the first upload was through.

        Nothing can be restored from it, whoever tries, so a backup may go on in it. What lies there stays.

        Raises:
            StoreUnreadable: something was safe here once, or a second listing says otherwise.
        """
        self._check_expected(None)
        safe_once = self.exists(names.ARTIFACTS)
        if self._list_generations(GENERATIONS) != (found, strays):
            raise _Contradiction(
                errno.EIO, f"two listings of {GENERATIONS}/ contradict each other; try again", self.backend.location
            )
        if safe_once:
            raise StoreUnreadable(
                errno.EIO,
                f"{problem}, and no manifest in {GENERATIONS}/ can be read, although backups were safe here once: look at the "
                "folder in a browser, and into the trash; if they are gone for good, rename the folder and run again",
                self.backend.location,
            )
        begun = bool(found or strays) or self.exists(SENTINEL)  # else somebody only looked (`knock`)
        return View(Presence.PLAIN, None, found, strays, sentinel_problem=problem if begun else None)

    def _list_generations(self, folder: str) -> tuple[tuple[ManifestName, ...], tuple[str, ...]]:
        try:
            entries = self.backend.list(folder)
        except StoreNotFound:
            self._refuse_contradiction(names.ARTIFACTS, self.exists(names.ARTIFACTS))
            self.confirm_healthy()
            return (), ()
        found, strays = [], []
        for entry in entries:
            name = None if entry.is_folder else parse_manifest_name(entry.name, folder)
            if name is None:
                strays.append(entry.name)
            else:
                found.append(name)
        return tuple(found), tuple(strays)

    def manifest(self, name: ManifestName) -> Manifest:
        """Read and check one manifest; what was read once is remembered, because it never changes.

        Raises:
            Corrupt: it was read to its end and does not verify.
            StoreNotFound, StoreUnreadable: as they say.
        """
        return self._manifests.read(name)
