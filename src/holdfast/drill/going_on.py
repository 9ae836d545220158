"""Whether starts go on with what came back, or begin anew. Pure."""

from __future__ import annotations

from dataclasses import dataclass

#: A start that does without so much of the work has gone on, wherever it went on from.
_GOES_ON = 0.1
#: So has one that does without half of what came back, be that little; less than the second share cannot be told from nothing.
_OF_WHAT_CAME_BACK, _TOO_LITTLE = 0.5, 0.02
#: A last start that takes less of the time of work than this did not do it all again, whatever was seen to be written.
_LAST = 0.4


@dataclass(frozen=True)
class GoingOn:
    """What the last start, which nobody killed, did without, and what there was to go on with. Seconds of work.

    Args:
        work: Of an uninterrupted run.
        worked: Of the killed runs, in all.
        kept: What of that did not go with the machines.
        back: When an uninterrupted run had made what came back after the last kill; 0 where nothing of it is in what that made.
        saved: What the last start did without.
        last: Of the last start.
        empty: Nothing at all came back after the last kill.
    """

    work: float
    worked: float = 0.0
    kept: float = 0.0
    back: float = 0.0
    saved: float = 0.0
    last: float = 0.0
    empty: bool = False

    @property
    def anew(self) -> bool:
        """Every start did all of the work again. Where it cannot be told, False."""
        if not self.work or self.worked < _GOES_ON * self.work or (self.last < _LAST * self.work and not self.empty):
            return False
        went_on = self.back >= _TOO_LITTLE * self.work and self.saved >= _OF_WHAT_CAME_BACK * self.back
        return self.saved < _GOES_ON * self.work and not went_on

    @property
    def had_nothing(self) -> bool:
        """Next to nothing came back that a start could have gone on with."""
        return self.kept < _GOES_ON * self.work
