"""How long a node may be silent, and when it has been. It decides, and asks nobody."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.spread.cluster.shared import Beat

#: What passes between two looks counts for no more than this: who looks may have been stopped itself, as by the lid of a laptop.
_MOST_BETWEEN_LOOKS = 5.0


@dataclass(frozen=True)
class Patience:
    """How long is waited for a sign of life.

    Args:
        beat: Seconds between signs of life.
        silence: Seconds without one, after the first, until an attempt is given up.
        start: Seconds until the first one: a process starts, and loads what it needs.
        probe: Seconds until a node has answered what it is.
        answer: Seconds until one that was silent has; then it counts as one that hangs.
    """

    beat: float
    silence: float
    start: float
    probe: float
    answer: float


#: On a disk, or a file system of a network, what is written is seen within seconds.
QUICK = Patience(beat=2.0, silence=60.0, start=180.0, probe=60.0, answer=15.0)
#: A mount of a drive shows what another machine wrote after a minute or more.
SLOW = Patience(beat=20.0, silence=300.0, start=600.0, probe=300.0, answer=30.0)


class Pulse:
    """What was seen of one attempt's signs of life."""

    def __init__(self, patience: Patience, now: float) -> None:
        self._patience = patience
        self._looked = now
        self._silent = 0.0
        self.last: Beat | None = None

    def seen(self, beat: Beat | None, now: float) -> bool:
        """Take note of what is seen now. True where it is a new sign of life."""
        self._silent += min(max(now - self._looked, 0.0), _MOST_BETWEEN_LOOKS)
        self._looked = now
        if beat is None or (self.last is not None and beat.number == self.last.number):
            return False
        self.last, self._silent = beat, 0.0
        return True

    @property
    def is_over(self) -> bool:
        """Whether it has been silent for too long."""
        return self._silent > (self._patience.start if self.last is None else self._patience.silence)

    @property
    def silent(self) -> float:
        """Seconds of silence."""
        return self._silent
