"""A pipeline as the engine sees it: its stages in their order, and what only its own author can know of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.flow import failing
from holdfast.flow.bench import Bench
from holdfast.flow.fingerprint import canonical, differences, plain
from holdfast.flow.found import Found
from holdfast.flow.record import Record
from holdfast.flow.stage import Declared, Finished, Stage
from holdfast.session.keeper import Keeper


class Flow(ABC):
    """The stages of a pipeline. `names` and `declare` say everything; the rest may be said better."""

    #: What decides, beside what a stage is made from, whether two of its results are equal bit for bit: keys of its environment.
    comparable: tuple[str, ...] = ()
    #: The folder below that of a stage in which unfinished work is saved; it goes once the stage is finished. Empty for none.
    unfinished: str = ""
    #: Names of outputs, and of folders of them, whose bytes may change without meaning: pages with times in them. Records hold no
    #: hash of them.
    varying: tuple[str, ...] = ()

    @abstractmethod
    def names(self) -> list[str]:
        """The names of all stages, each after those that it builds on."""

    @abstractmethod
    def declare(self, name: str, done: Mapping[str, Finished]) -> Declared:
        """One stage, given those that are done."""

    def products(self, done: Mapping[str, Finished]) -> tuple[str, ...]:
        """What a person wants to have here at the end: by default the outputs of the last stage."""
        last = self.names()[-1]
        return done[last].stage.outputs if last in done else ()

    def bench(self, bench: Bench) -> Any:
        """What the work of a stage is given."""
        return bench

    def clear(self, keeper: Keeper, done: Mapping[str, Finished]) -> None:  # noqa: B027 - most flows leave nothing
        """All stages are done, and one look at the store is shared: what is left there of the way to them may go."""

    # -- whether it is what is asked for -----------------------------------------------------------------------------

    def same(self, then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        """Whether nothing is asked for that differs from what it was made from."""
        return canonical(plain(then)) == canonical(plain(now))

    def differing(self, then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
        """One line for each value that differs."""
        return differences(then, now)

    def narrowed(self, then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
        """How what is asked for now lies within what was asked for then, so that what was begun may go on; empty where not."""
        return ""

    # -- words and numbers -------------------------------------------------------------------------------------------

    def how_far(self, found: Found) -> str:
        """How far a stage is that was begun, in words."""
        return "begun"

    def road_on(self, found: Found) -> str:
        """What else leads on from a refusal, after the ways that always do; empty where there is nothing to add."""
        return ""

    def final_progress(self, stage: Stage, record: Record) -> float | None:
        """Above anything that a stage counts while it runs, so that a fresh machine takes the finished generation."""
        return None

    def may_pass(self, error: Exception) -> bool:
        """Whether the same may go well another time."""
        return failing.may_pass(error)

    def mended(self, keeper: Keeper, place: Path) -> bool:
        """Whether what differs here from the store's was no work but damaged, and is whole again."""
        return False
