"""The road to a machine: a relay that asks for its token, and that can be cut, go silent, or answer for the machine."""

from __future__ import annotations

import contextlib
import enum
import socket
import threading
from collections.abc import Callable

_HEAD = 65536


class Line(enum.Enum):
    """How the road is."""

    OPEN = "open"
    CUT = "cut"  #: nothing gets through, and what was connected is ended
    SILENT = "silent"  #: connections stand, and nothing comes over them


class Relay:
    """Listens on 127.0.0.1 and passes on to a port.

    Args:
        port: Where the machine's server listens.
        good: Whether a token is good now.
    """

    def __init__(self, port: int, good: Callable[[str], bool]) -> None:
        self._target = port
        self._good = good
        self._lock = threading.Lock()
        self._line = Line.OPEN
        self._open: set[socket.socket] = set()
        self._answers: list[int] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._closed = threading.Event()
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def set(self, line: Line) -> None:
        """Change how the road is, also for what is connected."""
        with self._lock:
            self._line = line
            ended = list(self._open) if line is Line.CUT else []
        for connection in ended:
            _end(connection)

    def answer(self, *statuses: int) -> None:
        """Answer the next requests with these, in the machine's place."""
        with self._lock:
            self._answers += statuses

    def close(self) -> None:
        """Listen no more, and end what is connected."""
        self._closed.set()
        self.set(Line.CUT)
        _end(self._listener)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self._line is Line.CUT:
                _end(connection)
                continue
            threading.Thread(target=self._serve, args=(connection,), name="relayed", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            self._open.add(client)
        server: socket.socket | None = None
        try:
            head = self._head(client)
            if head is None:
                return
            with self._lock:
                status = self._answers.pop(0) if self._answers else None
            if status is None and not self._good(_token(head)):
                status = 401
            if status is not None:
                client.sendall(f"HTTP/1.1 {status} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            with self._lock:
                self._open.add(server)
            server.sendall(head)
            back = threading.Thread(target=self._pump, args=(server, client), name="back", daemon=True)
            back.start()
            self._pump(client, server)
            back.join()
        except OSError:
            pass
        finally:
            for connection in (client, server):
                if connection is not None:
                    with self._lock:
                        self._open.discard(connection)
                    _end(connection)

    def _head(self, client: socket.socket) -> bytes | None:
        got = b""
        while b"\r\n\r\n" not in got and len(got) < _HEAD:
            more = client.recv(_HEAD)
            if not more:
                return None
            got += more
        self._wait_while_silent()
        return got

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(_HEAD):
                self._wait_while_silent()
                target.sendall(data)
        except OSError:
            pass
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _wait_while_silent(self) -> None:
        while self._line is Line.SILENT and not self._closed.wait(0.05):
            pass


def _token(head: bytes) -> str:
    lines = head.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "x-colab-runtime-proxy-token":
            return value.strip()
    _, _, query = lines[0].partition("?")
    for pair in query.split(" ")[0].split("&"):
        name, _, value = pair.partition("=")
        if name in ("colab-runtime-proxy-token", "token"):
            return value
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "authorization":
            return value.split()[-1] if value.split() else ""
    return ""


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
