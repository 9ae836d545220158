"""What is spoken: a proxy that ends TLS, and the answers of the service behind it."""

from __future__ import annotations

import contextlib
import json
import re
import ssl
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from holdfast.simulator.colab_service.certificate import HOSTS

if TYPE_CHECKING:
    from holdfast.simulator.colab_service.service import ColabService

_PREFIX = ")]}'\n"


class Proxy(ThreadingHTTPServer):
    """Takes CONNECT, and answers itself whatever the name."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, service: ColabService) -> None:
        super().__init__(address, _Connect)
        self.context = context
        self.service = service

    def handle_error(self, request: object, client_address: object) -> None:
        """Who asked has gone; that is his affair."""


class _Connect(BaseHTTPRequestHandler):
    server: Proxy

    def do_CONNECT(self) -> None:
        host, _, _ = self.path.rpartition(":")
        if not self.server.service.habits.reachable:
            self.close_connection = True
            return
        if host not in HOSTS:
            self.server.service.book.write("asked elsewhere", host=host)
            self.send_error(403)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        with contextlib.suppress(OSError):
            connection = self.server.context.wrap_socket(self.connection, server_side=True)
            _Answers(connection, self.client_address, self.server)
            connection.close()
        self.close_connection = True

    def log_message(self, *args: Any) -> None:
        """Nothing: the book says what happened."""


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def _answer(self, method: str) -> None:
        service = self.server.service
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        place = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(place.query).items()}
        if not service.habits.signed_in or not self.headers.get("Authorization", "").startswith("Bearer "):
            self._send(401, {"error": "invalid_grant"})
        elif place.path == "/tun/m/assign":
            self._assign(method, query)
        elif place.path == "/tun/m/assignments":
            self._send(200, {"assignments": service.assignments()})
        elif place.path == "/tun/m/ccu-info":
            self._send(200, service.account())
        elif match := re.fullmatch(r"/tun/m/unassign/([\w-]+)", place.path):
            self._unassign(method, match[1])
        elif re.fullmatch(r"/tun/m/credentials-propagation/[\w-]+", place.path):
            self._credentials(method, query)
        else:
            self._send(404, {"error": f"nothing at {place.path}"})

    def _assign(self, method: str, query: dict[str, str]) -> None:
        service = self.server.service
        notebook, accelerator = query["nbh"], query.get("accelerator", "NONE")
        if (had := service.assigned(notebook)) is not None:
            self._send(200, had)
            return
        if method == "GET":
            variant = query.get("variant", "DEFAULT")
            self._send(200, {"acc": accelerator, "nbh": notebook, "token": service.secret(), "variant": variant})
            return
        if not service.known(self.headers.get("X-Goog-Colab-Token", "")):
            self._send(403, {"error": "token"})
            return
        refusal = service.refusal(accelerator)
        if isinstance(refusal, int):
            service.book.write("refused", status=refusal, accelerator=accelerator)
            self._send(refusal, {"error": "refused"})
            return
        if refusal == "slow":
            time.sleep(service.habits.slow_seconds)
        granted = service.grant(notebook, accelerator)
        if refusal == "lost":
            self._send(504, {"error": "deadline"})
        else:
            self._send(200, granted)

    def _unassign(self, method: str, endpoint: str) -> None:
        service = self.server.service
        if method == "GET":
            self._send(200, {"token": service.secret()})
        elif not service.known(self.headers.get("X-Goog-Colab-Token", "")):
            self._send(403, {"error": "token"})
        else:
            self._send(200 if service.unassign(endpoint) else 404, {})

    def _credentials(self, method: str, query: dict[str, str]) -> None:
        service = self.server.service
        allowed = service.habits.consent
        if method == "GET":
            self._send(200, {"token": service.secret()})
        elif query.get("dryrun") == "true":
            link = {} if allowed else {"unauthorized_redirect_uri": "https://accounts.google.com/simulated-consent"}
            self._send(200, {"success": allowed, **link})
        else:
            self._send(200 if allowed else 403, {"success": allowed})

    def _send(self, status: int, content: dict[str, Any]) -> None:
        body = (_PREFIX + json.dumps(content)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Nothing: the book says what happened."""
