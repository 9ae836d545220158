"""What a trial may see of the others, so that the order in which they end changes nothing. Pure.

With P at a time, trial k sees exactly the trials below k - P + 1, and begins when all of those are finished. So what it is
suggested, and whether it is pruned, follows from seed, number and those trials, however many processes there are, and whichever of
them die.
"""

from __future__ import annotations

from collections.abc import Callable


def sees(number: int, parallel: int) -> int:
    """A trial sees the trials with numbers below this one.

    Args:
        number: Its own.
        parallel: Trials at a time.
    """
    return max(number - parallel + 1, 0)


class Pieces:
    """What trials are shown of each other, in pieces that never change: each is written once, and handed on as it is.

    Args:
        size: Rows in a piece.
    """

    def __init__(self, size: int = 32) -> None:
        self._size = size
        self._whole: list[bytes] = []

    def of(self, count: int, piece: Callable[[int, int], bytes]) -> tuple[bytes, ...]:
        """The first so many rows.

        Args:
            count: How many. They change no more.
            piece: Makes the piece of the rows from one number up to another.
        """
        while (len(self._whole) + 1) * self._size <= count:
            begin = len(self._whole) * self._size
            self._whole.append(piece(begin, begin + self._size))
        whole = count // self._size
        rest = () if count % self._size == 0 else (piece(whole * self._size, count),)
        return (*self._whole[:whole], *rest)
