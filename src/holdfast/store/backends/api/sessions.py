"""Sending one file: a small one in one request, a large one in an upload that goes on after a lost connection and after a kill.

The protocol is that of Drive's page "Upload file data". Only what Drive says that it has counts as sent; and a file counts as there
once Drive's own checksum of it is that of what was sent.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from holdfast.errors import StoreError, StoreUnreadable
from holdfast.store.backends.api.files import UPLOAD, Files
from holdfast.store.backends.api.items import FIELDS, Item
from holdfast.store.backends.api.notes import Made, Notes, Upload
from holdfast.store.backends.api.transport import Answer, Broken, asked_wait
from holdfast.store.backends.backend import Source

log = logging.getLogger(__name__)

#: Up to so much goes in one request, as Drive documents it.
SMALL_BYTES = 5_000_000
#: So much is sent at a time; a multiple of 256 KiB, which every piece but the last has to be. It is held until Drive has it.
PIECE_BYTES = 16 << 20
#: How often an upload is begun anew whose session Drive has forgotten or refuses.
_SESSIONS = 3
_RANGE = re.compile(r"bytes=0-(\d+)")


class _Forgotten(Exception):
    """Drive does not know the session any more, or has less than is still held here: all of it is sent again."""


@dataclass(frozen=True)
class Sent:
    """What was read of a source."""

    size: int
    sha256: str
    md5: str

    def is_in(self, item: Item) -> bool:
        """Whether Drive has just these bytes; without a checksum of Drive's own nothing says so."""
        if item.size != self.size or not item.is_file:
            return False
        if item.sha256 is not None:
            return item.sha256 == self.sha256
        return item.md5 == self.md5


class _Digests:
    """The checksums that Drive gives, of what passes by."""

    def __init__(self) -> None:
        self.size = 0
        self._sha256, self._md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)

    def update(self, data: bytes) -> None:
        self.size += len(data)
        self._sha256.update(data)
        self._md5.update(data)

    def sent(self) -> Sent:
        return Sent(self.size, self._sha256.hexdigest(), self._md5.hexdigest())


class Uploads:
    """Sends files.

    Args:
        files: Where to.
        notes: What is noted on this machine.
        piece: Bytes that are sent at a time.
    """

    def __init__(self, files: Files, notes: Notes, *, piece: int = PIECE_BYTES) -> None:
        self._files = files
        self._notes = notes
        self._piece = piece

    def send(self, path: str, parent: str, source: Source, where: str) -> Item:
        """Send one file. It is there, with the checksum of what was sent, or an error says why not.

        Args:
            path: In the store, free until now.
            parent: Id of its folder.
            source: Its bytes; asked for again where all has to be sent again.
            where: What it is, for messages.

        Raises:
            StoreUnreadable: Drive has other bytes than were sent; they are taken back.
            StoreError: as it says.
        """
        name = path.rpartition("/")[2]
        pieces = _in_pieces(source(), self._piece)
        first, last = next(pieces)
        if last and len(first) <= SMALL_BYTES:
            digests = _Digests()
            digests.update(first)
            chosen = self._files.new_id()
            self._notes.note(Made(path, chosen))
            item = self._files.create_small(chosen, name, parent, first, where)
            return self._arrived(path, item, digests.sent(), where)
        id_: str | None = None
        for attempt in range(_SESSIONS):
            if attempt:
                pieces = _in_pieces(source(), self._piece)
                first, last = next(pieces)
            upload, goes_on = self._begun(path, name, parent, first, id_, where)
            try:
                item, sent = self._sent(upload, first, pieces, where, last=last, goes_on=goes_on)
            except _Forgotten as why:
                self._notes.end(upload)
                id_ = None if goes_on else upload.id
                log.debug("%s: sent again from its beginning (%s)", where, why)
                continue
            except BaseException:
                self._notes.pause(upload)
                raise
            self._notes.end(upload)
            if goes_on and not sent.is_in(item):  # it began like this, and is something else
                self._files.delete(item.id, where)
                continue
            if item.name != name or item.parent not in (parent, None):
                item = self._files.move(item, name, parent, where)
            return self._arrived(path, item, sent, where)
        raise StoreUnreadable(errno.EIO, "Drive forgot the upload again and again: try again later", where)

    def _arrived(self, path: str, item: Item, sent: Sent, where: str) -> Item:
        """What Drive says in the end is what was sent, in a place that counts."""
        if item.trashed:
            raise StoreUnreadable(errno.EIO, "the folder lies in Drive's trash: restore it there, in a browser", where)
        if not sent.is_in(item):
            self._files.delete(item.id, where)
            self._notes.forget(path)
            raise StoreUnreadable(errno.EIO, "Drive has other bytes than were sent; they were taken back", where)
        self._notes.note(Made(path, item.id, size=sent.size, sha256=sent.sha256, md5=sent.md5))
        return item

    def _begun(self, path: str, name: str, parent: str, first: bytes, id_: str | None, where: str) -> tuple[Upload, bool]:
        """A session for this content, and whether it is one that was left in the middle."""
        beginning = hashlib.sha256(first).hexdigest()
        if id_ is None and (left := self._notes.left(beginning)) is not None:
            self._notes.note(Made(path, left.id))
            return left, True
        id_ = id_ or self._files.new_id()
        self._notes.note(Made(path, id_))
        body = json.dumps({"id": id_, "name": name, "parents": [parent]}).encode()
        answer = self._files.transport.ask(
            "POST",
            UPLOAD,
            where=where,
            query={"uploadType": "resumable", "fields": FIELDS, "supportsAllDrives": "true"},
            body=body,
            headers={"Content-Type": "application/json; charset=UTF-8", "X-Upload-Content-Type": "application/octet-stream"},
        )
        if answer.status == 409:  # it was finished, and nobody heard of it
            return Upload("", id_, beginning), False
        address = answer.headers.get("location", "")
        if not answer.is_good or not address:
            raise answer.refusal.as_error(where)
        upload = Upload(address, id_, beginning)
        self._notes.begin(upload)
        return upload, False

    def _sent(
        self, upload: Upload, first: bytes, rest: Iterator[tuple[bytes, bool]], where: str, *, last: bool, goes_on: bool
    ) -> tuple[Item, Sent]:
        """All of it, from where Drive says that it goes on."""
        digests, session = _Digests(), _Session(self._files, upload, where)
        if goes_on:
            session.ask()
        block, start = first, 0
        while True:
            digests.update(block)
            while session.item is None and session.at < start + len(block):
                if session.at < start:
                    raise _Forgotten("it has less than was confirmed")
                session.put(block[session.at - start :], last=last)
            if last:
                return session.finished(digests.size), digests.sent()
            start += len(block)
            block, last = next(rest)


class _Session:
    """One session of an upload: `at` is how much Drive has, `item` the file once it is finished."""

    def __init__(self, files: Files, upload: Upload, where: str) -> None:
        self._files = files
        self._transport = files.transport
        self._address = upload.address
        self._where = where
        self._waits = self._transport.waits.each()
        self._total = "*"
        self.at = 0
        self.item = None if upload.address else files.made(upload.id, where)

    def put(self, data: bytes, *, last: bool) -> None:
        """Send bytes from `at` on. What counts afterwards is what Drive says that it has."""
        before, end = self.at, self.at + len(data)
        self._total = str(end) if last else "*"
        try:
            answer = self._transport.ask_once(
                "PUT",
                self._address,
                where=self._where,
                body=data,
                headers={"Content-Range": f"bytes {before}-{end - 1}/{self._total}", "Content-Type": "application/octet-stream"},
            )
        except Broken as error:
            self._wait(error, 0.0)
            self.ask()
        else:
            self._understand(answer)
        if self.at > before or self.item is not None:
            self._waits = self._transport.waits.each()
        elif self.at == before:
            self._wait(StoreUnreadable(errno.EAGAIN, "Drive takes nothing of it", self._where), 0.0)

    def finished(self, total: int) -> Item:
        """The file, which Drive has all of; it is asked for where its answer was lost."""
        self._total = str(total)
        if self.item is None and self.at == total:
            self.ask()
        if self.item is None:
            raise _Forgotten("it has more or less than was sent")
        return self.item

    def ask(self) -> None:
        """Ask how much Drive has."""
        while True:
            try:
                answer = self._transport.ask_once(
                    "PUT", self._address, where=self._where, body=b"", headers={"Content-Range": f"bytes */{self._total}"}
                )
            except Broken as error:
                self._wait(error, 0.0)
            else:
                self._understand(answer)
                return

    def _understand(self, answer: Answer) -> None:
        if answer.status == 308:
            told = _RANGE.fullmatch(answer.headers.get("range", ""))
            self.at = int(told[1]) + 1 if told else 0
        elif answer.status in (200, 201):
            self.item = self._files.item_in(answer, self._where)
        elif answer.status in (404, 410):
            raise _Forgotten(f"{answer.status}")
        elif answer.refusal.passes:
            self._wait(answer.refusal.as_error(self._where), asked_wait(answer))
            self.ask()
        elif answer.status == 400:
            raise _Forgotten(f"{answer.status} {answer.refusal.reason}")
        else:
            raise answer.refusal.as_error(self._where)

    def _wait(self, error: StoreError, asked: float) -> None:
        wait = next(self._waits, None)
        if wait is None:
            raise error
        log.debug("%s: going on in %.1f s (%s)", self._where, max(wait, asked), error)
        self._transport.waits.sleep(max(wait, asked))


def _in_pieces(chunks: Iterable[bytes], size: int) -> Iterator[tuple[bytes, bool]]:
    """The same bytes in pieces of one size, each with whether it is the last; one empty piece where there is nothing."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) > size:
            yield bytes(held[:size]), False
            del held[:size]
    yield bytes(held), True
