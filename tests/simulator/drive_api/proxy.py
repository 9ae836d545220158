"""A loopback proxy that sends every host to one port, for clients whose address cannot be set."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator


class _Tunnel(socketserver.StreamRequestHandler):
    port = 0

    def handle(self) -> None:
        first = self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        assert first.startswith(b"CONNECT "), first
        with socket.create_connection(("127.0.0.1", self.port)) as there:
            self.connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(there, self.connection), daemon=True)
            back.start()
            _pump(self.connection, there)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def proxy_to(port: int) -> Iterator[str]:
    """Address of a proxy whose every tunnel leads to this port."""
    tunnel = type("Tunnel", (_Tunnel,), {"port": port})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), tunnel) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
