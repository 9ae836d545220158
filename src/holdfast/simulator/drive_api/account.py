"""What one user may do with items: rights, ids, the trash, and what an answer shows of them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from holdfast.simulator.cloud import Cloud, Taken
from holdfast.simulator.drive_api.faults import Faults
from holdfast.simulator.drive_api.files import FOLDER, SHARED_NAME, Place, inner, resource, root_item
from holdfast.simulator.drive_api.refusals import Refused, not_found
from holdfast.simulator.drive_api.times import read_time
from holdfast.simulator.items import ROOT, SHARED, Content, Item
from holdfast.simulator.limits import Limit

#: What a client may say of a file and the simulator keeps as it is.
_KEPT = ("mimeType", "description", "starred", "folderColorRgb", "originalFilename")
_PROPERTIES = ("properties", "appProperties")
_NOT_WRITABLE = frozenset(
    ("kind", "size", "md5Checksum", "sha1Checksum", "sha256Checksum", "version", "headRevisionId", "quotaBytesUsed", "webViewLink")
)


class Account:
    """One user's view of the cloud.

    Args:
        cloud: What Google has.
        faults: Who may see and change what.
        epoch: Wall time at which the faults' clock stood at 0.
    """

    def __init__(self, cloud: Cloud, faults: Faults, epoch: float) -> None:
        self.cloud = cloud
        self._faults = faults
        self._epoch = epoch
        self._lock = threading.Lock()
        self._next_create = 0.0
        with contextlib.suppress(Taken):
            cloud.create("", SHARED_NAME, None, id_=SHARED)

    def now(self) -> float:
        """Seconds since 1970, in virtual time."""
        return self._epoch + self._faults.clock.now()

    # --- Looking ---

    def find(self, id_: str, *, shared: bool) -> Item:
        """An item, in the trash or not.

        Args:
            id_: As the client says it; `root` for My Drive.
            shared: Whether the client said `supportsAllDrives`.

        Raises:
            Refused: 404 where there is none, or none that this client may see.
        """
        found = self._known(inner(id_))
        if found is None or (not shared and self.place(found).drive != ROOT):
            raise not_found(id_)
        return found

    def _known(self, id_: str) -> Item | None:
        if id_ == ROOT:
            return root_item()
        found = self.cloud.get(id_)
        return None if found is None or any(each.id in self._faults.hidden for each in self._upwards(found)) else found

    def _upwards(self, item: Item) -> Iterator[Item]:
        """The item, and the folders that it lies in."""
        current: Item | None = item
        while current is not None:
            yield current
            current = self.cloud.get(current.parent) if current.parent not in ("", ROOT) else None

    def place(self, item: Item, known: dict[str, Place] | None = None) -> Place:
        """Where an item lies.

        Args:
            item: The item.
            known: What was found for other folders, kept from one call to the next.
        """
        if known is not None and item.parent in known:
            above = known[item.parent]
        elif item.id in (ROOT, SHARED):
            above = Place(item.id, trashed=False, readonly=False)
        elif item.parent == ROOT:
            above = Place(ROOT, trashed=False, readonly=False)
        else:
            folder = self.cloud.get(item.parent)
            if folder is None:  # an old state of an item, whose folder was deleted since
                above = Place(ROOT, trashed=True, readonly=False)
            else:
                over = self.place(folder, known)
                above = Place(over.drive, over.trashed or folder.trashed, over.readonly)
        if known is not None:
            known[item.parent] = above
        return Place(
            above.drive, above.trashed, above.readonly or item.id in self._faults.readonly or item.parent in self._faults.readonly
        )

    def show(self, item: Item, known: dict[str, Place] | None = None) -> dict[str, Any]:
        """The file resource."""
        return resource(self.cloud, item, self.place(item, known))

    # --- Changing ---

    def folder_for(self, meta: dict[str, Any], *, shared: bool) -> Item:
        """The folder that a new item goes to.

        Raises:
            Refused: there is none, it is no folder, or this user may not add to it.
        """
        parents = meta.get("parents") or ["root"]
        if len(parents) > 1:
            raise Refused(400, "cannotAddParent", "A file cannot have more than one parent.")
        folder = self.find(parents[0], shared=shared)
        if not folder.folder:
            raise Refused(403, "parentNotAFolder", "The specified parent is not a folder.")
        self._check_may(folder)
        return folder

    def _check_may(self, item: Item) -> None:
        if self.place(item).readonly:
            raise Refused(403, "insufficientFilePermissions")

    def check_new_id(self, meta: dict[str, Any]) -> None:
        """Whether the id that a client chose for a new item will do.

        Raises:
            Refused: 409 where it is taken, 400 where nobody generated it.
        """
        id_ = meta.get("id")
        if id_ is None:
            return
        if not self.cloud.is_new_id(id_):
            raise Refused(400, "invalid", "The provided file ID is not usable.", location="file.id")
        if self.cloud.get(id_) is not None:
            raise _taken()

    def check_writable(self, meta: dict[str, Any]) -> None:
        """Whether the client says only what a client may say.

        Raises:
            Refused: 403.
        """
        if wrong := sorted(_NOT_WRITABLE & set(meta)):
            raise Refused(403, "fieldNotWritable", f"The resource body includes fields which are not directly writable: {wrong[0]}")

    def create(self, meta: dict[str, Any], content: Content | None, *, shared: bool) -> Item:
        """A new file or folder; a twin where the name is taken.

        Raises:
            Refused: it may not be.
        """
        self.check_writable(meta)
        folder = self.folder_for(meta, shared=shared)
        self.check_new_id(meta)
        is_folder = meta.get("mimeType") == FOLDER
        size = 0 if content is None else content.size
        self.check_limits(folder.id, is_folder=is_folder, growth=size, sends=size > 0)
        self._check_rate()
        now = self.now()
        details = {"created": read_time(meta["createdTime"]) if meta.get("createdTime") else now, **_said({}, meta)}
        modified = read_time(meta["modifiedTime"]) if meta.get("modifiedTime") else now
        kept = None if is_folder else content or Content()
        try:
            return self.cloud.create(folder.id, meta.get("name", "Untitled"), kept, modified, id_=meta.get("id"), details=details)
        except Taken as error:
            raise _taken() from error

    def check_limits(self, parent: str, *, is_folder: bool, growth: int, sends: bool) -> None:
        """Whether there is room, as `Cloud.limit` says.

        Raises:
            Refused: 403 where there is none.
        """
        limit = self.cloud.limit(parent, folder=is_folder, growth=growth, sends=sends)
        if limit is not None:
            raise Refused(403, limit.value, "User rate limit exceeded." if limit is Limit.DAY else None)

    def _check_rate(self) -> None:
        rate = self._faults.creates_per_second
        if rate is None:
            return
        with self._lock:
            now = self._faults.clock.now()
            if now < self._next_create:
                raise Refused(403, "userRateLimitExceeded")
            self._next_create = now + 1 / rate

    def update(
        self, id_: str, meta: dict[str, Any], content: Content | None, *, add: str = "", remove: str = "", shared: bool
    ) -> Item:
        """Change what an item says, holds, or lies in.

        Raises:
            Refused: it may not be.
        """
        item = self.find(id_, shared=shared)
        self.check_writable(meta)
        self._check_may(item)
        if "parents" in meta:
            raise Refused(
                403,
                "fieldNotWritable",
                "The parents field is not directly writable in update requests. Use addParents and removeParents.",
            )
        if content is not None:
            self.check_limits("", is_folder=False, growth=content.size - item.size, sends=content.size > 0)
        modified = read_time(meta["modifiedTime"]) if meta.get("modifiedTime") else self.now()
        with self.cloud.together():
            if content is not None:
                self.cloud.update(item.id, content, modified)
            if meta or content is None:
                only_place = not meta
                details = {**self.cloud.details(item.id)}
                details.setdefault("created", item.modified)
                self.cloud.describe(item.id, _said(details, meta), None if only_place else modified)
            if add or "name" in meta:
                parent = self._new_parent(item, add, remove, shared=shared) if add else item.parent
                self.cloud.move(item.id, parent, meta.get("name", item.name))
            if meta.get("trashed") is not None and meta["trashed"] != item.trashed:
                (self.cloud.trash if meta["trashed"] else self.cloud.restore)(item.id)
        found = self.cloud.get(item.id)
        if found is None:
            raise not_found(id_)
        return found

    def _new_parent(self, item: Item, add: str, remove: str, *, shared: bool) -> str:
        if "," in add or item.parent not in [inner(each) for each in remove.split(",")]:
            raise Refused(403, "cannotAddParent", "Increasing the number of parents is not allowed")
        folder = self.folder_for({"parents": [add]}, shared=shared)
        if any(above.id == item.id for above in self._upwards(folder)):
            raise Refused(403, "cyclicalParent", "The requested change would make the folder an ancestor of itself.")
        self.check_limits(folder.id, is_folder=item.folder, growth=0, sends=False)
        return folder.id

    def delete(self, id_: str, *, shared: bool) -> None:
        """Delete for good, past the trash.

        Raises:
            Refused: it may not be.
        """
        item = self.find(id_, shared=shared)
        if item.id in (ROOT, SHARED):
            raise Refused(403, "insufficientFilePermissions")
        self._check_may(item)
        self.cloud.delete(item.id)


def _taken() -> Refused:
    return Refused(409, "fileIdInUse", "A file already exists with the provided ID.")


def _said(before: dict[str, Any], meta: dict[str, Any]) -> dict[str, Any]:
    found = {**before, **{name: meta[name] for name in _KEPT if name in meta}}
    for name in _PROPERTIES:
        if name in meta:
            properties = {**found.get(name, {}), **(meta[name] or {})}
            found[name] = {key: value for key, value in properties.items() if value is not None}
    return found
