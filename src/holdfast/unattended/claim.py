"""Which computer supervises a project: claims on Drive, one after the other, of which each can be made by one computer only.

A claim is a file under an id that Drive gave before, and Drive makes one file under one id, however many ask for it. Its name
holds the id of the next claim. So who finds a claim that has ended, or may be taken over, asks for the next one, and of two the
second is told of the first. Files are asked for by id, which needs no list; a list only finds the first one, and shows what was
just made minutes later. So where two computers begin a project in the same minutes, the younger of two first claims gives way
once the list shows the other.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import StoreError, StoreNotFound
from holdfast.platform import host_name, random_hex
from holdfast.store.backends.api.backend import ApiBackend
from holdfast.store.backends.api.items import Item, in_order

#: In the store folder. The store itself looks at none of its names.
FOLDER = "unattended"
_NAME = re.compile(r"(claim|ended) (\d+) by (\S+) next ([\w-]+)")
#: Seconds between two questions whether it is lost.
_EVERY = 60.0


@dataclass(frozen=True)
class Link:
    """One claim.

    Args:
        item: Of Drive.
        ended: Whoever made it needs it no more.
        number: Its place in the row, from 1.
        by: Which computer.
        next: Id of the claim after it.
    """

    item: Item
    ended: bool
    number: int
    by: str
    next: str

    @classmethod
    def of(cls, item: Item) -> Link | None:
        """From what Drive has; None where that is something else."""
        found = _NAME.fullmatch(item.name)
        return None if found is None else cls(item, found[1] == "ended" or item.trashed, int(found[2]), found[3], found[4])


class Claim:
    """The claim of this computer on one project.

    Args:
        backend: The store folder, by Drive's API.
        place: What this computer knows of its claim; it outlives a killed supervisor.
        every: Seconds between two questions whether it is lost.
    """

    def __init__(self, backend: ApiBackend, place: Path, every: float = _EVERY) -> None:
        self._tree, self._place, self._every = backend.tree, place, every
        try:
            self._known: dict[str, str] = json.loads(place.read_bytes())
        except (OSError, ValueError):
            self._known = {}
        self.by = self._known.get("by") or f"{re.sub(r'[^A-Za-z0-9.-]', '-', host_name())}-{random_hex(4)}"
        self._own: Link | None = None
        self._asked, self._lost = 0.0, ""

    def take(self, *, over: bool = False) -> str:
        """Claim the project, or go on with the claim that this computer has.

        Args:
            over: Also where another computer has it.

        Returns:
            Who has it; empty where it is ours.

        Raises:
            StoreError: Drive could not be asked.
        """
        self._note(self._known.get("id", ""))
        folder, _ = self._tree.need_folder(FOLDER)
        link = self._noted() or self._listed()
        while True:
            number, id_ = 1, ""
            if link is not None:
                if (follower := self._at(link.next)) is not None:
                    link = follower
                    continue
                if not link.ended and link.by == self.by:
                    self._own = link
                    return ""
                if not link.ended and not over:
                    return link.by
                number, id_ = link.number + 1, link.next
            id_ = id_ or self._tree.files.new_id()
            self._note(id_)
            name = f"claim {number} by {self.by} next {self._tree.files.new_id()}"
            # Where another was quicker, this is what that one made.
            link = Link.of(self._tree.files.create_small(id_, name, folder, b"", self._tree.shown(FOLDER)))

    def lost(self) -> str:
        """Which other computer has it by now; empty where it is ours. Asks at most once a minute, and never fails."""
        own, now = self._own, time.monotonic()
        if own is None or self._lost or now < self._asked + self._every:
            return self._lost
        self._asked = now
        with contextlib.suppress(StoreError):  # asked again later
            follower = self._at(own.next)
            if follower is not None and follower.by != self.by:
                self._lost = follower.by
            elif own.number == 1:
                first = next((link for link in self._links() if link.number == 1), own)
                self._lost = "" if first.by == self.by else first.by
        return self._lost

    def end(self) -> None:
        """This computer needs it no more. Never fails: what is left says who has it, and `--take-over` is the way past it."""
        own, self._own = self._own, None
        if own is not None and not self._lost:
            with contextlib.suppress(StoreError):
                name = own.item.name.replace("claim", "ended", 1)
                self._tree.files.move(own.item, name, own.item.parent or "", self._tree.shown(FOLDER))

    def _at(self, id_: str) -> Link | None:
        try:
            return Link.of(self._tree.files.get(id_, self._tree.shown(FOLDER)))
        except StoreNotFound:
            return None

    def _noted(self) -> Link | None:
        return self._at(self._known["id"]) if self._known.get("id") else None

    def _listed(self) -> Link | None:
        links = self._links()
        return max(links, key=lambda link: link.number) if links else None

    def _links(self) -> list[Link]:
        """Those that a list shows, oldest first; looked for anew, because another computer may have made a folder of this name."""
        tree = self._tree.beside(self._tree.store[-1], self._tree.notes)
        items = tree.files.children(tree.folders(FOLDER), tree.shown(FOLDER))
        return [link for item in in_order(items) if (link := Link.of(item)) is not None]

    def _note(self, id_: str) -> None:
        self._known = {"by": self.by, "id": id_}
        fresh = self._place.with_suffix(".new")
        fresh.write_text(json.dumps(self._known), encoding="utf-8")
        fresh.replace(self._place)
