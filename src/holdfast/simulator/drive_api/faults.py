"""What goes wrong, by order or by seed."""

from __future__ import annotations

import enum
import fnmatch
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

from holdfast.simulator.clock import Clock
from holdfast.simulator.seeds import drawn


class What(enum.Enum):
    """What happens to one request."""

    REFUSE = "refuse"  #: answered with `status` and `reason`; not done
    LOSE = "lose"  #: done, and the connection ends without an answer
    CUT = "cut"  #: the connection ends after `size` bytes of the body, or of a download; of a session's chunk whole blocks stay
    SHORT = "short"  #: of a chunk only `size` bytes are kept, in whole blocks; the 308 says so
    SLOW = "slow"  #: done, and answered `seconds` of real time later
    NO_LENGTH = "no-length"  #: a download without `Content-Length` that ends after `size` bytes; None: whole
    TWICE = "twice"  #: delivered twice; the second answer is given
    CORRUPT = "corrupt"  #: the first byte of a content arrives changed: of an upload, or of a download
    EXPIRE = "expire"  #: the session is forgotten: 404 from now on


@dataclass(frozen=True)
class Fault:
    """A kind of request that meets a fault.

    Args:
        what: What happens.
        kind: Glob over kinds, as `book.Book.requests` counts them: `files.list`, `session.*`, `*`.
        times: So many of them; None for every one from then on.
        skip: So many that fit pass first.
        share: Of those that fit and are not skipped, drawn by seed.
        status: Of a refusal.
        reason: Of a refusal, as Google's.
        retry_after: Seconds, in a header of a refusal.
        size: Bytes.
        seconds: Of real time.
    """

    what: What = What.REFUSE
    kind: str = "*"
    times: int | None = 1
    skip: int = 0
    share: float = 1.0
    status: int = 503
    reason: str = "backendError"
    retry_after: int | None = None
    size: int | None = None
    seconds: float = 0.0


class Faults:
    """The API's weather. Every field can be changed while it runs, from any thread.

    Args:
        seed: Of what is drawn.
        clock: Virtual time, for lags, lives of sessions and rates.
        list_lag: Virtual seconds until a list shows a change, or from and to, drawn for each change; an item by its id is
            shown at once.
        incomplete: Share of the items that a list leaves out, saying so by `incompleteSearch`.
        tokens: The only bearer tokens that serve; None for any.
        expired: Bearer tokens that are over: 401.
        hidden: Ids that this user may not see: 404, and in no list.
        readonly: Ids of folders that are shared to be read only, with all that is in them.
        odd_chunks: Whether a chunk before the last may have any size, and not only a multiple of 256 KiB.
        creates_per_second: More new items than this per virtual second are refused as `userRateLimitExceeded`.
        bytes_per_second: Of real time, in each direction, over all connections.
        patience: Seconds of real time that the server waits for a byte that was promised.
        before, after: Called with a request's kind and its number, before it is looked at, and after it was done and before
            it is answered.
    """

    def __init__(
        self,
        *faults: Fault,
        seed: int = 0,
        clock: Clock | None = None,
        list_lag: float | tuple[float, float] = 0.0,
        incomplete: float = 0.0,
        tokens: Collection[str] | None = None,
        expired: Collection[str] = (),
        hidden: Collection[str] = (),
        readonly: Collection[str] = (),
        odd_chunks: bool = False,
        creates_per_second: float | None = None,
        bytes_per_second: float | None = None,
        patience: float = 20.0,
        before: Callable[[str, int], None] | None = None,
        after: Callable[[str, int], None] | None = None,
    ) -> None:
        self.seed = seed
        self.clock = clock or Clock(speed=1.0)
        self.list_lag = list_lag
        self.incomplete = incomplete
        self.tokens = tokens
        self.expired = expired
        self.hidden = hidden
        self.readonly = readonly
        self.odd_chunks = odd_chunks
        self.creates_per_second = creates_per_second
        self.bytes_per_second = bytes_per_second
        self.patience = patience
        self.before = before
        self.after = after
        self._lock = threading.Lock()
        self._planned: list[tuple[Fault, list[int]]] = []
        self.add(*faults)

    def add(self, *faults: Fault) -> None:
        """More faults, after those that are there. A request meets the first one that fits and is not used up."""
        with self._lock:
            self._planned.extend((fault, [0, 0]) for fault in faults)

    def clear(self) -> None:
        """No more faults that were added. The other fields stay."""
        with self._lock:
            self._planned.clear()

    def meet(self, kind: str, number: int) -> Fault | None:
        """The fault that this request meets."""
        with self._lock:
            for position, (fault, counts) in enumerate(self._planned):
                if not fnmatch.fnmatchcase(kind, fault.kind) or (fault.times is not None and counts[1] >= fault.times):
                    continue
                counts[0] += 1
                if counts[0] <= fault.skip:
                    continue
                if fault.share < 1 and drawn(self.seed, "fault", position, number).random() >= fault.share:
                    continue
                counts[1] += 1
                return fault
        return None

    def lag(self, id_: str, change: int) -> float:
        """Virtual seconds until lists show a change."""
        if isinstance(self.list_lag, tuple):
            return drawn(self.seed, "list-lag", id_, change).uniform(*self.list_lag)
        return self.list_lag

    def leaves_out(self, id_: str) -> bool:
        """Whether an incomplete list leaves an item out; the same ones every time."""
        return self.incomplete > 0 and drawn(self.seed, "incomplete", id_).random() < self.incomplete
