"""The driver: begins attempts as they may begin, and goes by what becomes of them. It alone says which attempt counts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

from holdfast import errors
from holdfast.errors import HoldfastError, StageFailed
from holdfast.flow.stage import Stopped
from holdfast.spread.attempt import Asked, Attempt, Ended, Event, Failed, Halted, Kept, Lost, Node, Problem, Told
from holdfast.spread.engine import Engine

log = logging.getLogger(__name__)

#: So often is looked whether the time is over.
LOOK_SECONDS = 1.0

#: A unit whose process ends by itself so often, and nothing was kept between, will not get further the next time.
LOSSES = 5


class Units(Protocol):
    """What there is to do, to the driver."""

    def next(self, running: Collection[str]) -> Attempt | None:
        """The next attempt that may begin now, written down as begun; None where none may.

        Args:
            running: Names of the units that are worked on.
        """
        ...

    def told(self, event: Told) -> None:
        """News of a unit."""
        ...

    def kept(self, event: Kept) -> None:
        """Something whole is there. It is backed up here where the engine does not keep it."""
        ...

    def asked(self, event: Asked) -> object:
        """What a damaged path comes to; an exception that is given back is raised in the work."""
        ...

    def ended(self, event: Ended) -> None:
        """A unit is done, by this attempt: all that is to be written about it is written now. It is backed up by `keep`."""
        ...

    def keep(self) -> None:
        """Back up what was written of units that ended, if any did. What may begin after them has begun by then."""
        ...

    def lost(self, event: Lost) -> None:
        """An attempt is gone; another one follows."""
        ...

    def node(self, event: Node) -> None:
        """A machine came or went."""
        ...

    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        ...

    def finish(self) -> None:
        """Nothing runs, and nothing more begins."""
        ...


def drive(engine: Engine, units: Units, parallel: int, time_is_over: Callable[[], bool] = lambda: False) -> None:
    """Run units until all are done.

    Args:
        engine: Runs the attempts. It is not closed here.
        units: What there is to do.
        parallel: Attempts at a time.
        time_is_over: True once no more work should begin, and what runs is to be saved and stopped.

    Raises:
        Stopped: as asked by `time_is_over`.
        HoldfastError: an attempt failed by something that no other would be spared, or a unit gets no further.
    """
    now = _Now(engine, units)
    halting = False
    while True:
        if not halting and time_is_over():
            engine.halt()
            halting = True
        if not halting:
            now.begin(parallel)
        if not now.running:
            if halting and not units.is_over():
                raise Stopped
            units.finish()
            return
        try:
            for event in engine.wait(LOOK_SECONDS):
                now.hears(event)
                if not halting:  # no place stays free while other attempts are written down that ended with this one
                    now.begin(parallel)
        finally:  # once for all that ended together; also where one of them failed
            units.keep()


@dataclass
class _Now:
    engine: Engine
    units: Units
    running: dict[str, Attempt] = field(default_factory=dict)
    losses: dict[str, int] = field(default_factory=dict)

    def begin(self, parallel: int) -> None:
        while len(self.running) < parallel and (attempt := self.units.next(self.running.keys())) is not None:
            self.running[attempt.unit] = attempt
            self.engine.start(attempt)

    def hears(self, event: Event) -> None:
        if isinstance(event, Node):
            self.units.node(event)
            return
        unit = event.attempt.unit
        if self.running.get(unit) is not event.attempt:  # of an attempt that counts no more
            return
        if isinstance(event, Told):
            self.units.told(event)
        elif isinstance(event, Kept):
            self.losses.pop(unit, None)
            self.units.kept(event)
            self.engine.answer(event)
        elif isinstance(event, Asked):
            self.engine.answer(event, self.units.asked(event))
        elif isinstance(event, Ended):
            self.units.ended(event)
            del self.running[unit]
        elif isinstance(event, Halted):
            del self.running[unit]
        elif isinstance(event, Failed):
            raise error_of(event.problem, unit, event.where)
        else:
            del self.running[unit]
            self.units.lost(event)
            self._count(event)

    def _count(self, lost: Lost) -> None:
        if not lost.counts:
            return
        unit = lost.attempt.unit
        self.losses[unit] = self.losses.get(unit, 0) + 1
        if self.losses[unit] >= LOSSES:
            raise StageFailed(
                f"{unit}: {lost.why}, for the {LOSSES}th time with nothing kept between. Most often that is memory: give it fewer "
                "beside it, or a machine with more; then run again, and it goes on"
            )


def error_of(problem: Problem, unit: str, where: str = "") -> HoldfastError:
    """An error that came as data, as one that is raised here: of its own class where that is one of ours."""
    log.debug("%s%s failed:\n%s", unit, f" on {where}" if where else "", problem.traceback)
    kind = getattr(errors, problem.kind, None)
    if problem.ours and isinstance(kind, type) and issubclass(kind, HoldfastError):
        return kind(problem.text)
    return StageFailed(
        problem.text if problem.ours else f"{unit}{f' on {where}' if where else ''}: {problem.text}; run again to go on"
    )
