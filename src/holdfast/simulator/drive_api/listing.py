"""Lists: what they show, and when, and their pages."""

from __future__ import annotations

import heapq
import itertools
import secrets
import threading
from collections import OrderedDict
from typing import Any

from holdfast.simulator.drive_api.account import Account
from holdfast.simulator.drive_api.faults import Faults
from holdfast.simulator.drive_api.files import Place, inner, mime, outer
from holdfast.simulator.drive_api.messages import Request
from holdfast.simulator.drive_api.queries import Query, fits, folders, parse
from holdfast.simulator.drive_api.refusals import Refused, invalid, not_found
from holdfast.simulator.drive_api.times import write_time
from holdfast.simulator.items import ROOT, SHARED, Item

_PAGES_KEPT = 10_000


class Listing:
    """What lists show: a view of the cloud that lags behind it.

    Args:
        account: Whose lists.
        faults: The lag, and what is left out.
    """

    def __init__(self, account: Account, faults: Faults) -> None:
        self._account = account
        self._faults = faults
        self._lock = threading.RLock()
        self._seen = account.cloud.last_change()
        self._shown: dict[str, Item] = {}
        self._in: dict[str, dict[str, None]] = {}
        self._changes: dict[str, int] = {}
        self._waiting: list[tuple[float, int, Item, bool]] = []
        self._numbers = itertools.count()
        self._pages: OrderedDict[str, tuple[tuple[str, ...], list[str]]] = OrderedDict()
        for item in account.cloud.everything():
            self._show(item, deleted=False)

    def look(self) -> None:
        """Notice what changed, and show what is due."""
        with self._lock:
            now = self._faults.clock.now()
            if (last := self._account.cloud.last_change()) > self._seen:
                for item, deleted in self._account.cloud.all_changes(self._seen):
                    last = max(last, item.change)
                    due = now + self._faults.lag(item.id, item.change)
                    heapq.heappush(self._waiting, (due, next(self._numbers), item, deleted))
                self._seen = last
            while self._waiting and self._waiting[0][0] <= now:
                _, _, item, deleted = heapq.heappop(self._waiting)
                self._show(item, deleted=deleted)

    def _show(self, item: Item, *, deleted: bool) -> None:
        if self._changes.get(item.id, -1) >= item.change:  # a younger state was due earlier
            return
        self._changes[item.id] = item.change
        before = self._shown.pop(item.id, None)
        if before is not None:
            self._in[before.parent].pop(item.id, None)
        if not deleted:
            self._shown[item.id] = item
            self._in.setdefault(item.parent, {})[item.id] = None

    def page(self, request: Request) -> dict[str, Any]:
        """One page of `files.list`, with all fields of the resource.

        Raises:
            Refused: 400 for a parameter that will not do, 404 for a folder in the query that there is not.
        """
        asked = request.query
        size = _number(asked.get("pageSize", "100"), 1, 1000)
        terms = tuple(asked.get(name, "") for name in ("q", "orderBy", "corpora", "driveId", "includeItemsFromAllDrives", "spaces"))
        self.look()
        with self._lock:
            token = asked.get("pageToken")
            if token:
                kept = self._pages.get(token)
                if kept is None or kept[0] != terms:
                    raise invalid("pageToken")
                ids = kept[1]
            else:
                ids = self._found(request)
            found = [self._shown[id_] for id_ in ids[:size] if id_ in self._shown]
            answer: dict[str, Any] = {"kind": "drive#fileList", "incompleteSearch": self._faults.incomplete > 0}
            if ids[size:]:
                answer["nextPageToken"] = "~!!~" + secrets.token_urlsafe(48)
                self._pages[answer["nextPageToken"]] = (terms, ids[size:])
                while len(self._pages) > _PAGES_KEPT:
                    self._pages.popitem(last=False)
        known: dict[str, Place] = {}
        answer["files"] = [self._account.show(item, known) for item in found]
        return answer

    def forget_pages(self) -> None:
        """Every page token is rejected from now on."""
        with self._lock:
            self._pages.clear()

    def _found(self, request: Request) -> list[str]:
        asked = request.query
        query = parse(asked["q"]) if asked.get("q") else None
        drives = self._drives(request)
        within = folders(query)
        if within is not None:
            for id_ in within:
                try:
                    self._account.find(id_, shared=True)
                except Refused:
                    raise not_found(".") from None
            candidates = [self._shown[id_] for parent in within for id_ in self._in.get(inner(parent), ())]
        else:
            candidates = list(self._shown.values())
        known: dict[str, Place] = {}
        items = [item for item in candidates if item.id != SHARED and self._listed(item, query, drives, known)]
        return [item.id for item in _ordered(items, asked.get("orderBy", ""), self._account)]

    def _drives(self, request: Request) -> frozenset[str]:
        corpora, drive = request.query.get("corpora", "user"), request.query.get("driveId")
        if corpora not in ("user", "drive", "domain", "allDrives"):
            raise invalid("corpora")
        if (corpora == "drive") is not (drive is not None):
            raise invalid("driveId", "The driveId parameter must be specified if and only if corpora is set to drive.")
        if not (request.flag("includeItemsFromAllDrives") or request.flag("includeTeamDriveItems")):
            if drive is not None or corpora == "allDrives":
                raise Refused(403, "teamDrivesParameterRequired", "includeItemsFromAllDrives must be set.")
            return frozenset((ROOT,))
        if drive is not None:
            if inner(drive) != SHARED:
                raise Refused(404, "notFound", f"Shared drive not found: {drive}", location="driveId")
            return frozenset((SHARED,))
        return frozenset((ROOT, SHARED))

    def _listed(self, item: Item, query: Query | None, drives: frozenset[str], known: dict[str, Place]) -> bool:
        details: dict[str, Any] | None = None

        def field(name: str) -> Any:
            nonlocal details
            match name:
                case "name" | "fullText":
                    return item.name
                case "parents":
                    return (item.parent, outer(item.parent))
                case "trashed":
                    return item.trashed or self._account.place(item, known).trashed
                case "modifiedTime":
                    return write_time(item.modified)
                case "owners" | "writers" | "readers":
                    return ("me", "user@example.com")
                case "sharedWithMe":
                    return self._account.place(item, known).readonly
            if details is None:
                details = self._account.cloud.details(item.id)
            if name == "mimeType":
                return mime(item, details)
            if name == "createdTime":
                return write_time(details.get("created", item.modified))
            return details.get(name)

        return (
            fits(query, field)
            and self._account.place(item, known).drive in drives
            and not self._faults.leaves_out(item.id)
            and not self._hidden(item)
        )

    def _hidden(self, item: Item) -> bool:
        if not self._faults.hidden:
            return False
        try:
            self._account.find(item.id, shared=True)
        except Refused:
            return item.id in self._faults.hidden or self._account.cloud.get(item.id) is not None
        return False


def _ordered(items: list[Item], order: str, account: Account) -> list[Item]:
    items = sorted(items, key=lambda item: -item.born)
    keys = {
        "name": lambda item: item.name.casefold(),
        "name_natural": lambda item: item.name.casefold(),
        "modifiedTime": lambda item: item.modified,
        "modifiedByMeTime": lambda item: item.modified,
        "createdTime": lambda item: account.cloud.details(item.id).get("created", item.modified),
        "folder": lambda item: not item.folder,
        "quotaBytesUsed": lambda item: item.size,
        "recency": lambda item: item.modified,
        "starred": lambda item: 0,
    }
    for part in reversed([part.strip() for part in order.split(",") if part.strip()]):
        name, _, direction = part.partition(" ")
        if name not in keys or direction not in ("", "desc"):
            raise invalid("orderBy")
        items.sort(key=keys[name], reverse=direction == "desc")
    return items


def _number(text: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise invalid("pageSize") from None
    if not low <= value <= high:
        raise invalid("pageSize", f"Invalid value '{value}'. Values must be within the range: [{low}, {high}]")
    return value
