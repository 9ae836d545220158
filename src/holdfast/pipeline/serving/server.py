"""Serving a model over HTTP until somebody ends it."""

from __future__ import annotations

import contextlib
import importlib.util
import ipaddress
import logging
import socket
from collections.abc import Callable, Sequence

from holdfast.errors import ConfigurationError, UsageError
from holdfast.pipeline.conversion.predict import Predictor
from holdfast.pipeline.serving.limits import Limits

_LIBRARIES = ("starlette", "uvicorn")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_BACKLOG = 2048
#: After an interrupt, so long may answers that are under way take.
_GRACE_SECONDS = 5


def need() -> None:
    """Refuse before anything is loaded.

    Raises:
        ConfigurationError: a library is missing.
    """
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(f"serve needs {', '.join(missing)}, which is not installed; pip install 'holdfast[serve]'")


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes any that is free.

    Raises:
        UsageError: it cannot.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise UsageError(
            f"nothing can listen at {host} port {port} ({error.strerror or error}); name another with --port, or --host; "
            "--port 0 takes any that is free"
        ) from error


def names_of(host: str) -> Sequence[str]:
    """Under which names a server that listens there may be asked: on this machine alone, its names; else any."""
    return _LOOPBACK if is_loopback(host) else ("*",)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(predictor: Predictor, model: str, host: str, port: int, say: Callable[[str], None], limits: Limits | None = None) -> None:
    """Serve until it is interrupted.

    Args:
        predictor: The model.
        model: What to call it.
        host: Address to listen at.
        port: Its port; 0 for any.
        say: Told the address, once it can be opened.
        limits: What is taken.

    Raises:
        UsageError: nothing can listen there.
    """
    import uvicorn

    from holdfast.pipeline.serving.app import finder, make_app

    limits = limits or Limits()
    with listening(host, port) as listener:
        predictor.entities("The first text takes longest, so it is this one.")
        _take_file_descriptors(2 * limits.connections)
        logging.getLogger("uvicorn").setLevel(logging.ERROR)  # that a client sent no HTTP is no news
        app = make_app(finder(predictor.entities_of_all), model=model, labels=predictor.labels, limits=limits, hosts=names_of(host))
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=limits.connections,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            backlog=_BACKLOG,
        )
        shown = f"[{host}]" if ":" in host else host
        say(f"http://{shown}:{listener.getsockname()[1]}/")
        with contextlib.suppress(KeyboardInterrupt):  # that is how it ends
            uvicorn.Server(config).run(sockets=[listener])


def _take_file_descriptors(number: int) -> None:
    """A connection is a file descriptor, and many systems give a process 1,024 until it asks."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
