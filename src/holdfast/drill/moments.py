"""When to kill. Pure: the generator is given, and so is all that was measured."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Tempo:
    """How long a command takes when nobody kills it, in seconds.

    Args:
        whole: From nothing to its end.
        idle: A start that finds everything done.
    """

    whole: float
    idle: float

    @property
    def startup(self) -> float:
        """What every start takes before it gets anywhere."""
        return min(self.idle, self.whole)

    @property
    def work(self) -> float:
        """What is left of a whole run without its start."""
        return self.whole - self.startup

    @property
    def patience(self) -> float:
        """A run that takes longer than this hangs: three times as long as without a kill, and a minute."""
        return 3 * self.whole + 60


def moment(lot: Random, tempo: Tempo, left: float, kills: int) -> float:
    """Seconds after its start at which a run is killed. On average the work that is left is spread over all runs that follow.

    It lies before the end that is to be expected, the last one too, so that as many kills happen as were asked for.

    Args:
        lot: Where it is drawn from.
        tempo: Of the command.
        left: Seconds of work that are left.
        kills: How many are still to happen, this one included; at least 1.
    """
    return tempo.startup + lot.uniform(0, 2) * left / (kills + 1)


def left_after(tempo: Tempo, left: float, lasted: float, lost: float) -> float:
    """Seconds of work that are left after a run.

    Args:
        tempo: Of the command.
        left: Before the run.
        lasted: How long it ran.
        lost: Seconds of work that went with the machine, and have to be done again.
    """
    done = max(lasted - tempo.startup, 0.0) - lost
    return min(max(left - done, 0.0), tempo.work)


def repeated(tempo: Tempo, runs: list[float]) -> float:
    """Seconds of work that were done again: all runs, without an uninterrupted one and without the starts that it did not need."""
    return max(sum(runs) - tempo.whole - (len(runs) - 1) * tempo.startup, 0.0)
