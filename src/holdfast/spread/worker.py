"""A process of the engine `local`: `python -m holdfast.spread.worker LINE PARENT`. It ends with whoever started it."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from holdfast.errors import LocalError
from holdfast.platform import POSIX, die_with_parent, try_lock
from holdfast.spread.attempt import Attempt, Ended, Failed, Halted
from holdfast.spread.performing import perform, problem_of
from holdfast.spread.printing import OUTPUT, printing

#: News of steps goes out this often at most.
_NEWS_SECONDS = 0.5

#: So long a folder may be held by a process that is being ended by the system.
_ALONE_SECONDS = 120.0


class _Line:
    """The line to the driver: what it says comes in on a thread of its own, which ends the process with it."""

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self.begins: queue.Queue[tuple[Attempt, Path]] = queue.Queue()
        self.answers: queue.Queue[Any] = queue.Queue()
        self.halt = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        seen: tuple[bytes, ...] = ()
        while True:
            try:
                kind, *said = self._connection.recv()
            except (EOFError, OSError):
                os._exit(1)  # nobody is there to hear of anything
            if kind == "begin":
                attempt, known, root = said
                seen = (*seen[:known], *attempt.seen)
                self.begins.put((replace(attempt, seen=seen), Path(root)))
            elif kind == "answer":
                self.answers.put(said[0])
            else:
                self.halt.set()

    def say(self, *said: Any) -> None:
        with self._lock:
            self._connection.send(said)


class _Desk:
    """See `Desk`."""

    def __init__(self, line: _Line, attempt: Attempt, root: Path) -> None:
        self._line = line
        self.attempt = attempt
        self.root = root
        self._told = 0.0

    def kept(self, share: float) -> None:
        """See `Desk`."""
        self._line.say("kept", share)
        self._line.answers.get()

    def tell(self, what: Mapping[str, Any]) -> None:
        """See `Desk`."""
        now = time.monotonic()
        if "line" in what or now - self._told >= _NEWS_SECONDS:
            self._told = now
            self._line.say("told", dict(what))

    def is_to_stop(self) -> bool:
        """See `Desk`."""
        return self._line.halt.is_set()

    def fetch(self, path: Path, *, weights_only: bool, patient: bool) -> tuple[str, bool]:
        """See `Desk`."""
        self._line.say("asked", str(path), weights_only, patient)
        answer = self._line.answers.get()
        if isinstance(answer, BaseException):
            raise answer
        why, unknown = answer
        return str(why), bool(unknown)


def main() -> None:
    """Work on what comes, one attempt after the other."""
    number, parent = (int(a) for a in sys.argv[1:3])
    die_with_parent()
    if POSIX and os.getppid() != parent:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver is interrupted, and ends this process
    os.set_inheritable(number, False)
    line = _Line(Connection(number))
    while True:
        attempt, root = line.begins.get()
        end = _work(line, attempt, root)
        if isinstance(end, Ended):
            line.say("ended", end.result)
        elif isinstance(end, Halted):
            line.say("halted")
        else:
            line.say("failed", end.problem)


def _work(line: _Line, attempt: Attempt, root: Path) -> Ended | Halted | Failed:
    folder = root / attempt.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder), printing(folder / OUTPUT):
            return perform(attempt, _Desk(line, attempt, root))
    except OSError as error:
        return Failed(attempt, problem_of(error))


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder of the unit: one that another driver left behind may write in it for a moment."""
    if not POSIX:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        until = time.monotonic() + _ALONE_SECONDS
        while not try_lock(handle):
            if time.monotonic() > until:
                raise LocalError(
                    None, f"another process has worked in it for {_ALONE_SECONDS:g} s; end that, and run again", str(folder)
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(handle)


if __name__ == "__main__":
    main()
