"""How a file counts its characters: proved by what it says of its own spans, or by the edges of words; else asked for.

The candidates are all units, with ends that belong to the span or not, from 0 or from 1. Where the spans stand beside their own
words, those decide. Where not, spans must begin and end where words do: a way of counting that cuts hardly any word, where
the usual one cuts many, is the file's own. Nothing is chosen where two ways that read differently both could be meant.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

from holdfast.pipeline.data.documents import is_unspaced
from holdfast.pipeline.data.formats.shape import Format, Item, Mark, Offsets, Problems

_SETTING = "say how they count, for example data.offsets: {unit: utf16, end: exclusive, first: 0}"
#: How many spans are looked at of texts with odd characters, and of the others, evenly over the file.
_MOST = 2000
_UNITS = ("code_points", "utf16", "utf8", "graphemes")


class Telling:
    """The spans that can tell how a file counts, a bounded number of them, evenly over all that came.

    Those with their own words beside them, those of texts with odd characters, and the others are kept apart.
    """

    def __init__(self) -> None:
        self.said = _Even(2 * _MOST)
        self.odd = _Even(_MOST)
        self.plain = _Even(_MOST)

    def add(self, item: Item) -> None:
        """Look at the marks of an item. Where the file gives tokens their places are made by us, and count as we do."""
        if item.left_out is not None or not item.marks or item.words is not None:
            return
        kind = self.odd if is_odd(item.text) else self.plain
        for mark in item.marks:
            kind.add((item, mark))
            if mark.said is not None and not mark.pieces:
                self.said.add((item, mark))

    @property
    def rows(self) -> list[tuple[Item, Mark]]:
        """Those of texts with odd characters, then the others."""
        return [*self.odd.kept, *self.plain.kept]


class _Even:
    """At most so many rows, evenly over all that came: where they are too many every second one goes.

    Which go is told by the multiples of the golden ratio, which are even over any part and in step with no pattern: of spans that
    come in turns, a name and then a place, every second one would be all of one kind.
    """

    def __init__(self, most: int) -> None:
        self._most, self._below, self._count = most, 1 << 32, 0
        self._rows: list[tuple[int, tuple[Item, Mark]]] = []

    def add(self, row: tuple[Item, Mark]) -> None:
        at = self._count * 2654435769 & 0xFFFFFFFF  # 2 ** 32 by the golden ratio
        if at < self._below:
            self._rows.append((at, row))
            if len(self._rows) >= 2 * self._most:
                self._below //= 2
                self._rows = [kept for kept in self._rows if kept[0] < self._below]
        self._count += 1

    @property
    def kept(self) -> list[tuple[Item, Mark]]:
        """Those that are left, in their order."""
        return [row for _, row in self._rows]


def is_odd(text: str) -> bool:
    """True for a text that units count differently."""
    return not text.isascii() or "\r" in text


@dataclass(frozen=True)
class Counted:
    """The way of counting that was taken, how it was found, and what is to be asked or said of it."""

    offsets: Offsets
    why: str
    problems: Problems


def how_it_counts(telling: Telling, kind: Format, asked: Offsets | None) -> Counted:
    """How the spans of a file count.

    Args:
        telling: The spans.
        kind: The format, which says how its tool usually counts.
        asked: What a person says; it is taken as it is.
    """
    usual = asked or kind.offsets
    chosen, why, problems = usual, "as asked for" if asked else "as its tool counts", Problems()
    rows, said = telling.rows, telling.said.kept
    if asked is None and rows:
        candidates = [usual, *(o for o in _all(rows) if o != usual)]
        found = _by_words_said(said, candidates) if said else _by_edges(rows, candidates, kind, problems)
        if found is not None:
            chosen, why = found
        elif said:  # a tool may have cut the words from the text by the same wrong numbers
            _ask(rows, [_cut(*row, usual) for row in rows], candidates, problems)
    return Counted(chosen, why, problems)


def _all(rows: Sequence[tuple[Item, Mark]]) -> list[Offsets]:
    plain = not any(is_odd(item.text) for item, _ in rows)
    units = ("code_points",) if plain else _UNITS
    return [Offsets(u, e, f) for u, e, f in product(units, ("exclusive", "inclusive"), (0, 1))]  # type: ignore[arg-type]


def _by_words_said(said: Sequence[tuple[Item, Mark]], candidates: Sequence[Offsets]) -> tuple[Offsets, str] | None:
    """The way in which most spans are the words that stand beside them; the usual one where it is as good as any."""
    best, most = candidates[0], -1
    for candidate in candidates:
        right = 0
        for item, mark in said:
            at = place_of(item.text, mark.start, mark.end, candidate)
            right += at is not None and _same(item.text[at[0] : at[1]], mark.said or "")
        if right > most:
            best, most = candidate, right
    if best == candidates[0]:
        return None if most else (best, "as its tool counts, though no span is the words beside it")
    return best, f"proved by the words beside {most} of {len(said)} spans"


def _same(text: str, said: str) -> bool:
    return text == said or " ".join(text.split()) == " ".join(said.split())


def _by_edges(
    rows: Sequence[tuple[Item, Mark]], candidates: Sequence[Offsets], kind: Format, problems: Problems
) -> tuple[Offsets, str] | None:
    usual = candidates[0]
    base = [_cut(item, mark, usual) for item, mark in rows]
    if not any(base) and kind.sure:
        return None
    better: list[tuple[Offsets, list[int]]] = []
    different: tuple[Item, Mark] | None = None  # a span that another unit reads as other words, and just as well
    for candidate in candidates[1:]:
        moved = [n for n, (item, mark) in enumerate(rows) if _read(item, mark, candidate) != _read(item, mark, usual)]
        if not moved:
            continue
        cuts = [_cut(*rows[n], candidate) for n in moved]
        before = [base[n] for n in moved]
        few = candidate.unit != usual.unit  # where only the unit differs, only spans behind odd characters move
        if sum(cuts) == 0 and all(_cut(*row, candidate) == 0 for row in rows):
            if sum(map(bool, before)) * 2 >= len(moved) and (few or len(moved) >= 3):
                better.append((candidate, moved))
            elif sum(before) == 0 and (candidate.end, candidate.first) == (usual.end, usual.first):
                different = rows[moved[0]]
    if better:
        readings = {tuple(_read(i, m, c) for i, m in rows) for c, _ in better}
        if len(readings) == 1:
            chosen, moved = better[0]
            return chosen, f"proved by the edges of words at {len(moved)} spans"
        names = " or ".join(str(c) for c, _ in better[:3])
        problems.add(rows[0][1].place, f"its spans cut words, and could count as {names}", _SETTING)
        return None
    if not _ask(rows, base, candidates, problems) and different is not None and not kind.sure:
        what = f"characters {different[1].start} to {different[1].end} are words in one unit and other words in another"
        problems.add(different[1].place, what, _SETTING)
    return None


def _ask(rows: Sequence[tuple[Item, Mark]], base: Sequence[int], candidates: Sequence[Offsets], problems: Problems) -> bool:
    """Ask how the file counts where many spans cut words that would not in another unit, or where nearly all do."""
    cut = [n for n, value in enumerate(base) if value]
    odd = [n for n in cut if not rows[n][0].text.isascii() or "\r" in rows[n][0].text]
    units = [c for c in candidates[1:] if (c.end, c.first) == (candidates[0].end, candidates[0].first)]
    moving = [n for n in odd if any(_read(*rows[n], c) != _read(*rows[n], candidates[0]) and not _cut(*rows[n], c) for c in units)]
    if len(moving) * 50 >= len(rows) and moving:
        mark = rows[moving[0]][1]
        start, end = mark.start, mark.end
        what = f"characters {start} to {end} cut words, as {len(moving)} of {len(rows)} spans do that would not in another unit"
        problems.add(mark.place, what, _SETTING)
        return True
    for n in moving:
        problems.note("spans that cut a word, and would not in another unit", rows[n][1].place, rows[n][1].label)
    if len(cut) >= 5 and len(cut) * 3 >= len(rows):
        mark = rows[cut[0]][1]
        what = f"characters {mark.start} to {mark.end} cut words, as {len(cut)} of {len(rows)} spans do"
        problems.add(mark.place, what, _SETTING + "; or mend the offsets")
        return True
    return False


def _read(item: Item, mark: Mark, offsets: Offsets) -> tuple[int, int] | None:
    return place_of(item.text, mark.start, mark.end, offsets)


def _cut(item: Item, mark: Mark, offsets: Offsets) -> int:
    """How many ends of a span lie within a word or on whitespace; three where it is no place in the text."""
    at = place_of(item.text, mark.start, mark.end, offsets)
    if at is None or at[0] >= at[1]:
        return 3
    start, end = at
    text = item.text
    cuts = 0
    for edge, within in ((start, start), (end, end - 1)):
        if text[within].isspace() or (0 < edge < len(text) and is_wordy(text[edge - 1]) and is_wordy(text[edge])):
            cuts += 1
    return cuts


def is_wordy(character: str) -> bool:
    """True for a letter or digit of a script that puts blanks between words, and for marks on one."""
    if not (character.isalnum() or unicodedata.category(character) in {"Mn", "Mc"}):
        return False
    return not is_unspaced(character)


def place_of(text: str, start: int, end: int, offsets: Offsets) -> tuple[int, int] | None:
    """The half-open code points that a start and an end are in a way of counting; None where there is no such place."""
    start, end = start - offsets.first, end - offsets.first + (offsets.end == "inclusive")
    if start < 0 or end < start:
        return None
    if offsets.unit == "code_points" or (offsets.unit != "graphemes" and text.isascii()):
        return (start, end) if end <= len(text) else None
    to_points = _POINTS[offsets.unit](text)
    first, last = to_points.get(start), to_points.get(end)
    return None if first is None or last is None else (first, last)


def _remembered(make: Callable[[str], list[int]]) -> Callable[[str], dict[int, int]]:
    """Remember the last text: spans come text by text."""
    last: list[tuple[str, dict[int, int]]] = []

    def table(text: str) -> dict[int, int]:
        if not last or last[0][0] != text:
            edges: dict[int, int] = {}
            at = 0
            for point, width in enumerate(make(text)):
                if width:
                    edges.setdefault(at, point)
                at += width
            edges[at] = len(text)
            last[:] = [(text, edges)]
        return last[0][1]

    return table


def _graphemes(text: str) -> list[int]:
    """1 where a cluster begins, else 0. By marks, joiners, skin tones, flags and CRLF, which is what tools meet."""
    widths = []
    flags = 0
    for n, c in enumerate(text):
        before = text[n - 1] if n else ""
        flag = "\U0001f1e6" <= c <= "\U0001f1ff"
        joined = n > 0 and (
            unicodedata.category(c) in {"Mn", "Me", "Mc"}
            or c == "\u200d"
            or before == "\u200d"
            or "\U0001f3fb" <= c <= "\U0001f3ff"
            or (c == "\n" and before == "\r")
            or (flag and flags % 2 == 1)
        )
        flags = flags + 1 if flag else 0
        widths.append(0 if joined else 1)
    return widths


_POINTS: dict[str, Callable[[str], dict[int, int]]] = {
    "utf16": _remembered(lambda text: [2 if ord(c) > 0xFFFF else 1 for c in text]),
    "utf8": _remembered(lambda text: [len(c.encode("utf-8", "surrogatepass")) for c in text]),
    "graphemes": _remembered(_graphemes),
}


def converted(item: Item, offsets: Offsets, problems: Problems) -> Item:
    """The item in half-open code points. Marks that are no place, or not the words beside them, are problems and fall out."""
    if item.words is not None:
        offsets = Offsets()
    if offsets == Offsets() and not any(mark.said is not None for mark in item.marks):
        return item
    marks = []
    for mark in item.marks:
        parts = mark.pieces or ((mark.start, mark.end),)
        places = [place_of(item.text, a, b, offsets) for a, b in parts]
        if offsets == Offsets():  # what is wrong with it is told of the numbers as they stand
            marks.append(mark)
            read = item.text[max(0, mark.start) : max(0, mark.end)]
        elif any(p is None for p in places):
            if item.left_out is None:
                what = f"{mark.start} to {mark.end} is no place in the text, counted as {offsets}"
                problems.add(mark.place, what, _SETTING)
            continue
        else:
            whole = [p for p in places if p is not None]
            start, end = whole[0][0], whole[-1][1]
            marks.append(replace(mark, start=start, end=end, pieces=tuple(whole) if mark.pieces else ()))
            read = item.text[start:end]
        if mark.said is not None and not mark.pieces and item.left_out is None and not _same(read, mark.said):
            what = (
                f"characters {mark.start} to {mark.end} are {_shown(read)}, and the words beside its label are {_shown(mark.said)}"
            )
            problems.add(mark.place, what, "mend the offsets or the words; they must be the same")
    return replace(item, marks=tuple(marks))


def _shown(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
