"""Resumable uploads: a session's bytes arrive in pieces, and the file is there when the last one has.

A half-sent session makes no file. Sessions live as long as the process, or a week of virtual time.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.simulator.clock import Clock
from holdfast.simulator.drive_api.faults import Fault, What
from holdfast.simulator.drive_api.messages import Answer, Body, Request
from holdfast.simulator.drive_api.refusals import Refused
from holdfast.simulator.items import Content, Sums

BLOCK = 256 * 1024
_WEEK = 7 * 24 * 3600.0
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass
class Session:
    """One upload under way.

    Args:
        id: What its address ends with.
        place: Its bytes so far.
        meta: What was said of the file.
        updates: Id of the file that it overwrites; None for a new one.
        query: Of the request that began it, for the fields of the last answer.
        total: Bytes, where they are known.
        born: Virtual seconds.
        received: Bytes so far.
        sums: Theirs.
        content: What the cloud took over, once all had come.
        answer: To whoever asks, once the file is there.
    """

    id: str
    place: Path
    meta: dict[str, Any]
    updates: str | None
    query: dict[str, str]
    total: int | None
    born: float
    received: int = 0
    sums: Sums = field(default_factory=Sums)
    content: Content | None = None
    answer: Answer | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Sessions:
    """All of them.

    Args:
        folder: For the bytes.
        clock: Virtual time.
        odd: Whether chunks may have any size.
        finish: Makes the file of a session that is whole.
    """

    def __init__(
        self, folder: Path, clock: Callable[[], Clock], odd: Callable[[], bool], finish: Callable[[Session], Answer]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._clock = clock
        self._odd = odd
        self._finish = finish
        self._lock = threading.Lock()
        self._all: dict[str, Session] = {}

    def begin(self, meta: dict[str, Any], updates: str | None, query: dict[str, str], total: int | None) -> Session:
        """A new session."""
        id_ = secrets.token_urlsafe(40)
        session = Session(id_, self._folder / id_, meta, updates, query, total, self._clock().now())
        session.place.touch()
        with self._lock:
            self._all[id_] = session
        return session

    def find(self, id_: str) -> Session:
        """A session.

        Raises:
            Refused: 404 where it is over, or never was.
        """
        with self._lock:
            session = self._all.get(id_)
        if session is None or self._clock().now() - session.born > _WEEK:
            raise Refused(404, "notFound", "Upload session not found.")
        return session

    def forget(self, id_: str) -> None:
        """End a session: its address answers 404 from now on."""
        with self._lock:
            session = self._all.pop(id_, None)
        if session is not None:
            session.place.unlink(missing_ok=True)

    def open(self) -> int:
        """How many have begun and are not finished."""
        with self._lock:
            return sum(session.answer is None for session in self._all.values())

    def send(self, request: Request, fault: Fault | None) -> Answer:
        """A `PUT` or `POST` to a session's address: a chunk, or a question.

        Raises:
            Refused: 404 as `find`; 400 for a gap, an odd chunk, or sizes that do not fit.
            Cut: the connection ended in the middle; whole blocks that came are kept.
        """
        session = self.find(request.query["upload_id"])
        with session.lock:
            if session.answer is not None:
                request.body.drain()
                return session.answer
            start, end, total = _range(request)
            if total is not None:
                if session.total is not None and session.total != total:
                    raise Refused(400, "badRequest", f"The upload was announced with {session.total} bytes, not {total}.")
                session.total = total
            if start is None:  # a question
                request.body.drain()
            else:
                self._take(session, request.body, start, end, short=fault.size if fault and fault.what is What.SHORT else None)
            if session.total is not None and session.received == session.total:
                session.answer = self._finish(session)
                return session.answer
            return _so_far(session)

    def _take(self, session: Session, body: Body, start: int, end: int | None, *, short: int | None) -> None:
        if start > session.received:
            raise Refused(400, "badRequest", f"The chunk begins at {start}, and {session.received} bytes are here.")
        if end is not None and session.total is not None and end > session.total:
            raise Refused(400, "badRequest", f"The chunk ends at {end}, and the upload has {session.total} bytes.")
        if end is not None and end != session.total and (end - start) % BLOCK and not self._odd():
            raise Refused(400, "badRequest", f"A chunk must be a multiple of {BLOCK} bytes, except for the last one.")
        kept = bytearray()
        position = start
        with open(session.place, "ab") as file:

            def store(size: int) -> None:
                data = bytes(memoryview(kept)[:size])
                file.write(data)
                session.sums.add(data)
                session.received += size
                del kept[:size]

            while data := body.read():
                if short is not None:
                    data = data[: max(0, start + short - position)]
                fresh = data[max(0, session.received + len(kept) - position) :]
                position += len(data)
                if not kept and len(fresh) % BLOCK == 0:  # the usual case, without a copy
                    file.write(fresh)
                    session.sums.add(fresh)
                    session.received += len(fresh)
                    continue
                kept += fresh
                store(len(kept) // BLOCK * BLOCK)
            if end is not None and short is None and position != end:
                raise Refused(400, "badRequest", f"The chunk was to end at {end} and ended at {position}.")
            if short is None:
                store(len(kept))
        if end is None and short is None:  # everything came at once
            if session.total is not None and session.received != session.total:
                raise Refused(400, "badRequest", f"{session.total} bytes were announced, and {session.received} came.")
            session.total = session.received


def _range(request: Request) -> tuple[int | None, int | None, int | None]:
    """First byte, end and total of a chunk: no first byte for a question, no end where there is no `Content-Range`."""
    text = request.headers.get("Content-Range")
    if text is None:
        return 0, None, None
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise Refused(400, "badRequest", f"Failed to parse Content-Range header: {text}")
    total = None if match[3] == "*" else int(match[3])
    if match[1] is None:
        return None, None, total
    start, end = int(match[1]), int(match[2]) + 1
    if end <= start:
        raise Refused(400, "badRequest", f"Failed to parse Content-Range header: {text}")
    return start, end, total


def _so_far(session: Session) -> Answer:
    headers = {"Range": f"bytes=0-{session.received - 1}"} if session.received else {}
    return Answer(308, b"", {"X-GUploader-UploadID": session.id, **headers})
