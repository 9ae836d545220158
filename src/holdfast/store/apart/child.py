"""A process of our own beside the job's: started, spoken to over two pipes, and ended.

It is spawned and never forked, because the job has threads and a GPU. It sees our package where the job found it, imports nothing
of the job's, is in a session of its own (an interrupt in a terminal or a notebook does not reach it), and ends when the job does:
its pipe closes, or it has another parent.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable

from holdfast.errors import LocalError
from holdfast.platform import end_session

#: A start takes 70 ms on a quiet machine.
START_SECONDS = 60.0
#: A process in a call that hangs does not end even when it is killed, until the call comes back.
_END_SECONDS = 1.0
#: So often is looked whether the other side lives where its pipe does not tell, because a forked process has it as well.
_LOOK_SECONDS = 1.0
_LENGTH_BYTES = 8
_PIECE_BYTES = 1 << 16

#: Run by the new process. Its own folders come first, so that nothing in the job's stands in for the standard library.
_BOOT = """
import os, pickle, sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
reading, writing = int(sys.argv[1]), int(sys.argv[2])
def take(count):
    data = b""
    while len(data) < count:
        piece = os.read(reading, count - len(data))
        if not piece:
            os._exit(0)
        data += piece
    return data
setup = pickle.loads(take(int.from_bytes(take(8), "big")))
try:
    sys.path += [place for place in setup["path"] if place not in sys.path]
    spec = spec_from_file_location("holdfast", setup["file"], submodule_search_locations=setup["folders"])
    package = sys.modules["holdfast"] = module_from_spec(spec)
    spec.loader.exec_module(package)
    from holdfast.store.apart import child
    module, _, name = setup["entry"].partition(":")
    service = getattr(import_module(module), name)
except BaseException as error:
    answer = pickle.dumps(f"{type(error).__name__}: {error}")
    os.write(writing, len(answer).to_bytes(8, "big") + answer)
    os._exit(1)
child.serve(reading, writing, setup["parent"], service)
"""

_alive: weakref.WeakSet[Child] = weakref.WeakSet()
#: Killed, and not gone yet.
_lingering: list[subprocess.Popen[bytes]] = []


class Gone(Exception):
    """The process on the other side of a pipe is no more."""


class Pipe:
    """Messages over two descriptors, each with its length before it.

    Args:
        reading: What is read from.
        writing: What is written to.
        lives: Whether there is somebody on the other side, where the descriptors do not tell.
    """

    def __init__(self, reading: int, writing: int, lives: Callable[[], bool] = lambda: True) -> None:
        self.reading = reading
        self.writing = writing
        self._lives = lives
        for descriptor in (reading, writing):
            os.set_blocking(descriptor, False)

    def send(self, message: bytes, until: float | None = None) -> None:
        """Send a message; `until` by the monotonic clock, in seconds.

        Raises:
            Gone: nobody reads it.
            TimeoutError: it was not taken in time.
        """
        rest = memoryview(len(message).to_bytes(_LENGTH_BYTES, "big") + message)
        while rest:
            try:
                rest = rest[os.write(self.writing, rest) :]
            except BlockingIOError:
                self._wait(self.writing, select.POLLOUT, until)
            except OSError as error:
                if error.errno not in (errno.EPIPE, errno.EBADF):  # EBADF: ended meanwhile by another thread, as at exit
                    raise
                raise Gone from error

    def receive(self, until: float | None = None) -> bytes:
        """Wait for a message; `until` by the monotonic clock, in seconds.

        Raises:
            Gone: nobody will send one.
            TimeoutError: none came in time. What comes later is out of step: end the process.
        """
        length = int.from_bytes(self._take(_LENGTH_BYTES, until), "big")
        return self._take(length, until)

    def close(self) -> None:
        """Close both descriptors; the other side sees the end."""
        for descriptor in (self.reading, self.writing):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.reading = self.writing = -1

    def _take(self, count: int, until: float | None) -> bytes:
        data = bytearray()
        while len(data) < count:
            try:
                piece = os.read(self.reading, min(count - len(data), _PIECE_BYTES))
            except BlockingIOError:
                self._wait(self.reading, select.POLLIN, until)
                continue
            except OSError as error:
                if error.errno != errno.EBADF:
                    raise
                raise Gone from error
            if not piece:
                raise Gone
            data += piece
        return bytes(data)

    def _wait(self, descriptor: int, event: int, until: float | None) -> None:
        if descriptor < 0:
            raise Gone
        poll = select.poll()
        poll.register(descriptor, event)
        while True:
            left = _LOOK_SECONDS if until is None else min(until - time.monotonic(), _LOOK_SECONDS)
            if left <= 0:
                raise TimeoutError
            if poll.poll(left * 1000):
                return
            if not self._lives():
                raise Gone


class Child:
    """One process of our own, ended when nobody knows it any more. Not for two threads at a time.

    Args:
        entry: `module:function` of ours; the function gets a `Pipe` and returns when there is nothing more to do.
        site: It has its Python's own packages from its beginning, which takes longer: for what looks whether it has, and has the
            processes that it starts be without where it has not (Ray).

    Raises:
        LocalError: it could not be started.
    """

    _ours = False

    def __init__(self, entry: str, *, site: bool = False) -> None:
        _lingering[:] = [process for process in _lingering if process.poll() is None]
        package = sys.modules[__name__.partition(".")[0]]
        setup = {
            "path": [os.path.abspath(place) for place in sys.path],
            "file": package.__file__,
            "folders": list(package.__path__),
            "parent": os.getpid(),
            "entry": entry,
        }
        reading, answers = os.pipe()
        requests, writing = os.pipe()
        try:
            process = _spawn(requests, answers, site=site)
        except (OSError, RuntimeError) as error:  # RuntimeError: Python 3.12 and newer start nothing once the interpreter ends
            os.close(reading)
            os.close(writing)
            raise LocalError(getattr(error, "errno", None), f"no process could be started to read files in ({error})") from error
        finally:
            os.close(requests)
            os.close(answers)
        self._process = process
        self.pipe = Pipe(reading, writing, lambda: process.poll() is None)
        self._ours = True
        _alive.add(self)
        until = time.monotonic() + START_SECONDS
        try:
            self.pipe.send(pickle.dumps(setup), until)
            refusal = self.pipe.receive(until)
        except (Gone, TimeoutError) as error:
            self.end()
            raise LocalError(errno.ECHILD, f"the process to read files in did not start ({self.fate})") from error
        except BaseException:
            self.end()
            raise
        if refusal:
            self.end()
            told = pickle.loads(refusal)  # noqa: S301 - from our own process
            raise LocalError(errno.ECHILD, f"the process to read files in did not start ({told})")

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def fate(self) -> str:
        """How it ended, for people."""
        code = self._process.returncode
        if code is None:
            return "it does not answer"
        return f"ended by signal {-code}" if code < 0 else f"exit code {code}"

    def lives(self) -> bool:
        """Whether it runs, and is ours: a forked process has none."""
        return self._ours and self._process.poll() is None

    def end(self) -> None:
        """End it at once, and what it started. One in a call that hangs is left behind, and taken off the system's list later."""
        if not self._ours:
            return
        self._ours = False
        self.pipe.close()
        if self._process.poll() is None:
            end_session(self._process.pid)
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            _lingering.append(self._process)

    def forget(self) -> None:
        """In a forked process: it belongs to the one that started it."""
        if self._ours:
            self._ours = False
            self.pipe.close()
        self._process.returncode = 0  # so that Popen neither waits nor warns

    def __del__(self) -> None:
        self.end()


def _spawn(requests: int, answers: int, *, site: bool) -> subprocess.Popen[bytes]:
    if not sys.executable:
        raise OSError(errno.ENOENT, "Python does not know where its own program lies")
    options = ["-P", *([] if site else ["-S"]), "-X", f"utf8={sys.flags.utf8_mode}"]
    return subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, *options, "-c", _BOOT, str(requests), str(answers)],
        pass_fds=(requests, answers),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",  # no folder is held, and nothing is looked for where the job is
        start_new_session=True,
    )


def serve(reading: int, writing: int, parent: int, service: Callable[[Pipe], None]) -> None:
    """What the new process does once it is there: ends here, with the service or with its parent."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # a thread that starts processes may have blocked some
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, args=(writing, parent), daemon=True).start()
    pipe = Pipe(reading, writing)
    with contextlib.suppress(Gone):
        pipe.send(b"")
        service(pipe)
    os._exit(0)


def _end_with_parent(writing: int, parent: int) -> None:
    """End this process and all that it started, in the middle of whatever they do, when nobody waits for an answer any more."""
    poll = select.poll()
    poll.register(writing, 0)  # no event but that its other end is closed
    while not poll.poll(_LOOK_SECONDS * 1000) and os.getppid() == parent:
        pass
    end_session(os.getpid())


class ProcessLock:
    """A lock for the threads of one process: in a forked one it is free, whoever held it at the time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = os.getpid()

    def __enter__(self) -> None:
        if self._process != os.getpid():
            self._lock, self._process = threading.Lock(), os.getpid()
        self._lock.acquire()

    def __exit__(self, *exception: object) -> None:
        self._lock.release()


def _end_all() -> None:
    for child in list(_alive):
        child.end()


def _in_a_forked_process() -> None:
    for child in list(_alive):
        child.forget()
    _alive.clear()
    for process in _lingering:
        process.returncode = 0
    _lingering.clear()


# Here, and not when the first one is started: what is registered later runs earlier, and may still want to read files.
atexit.register(_end_all)
if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_in_a_forked_process)
