"""One request and one answer, as the parts of the API see them, and the body as it comes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from holdfast.simulator.drive_api.refusals import Refused

_LINE = 4096
_CHUNK = 1 << 18
#: So many seconds a reader may be late, and what waits for it on the way comes at once.
_CATCHES_UP = 1.0


class Cut(Exception):
    """The connection ends here, in the middle of what is going on."""


class Line:
    """The network: how many bytes a second pass, over all connections."""

    def __init__(self, rate: Callable[[], float | None]) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._free = 0.0

    def pass_(self, size: int) -> None:
        """Wait until so many bytes have passed."""
        rate = self._rate()
        if rate is None:
            return
        with self._lock:
            now = time.monotonic()
            if now - self._free > _CATCHES_UP:  # nothing was on its way
                self._free = now
            self._free += size / rate
            left = self._free - now
        if left > 0:
            time.sleep(left)


class Body:
    """The body of a request, with a length or in HTTP's chunks.

    Args:
        source: The connection.
        length: Bytes; None for chunks.
        line: What the bytes pass through.
        count: Told of every byte.
        cut: The connection ends after so many bytes.
        corrupt: The first byte arrives changed.
    """

    def __init__(
        self,
        source: BinaryIO,
        length: int | None,
        line: Line,
        count: Callable[[int], None],
        *,
        cut: int | None = None,
        corrupt: bool = False,
    ) -> None:
        self.length = length
        self._source = source
        self._line = line
        self._count = count
        self._cut = cut
        self._corrupt = corrupt
        self._chunked = length is None
        self._left = length or 0  # of the body, or of the current chunk
        self._over = length == 0
        self.got = 0

    def read(self, most: int = _CHUNK) -> bytes:
        """The next bytes, none at the end.

        Raises:
            Cut: the other side went away, or sent what is no body.
        """
        if not self._over and self._left == 0:
            self._next_chunk()
        if self._over:
            return b""
        size = min(most, self._left, _CHUNK)
        if self._cut is not None:
            size = min(size, self._cut - self.got)
            if size <= 0:
                raise Cut
        data = self._take(size)
        self.got += size
        self._left -= size
        if self._left == 0 and not self._chunked:
            self._over = True
        elif self._left == 0:
            self._source.readline(_LINE)
        if self._corrupt:
            self._corrupt = False
            data = bytes((data[0] ^ 1,)) + data[1:]
        self._line.pass_(size)
        self._count(size)
        return data

    def _take(self, size: int) -> bytes:
        try:
            data = self._source.read(size)
        except OSError as error:
            raise Cut from error
        if len(data) < size:
            raise Cut
        return data

    def _next_chunk(self) -> None:
        try:
            line = self._source.readline(_LINE)
            self._left = int(line.split(b";")[0], 16)
            if self._left == 0:
                while self._source.readline(_LINE).strip():
                    pass
                self._over = True
        except (OSError, ValueError) as error:
            raise Cut from error

    def all(self) -> bytes:
        """What is left, in memory."""
        parts = []
        while data := self.read():
            parts.append(data)
        return b"".join(parts)

    def drain(self) -> None:
        """Read what is left and drop it."""
        while self.read():
            pass


@dataclass
class Request:
    """What was asked."""

    number: int
    kind: str
    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: Body
    origin: str  #: scheme, host and port as the client named them
    ids: tuple[str, ...] = ()  #: what the path names

    def flag(self, name: str) -> bool:
        """A parameter that is true or false."""
        return self.query.get(name, "false").lower() == "true"

    def json(self, text: bytes | None = None) -> dict[str, Any]:
        """The body, or this part of it, as a JSON object.

        Raises:
            Refused: 400 where it is none.
        """
        text = self.body.all() if text is None else text
        if not text.strip():
            return {}
        try:
            found = json.loads(text)
        except ValueError as error:
            raise Refused(400, "parseError", "Parse Error") from error
        if not isinstance(found, dict):
            raise Refused(400, "parseError", "Parse Error")
        return found


@dataclass(frozen=True)
class Piece:
    """Bytes of a file on this machine."""

    place: Path
    start: int
    size: int


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: int = 200
    body: bytes | Piece = b""
    headers: dict[str, str] = field(default_factory=dict)


def answer_json(value: Any, status: int = 200) -> Answer:
    """An answer in JSON."""
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json; charset=UTF-8"})
