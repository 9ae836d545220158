"""When to try again, and after how long: for what can pass, and never for what cannot."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from holdfast.errors import StoreTimeout, StoreUnreadable

#: A mount that died, or is another one, stays so until a person mounts it again. Waiting does not help.
_STAYS = frozenset({errno.ENOTCONN, errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.ENOTDIR})
#: What a place answers to a name that it does not take.
_REFUSED_NAMES = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL})


def can_pass(error: StoreUnreadable) -> bool:
    """Whether a later attempt may go better: after an I/O error yes; after a hang, which was waited for, or on a dead mount no."""
    return not isinstance(error, StoreTimeout) and error.errno not in _STAYS | _REFUSED_NAMES


def _by_chance() -> float:
    import random  # loads what nobody needs who never waits

    return random.uniform(0.5, 1.5)  # noqa: S311 - nothing here is secret


@dataclass(frozen=True)
class Backoff:
    """Waits between attempts.

    Args:
        seconds: One wait before each further attempt; none means a single attempt.
        sleep: `time.sleep`, or a test's clock.
        spread: Gives a factor for each wait, so that several clients of one drive do not try again all at once.
    """

    seconds: tuple[float, ...] = ()
    sleep: Callable[[float], None] = time.sleep
    spread: Callable[[], float] = field(default=_by_chance)

    def waits(self) -> Iterator[float]:
        """The seconds to wait before the second attempt, the third, and so on."""
        return (wait * self.spread() for wait in self.seconds)


#: One attempt, for places where a failure is final.
ONCE = Backoff()
