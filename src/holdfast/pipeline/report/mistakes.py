"""Where predicted entities differ from the true ones, and how: by kind, and label against label. Pure."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.pipeline.data.documents import Document, Span

#: The kinds, in the order in which they are shown.
KINDS = ("boundary", "type", "missed", "invented")

#: Where a label has no counterpart: a missed or an invented entity.
NOTHING = ""


@dataclass(frozen=True)
class Mistake:
    """One entity that is not right.

    Args:
        kind: `boundary`: the label is right and an edge is not; `type`: the label is wrong, with or without the edges; `missed`:
            nothing was found there; `invented`: there is nothing.
        document: Index of the document.
        true: The true entity, None where it was invented.
        found: The predicted one, None where it was missed.
    """

    kind: str
    document: int
    true: Span | None
    found: Span | None


@dataclass(frozen=True)
class Mistakes:
    """All differences of predicted from true entities.

    Args:
        right: Entities of which edges and label are right.
        all: One for each that is not, by document and place.
        confusion: How often a true label was found as which, with `NOTHING` on either side; right ones included.
    """

    right: int = 0
    all: tuple[Mistake, ...] = ()
    confusion: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def count(self, kind: str) -> int:
        """How many of a kind."""
        return sum(m.kind == kind for m in self.all)


def compare(true: Sequence[Sequence[Span]], found: Sequence[Sequence[Span]]) -> Mistakes:
    """Hold predicted entities against the true ones, document by document. Entities of one side do not overlap.

    Entities with the same edges belong together, then those that overlap most; each belongs to one other at most.
    """
    mistakes: list[Mistake] = []
    confusion: Counter[tuple[str, str]] = Counter()
    right = 0
    for number, (wanted, given) in enumerate(zip(true, found, strict=True)):
        for one, other in _paired(wanted, given):
            confusion[one.label if one else NOTHING, other.label if other else NOTHING] += 1
            kind = _kind(one, other)
            if kind:
                mistakes.append(Mistake(kind, number, one, other))
            else:
                right += 1
    return Mistakes(right, tuple(mistakes), dict(confusion))


def _kind(true: Span | None, found: Span | None) -> str:
    if found is None:
        return "missed"
    if true is None:
        return "invented"
    if true.label != found.label:
        return "type"
    return "" if (true.start, true.end) == (found.start, found.end) else "boundary"


def _paired(wanted: Sequence[Span], given: Sequence[Span]) -> list[tuple[Span | None, Span | None]]:
    edges = {(s.start, s.end): s for s in given}
    pairs: list[tuple[Span | None, Span | None]] = [(s, edges.pop((s.start, s.end))) for s in wanted if (s.start, s.end) in edges]
    taken = {id(one) for one, _ in pairs}
    left, others = [s for s in wanted if id(s) not in taken], list(edges.values())
    overlaps = sorted(
        (-_shared(one, other), one.label != other.label, n, m)
        for n, one in enumerate(left)
        for m, other in enumerate(others)
        if _shared(one, other) > 0
    )
    done: tuple[set[int], set[int]] = (set(), set())
    for _, _, n, m in overlaps:
        if n not in done[0] and m not in done[1]:
            done[0].add(n)
            done[1].add(m)
            pairs.append((left[n], others[m]))
    pairs += [(s, None) for n, s in enumerate(left) if n not in done[0]]
    pairs += [(None, s) for m, s in enumerate(others) if m not in done[1]]
    return sorted(pairs, key=lambda pair: min(s.start for s in pair if s is not None))


def _shared(one: Span, other: Span) -> int:
    return min(one.end, other.end) - max(one.start, other.start)


@dataclass(frozen=True)
class Piece:
    """A stretch of text and what it is part of.

    Args:
        text: The characters.
        true: The label of the true entity that it is part of, or empty.
        found: The same of the predicted one.
    """

    text: str
    true: str
    found: str


#: Characters around a mistake that are shown with it, and of an entity itself.
AROUND, LONG = 60, 200


def excerpt(document: Document, mistake: Mistake) -> tuple[Piece, ...]:
    """The text around a mistake, in pieces. What is cut away is an ellipsis."""
    spans = [s for s in (mistake.true, mistake.found) if s is not None]
    first, last = min(s.start for s in spans), max(s.end for s in spans)
    begin, end = max(0, first - AROUND), min(len(document.text), last + AROUND)
    cuts = sorted({begin, end, *(p for s in spans for p in (s.start, s.end))})
    pieces = [Piece("…", "", "")] if begin else []
    for left, right in itertools.pairwise(cuts):
        text = document.text[left:right]
        if len(text) > LONG:
            text = f"{text[: LONG // 2]} … {text[-LONG // 2 :]}"
        inside = ["" if s is None or not (s.start <= left and right <= s.end) else s.label for s in (mistake.true, mistake.found)]
        pieces.append(Piece(text, *inside))
    return (*pieces, Piece("…", "", "")) if end < len(document.text) else tuple(pieces)
