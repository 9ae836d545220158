"""When to kill. Pure: the generator is given, and so is all that was measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from holdfast.drill.comparing import Inventory
from holdfast.drill.written import Written, lead, skipped

#: No run is let nearer to the end that is to be expected: how long things take varies.
_MOST_OF_WHAT_IS_LEFT = 0.75
#: A command that never gets anywhere would otherwise be let run nearly to its end each time.
_MOST_STRETCH = 4.0
#: With this share of the work a start has something to go on with.
_ENOUGH_KEPT = 0.25
#: A start that finds everything done and takes no more than this share of a whole run, in time or in what it writes, repeats
#: next to nothing.
_IDLE = 0.2


@dataclass(frozen=True)
class Tempo:
    """How long a command takes when nobody kills it, in seconds.

    Args:
        whole: From nothing to its end.
        idle: A start that finds everything done.
        lead: What a start takes at the most before it gets anywhere, where one that finds everything done repeats work.
    """

    whole: float
    idle: float
    lead: float | None = None

    @property
    def startup(self) -> float:
        """What every start takes before it gets anywhere."""
        return min(self.idle, self.whole) if self.lead is None else min(self.lead, self.idle, self.whole)

    @property
    def work(self) -> float:
        """What is left of a whole run without its start."""
        return self.whole - self.startup

    @classmethod
    def of(cls, whole: float, idle: float, written: Written, again: Written) -> Tempo:
        """What two runs show. A start that finds everything done and writes it all again does not tell how long starting takes.

        Args:
            whole: Seconds from nothing to its end.
            idle: Seconds of a start that finds everything done.
            written: What was written from nothing.
            again: What the other one wrote.
        """
        done = max((write.at for write in written), default=0.0)
        if idle <= _IDLE * whole or done - skipped(written, again, 0.0) <= _IDLE * done:
            return cls(whole, idle)
        return cls(whole, idle, min(lead(written), lead(again)))

    @property
    def patience(self) -> float:
        """A run that takes longer than this hangs: three times as long as without a kill, and a minute."""
        return 3 * self.whole + 60


@dataclass(frozen=True)
class Course:
    """How far a command is, as far as can be told.

    Args:
        left: Seconds of work that are left.
        stretch: How many times its share of that a run gets, because shorter ones got nowhere.
        reached: Where a run without a kill had made what comes back, in seconds after its start.
        kept: Seconds of work of the runs so far that did not go with their machines.
    """

    left: float
    stretch: float = 1.0
    reached: float = 0.0
    kept: float = 0.0


def moment(lot: Random, tempo: Tempo, course: Course, kills: int) -> float:
    """Seconds after its start at which a run is killed. On average the work that is left is spread over all runs that follow.

    It lies before the end that is to be expected, the last one too, so that as many kills happen as were asked for. Where next to
    nothing came back so far, the last one lies late: with nothing to go on with, a start cannot show whether it would.

    Args:
        lot: Where it is drawn from.
        tempo: Of the command.
        course: How far it is.
        kills: How many are still to happen, this one included; at least 1.
    """
    share = lot.uniform(0, 2) * course.left / (kills + 1)
    if kills == 1 and course.kept < _ENOUGH_KEPT * tempo.work:
        share = _MOST_OF_WHAT_IS_LEFT * course.left * (1 + share / course.left) / 2 if course.left else share
    return tempo.startup + min(course.stretch * share, _MOST_OF_WHAT_IS_LEFT * course.left)


def after(tempo: Tempo, course: Course, *, moved: bool, reached: float, lasted: float, lost: float) -> Course:
    """How far it is once a run was killed.

    A start takes longer to get to work than to find everything done, and uploads take their time. Where what comes back is
    what came back before, the run was too short, and the next ones get more.

    Args:
        tempo: Of the command.
        course: Before the run.
        moved: Something else comes back than after the kill before.
        reached: Of what comes back, see `Course`.
        lasted: How long the run took.
        lost: Seconds of work that went with the machine, and have to be done again.
    """
    if not moved:
        return replace(course, stretch=min(2 * course.stretch, _MOST_STRETCH))
    further = reached > course.reached
    left = tempo.whole - reached if further else course.left - (max(lasted - tempo.startup, 0.0) - lost)
    kept = course.kept + max(lasted - tempo.startup - lost, 0.0)
    return Course(min(max(left, 0.0), tempo.work), course.stretch, max(reached, course.reached), kept)


def reached(reference: Inventory, back: Inventory, begun: float) -> float:
    """How far what comes back is: when the newest of it was made in a run without a kill, in seconds after its start.

    Args:
        reference: What that run made.
        back: What comes back.
        begun: When that run was started, Unix seconds.
    """
    return max((f.mtime - begun for p, f in reference.items() if p in back and back[p].identity == f.identity), default=0.0)


def repeated(tempo: Tempo, runs: list[float]) -> float:
    """Seconds of work that were done again: all runs, without an uninterrupted one and without the starts that it did not need."""
    return max(sum(runs) - tempo.whole - (len(runs) - 1) * tempo.startup, 0.0)
