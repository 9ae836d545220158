"""The one shape that every format is read into, before anything is decided about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Unit = Literal["code_points", "utf16", "utf8", "graphemes"]
End = Literal["exclusive", "inclusive"]


@dataclass(frozen=True)
class Offsets:
    """How a file counts: in which unit, whether the end belongs to the span, and which number the first character has."""

    unit: Unit = "code_points"
    end: End = "exclusive"
    first: int = 0

    def __str__(self) -> str:
        return f"{{unit: {self.unit}, end: {self.end}, first: {self.first}}}"


@dataclass(frozen=True)
class Columns:
    """Which column holds the token and which the tag, counted from 1."""

    token: int
    tag: int


@dataclass(frozen=True)
class Asked:
    """What a person says of the files where they cannot prove it themselves; None where nothing is said."""

    columns: Columns | None = None
    offsets: Offsets | None = None
    annotator: str | None = None


@dataclass(frozen=True)
class Mark:
    """An entity as the file gives it.

    Args:
        start: Where it begins, in the file's own way of counting.
        end: Where it ends, in the same.
        label: What it is.
        place: Where it stands, as a person finds it.
        said: The words that the file itself gives for it, if it does.
        pieces: All its pieces where there are several; start and end are then those around all.
    """

    start: int
    end: int
    label: str
    place: str
    said: str | None = None
    pieces: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Item:
    """A text of the file with what is marked in it.

    Args:
        place: Where it stands, as a person finds it.
        text: The text, or the tokens with blanks between.
        marks: Its entities.
        words: Its words as the file gives them, in code points; None where it gives none.
        left_out: Why it is not learnt from; None where it is.
        annotator: Who marked it, if the file says so.
        key: What tells that two items are the same text marked twice; None where nothing does.
    """

    place: str
    text: str
    marks: tuple[Mark, ...] = ()
    words: tuple[tuple[int, int], ...] | None = None
    left_out: str | None = None
    annotator: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Format:
    """A format that is read.

    Args:
        name: What people call it.
        why: By what it was recognised.
        offsets: How its tool counts.
        sure: Whether it always counts so. Where not, spans that read differently in another way must prove it.
        by_hand: Whether people write it with programs of their own, so that what nothing proves is said.
    """

    name: str
    why: str
    offsets: Offsets = field(default_factory=Offsets)
    sure: bool = True
    by_hand: bool = False


@dataclass(frozen=True)
class Foreign:
    """A format that is known, and not read: its name, and what to do then."""

    name: str
    mend: str


@dataclass(frozen=True)
class ObjectFormat:
    """A format of JSON objects: the format itself, what an object of it looks like, and its items."""

    format: Format
    fits: Callable[[dict[str, Any]], bool]
    read: Callable[[dict[str, Any], str, Problems], Iterable[Item]]


@dataclass(frozen=True)
class Noted:
    """Something noteworthy: what, how often, where first, and how often for each label."""

    kind: str
    count: int
    first: str
    labels: dict[str, int]

    def __str__(self) -> str:
        by = "; " + ", ".join(f"{label} {n}" for label, n in sorted(self.labels.items())) if self.labels else ""
        return f"{self.kind}: {self.count}, first at {self.first}{by}"


class Problems:
    """All that is wrong or noteworthy in a file: everything is collected, nothing stops at the first."""

    def __init__(self) -> None:
        self.wrong: list[tuple[str, str, str]] = []
        self._noted: dict[str, tuple[int, str, dict[str, int]]] = {}

    def add(self, place: str, what: str, mend: str) -> None:
        """Something that must be mended before the file can be learnt from."""
        self.wrong.append((place, what, mend))

    def note(self, kind: str, place: str, label: str | None = None) -> None:
        """Something that was read all the same, or left out; kinds are counted, by label where one is given."""
        count, first, labels = self._noted.get(kind, (0, place, {}))
        if label is not None:
            labels[label] = labels.get(label, 0) + 1
        self._noted[kind] = (count + 1, first, labels)

    def notes(self) -> list[Noted]:
        """Each kind, in the order in which they came."""
        return [Noted(kind, *found) for kind, found in self._noted.items()]
