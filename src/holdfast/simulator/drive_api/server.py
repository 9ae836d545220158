"""Serves the API: connections, TLS, and the faults that are the network's."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import socketserver
import ssl
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from holdfast.simulator.cloud import Cloud
from holdfast.simulator.drive_api.answers import Api
from holdfast.simulator.drive_api.book import Book
from holdfast.simulator.drive_api.certificates import certificate, server_context
from holdfast.simulator.drive_api.faults import Fault, Faults, What
from holdfast.simulator.drive_api.messages import Answer, Body, Cut, Line, Piece, Request
from holdfast.simulator.drive_api.refusals import Refused
from holdfast.simulator.drive_api.routes import route

_BLOCK = 1 << 18
_GONE = (OSError, Cut)  # whoever asked has gone, or TLS failed; ssl.SSLError is an OSError


class DriveApi:
    """Drive's v3 API over a cloud folder, in threads of this process.

    ::

        with DriveApi(tmp_path / "cloud") as api:
            requests.get(api.address + "/drive/v3/files", headers={"Authorization": "Bearer x"}, verify=api.certificate)
            api.faults.add(Fault(What.LOSE, "files.create"))
            assert api.book.requests["files.list"] == 1

    Args:
        cloud_folder: What Google has; mounts of the same folder, in this process or others, show the same Drive.
        port: On 127.0.0.1; 0 for a free one.
        tls: Whether it speaks HTTPS; plain HTTP otherwise.
        faults: What goes wrong; can be changed while it serves.
        seed: Of what is drawn, where no faults are given.
    """

    def __init__(self, cloud_folder: Path, *, port: int = 0, tls: bool = True, faults: Faults | None = None, seed: int = 0) -> None:
        self.cloud = cloud_folder
        self.faults = faults or Faults(seed=seed)
        self.book = Book()
        self._folder = cloud_folder / "api"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._temporary = tempfile.TemporaryDirectory(prefix="way-", dir=self._folder)
        self.certificate: Path | None = certificate(self._folder) if tls else None
        epoch = time.time() - self.faults.clock.now()
        self._cloud = Cloud(cloud_folder, machine="api", now=lambda: epoch + self.faults.clock.now())
        self._api = Api(self._cloud, Path(self._temporary.name), self.faults, epoch)
        self._server = _Server(port, self, server_context(self._folder) if tls else None)
        self.port = int(self._server.server_address[1])
        self.address = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        #: Tracebacks of what went wrong in the simulator itself.
        self.broken: list[str] = []

    @property
    def open_sessions(self) -> int:
        """Resumable uploads that have begun and are not finished."""
        return self._api.sessions.open()

    def forget_pages(self) -> None:
        """Reject every page token that was given so far."""
        self._api.listing.forget_pages()

    def start(self) -> None:
        """Begin to serve."""
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="drive-api", daemon=True).start()

    def close(self) -> None:
        """Serve no more; connections end."""
        self._server.shutdown()
        self._server.end()
        self._cloud.close()
        self._temporary.cleanup()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
        if self.broken and error is None:
            raise RuntimeError("the simulated API broke:\n" + self.broken[0])

    def answer(self, request: Request, fault: Fault | None) -> Answer:
        """What is answered, a refusal included.

        Raises:
            Cut: nothing.
        """
        try:
            if fault is not None and fault.what is What.REFUSE:
                after = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
                raise Refused(fault.status, fault.reason, headers=after)
            if fault is not None and fault.what is What.EXPIRE:
                self._api.sessions.forget(request.query.get("upload_id", ""))
            self._check_token(request)
            return self._remembered(request, self._api.answer(request, fault))
        except Refused as refused:
            return Answer(refused.status, refused.body(), {"Content-Type": "application/json; charset=UTF-8", **refused.headers})
        except Cut:
            raise
        except Exception:  # noqa: BLE001 - a thread of the server begins here; the one who made it is told at its end
            if not self._server.closing.is_set():
                self.broken.append(f"{request.method} {request.path} {request.query}\n{traceback.format_exc()}")
            return Answer(500, json.dumps({"error": {"code": 500, "message": "the simulator broke"}}).encode())

    def _remembered(self, request: Request, answer: Answer) -> Answer:
        """An answer, of which the book remembers what nobody else may see."""
        if request.kind == "token":
            form = urllib.parse.parse_qs(request.body.all().decode(errors="replace"))
            self.book.tokens.update(*(form.get(name, ()) for name in ("refresh_token", "client_secret")))
            self.book.tokens.add(json.loads(cast(bytes, answer.body))["access_token"])
        elif request.kind == "session.start":
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(answer.headers.get("Location", "")).query)
            self.book.uploads.update(query.get("upload_id", ()))
        return answer

    def _check_token(self, request: Request) -> None:
        if request.kind == "token":
            return
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        self.book.tokens.add(token)
        if scheme.lower() != "bearer" or not token:
            if request.kind.startswith("session.") and request.kind != "session.start":
                return  # the address of a session is itself a secret
            raise Refused(401, "required", "Login Required.", headers={"WWW-Authenticate": "Bearer"})
        if token in self.faults.expired or (self.faults.tokens is not None and token not in self.faults.tokens):
            raise Refused(401, "authError", headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


class _Server(socketserver.ThreadingTCPServer):
    """Takes connections; each has a thread."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, owner: DriveApi, context: ssl.SSLContext | None) -> None:
        self.owner = owner
        self.context = context
        self.line_in = Line(lambda: owner.faults.bytes_per_second)
        self.line_out = Line(lambda: owner.faults.bytes_per_second)
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Connection)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, peer = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context is not None:  # the hello is spoken in the connection's own thread
            connection = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._connections.add(connection)
        return connection, peer

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, _GONE) and not self.closing.is_set():
            self.owner.broken.append("".join(traceback.format_exception(error)))

    def end(self) -> None:
        """End every connection."""
        self.closing.set()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Connection(BaseHTTPRequestHandler):
    """One connection, kept alive for as many requests as come."""

    protocol_version = "HTTP/1.1"
    server_version = "SimulatedDrive"
    sys_version = ""
    wbufsize = -1

    def setup(self) -> None:
        self._again = _in_memory(b"")  # the second delivery of a request that comes twice
        self.request.settimeout(self._server.owner.faults.patience)
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        super().setup()

    @property
    def _server(self) -> _Server:
        return cast(_Server, self.server)

    def handle_expect_100(self) -> bool:
        """As the base class, and at once: the client waits for it."""
        found = super().handle_expect_100()
        self.wfile.flush()
        return found

    def log_message(self, *_: Any) -> None:
        """Nothing: what was asked is in the book."""

    def handle_one_request(self) -> None:
        """As the base class, with one method for every verb, and a connection that may end anywhere."""
        try:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            self._serve()
            self.wfile.flush()
        except _GONE:
            self._end()

    def _end(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        owner, faults = self._server.owner, self._server.owner.faults
        request, fault = self._request()
        if faults.before is not None:
            faults.before(request.kind, request.number)
        answer = owner.answer(request, fault)
        request.body.drain()
        what = None if fault is None else fault.what
        if what is What.TWICE:
            request.body = self._again
            answer = owner.answer(request, None)
        if faults.after is not None:
            faults.after(request.kind, request.number)
        if what is What.LOSE:
            raise Cut
        if what is What.SLOW and fault is not None:
            self._server.closing.wait(fault.seconds)
        self._send(answer, fault)

    def _request(self) -> tuple[Request, Fault | None]:
        owner = self._server.owner
        address = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
        headers = cast(Mapping[str, str], self.headers)
        method = self.command
        chunked = headers.get("Transfer-Encoding", "").lower() == "chunked"
        length = None if chunked else int(headers.get("Content-Length") or 0)
        other = headers.get("X-HTTP-Method-Override")
        if other is not None:  # an address that was too long came as a form
            method = other
            form = self.rfile.read(length or 0).decode()
            query.update(urllib.parse.parse_qsl(form, keep_blank_values=True))
            length = 0
        kind, ids = route(method, address.path, query, headers)
        number = owner.book.asked(kind)
        fault = owner.faults.meet(kind, number)
        what = None if fault is None else fault.what
        body = Body(
            cast(Any, self.rfile),
            length,
            self._server.line_in,
            lambda size: owner.book.moved(into=size),
            cut=(fault.size or 0) if fault is not None and what is What.CUT and kind != "download" else None,
            corrupt=what is What.CORRUPT and kind != "download",
        )
        if what is What.TWICE:
            data = body.all()
            body, self._again = _in_memory(data), _in_memory(data)
        host = headers.get("Host", f"127.0.0.1:{owner.port}")
        origin = f"{'https' if self._server.context else 'http'}://{host}"
        return Request(number, kind, method, address.path, query, headers, body, origin, ids), fault

    def _send(self, answer: Answer, fault: Fault | None) -> None:
        what = None if fault is None else fault.what
        size = answer.body.size if isinstance(answer.body, Piece) else len(answer.body)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        download = isinstance(answer.body, Piece)
        if what is What.NO_LENGTH and download:
            self.send_header("Connection", "close")
        elif answer.status != 204:
            self.send_header("Content-Length", str(size))
        self.end_headers()
        if self.command == "HEAD":
            return
        most = fault.size if fault is not None and download and what in (What.CUT, What.NO_LENGTH) else None
        self._send_body(answer.body, size if most is None else min(size, most), corrupt=download and what is What.CORRUPT)
        if what is What.NO_LENGTH and download:
            self.close_connection = True
        elif what is What.CUT:
            self.wfile.flush()
            raise Cut

    def _send_body(self, body: bytes | Piece, size: int, *, corrupt: bool) -> None:
        def pass_on(data: bytes) -> None:
            self._server.line_out.pass_(len(data))
            self.wfile.write(data)
            self._server.owner.book.moved(out=len(data))

        if isinstance(body, bytes):
            if body:
                pass_on(body)
            return
        left = size
        with open(body.place, "rb") as file:
            file.seek(body.start)
            while left and (data := file.read(min(left, _BLOCK))):
                left -= len(data)
                if corrupt:
                    data, corrupt = bytes((data[0] ^ 1,)) + data[1:], False
                pass_on(data)


def _in_memory(data: bytes) -> Body:
    return Body(io.BytesIO(data), len(data), Line(lambda: None), lambda size: None)
