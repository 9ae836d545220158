"""What there is of every step, before anything runs: `keep.plan()`. A table, and a drawing of the graph."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape

from holdfast.errors import HoldfastError
from holdfast.flow.found import Found, State
from holdfast.steps import drawing
from holdfast.steps.bringing import Bringing
from holdfast.steps.step import Step, Steps


class Next(enum.Enum):
    """What a call of a step would do now."""

    NOTHING = "done"  #: it is here
    FETCH = "in the store"  #: it comes back where it is asked for
    MAKE = "to make"
    WAIT = "to make, after"  #: a step before it runs first, and what that makes decides
    UNNEEDED = "not needed"  #: what it made is gone, and all that was made of it is there
    REFUSED = "refused"


@dataclass(frozen=True)
class Row:
    """One step.

    Args:
        name: Of the step.
        next: What a call of it would do now.
        why: One line for a person.
        outputs: What it makes.
        before: Names of the steps that it builds on.
    """

    name: str
    next: Next
    why: str
    outputs: tuple[str, ...]
    before: tuple[str, ...]


class Plan(Sequence[Row]):
    """Every step, as it is now. Shows itself: as a table in a terminal, with a drawing in a notebook.

    Args:
        rows: The steps, in the order in which they were defined.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = tuple(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Row:  # type: ignore[override]
        return self._rows[index]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    @property
    def svg(self) -> str:
        """The graph as a picture."""
        return drawing.svg([(r.name, r.next.value, r.next.name, r.before) for r in self._rows])

    def __repr__(self) -> str:
        if not self._rows:
            return "no steps yet: @keep.step makes one of a function"
        table = [("step", "next", "why", "makes"), *((r.name, r.next.value, r.why, ", ".join(r.outputs)) for r in self._rows)]
        widths = [max(len(row[n]) for row in table) for n in range(3)]
        lines = [
            "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip() for row in table
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        if not self._rows:
            return f"<p>{escape(repr(self))}</p>"
        cells = [(r.name, r.next.value, r.why, ", ".join(r.outputs)) for r in self._rows]
        style = "padding:3px 12px 3px 0;text-align:left;vertical-align:top"
        head = "".join(f'<th style="{style}">{t}</th>' for t in ("step", "next", "why", "makes"))
        body = "".join("<tr>" + "".join(f'<td style="{style}">{escape(c)}</td>' for c in row) + "</tr>" for row in cells)
        return (
            f'<div class="holdfast" style="font-family:system-ui,sans-serif;font-size:14px">{self.svg}'
            f'<table style="border-collapse:collapse"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        )


def plan(steps: Steps) -> Plan:
    """See `Keeper.plan`."""
    looking = Bringing(steps)
    rows: dict[str, Row] = {}
    with steps.keeper.one_look():
        for step in steps.all():
            before = tuple(steps.before(step))
            rows[step.name] = _row(looking, step, before)
    return Plan(_with_unneeded(rows))


def _row(looking: Bringing, step: Step, before: tuple[str, ...]) -> Row:
    try:
        found = looking.look(step.task())
    except HoldfastError as error:
        return Row(step.name, Next.REFUSED, error.line.removeprefix(f"{step.name}: "), step.outputs, before)
    following, why = decide(found, before)
    return Row(step.name, following, why, step.outputs if found.stage is None else found.stage.outputs, before)


def decide(found: Found, before: Sequence[str]) -> tuple[Next, str]:
    """What a call of a step would do, and why, given what there is of it."""
    if found.state is State.DONE:
        return (Next.NOTHING if found.here else Next.FETCH), found.why
    if found.state is State.OTHERWISE:
        return Next.REFUSED, f"made from something else: {found.why}"
    if found.state is State.LATER:
        return Next.WAIT, ", ".join(before)
    return Next.MAKE, found.why


def _with_unneeded(rows: Mapping[str, Row]) -> list[Row]:
    """Whose outputs are gone, and whose users are all there, need not run."""
    there = {Next.NOTHING, Next.FETCH, Next.UNNEEDED}
    found = dict(rows)
    for name, row in reversed(list(rows.items())):
        users = [r.next for r in found.values() if name in r.before]
        if row.next is Next.MAKE and users and there.issuperset(users):
            found[name] = replace(row, next=Next.UNNEEDED)
    return list(found.values())
