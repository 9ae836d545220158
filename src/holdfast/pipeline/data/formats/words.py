"""The words that a file brings beside its text, where they serve. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise

from holdfast.pipeline.data.formats.shape import Mark, Problems

Places = tuple[tuple[int, int], ...]

_NOT_TAKEN = "texts with words beside them that are not in order or do not fit their spans, split into words anew"


def fitting(rows: Iterable[tuple[int, int]], text: str, marks: Sequence[Mark], place: str, problems: Problems) -> Places | None:
    """The words, without those that are blank; None where they are not in order, or a mark does not begin and end with one.

    Marks that do are counted as the words are: in half-open code points. Where one does not, nothing tells which of the two is
    wrong, and the words are not taken.

    Args:
        rows: Start and end of each word.
        text: The text.
        marks: As the file gives them.
        place: Where the text stands.
        problems: Takes a note where the words are not taken.
    """
    rows = list(rows)
    if not rows:
        return None
    edges = [0, *(n for row in rows for n in row), len(text)]
    ordered = all(a <= b for a, b in pairwise(edges)) and all(a < b for a, b in rows)
    words = tuple((a, b) for a, b in rows if text[a:b].strip()) if ordered else ()
    starts, ends = {a for a, _ in words}, {b for _, b in words}
    if not ordered or not all(mark.start in starts and mark.end in ends for mark in marks):
        problems.note(_NOT_TAKEN, place)
        return None
    return words


def cut(words: Iterable[tuple[int, int]], marks: Iterable[Mark]) -> Places:
    """The words, cut where a mark begins or ends within one, so that tags of words can say all marks."""
    edges = sorted({edge for mark in marks for edge in (mark.start, mark.end)})
    made: list[tuple[int, int]] = []
    for start, end in words:
        made += pairwise([start, *edges[bisect_right(edges, start) : bisect_left(edges, end)], end])
    return tuple(made)
