"""What happens where an attempt runs, in whatever process an engine gives it."""

from __future__ import annotations

import pickle
import random
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from blake3 import blake3

from holdfast.errors import HoldfastError
from holdfast.flow.failing import in_words, may_pass
from holdfast.flow.stage import Stopped
from holdfast.spread.attempt import Attempt, Ended, Failed, Halted, Problem

#: The seed of torch's generator in a process that has not seeded it: a process that is used again begins as a fresh one does.
_TORCH_SEED = 67280421310721


class Desk(Protocol):
    """What the work of an attempt has around it; each engine has its own."""

    @property
    def attempt(self) -> Attempt:
        """The attempt."""
        ...

    @property
    def root(self) -> Path:
        """The folder that keys start at on this machine, absolute. `root / key` is a path; an absolute path stays what it is."""
        ...

    def kept(self, share: float) -> None:
        """Something whole is in the folder of the unit: returns once there is a stable copy of it.

        Args:
            share: How far the unit is, from 0 to 1.
        """
        ...

    def tell(self, what: Mapping[str, Any]) -> None:
        """News for a person; see `Told`. Cheap: it may be called at every step."""
        ...

    def is_to_stop(self) -> bool:
        """Whether the work is to save and raise `Stopped`. Cheap."""
        ...

    def fetch(self, path: Path, *, weights_only: bool, patient: bool) -> tuple[str, bool]:
        """Bring back the store's copy of what is damaged here: why nothing came (empty where something did), and if it is unknown.

        Raises:
            NotRestored: it could not be told, and was to be.
        """
        ...


#: The work of a unit. Its result is plain data that pickle takes.
Work = Callable[[Desk], Mapping[str, Any]]


def perform(attempt: Attempt, desk: Desk) -> Ended | Halted | Failed:
    """Run an attempt in this process to its end. Whatever it raises comes back as data, also SystemExit and an interrupt.

    The engine has set the environment before this process began, made the inputs present, and what earlier attempts had saved.
    """
    try:
        seed(attempt.unit)
        work: Work = pickle.loads(attempt.work)  # noqa: S301 - made by the driver, which started this process
        return Ended(attempt, dict(work(desk)))
    except Stopped:
        return Halted(attempt)
    except BaseException as error:  # noqa: BLE001 - here a process begins
        return Failed(attempt, problem_of(error))


def seed(unit: str) -> None:
    """The random states of the process follow from the unit, not from what ran in it before."""
    number = int.from_bytes(blake3(unit.encode()).digest(length=4), "big")
    random.seed(number)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(number)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(_TORCH_SEED)


def problem_of(error: BaseException) -> Problem:
    """An error as data."""
    ours = isinstance(error, HoldfastError)
    return Problem(
        kind=type(error).__name__,
        text=error.line if isinstance(error, HoldfastError) else in_words(error),
        ours=ours,
        passing=may_pass(error),
        traceback="".join(traceback.format_exception(error)),
    )
