"""The control channel: one JSON object a line over a Unix socket, one answer a line.

A request is `{"do": "advance", "seconds": 5}`; an answer is `{"ok": true, "value": ...}` or
`{"ok": false, "error": "..."}`. `serve.Service` says what can be asked.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any


class ControlError(RuntimeError):
    """The simulator refused a request, or is not there."""


#: Answers a request: the value, and what to do after the answer was sent.
Answer = tuple[Any, Callable[[], None] | None]


class ControlServer:
    """Answers requests in threads of its own.

    Args:
        place: Path of the socket; at most about 100 characters, as the system demands.
        answer: Called with a request's `do` and its other fields; raises ValueError for what cannot be done.
    """

    def __init__(self, place: Path, answer: Callable[[str, dict[str, Any]], Answer]) -> None:
        self._answer = answer
        place.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(place))
        self._socket.listen()

    def start(self) -> None:
        """Begin to answer."""
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            threading.Thread(target=self._serve, args=(connection,), name="control-connection", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as lines:
            for line in lines:
                after = None
                try:
                    request = json.loads(line)
                    value, after = self._answer(request.pop("do"), request)
                    answer = {"ok": True, "value": value}
                except Exception as error:  # noqa: BLE001 - whatever went wrong belongs to the one who asked
                    answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
                try:
                    lines.write(json.dumps(answer).encode() + b"\n")
                    lines.flush()
                except OSError:  # the one who asked has gone
                    return
                finally:
                    if after is not None:
                        after()


def ask(place: Path, do: str, *, timeout: float | None = 60.0, **fields: Any) -> Any:
    """Ask the simulator for something.

    Args:
        place: The control socket.
        do: What to do.
        timeout: Real seconds to wait for an answer; None for ever.
        fields: Its arguments.

    Raises:
        ControlError: it refused, or it is not there.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(place))
            connection.sendall(json.dumps({"do": do, **fields}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                line = lines.readline()
    except OSError as error:
        raise ControlError(f"the simulator at {place} does not answer {do!r}: {error}") from error
    if not line:
        raise ControlError(f"the simulator at {place} went away during {do!r}")
    answer = json.loads(line)
    if not answer["ok"]:
        raise ControlError(f"{do}: {answer['error']}")
    return answer["value"]
