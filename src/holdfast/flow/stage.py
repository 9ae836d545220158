"""A stage, declared: what it makes, what it needs, and what decides its outcome. One declaration serves restore and backup."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.flow.fingerprint import fingerprint
from holdfast.flow.record import Record, read_record

#: The file in the folder of a stage that says what it was made from, and whether it is finished.
RECORD = "stage.json"

#: So many digits of its fingerprint name the folder of a fork.
FORK_DIGITS = 8


def _record_in(place: Path, _: str) -> Record | None:
    return read_record(place)


class Stopped(Exception):
    """Raised by the work of a stage that stopped as asked, with everything saved."""


@dataclass(frozen=True)
class Made:
    """What a stage came to.

    Args:
        result: Identity of what came out, for the stages that build on it.
        summary: A few numbers for people and for later stages; no clock times.
    """

    result: str
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """A step of a pipeline. Paths are keys.

    Args:
        name: Such as `features`, or `train/left` where one kind of stage is there several times.
        folder: The artifact that it makes, or makes part of.
        record: The file that says what it was made from.
        outputs: What must be there when it is finished.
        inputs: What must be here before it begins.
        made_from: What decides its outcome.
        work: The module and function that makes it, imported when it runs: `work(bench) -> Made`.
        extent: How much is asked for, where more may be asked for later without starting over; None is without limit.
        precious: It carries hours, so nothing begins anew because the store could not be read.
        own: The outputs are the folder's own: the whole folder is restored before it goes on, and backed up as one. Else each
            output is an artifact, a file or a folder, and the record may be one of them, or an artifact beside them.
        reads: Reads its record, given the file and the stage's name; of a stage whose record is one of its outputs, in their form.
    """

    name: str
    folder: str
    record: str
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    made_from: Mapping[str, Any]
    work: str
    extent: Mapping[str, float | None] = field(default_factory=dict)
    precious: bool = False
    own: bool = True
    reads: Callable[[Path, str], Record | None] = field(default=_record_in, compare=False)

    @property
    def fingerprint(self) -> str:
        """See `fingerprint.fingerprint`."""
        return fingerprint(self.made_from)

    def read(self, place: Path) -> Record | None:
        """Its record in a file, if that is one."""
        return self.reads(place, self.name)

    def more_asked(self, record: Record) -> str:
        """What is asked for beyond that at which a finished stage ended, in words; empty where it is enough."""
        for name, now in self.extent.items():
            then = record.extent.get(name)
            if then is not None and (now is None or now > then):
                return f"{name}: {then:g} then, {'no limit' if now is None else format(now, 'g')} now"
        return ""

    @property
    def beside(self) -> bool:
        """The record lies beside outputs that are artifacts of their own, and names their files by key."""
        return not self.own and self.record not in self.outputs

    @property
    def artifacts(self) -> tuple[str, ...]:
        """What is handed to the backup, and comes back from it."""
        if self.own:
            return (self.folder,)
        return (*self.outputs, self.record) if self.beside else self.outputs


@dataclass(frozen=True)
class Finished:
    """A stage that is done: where, and its record."""

    stage: Stage
    record: Record


Build = Callable[[str], Stage]


@dataclass(frozen=True)
class Declared:
    """A stage to come: its name, and how it is declared for a fork (empty: none). None where an earlier stage decides it."""

    name: str
    build: Build | None
