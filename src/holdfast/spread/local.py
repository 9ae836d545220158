"""Attempts as processes of this machine: fresh interpreters, each for one attempt after the other."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any

from holdfast.spread.attempt import SPOILT, Asked, Attempt, Ended, Event, Failed, Halted, Kept, Lost, Told
from holdfast.spread.engine import Ground, Seat
from holdfast.spread.environment import places_of_modules

log = logging.getLogger(__name__)

#: So often is looked whether a process is gone of which a child still holds the line.
_LOOK_SECONDS = 0.5

#: So long a process that has nothing to do, or whose line ended, may take to end by itself.
_OWN_END_SECONDS = 2.0


@dataclass
class _Worker:
    """A process, what it works on (None while it has nothing to do), and what it was shown of other units."""

    process: subprocess.Popen[bytes]
    line: Connection[Any, Any]
    attempt: Attempt | None = None
    seen: tuple[bytes, ...] = ()


class LocalEngine:
    """Runs each attempt in a process beside this one, in the folder of its unit itself.

    A process that ends leaves its folder to the next attempt. One that the driver left behind by dying is ended by the system;
    where it takes its time about that, the next one waits for the lock that it has on the folder.

    Args:
        ground: Where the study stands.
    """

    keeps = False

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._workers: list[_Worker] = []
        self._halted = False
        if ground.resources.gpus:
            ground.warn(
                f"engine: local: gpus ({ground.resources.gpus:g}) is not gone by: every trial sees all GPUs of this machine; "
                "engine: ray gives each its own"
            )

    def start(self, attempt: Attempt) -> None:
        """See `Engine`."""
        free = [w for w in self._workers if w.attempt is None]
        for worker in free:
            if self._given(worker, attempt):
                return
            self._end(worker)
        worker = self._hire(attempt)
        self._workers.append(worker)
        self._given(worker, attempt)  # one that is gone already is found by `wait`

    def _hire(self, attempt: Attempt) -> _Worker:
        ours, theirs = Pipe()
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - this very interpreter
                [sys.executable, "-m", "holdfast.spread.worker", str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={**os.environ, **attempt.environment, "PYTHONPATH": os.pathsep.join(places_of_modules())},
                cwd=os.getcwd(),
            )
        return _Worker(process, ours)

    def _given(self, worker: _Worker, attempt: Attempt) -> bool:
        """Give a process work, and of what it may know only what it has not been shown. False where it is gone."""
        known = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] is pair[1], zip(worker.seen, attempt.seen, strict=False)))
        worker.attempt, worker.seen = attempt, attempt.seen
        try:
            worker.line.send(("begin", replace(attempt, seen=attempt.seen[known:]), known, str(self._ground.root)))
        except OSError:
            return False
        return True

    def wait(self, seconds: float) -> Sequence[Event]:
        """See `Engine`."""
        until = time.monotonic() + seconds
        while True:
            left = max(until - time.monotonic(), 0.0)
            ready = wait([w.line for w in self._workers], min(left, _LOOK_SECONDS))
            events = [e for w in list(self._workers) for e in self._heard(w, any(w.line is r for r in ready))]
            if events or left <= 0:
                return events

    def _heard(self, worker: _Worker, ready: bool) -> list[Event]:
        """What a process said, or that it is gone."""
        attempt = worker.attempt
        if not ready and worker.process.poll() is None:
            return []
        try:
            if worker.line.poll():  # also of one that is gone: what it said last counts
                kind, *said = worker.line.recv()
                return [] if attempt is None else [self._event(worker, attempt, kind, said)]
            if worker.process.poll() is None:
                return []
        except (EOFError, OSError):
            log.debug("the line to process %d ended", worker.process.pid)
        worker.attempt = None
        code = self._end(worker)
        return [] if attempt is None else [Lost(attempt, _why(code))]

    def _event(self, worker: _Worker, attempt: Attempt, kind: str, said: list[Any]) -> Event:
        if kind == "told":
            return Told(attempt, said[0])
        if kind == "kept":
            return Kept(attempt, said[0])
        if kind == "asked":
            return Asked(attempt, *said)
        if kind == "halted":
            worker.attempt = None
            return Halted(attempt)
        if kind == "failed":
            self._end(worker)  # what an error leaves behind in a process nobody knows
            return Failed(attempt, said[0])
        worker.attempt = None
        if said[0].get(SPOILT):
            self._end(worker)
        return Ended(attempt, said[0])

    def seat(self, attempt: Attempt) -> Seat | None:
        """See `Engine`."""
        return Seat("", attempt.folder) if any(w.attempt is attempt for w in self._workers) else None

    def answer(self, event: Kept | Asked, value: object = None) -> None:
        """See `Engine`."""
        for worker in self._workers:
            if worker.attempt is event.attempt:
                try:
                    worker.line.send(("answer", value))
                except OSError:
                    log.debug("the process of %s is gone", event.attempt.unit)

    def take(self, ended: Ended, place: Path) -> None:
        """Nothing to do: it worked in place."""

    def halt(self) -> None:
        """See `Engine`."""
        for worker in self._workers:
            if worker.attempt is not None:
                try:
                    worker.line.send(("halt",))
                except OSError:
                    log.debug("the process of %s is gone", worker.attempt.unit)

    def stop(self, attempt: Attempt) -> None:
        """See `Engine`."""
        for worker in [w for w in self._workers if w.attempt is attempt]:
            self._end(worker)

    def close(self) -> None:
        """See `Engine`."""
        for worker in list(self._workers):
            self._end(worker)

    def _end(self, worker: _Worker) -> int:
        """End a process, and wait for that: then it has written its last. Gives its exit code."""
        if worker in self._workers:
            self._workers.remove(worker)
        worker.line.close()  # one that still lives ends by that, in its own time
        try:
            return worker.process.wait(_OWN_END_SECONDS if worker.attempt is None else 0.0)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            return worker.process.wait()


def _why(code: int) -> str:
    if code >= 0:
        return f"its process ended by itself, with exit code {code}"
    try:
        return f"its process was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"its process was ended by signal {-code}"
