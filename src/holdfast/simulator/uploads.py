"""The upload queue: when what this machine has written arrives at Google. It decides times and moves no bytes."""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Pace:
    """How quickly things reach the cloud.

    Args:
        slots: Uploads at a time.
        creates_per_second: New files and folders per virtual second (2 to 3 were measured).
        bytes_per_second: Shared by the uploads under way.
        lag: Virtual seconds, from and to, between the end of a write and the beginning of its upload *(assumed)*. A wide
            range is what makes files arrive in any order.
    """

    slots: int = 10
    creates_per_second: float = 2.5
    bytes_per_second: float = 20e6
    lag: tuple[float, float] = (1.0, 30.0)


@dataclass
class _Job(Generic[T]):
    key: T
    left: float
    creates: bool
    ready: float
    dropped: bool = False


class Queue(Generic[T]):
    """Jobs by key, in virtual time. A job that is put again begins anew."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._time = 0.0
        self._next_create = 0.0
        self._numbers = itertools.count()
        self._jobs: dict[T, _Job[T]] = {}
        self._active: list[_Job[T]] = []
        # Creates wait for their rate apart, so that they hold up nothing else.
        self._waiting: dict[bool, list[tuple[float, int, _Job[T]]]] = {True: [], False: []}

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, key: T, *, ready: float, size: int, creates: bool) -> None:
        """Queue a job that may begin at `ready`, or restart it with this time and size."""
        self.drop(key)
        job = _Job(key, float(size), creates, ready)
        self._jobs[key] = job
        heapq.heappush(self._waiting[creates], (ready, next(self._numbers), job))

    def drop(self, key: T) -> None:
        """Forget a job, also one that is under way."""
        job = self._jobs.pop(key, None)
        if job is not None:
            job.dropped = True
            if job in self._active:
                self._active.remove(job)

    def skip(self, until: float) -> None:
        """Let time pass in which nothing is uploaded."""
        self._time = max(self._time, until)

    def run(self, until: float) -> list[T]:
        """Let uploads happen until this time. Returns the jobs that finished, in their order."""
        done: list[T] = []
        while True:
            self._begin()
            share = self._pace.bytes_per_second / max(1, len(self._active))
            finish = self._time + min((job.left for job in self._active), default=math.inf) / share
            step = min(finish, self._next_begin())
            reached = min(step, max(until, self._time))
            for job in self._active:
                job.left -= (reached - self._time) * share
            self._time = reached
            if step > until:
                return done
            if finish <= step:
                done.extend(self._finish())

    def _finish(self) -> list[T]:
        # The one that sets the step counts as finished whatever rounding left over.
        least = min(job.left for job in self._active)
        finished = [job for job in self._active if job.left <= max(least, 1e-6)]
        self._active = [job for job in self._active if job not in finished]
        for job in finished:
            del self._jobs[job.key]
        return [job.key for job in finished]

    def end(self) -> float:
        """When the next thing happens, `inf` where nothing will."""
        self._begin()
        share = self._pace.bytes_per_second / max(1, len(self._active))
        return min(self._time + min((job.left for job in self._active), default=math.inf) / share, self._next_begin())

    def _begin(self) -> None:
        while len(self._active) < self._pace.slots and (creates := self._first()) is not None:
            _, _, job = heapq.heappop(self._waiting[creates])
            if creates:
                self._next_create = max(self._time, self._next_create) + 1 / self._pace.creates_per_second
            self._active.append(job)

    def _first(self) -> bool | None:
        """Which heap has a job that may begin now, the earlier one first; None where neither has."""
        found = [(self._head(creates), creates) for creates in (False, True)]
        at, creates = min(found)
        return creates if at <= self._time else None

    def _next_begin(self) -> float:
        if len(self._active) >= self._pace.slots:
            return math.inf
        return max(self._time, min(self._head(True), self._head(False)))

    def _head(self, creates: bool) -> float:
        heap = self._waiting[creates]
        while heap and heap[0][2].dropped:
            heapq.heappop(heap)
        if not heap:
            return math.inf
        return max(heap[0][0], self._next_create) if creates else heap[0][0]
