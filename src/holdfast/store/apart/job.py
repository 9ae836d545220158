"""Files that a job has open are read in another process.

POSIX record locks belong to a process, and go when it closes *any* descriptor of the file (fcntl(2), "Advisory record locking"):
a backup that opened and closed a database file in the job's own process would take the library's lock away and let a second writer
in.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import pickle
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from holdfast.errors import LocalError
from holdfast.platform import POSIX
from holdfast.store.apart.child import Child, Gone, Pipe, ProcessLock

T = TypeVar("T")

IDLE_SECONDS = 300.0
_ENTRY = "holdfast.store.apart.job:serve"


class Apart:
    """Calls functions in a process of its own: started by the first call, kept for later ones, ended when idle or with the job.

    Threads may share it: one call runs at a time, the others wait. A forked process starts its own. While the interpreter ends it
    can be called until `atexit` has done all that was registered after this module was loaded, but Python 3.12 and newer start
    no process any more by then: only one that is there already serves.

    Args:
        idle_seconds: After so long without a call the process is ended.
    """

    def __init__(self, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._lock = ProcessLock()
        self._child: Child | None = None
        self._used = 0.0
        self._ended = threading.Event()

    def call(self, function: Callable[..., T], *args: object, seconds: float) -> T:
        """Call a function over there.

        Args:
            function: One at the top of a module that can be imported; not of `__main__`.
            args: Anything that can be pickled. Paths are absolute: the current folder over there is `/`.
            seconds: How long it may take, the waiting for other calls and for the start of the process not counted.

        Returns:
            What it returns, pickled and back.

        Raises:
            LocalError: it took too long, or its process died twice. What it had begun may be half done.
            Exception: what the function raised, its own type, with its traceback as a note.
        """
        if not POSIX:  # where locks belong to a handle
            return function(*args)
        request = pickle.dumps((function, args))
        with self._lock:
            try:
                returned, value, records = self._exchange(request, seconds)
            finally:
                self._used = time.monotonic()
        for record in records:
            logger = logging.getLogger(record.name)
            if logger.isEnabledFor(record.levelno):
                logger.handle(record)
        if returned:
            return value  # type: ignore[no-any-return]
        raise value

    def close(self) -> None:
        """End the process, if there is one. The next call starts another."""
        with self._lock:
            self._end()

    def _exchange(self, request: bytes, seconds: float) -> tuple[bool, Any, list[logging.LogRecord]]:
        fate = ""
        for _ in range(2):
            child = self._ready()
            until = time.monotonic() + seconds
            try:
                child.pipe.send(request, until)
                return pickle.loads(child.pipe.receive(until))  # type: ignore[no-any-return]  # noqa: S301 - our own process
            except Gone:
                self._end()
                fate = child.fate
            except TimeoutError as error:
                self._end()
                raise LocalError(
                    errno.ETIMEDOUT, f"reading did not come to an end within {seconds:g} s; is a disk hanging?"
                ) from error
            except BaseException:  # an interrupt: the answer that is on its way would be taken for that of the next call
                self._end()
                raise
        raise LocalError(errno.ECHILD, f"the process that reads files here died twice ({fate}); is memory short?")

    def _ready(self) -> Child:
        if self._child is not None and self._child.lives():
            return self._child
        self._end()
        self._child = Child(_ENTRY)
        self._ended = threading.Event()
        with contextlib.suppress(RuntimeError):  # the interpreter ends, and begins no thread any more
            threading.Thread(target=self._watch, args=(self._child, self._ended), name="holdfast: idle", daemon=True).start()
        return self._child

    def _watch(self, child: Child, ended: threading.Event) -> None:
        """End a process that nobody has used for long."""
        left = self._idle_seconds
        while not ended.wait(left):
            with self._lock:
                left = self._used + self._idle_seconds - time.monotonic()
                if self._child is child and left <= 0:
                    self._end()

    def _end(self) -> None:
        if self._child is not None:
            self._ended.set()
            child, self._child = self._child, None
            child.end()


def serve(pipe: Pipe) -> None:
    """The other side: calls what it is asked to call."""
    records: list[logging.LogRecord] = []
    logging.basicConfig(level=logging.INFO, handlers=[_Keeping(records)])
    while True:
        request = pipe.receive()
        records.clear()
        try:
            function, args = pickle.loads(request)  # noqa: S301 - from the process that started us
            answer = pickle.dumps((True, function(*args), records))
        except BaseException as error:  # noqa: BLE001 - carried over to the one who asked
            answer = pickle.dumps((False, _portable(error), records))
        pipe.send(answer)


def _portable(error: BaseException) -> BaseException:
    """The same error, if it comes through a pipe."""
    import traceback

    told = "".join(traceback.format_exception(error))
    error.add_note(f"in the process that reads files:\n{told}")
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - somebody else's class
        return RuntimeError(told)
    return error


class _Keeping(logging.Handler):
    """Keeps what is logged, as text, until it can be said where somebody hears it."""

    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args, record.exc_info = record.getMessage(), None, None
        self._records.append(record)
