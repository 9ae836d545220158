"""What tests have done in the process that reads files, and beside it."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import holdfast
from holdfast.errors import Refused

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "PYTHONWARNINGS": "error"}


def content(path: Path) -> bytes:
    """Opens and closes, which would drop the locks of the process that does it."""
    return path.read_bytes()


def same(value: object) -> object:
    return value


def where_holdfast_is() -> str:
    return str(holdfast.__file__)


def raise_refused(path: str) -> None:
    raise Refused(errno.EINVAL, "it is a pipe", path)


class Odd(Exception):
    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} {other}")


def raise_odd() -> None:
    raise Odd(1, 2)


def leave() -> None:
    sys.exit(3)


def log_and_print() -> None:
    print("to nowhere")
    logging.getLogger("holdfast.far").warning("seen %d times", 3)


def kill_myself(unless: Path) -> int:
    """Killed, unless a file is there. It is there the next time."""
    if not unless.exists():
        unless.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def kill_myself_always() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt_myself() -> int:
    os.kill(os.getpid(), signal.SIGINT)
    return os.getpid()


def sleep_after(told: Path) -> None:
    told.write_text(str(os.getpid()))
    time.sleep(600)


def gets_lock(path: Path) -> bool:
    """Whether another process gets an exclusive POSIX lock on a file."""
    code = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    return subprocess.run([sys.executable, "-c", code, str(path)], stderr=subprocess.DEVNULL, check=False).returncode == 0


def lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR)
    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def alive(pid: int) -> bool:
    """Also as a zombie."""
    return Path(f"/proc/{pid}").exists()


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(what: object, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def modules() -> set[str]:
    return set(sys.modules)
