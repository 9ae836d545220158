"""Drive's files as the API knows them: each call typed, each refusal a typed error."""

from __future__ import annotations

import errno
import json
import logging
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from holdfast.errors import StoreExists, StoreNotFound, StoreUnreachable, StoreUnreadable
from holdfast.platform import random_hex
from holdfast.store.backends.api.items import FIELDS, FOLDER, Item, called, within
from holdfast.store.backends.api.transport import Answer, Broken, Transport
from holdfast.store.backends.backend import CHUNK_BYTES, Space

log = logging.getLogger(__name__)

FILES, UPLOAD = "/drive/v3/files", "/upload/drive/v3/files"
_PAGE = 1000
#: So many ids are asked for at a time. One that is not used costs nothing.
_IDS = 32
#: An address above this is sent as a form, as Google's own client does.
_LONGEST_QUERY = 1800
#: How often a listing begins again whose page token is refused.
_LISTINGS = 3
_FORM = "application/x-www-form-urlencoded"


class Files:
    """The files of one account.

    Args:
        transport: Asks.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._ids: list[str] = []
        self._lock = threading.Lock()
        #: The shared drive in which everything lies, if it is one.
        self.drive: str | None = None

    # -- looking -------------------------------------------------------------------------------------------------------

    def get(self, id_: str, where: str) -> Item:
        """One file or folder by its id, which shows what was just made.

        Raises:
            StoreNotFound: there is none, or this account may not know of it.
            StoreError: as it says.
        """
        return self.item_in(self._asked("GET", f"{FILES}/{id_}", where, {"fields": FIELDS}), where)

    def search(self, query: str, where: str, *, most: int | None = None) -> list[Item]:
        """Every file that a query finds. What was just made may be missing, for minutes.

        Args:
            query: In Drive's words.
            where: What it is about, for messages.
            most: Stop behind so many; None for all.

        Raises:
            StoreUnreachable: a folder in the query is not there, or not shown to this account.
            StoreUnreadable: Drive says itself that the list is incomplete.
            StoreError: as it says.
        """
        for left in reversed(range(_LISTINGS)):
            found: list[Item] = []
            token: str | None = None
            while True:
                answer = self._page(query, where, token)
                if token is not None and answer.status == 400 and left:  # a refused token means: begin again
                    break
                if answer.status == 404:  # of a folder that is asked about; that is no empty list
                    raise StoreUnreachable(
                        errno.ENOENT,
                        "Drive does not show the folder to this account any more: look for it, and into the trash",
                        where,
                    )
                said = self._good(answer, where).object()
                if said.get("incompleteSearch"):
                    raise StoreUnreadable(errno.EIO, "Drive says that its list is incomplete: try again", where)
                found += [self._as_item(one, where) for one in said.get("files", [])]
                token = said.get("nextPageToken")
                if not token or (most is not None and len(found) >= most):
                    return found
        raise AssertionError

    def children(self, parents: Sequence[str], where: str) -> list[Item]:
        """What lies directly in these folders and is not in the trash."""
        return self.search(f"{within(parents)} and trashed = false", where)

    def named(self, name: str, parents: Sequence[str], where: str) -> list[Item]:
        """What is called so in these folders, in the trash too."""
        found = self.search(f"{called([name])} and {within(parents)}", where)
        return [i for i in found if i.name == name and i.parent in (*parents, None)]

    def download(self, item: Item, where: str) -> Iterator[bytes]:
        """The content of a file, in chunks. Where the connection is lost it goes on at that byte.

        Raises:
            StoreNotFound: there is none.
            StoreUnreadable: less came than the file has.
        """
        waits, at = self.transport.waits.each(), 0
        while at < item.size:
            try:
                parts = self.transport.download(
                    f"{FILES}/{item.id}", where=where, query=self._query({"alt": "media"}), offset=at, chunk=CHUNK_BYTES
                )
                head = next(parts)
                assert isinstance(head, Answer)
                if head.status not in (200, 206):
                    if not head.refusal.passes:
                        raise head.refusal.as_error(where)
                    raise Broken(errno.EAGAIN, f"Drive does not give it now ({head.status} {head.refusal.reason})", where)
                if head.status == 200 and at:  # it does not take ranges: begin again, and pass over what was given
                    parts = _after(parts, at)
                for data in parts:
                    assert isinstance(data, bytes)
                    at += len(data)
                    yield data
                if at < item.size:  # an answer without a length is never complete by itself
                    raise Broken(errno.ECONNRESET, "less came than the file has", where)
            except Broken as error:
                wait = next(waits, None)
                if wait is None:
                    raise StoreUnreadable(error.errno, str(error.strerror), where) from error
                self.transport.waits.sleep(wait)

    def space(self) -> Space | None:
        """Bytes of the account; None where it has no limit, or does not say."""
        if self.drive is not None:
            return None
        said = self._asked("GET", "/drive/v3/about", "Drive", {"fields": "storageQuota"}).object().get("storageQuota", {})
        try:
            total, used = int(said["limit"]), int(said["usage"])
        except (KeyError, ValueError, TypeError):
            return None
        return Space(total, max(total - used, 0))

    # -- changing ------------------------------------------------------------------------------------------------------

    def new_id(self) -> str:
        """An id that nothing has yet: what is made under it can be asked to be made twice, and is made once."""
        with self._lock:
            if not self._ids:
                said = self._asked("GET", f"{FILES}/generateIds", "Drive", {"count": str(_IDS), "space": "drive"}).object()
                self._ids = [str(i) for i in said.get("ids", [])]
                if not self._ids:
                    raise StoreUnreadable(errno.EIO, "Drive gave no ids", "Drive's API")
            return self._ids.pop()

    def create_folder(self, id_: str, name: str, parent: str, where: str) -> Item:
        """Make a folder under a chosen id. Asked twice, it is made once."""
        body = json.dumps({"id": id_, "name": name, "parents": [parent], "mimeType": FOLDER}).encode()
        return self._created(id_, "POST", FILES, body, "application/json; charset=UTF-8", {"fields": FIELDS}, where)

    def create_small(self, id_: str, name: str, parent: str, content: bytes, where: str) -> Item:
        """Make a file under a chosen id in one request. Asked twice, it is made once."""
        while (mark := f"holdfast-{random_hex(16)}").encode() in content:
            pass
        metadata = json.dumps({"id": id_, "name": name, "parents": [parent]}).encode()
        body = b"".join(
            (
                f"--{mark}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode(),
                metadata,
                f"\r\n--{mark}\r\nContent-Type: application/octet-stream\r\n\r\n".encode(),
                content,
                f"\r\n--{mark}--\r\n".encode(),
            )
        )
        query = {"uploadType": "multipart", "fields": FIELDS}
        return self._created(id_, "POST", UPLOAD, body, f"multipart/related; boundary={mark}", query, where)

    def _created(self, id_: str, method: str, path: str, body: bytes, kind: str, query: dict[str, str], where: str) -> Item:
        answer = self.transport.ask(method, path, where=where, query=self._query(query), body=body, headers={"Content-Type": kind})
        if answer.status == 409:  # an earlier request did it, and its answer was lost
            return self.made(id_, where)
        return self.item_in(self._good(answer, where), where)

    def made(self, id_: str, where: str) -> Item:
        """What was made under an id that Drive calls taken.

        Raises:
            StoreUnreadable: it is gone again; the next attempt takes another id.
        """
        try:
            return self.get(id_, where)
        except StoreNotFound as error:
            raise StoreUnreadable(errno.EIO, "it was made, and is gone again: try again", where) from error

    def move(self, item: Item, name: str, parent: str, where: str) -> Item:
        """Give a file of ours its name and folder."""
        query = {"fields": FIELDS}
        if item.parent != parent:
            query |= {"addParents": parent, **({"removeParents": item.parent} if item.parent else {})}
        body = json.dumps({"name": name}).encode()
        answer = self.transport.ask(
            "PATCH",
            f"{FILES}/{item.id}",
            where=where,
            query=self._query(query),
            body=body,
            headers={"Content-Type": "application/json; charset=UTF-8"},
        )
        return self.item_in(self._good(answer, where), where)

    def delete(self, id_: str, where: str) -> None:
        """Have a file gone for good, past the trash. One that is gone is no error.

        Where only the manager of a shared drive may do that it goes to the trash.
        """
        answer = self.transport.ask("DELETE", f"{FILES}/{id_}", where=where, query=self._query({}))
        if answer.is_good or answer.status == 404:
            return
        if answer.status == 403 and self.drive is not None:
            trashing = self.transport.ask(
                "PATCH",
                f"{FILES}/{id_}",
                where=where,
                query=self._query({"fields": "id,trashed"}),
                body=b'{"trashed": true}',
                headers={"Content-Type": "application/json; charset=UTF-8"},
            )
            if trashing.is_good or trashing.status == 404:
                return
        raise answer.refusal.as_error(where)

    # -- below ---------------------------------------------------------------------------------------------------------

    def _page(self, query: str, where: str, token: str | None) -> Answer:
        asked = {"q": query, "pageSize": str(_PAGE), "fields": f"nextPageToken,incompleteSearch,files({FIELDS})", "spaces": "drive"}
        asked |= {"includeItemsFromAllDrives": "true", "supportsAllDrives": "true"}
        if self.drive is not None:
            asked |= {"corpora": "drive", "driveId": self.drive}
        if token:
            asked["pageToken"] = token
        if len(query) <= _LONGEST_QUERY:
            return self.transport.ask("GET", FILES, where=where, query=asked)
        from urllib.parse import urlencode

        headers = {"X-HTTP-Method-Override": "GET", "Content-Type": _FORM}
        return self.transport.ask("POST", FILES, where=where, body=urlencode(asked).encode(), headers=headers)

    def _asked(self, method: str, path: str, where: str, query: dict[str, str]) -> Answer:
        return self._good(self.transport.ask(method, path, where=where, query=self._query(query)), where)

    def _query(self, query: dict[str, str]) -> dict[str, str]:
        return {**query, "supportsAllDrives": "true"}

    def _good(self, answer: Answer, where: str) -> Answer:
        if answer.is_good:
            return answer
        if answer.status == 409:
            raise StoreExists(errno.EEXIST, "Drive has something under this id already", where)
        raise answer.refusal.as_error(where)

    def item_in(self, answer: Answer, where: str) -> Item:
        """The file that an answer tells of."""
        return self._as_item(answer.object(), where)

    def _as_item(self, said: Any, where: str) -> Item:
        try:
            return Item.of(said)
        except (ValueError, AttributeError) as error:
            raise StoreUnreadable(errno.EIO, "Drive answered with something that is no file", where) from error


def _after(parts: Iterator[Answer | bytes], skipped: int) -> Iterator[bytes]:
    for data in parts:
        assert isinstance(data, bytes)
        rest = data[skipped:]
        skipped -= len(data) - len(rest)
        if rest:
            yield rest
