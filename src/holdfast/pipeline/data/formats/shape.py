"""The one shape that every format is read into, before anything is decided about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
        source: What the file says that it is a part of, such as an article of which it is a sentence; None where it says nothing.
    """

    place: str
    text: str
    marks: tuple[Mark, ...] = ()
    words: Sequence[tuple[int, int]] | None = None
    left_out: str | None = None
    annotator: str | None = None
    key: str | None = None
    source: str | None = None


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


def gathered(noted: Iterable[tuple[str, Noted]]) -> list[tuple[str, Noted]]:
    """What was noteworthy in several files, each kind once, with the first file that has it."""
    found: dict[str, tuple[str, Noted]] = {}
    for file, note in noted:
        if note.kind not in found:
            found[note.kind] = (file, note)
            continue
        first, before = found[note.kind]
        labels = dict(Counter(before.labels) + Counter(note.labels))
        found[note.kind] = (first, Noted(note.kind, before.count + note.count, before.first, labels))
    return list(found.values())


class Problems:
    """All that is wrong or noteworthy in a file: everything is collected, nothing stops at the first."""

    #: So many are kept word for word; of a file of which every line is wrong the rest is counted.
    MOST = 10_000

    def __init__(self) -> None:
        self.wrong: list[tuple[str, str, str]] = []
        self.untold = 0
        self._noted: dict[str, tuple[int, str, dict[str, int]]] = {}

    def add(self, place: str, what: str, mend: str) -> None:
        """Something that must be mended before the file can be learnt from."""
        if len(self.wrong) < self.MOST:
            self.wrong.append((place, what, mend))
        else:
            self.untold += 1

    def copy(self) -> Problems:
        """The same, to go on with from here."""
        made = Problems()
        made.extend(self)
        return made

    def extend(self, other: Problems) -> None:
        """Take what another list holds, too."""
        for problem in other.wrong:
            self.add(*problem)
        self.untold += other.untold
        for kind, (count, first, labels) in other._noted.items():
            before, place, known = self._noted.get(kind, (0, first, {}))
            merged = {label: known.get(label, 0) + labels.get(label, 0) for label in {**known, **labels}}
            self._noted[kind] = (before + count, place, merged)

    def note(self, kind: str, place: str, label: str | None = None) -> None:
        """Something that was read all the same, or left out; kinds are counted, by label where one is given."""
        count, first, labels = self._noted.get(kind, (0, place, {}))
        if label is not None:
            labels[label] = labels.get(label, 0) + 1
        self._noted[kind] = (count + 1, first, labels)

    def notes(self) -> list[Noted]:
        """Each kind, in the order in which they came."""
        return [Noted(kind, *found) for kind, found in self._noted.items()]
