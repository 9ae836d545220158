"""When to kill. Pure: the generator is given, and so is all that was measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from holdfast.drill.comparing import Inventory
from holdfast.drill.written import Written, lead, skipped, stretch

#: No run is let nearer to the end that is to be expected: how long things take varies.
_MOST_OF_WHAT_IS_LEFT = 0.75
#: A command that never gets anywhere would otherwise be let run nearly to its end each time.
_MOST_STRETCH = 4.0
#: A run that writes less often than this does not show by its writes how far it is.
_FEW = 4
#: With this share of the work a start has something to go on with.
_ENOUGH_KEPT = 0.25
#: A start that finds everything done and writes no more than this share of it again repeats next to nothing.
_IDLE = 0.2
#: Nor does one that writes it again in less than this share of the time that it took.
_REPEATED = 0.5


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
        repeats = 1 - skipped(written, again, 0.0) / done if done else 0.0
        if repeats <= _IDLE or idle < _REPEATED * repeats * whole:
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


@dataclass(frozen=True)
class Until:
    """When a run is to be killed, whether this machine starts it sooner or later than the uninterrupted one.

    Args:
        seconds: After its start, if it is as fast as that one.
        writes: So many had been made there by then; 0 where none, or where too few are made to tell.
        then: Seconds from the last of these.
        first: When the first of them was made there.
        grace: Seconds more for a run that has written nothing yet.
    """

    seconds: float
    writes: int = 0
    then: float = 0.0
    first: float = 0.0
    grace: float = 0.0

    @classmethod
    def of(cls, seconds: float, tempo: Tempo, written: Written) -> Until:
        """At a moment of a run of this tempo that writes like that."""
        share = (seconds - tempo.startup) / tempo.work if tempo.work else 0.0
        due = share * len(written)
        if due < 1 or len(written) < _FEW:
            return cls(seconds)
        return cls(seconds, int(due), (due - int(due)) * stretch(written) / len(written), written[0].at, tempo.whole)

    def end(self, first: float | None, reached: float | None) -> float:
        """Seconds after its start at which the run is to be killed.

        Args:
            first: When it was seen to write first; None where it has not yet.
            reached: When it was seen to have written as often as it should have; None where it has not yet.
        """
        if not self.writes:
            return self.seconds
        if first is None:
            return self.seconds + self.grace
        end = self.seconds + max(first - self.first, 0.0)
        return end if reached is None else min(end, reached + self.then)


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
