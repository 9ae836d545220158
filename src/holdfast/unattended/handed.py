"""On the machine: the token for Drive's API that the supervisor hands over, in the memory of the job and nowhere else.

It comes over the job's standard input, sealed for a key of this process, and is given to what the job started over a socket that
only this user may open. It is asked for there each time, so one that was renewed is taken without a word.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import threading
import time
from pathlib import Path

from holdfast.unattended.sealing import Pair

#: A new one is wanted so long before the end, in seconds: the supervisor may be away for a while.
_EARLY = 900.0
#: So long is waited for the supervisor, in seconds; it looks several times a minute.
_PATIENT = 90.0
_BLOCK = 1 << 16


class Handed:
    """Reads tokens as they come, and gives the newest one to whoever asks.

    Args:
        given: Descriptor that they come from, a line each.
        place: Of the socket.
        early: Seconds before its end from which on a new one is wanted.
    """

    def __init__(self, given: int, place: Path, early: float = _EARLY) -> None:
        self._pair = Pair()
        self._given, self._early = given, early
        self._token, self._refused, self._until = "", "", 0.0
        self._changed = threading.Condition()
        place.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(place))
        place.chmod(0o600)
        self._listener.listen(64)
        for work in (self._read, self._accept):
            threading.Thread(target=work, daemon=True).start()

    def told(self) -> dict[str, str]:
        """What the supervisor has to know: the key to seal for, and why it should hand over a token, if it should."""
        with self._changed:
            if not self._token:
                wanted = "none yet"
            elif self._refused == self._token:
                wanted = "refused"
            else:
                wanted = "soon over" if time.monotonic() > self._until - self._early else ""
        return {"key": self._pair.public, "wanted": wanted}

    @property
    def has_one(self) -> bool:
        """Whether a token has come."""
        return bool(self._token)

    def _read(self) -> None:
        rest = b""
        while data := os.read(self._given, _BLOCK):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                with contextlib.suppress(ValueError, KeyError, TypeError):  # for a job before this one
                    self._take(json.loads(self._pair.open(line.decode("ascii"))))

    def _take(self, told: dict[str, object]) -> None:
        seconds = told.get("seconds")
        with self._changed:
            self._token = str(told["token"])
            self._until = time.monotonic() + float(seconds) if isinstance(seconds, int | float) else float("inf")
            self._changed.notify_all()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            refused = connection.recv(_BLOCK).strip().decode("ascii", "replace")
            with self._changed:
                if refused and refused == _digest(self._token):
                    self._refused = self._token
                self._changed.wait_for(lambda: self._token and _digest(self._token) != refused, _PATIENT)
                token = self._token
            connection.sendall(token.encode())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
