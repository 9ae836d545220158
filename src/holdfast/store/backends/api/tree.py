"""From paths of the store to what Drive has: by ids that are known, else by name, and what a missing name proves.

Drive's names are not unique. Folders of one name are read as one; of files of one name the oldest counts, and of those the one of
the least id. So two machines that make one folder at once make one store, whatever each of them sees first.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
from collections.abc import Iterable

from holdfast.errors import StoreDenied, StoreNotFound, StoreUnreachable, StoreUnreadable
from holdfast.store.backends.api.files import Files
from holdfast.store.backends.api.items import AT_ONCE, Item, called_within, in_order
from holdfast.store.backends.api.notes import Made, Notes
from holdfast.store.format.keys import printable

log = logging.getLogger(__name__)

#: My Drive of whoever asks.
MY_DRIVE_ID = "root"


class Tree:
    """The folders and files below one folder of Drive.

    Args:
        files: Asks.
        notes: What this machine made.
        base: Id of the folder that everything lies below, or `root`.
        above: Names of the folders from there to the one that must exist.
        store: Names of the folders from there to that of the store.
    """

    def __init__(self, files: Files, notes: Notes, base: str, above: tuple[str, ...], store: tuple[str, ...]) -> None:
        self.files = files
        self.notes = notes
        self._base = base
        self._above = above
        self.store = store
        self._lock = threading.RLock()
        self._folders: dict[str, tuple[str, ...]] = {}
        self._known: dict[str, str] = {}
        self._gone: set[str] = set()
        self._given: Item | None = None

    def beside(self, name: str, notes: Notes) -> Tree:
        """The same for another store folder beside this one."""
        return Tree(self.files, notes, self._base, self._above, (*self.store[:-1], name))

    def shown(self, path: str = "") -> str:
        """A path for people."""
        base = "" if self._base == MY_DRIVE_ID else f"id:{self._base}/"
        return printable(f"gdrive:{base}{'/'.join((*self._above, *self.store, *([path] if path else [])))}")

    # -- the folder that must exist ------------------------------------------------------------------------------------

    def given(self) -> Item:
        """The folder that must exist, as Drive knows it now.

        Raises:
            StoreUnreachable: it is not there, or in the trash, or not shown to this account.
        """
        with self._lock:
            shown = printable(f"gdrive:{'/'.join(self._above)}")
            if self._given is None:
                self._given = self._find_given(shown)
            try:
                found = self.files.get(self._given.id, shown)
            except StoreNotFound as error:
                self._given = None
                raise StoreUnreachable(
                    errno.ENOENT, "Drive does not show the folder to this account any more: is it the right account?", shown
                ) from error
            if found.trashed:
                raise StoreUnreachable(errno.ENOENT, "the folder lies in Drive's trash: restore it there, in a browser", shown)
            self.files.drive = found.drive
            return found

    def _find_given(self, shown: str) -> Item:
        try:
            here = self.files.get(self._base, shown)
        except StoreNotFound as error:
            raise StoreUnreachable(errno.ENOENT, "Drive shows no such folder to this account: is the id right?", shown) from error
        self.files.drive = here.drive
        for name in self._above:
            found = [i for i in self.files.named(name, [here.id], shown) if i.is_folder]
            there = in_order(i for i in found if not i.trashed)
            if not there:
                where = "it lies in the trash" if found else "make it there, in a browser, or give another"
                raise StoreUnreachable(errno.ENOENT, f"Drive has no folder {printable(name)!r} there: {where}", shown)
            if len(there) > 1:
                log.warning("%s: Drive has %d folders of this name; the oldest counts", shown, len(there))
            here = there[0]
        return here

    # -- folders -------------------------------------------------------------------------------------------------------

    def folders(self, path: str) -> tuple[str, ...]:
        """Ids of all folders that are this path, the one that counts first; none where there is none.

        Raises:
            StoreUnreadable: one lies in the trash, and none beside it: that is no absence.
        """
        with self._lock:
            known = self._folders.get(path)
            if known is None:
                known = self._look_for_folders(path)
                if known:
                    self._folders[path] = known
            return known

    def known_folders(self, path: str) -> tuple[str, ...]:
        """The same as far as it is known. Asks nothing."""
        with self._lock:
            return self._folders.get(path, ())

    def learn_folders(self, needed: Iterable[str], also: Iterable[str] = ()) -> None:
        """Have many folders known for one request a level, not one each. What is not found so is left to who asks for it alone.

        Args:
            needed: These.
            also: Those too, as far as it costs no request.
        """
        levels, more = _levels(needed), _levels(also)
        if not self.known_folders(""):
            return
        for level, paths in levels.items():
            with self._lock:
                unknown = [p for p in paths if self._is_next(p)]
                if len(unknown) + len(more.get(level, ())) < 2 or not unknown:
                    continue
                unknown += [p for p in more.get(level, ()) if p not in unknown and self._is_next(p)][: -len(unknown) % AT_ONCE]
                for at in range(0, len(unknown), AT_ONCE):
                    self._learn_named(unknown[at : at + AT_ONCE])

    def _is_next(self, path: str) -> bool:
        """It is not known, and the folder above it is."""
        return path not in self._folders and bool(self._folders.get(path.rpartition("/")[0]))

    def _learn_named(self, paths: list[str]) -> None:
        above = {path: self._folders[path.rpartition("/")[0]] for path in paths}
        items = self.files.search(called_within((self._name_of(path), ids) for path, ids in above.items()), self.shown())
        for path, ids in above.items():
            named = [i for i in items if i.name == self._name_of(path) and i.parent in ids]
            with contextlib.suppress(StoreUnreadable):  # it lies in the trash, which who asks for it is told
                if found := self._folders_called(path, ids, named):
                    self._folders[path] = found

    def _look_for_folders(self, path: str) -> tuple[str, ...]:
        parents, name = self._above_of(path)
        return () if not parents else self._folders_called(path, parents, self.files.named(name, parents, self.shown(path)))

    def _folders_called(self, path: str, parents: tuple[str, ...], named: list[Item]) -> tuple[str, ...]:
        found = [i for i in named if i.is_folder and i.id not in self._gone]
        there = [i for i in found if not i.trashed]
        made = self.notes.made(path)
        if made is not None and made.is_folder and made.id not in {i.id for i in found}:
            there += [i for i in self._still_there(made, parents) if i.is_folder]
        if found and not there:
            raise self._in_trash(path)
        return tuple(i.id for i in in_order(there))

    def _in_trash(self, path: str) -> StoreUnreadable:
        """A folder in the trash comes back by one click, so it is no absence."""
        return StoreUnreadable(
            errno.EIO, "this folder lies in Drive's trash: restore it there, in a browser, or delete it for good", self.shown(path)
        )

    def _above_of(self, path: str) -> tuple[tuple[str, ...], str]:
        """Ids of the folders above a path, and its name; of the store folder itself where the path is empty."""
        if path:
            above, _, name = path.rpartition("/")
            return self.folders(above), name
        parents: tuple[str, ...] = (self.given().id if self._given is None else self._given.id,)
        for name in self.store[:-1]:
            found = [i for i in self.files.named(name, parents, self.shown()) if i.is_folder and not i.trashed]
            parents = tuple(i.id for i in in_order(found))
            if not parents:
                break
        return parents, self.store[-1]

    def _still_there(self, made: Made, parents: Iterable[str]) -> list[Item]:
        """What this machine made and no listing shows, as Drive knows it by its id."""
        try:
            found = self.files.get(made.id, self.shown(made.path))
        except StoreNotFound:
            return []
        right = found.name == self._name_of(made.path) and found.parent in (*parents, None)
        return [found] if right and not found.trashed and found.id not in self._gone else []

    def _name_of(self, path: str) -> str:
        return path.rpartition("/")[2] if path else self.store[-1]

    def need_folder(self, path: str) -> tuple[str, bool]:
        """Id of a folder, which is made with those above it where it is not there; and whether it was made now.

        Raises:
            StoreDenied: a file is in its place.
            StoreError: as it says.
        """
        with self._lock:
            if known := self._folders.get(path):
                return known[0], False
            if path:
                (parent, made), name = self.need_folder(path.rpartition("/")[0]), path.rpartition("/")[2]
            else:
                parent, name, made = self._need_above(), self.store[-1], False
            if not made:
                parents = self._above_of(path)[0] or (parent,)
                named = self.files.named(name, parents, self.shown(path))
                if found := self._folders_called(path, parents, named):
                    self._folders[path] = found
                    return found[0], False
                if any(not i.is_folder and not i.trashed and i.id not in self._gone for i in named):
                    raise StoreDenied(errno.ENOTDIR, "a file is where a folder must be; move it", self.shown(path))
            id_ = self.files.new_id()
            self.notes.note(Made(path, id_, is_folder=True))
            self._folders[path] = (self.files.create_folder(id_, name, parent, self.shown(path)).id,)
            return self._folders[path][0], True

    def _need_above(self) -> str:
        """Id of the folder of the store folder; those between it and the one that must exist are made."""
        parent = self.given().id
        for name in self.store[:-1]:
            found = [i for i in self.files.named(name, [parent], self.shown()) if i.is_folder and not i.trashed]
            parent = (
                in_order(found)[0].id if found else self.files.create_folder(self.files.new_id(), name, parent, self.shown()).id
            )
        return parent

    # -- one path ------------------------------------------------------------------------------------------------------

    def find(self, path: str) -> Item | None:
        """What is at a path, asked now: by its id where that is known, else by name. None where there is nothing.

        Raises:
            StoreError: it cannot be told.
        """
        if not path:
            ids = self.folders("")
            return self.files.get(ids[0], self.shown()) if ids else None
        with self._lock:
            known = self._folders.get(path, (None,))[0] or self._known.get(path)
            made = self.notes.made(path)
        if known is None and made is not None and made.id not in self._gone:
            known = made.id
        above = path.rpartition("/")[0]
        if known is not None:
            try:
                item = self.files.get(known, self.shown(path))
            except StoreNotFound:
                self._unknow(path)
            else:
                ours = item.parent in (*self.folders(above), None)
                if ours and not item.trashed and item.name == self._name_of(path):
                    self._know(path, item)
                    return item
                self._unknow(path)
        parents = self.folders(above)
        if not parents:
            return None
        found = self.files.named(path.rpartition("/")[2], parents, self.shown(path))
        there = in_order(i for i in found if not i.trashed and i.id not in self._gone)
        if not there and any(i.is_folder and i.trashed for i in found):
            raise self._in_trash(path)
        counts = next((i for i in there if i.is_file or i.is_folder), None)
        if counts is not None:
            self._know(path, counts)
        return counts

    def twins(self, path: str) -> list[Item]:
        """Every file that is at a path."""
        parents = self.folders(path.rpartition("/")[0])
        found = self.files.named(path.rpartition("/")[2], parents, self.shown(path)) if parents else []
        there = {i.id: i for i in found if not i.trashed and i.id not in self._gone}
        made = self.notes.made(path)
        for id_ in {self._known.get(path), made.id if made else None} - {None, *there}:
            assert id_ is not None
            for item in self._still_there(Made(path, id_), parents):
                there[item.id] = item
        return in_order(there.values())

    def children(self, path: str) -> list[Item] | None:
        """What a folder holds, with what this machine made there and no listing shows yet. None where there is no such folder."""
        ids = self.folders(path)
        if not ids:
            return None
        found = {i.id: i for i in self.files.children(ids, self.shown(path)) if i.id not in self._gone}
        for made in self.notes.made_in(path):
            if made.id not in found and made.id not in self._gone:
                found |= {i.id: i for i in self._still_there(made, ids)}
        return self._learned(path, in_order(found.values()))

    def beside_it(self) -> list[Item]:
        """What lies beside the store folder, with it."""
        parents, _ = self._above_of("")
        found = {i.id: i for i in self.files.children(parents, self.shown())} if parents else {}
        own = self.notes.made("")
        if parents and own is not None and own.id not in found:
            found |= {i.id: i for i in self._still_there(own, parents)}
        return in_order(found.values())

    def _learned(self, path: str, items: list[Item]) -> list[Item]:
        folders: dict[str, list[str]] = {}
        with self._lock:
            for item in items:
                below = f"{path}/{item.name}".lstrip("/")
                if item.is_folder:
                    folders.setdefault(below, []).append(item.id)
                elif item.is_file:
                    self._known.setdefault(below, item.id)
            for below, ids in folders.items():
                self._folders[below] = tuple(ids)
        return items

    def _know(self, path: str, item: Item) -> None:
        with self._lock:
            if not item.is_folder:
                self._known[path] = item.id

    def _unknow(self, path: str) -> None:
        with self._lock:
            self._known.pop(path, None)
            self._folders.pop(path, None)

    def removed(self, path: str, id_: str) -> None:
        """A file was deleted: a listing that shows it is old."""
        with self._lock:
            self._gone.add(id_)
            self._known.pop(path, None)
            self.notes.forget(path)

    def check(self) -> None:
        """Return where the folder that must exist is there, and that of the store, where it is known, is not in the trash.

        Raises:
            StoreUnreachable: it is not so.
        """
        with self._lock:
            known = self._folders.get("")
        if not known:
            self.given()
            return
        try:
            found = self.files.get(known[0], self.shown())
            why = "the store folder lies in Drive's trash: restore it there, in a browser" if found.trashed else ""
        except StoreNotFound:
            why = "Drive does not show the store folder to this account any more: look for it in a browser, and into the trash"
        if why:
            with self._lock:
                self._folders.clear()
                self._known.clear()
                self._given = None
            raise StoreUnreachable(errno.ENOENT, why, self.shown())


def _levels(paths: Iterable[str]) -> dict[int, list[str]]:
    """Folders, with those above them, by how deep they lie; the highest first."""
    found: dict[int, dict[str, None]] = {}
    for path in paths:
        parts = path.split("/") if path else []
        for depth in range(1, len(parts) + 1):
            found.setdefault(depth, {})["/".join(parts[:depth])] = None
    return {depth: list(found[depth]) for depth in sorted(found)}
