"""What the work of a stage is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from holdfast.errors import StageFailed
from holdfast.flow.narration import Narration
from holdfast.flow.stage import Finished, Stage
from holdfast.session.background.stake import AtStake
from holdfast.session.keeper import Keeper

T = TypeVar("T")


class Keep(Protocol):
    """Backs up what a stage has made so far. That it fails is said; the work goes on."""

    def __call__(self, progress: float, *parts: Path) -> bool:
        """Back up. False where that failed.

        Args:
            progress: How far it is: a fresh machine takes the generation with most.
            parts: What was changed since the last time; none where that is not known.
        """
        ...


class Patiently(Protocol):
    """Asks again and again while there is a problem; what is precious is asked for longer."""

    def __call__(self, what: str, precious: bool, ask: Callable[[], T], problem_of: Callable[[T], str]) -> T:
        """The answer, which may still have one."""
        ...


@dataclass(frozen=True)
class Bench:
    """A stage about to run: its inputs are here.

    Args:
        stage: What to make.
        done: The stages before it.
        keeper: Keeps what is made.
        keep: Backs up what the stage has made so far.
        restore: Makes a path present, or answers that it is not; the only way to what is not an input.
        patiently: Asks the store again and again while it fails, as long as the settings say.
        narration: Tells how it goes.
        begin: Writes down, and backs up, what the stage is made from. Called by the work of a stage that saves its progress, once
            everything is checked and before anything is made; given what `environment` is when it begins now.
        worked_on: Told the name of another machine that has the work now, where this one only waits for it; empty where none has.
        environment: Machine and versions that the stage was begun with; empty where it begins now.
        time_is_over: True once no more work should begin.
        clock: Monotonic seconds.
    """

    stage: Stage
    done: Mapping[str, Finished]
    keeper: Keeper
    keep: Keep
    restore: Callable[[Path], Any]
    patiently: Patiently
    narration: Narration
    begin: Callable[[Mapping[str, Any]], None]
    worked_on: Callable[[str], None]
    environment: Mapping[str, Any]
    time_is_over: Callable[[], bool]
    clock: Callable[[], float]

    @property
    def folder(self) -> Path:
        """The stage's folder on this machine."""
        return self.path(self.stage.folder)

    def at_stake(self) -> AtStake | None:
        """What a disconnect would cost of this stage now; None where nothing is backed up."""
        return self.keeper.at_stake(self.stage.folder)

    def path(self, key: str) -> Path:
        """A key as a path on this machine."""
        return self.keeper.root / key

    def expect(self, condition: object, what: str) -> None:
        """Fail the stage where something that must hold does not.

        Raises:
            StageFailed: it does not.
        """
        if not condition:
            raise StageFailed(f"{self.stage.name}: {what}")
