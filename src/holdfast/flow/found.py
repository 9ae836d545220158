"""What there is of a stage, as plain data."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from holdfast.flow.record import Record
from holdfast.flow.stage import Stage
from holdfast.session.finding.held import Held


class State(enum.Enum):
    """What there is of a stage."""

    DONE = "done"  #: all of its outputs are there, here or in the store
    BEGUN = "begun"  #: it was begun and not finished, or an output is missing
    TO_DO = "to do"  #: nothing is there
    LATER = "later"  #: an earlier stage decides what it is
    OTHERWISE = "made otherwise"  #: it is there, made under other settings


@dataclass(frozen=True)
class Found:
    """What there is of one stage.

    Args:
        name: Of the stage.
        state: See `State`.
        stage: Its declaration; None where an earlier stage decides it.
        record: What it says of itself, if anything.
        why: One line for a person.
        here: All of its outputs are on this machine.
        stored: All of its outputs are in the store.
        held: What the store holds of its folder.
        changed: Outputs that are here and are not what was made.
        differences: Where it was made otherwise, one line for each value that differs.
    """

    name: str
    state: State
    stage: Stage | None = None
    record: Record | None = None
    why: str = ""
    here: bool = False
    stored: bool = False
    held: Held | None = None
    changed: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
