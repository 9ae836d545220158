"""Places in a text that are counted in UTF-16, bytes or clusters, as code points. Pure."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

from holdfast.pipeline.data.formats.shape import Offsets

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
#: Where marks, joiners and variation selectors lie, by a wide net; and the end of a line, which may be two characters or one.
_JOINED = re.compile(
    "[\r\u0300-\u036f\u0483-\u0489\u0591-\u0e4e\u0eb1-\u1dff\u200d\u20d0-\u20f0\u3099\u309a\ua66f-\uabff\ufe00-\ufe2f]"
)
_WIDE = re.compile("[^\\x00-\\x7f]")
_MAY_JOIN = re.compile("[^\\x00-\\u02ff]|\n")
_MARKS = frozenset({"Mn", "Me", "Mc"})
#: What joins and is no mark: two vowels of Thai and Lao, joiners, half-width sound marks, skin tones, letters of flags of regions.
_EXTENDS = frozenset("\u0e33\u0eb3\u200c\u200d\uff9e\uff9f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff") | {
    chr(n) for n in range(0xE0020, 0xE0080)
}
#: How many kinds of text there are, see `kind_of_text`.
KINDS = 4


def kind_of_text(text: str) -> int:
    """What of a text tells how a file counts: 3 where UTF-16 differs from code points, 2 clusters, 1 bytes, 0 nothing.

    A sample of a large file should hold enough of each kind: one text in a thousand may be all that tells.
    """
    if text.isascii():
        return 2 if "\r" in text else 0
    if _ASTRAL.search(text):
        return 3
    return 2 if _JOINED.search(text) else 1


def place_of(text: str, start: int, end: int, offsets: Offsets) -> tuple[int, int] | None:
    """The half-open code points that a start and an end are in a way of counting; None where there is no such place."""
    start, end = start - offsets.first, end - offsets.first + (offsets.end == "inclusive")
    if start < 0 or end < start:
        return None
    if offsets.unit == "code_points" or (text.isascii() and (offsets.unit != "graphemes" or "\r" not in text)):
        return (start, end) if end <= len(text) else None
    scale = _SCALES[offsets.unit](text)
    first, last = scale.point(start), scale.point(end)
    return None if first is None or last is None else (first, last)


class _Scale:
    """A text in another unit than code points, by those characters alone that do not count as one.

    Args:
        text: The text.
        places: Where those characters stand, in code points.
        more: How much more than one each of them counts; -1 for one that counts as nothing.
    """

    def __init__(self, text: str, places: Sequence[int], more: Sequence[int]) -> None:
        self._length = len(text)
        self._more = [0, *accumulate(more)]
        self._starts = [place + before for place, before in zip(places, self._more, strict=False)]
        self._joins = bool(more) and more[0] < 0

    def point(self, at: int) -> int | None:
        """The code point at a place; None where that lies within a character or behind the text."""
        n = bisect_right(self._starts, at) if self._joins else bisect_left(self._starts, at)
        point = at - self._more[n]
        if not self._joins and n and at < self._starts[n - 1] + 1 + self._more[n] - self._more[n - 1]:
            return None
        return point if point <= self._length else None


def _remembered(make: Callable[[str], _Scale]) -> Callable[[str], _Scale]:
    """Remember the last text: spans come text by text."""
    last: list[tuple[str, _Scale]] = []

    def scale(text: str) -> _Scale:
        if not last or last[0][0] is not text:
            last[:] = [(text, make(text))]
        return last[0][1]

    return scale


def _utf16(text: str) -> _Scale:
    places = [found.start() for found in _ASTRAL.finditer(text)]
    return _Scale(text, places, [1] * len(places))


def _utf8(text: str) -> _Scale:
    places = [found.start() for found in _WIDE.finditer(text)]
    return _Scale(text, places, [1 + (text[n] > "\u07ff") + (text[n] > "\uffff") for n in places])


def _graphemes(text: str) -> _Scale:
    places = joined_places(text)
    return _Scale(text, places, [-1] * len(places))


def joined_places(text: str) -> list[int]:
    """The characters that are one cluster with what stands before them: marks, joiners, skin tones, flags and CRLF.

    By what tools meet of UAX 29; not Hangul in single letters, and not the conjuncts that Unicode 15.1 joins.
    """
    places = []
    flags = 0
    for found in _MAY_JOIN.finditer(text):
        n, c = found.start(), found[0]
        before = text[n - 1] if n else ""
        if "\U0001f1e6" <= c <= "\U0001f1ff":
            flags = flags + 1 if "\U0001f1e6" <= before <= "\U0001f1ff" else 1
            joins = flags % 2 == 0
        elif c == "\n":
            joins = before == "\r"
        elif before == "\u200d" and n > 1 and unicodedata.category(c) == "So":
            joins = unicodedata.category(text[n - 2]) in {"So", "Sk", "Mn"}
        else:
            joins = unicodedata.category(before or " ") not in {"Cc", "Zl", "Zp"} and (
                c in _EXTENDS or unicodedata.category(c) in _MARKS
            )
        if joins and n:
            places.append(n)
    return places


_SCALES: dict[str, Callable[[str], _Scale]] = {
    "utf16": _remembered(_utf16),
    "utf8": _remembered(_utf8),
    "graphemes": _remembered(_graphemes),
}
