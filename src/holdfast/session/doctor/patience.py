"""Calls that may never come back, each with a limit, and what each came to."""

from __future__ import annotations

import enum
import errno
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from holdfast.errors import HoldfastError, StoreTimeout
from holdfast.store.reporting.one_line import first_error

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: After so many hangs nothing more is asked of a mount: every further one would cost the whole limit again.
MOST_HANGS = 2


class State(enum.Enum):
    """What a call came to."""

    CAME = "came back"
    REFUSED = "failed"
    HUNG = "did not come back"
    UNTRIED = "not tried, because too many calls before it hung"


@dataclass(frozen=True)
class Answer(Generic[T_co]):
    """What one call came to.

    Args:
        what: The call, in words that fit before "did not come back".
        state: How it ended.
        value: What it gave, where it came back.
        error: The name of its errno (`EIO`); empty where there is none.
        text: What the error says.
        seconds: How long it took; for a hang, how long was waited.
    """

    what: str
    state: State
    value: T_co | None = None
    error: str = ""
    text: str = ""
    seconds: float = 0.0

    @property
    def came(self) -> bool:
        """Whether the call came back without an error."""
        return self.state is State.CAME

    @property
    def hung(self) -> bool:
        """Whether the call did not come back in time."""
        return self.state is State.HUNG

    def got(self) -> T_co:
        """What the call gave; only for one that came back."""
        assert self.came
        assert self.value is not None
        return self.value


class Patience:
    """Makes calls, and gives up on one that does not come back.

    Each call runs in a thread of its own. One that hangs is left behind: nothing can interrupt a system call that a FUSE
    mount does not answer (ct#5877), and not even the end of the process gets rid of it.

    Args:
        seconds: The limit of one call.
        most: After so many hangs nothing more is tried.
    """

    def __init__(self, seconds: float, most: int = MOST_HANGS) -> None:
        self.seconds = seconds
        self._most = most
        self._hangs = 0

    def ask(self, what: str, call: Callable[[], T]) -> Answer[T]:
        """Make a call.

        Args:
            what: The call, in words that fit before "did not come back".
            call: May raise OSError or HoldfastError, which become part of the answer. Anything else is raised here.
        """
        if self._hangs >= self._most:
            return Answer(what, State.UNTRIED)
        results: list[T] = []
        errors: list[BaseException] = []
        done = threading.Event()

        def work() -> None:
            try:
                results.append(call())
            except BaseException as error:  # noqa: BLE001 - carried over to the thread that asks
                errors.append(error)
            finally:
                done.set()

        started = time.perf_counter()
        threading.Thread(target=work, name="holdfast-doctor", daemon=True).start()
        if not done.wait(self.seconds):
            self._hangs += 1
            return Answer(what, State.HUNG, seconds=self.seconds)
        seconds = time.perf_counter() - started
        if not errors:
            return Answer(what, State.CAME, results[0], seconds=seconds)
        return self._refused(what, errors[0], seconds)

    def _refused(self, what: str, error: BaseException, seconds: float) -> Answer[T]:
        if isinstance(error, StoreTimeout):  # a backend that bounds its calls came to the same
            self._hangs += 1
            return Answer(what, State.HUNG, seconds=seconds)
        if isinstance(error, OSError):
            text = first_error(error) if isinstance(error, HoldfastError) else error.strerror or str(error)
            return Answer(what, State.REFUSED, error=errno.errorcode.get(error.errno or 0, ""), text=text, seconds=seconds)
        if isinstance(error, HoldfastError):
            return Answer(what, State.REFUSED, text=str(error), seconds=seconds)
        raise error
