"""How a file counts its characters: proved by what it says of its own spans, or by the edges of words; else asked for.

The candidates are all units, with ends that belong to the span or not, from 0 or from 1. Where the spans stand beside their own
words, those decide. Where not, spans must begin and end where words do: a way of counting that cuts hardly any word, where
the usual one cuts many, is the file's own. Nothing is chosen where two ways that read differently both could be meant.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from holdfast.pipeline.data.documents import is_unspaced
from holdfast.pipeline.data.formats.shape import Format, Item, Mark, Offsets, Problems
from holdfast.pipeline.data.formats.units import KINDS, kind_of_text, place_of

_SETTING = "say how they count, for example data.offsets: {unit: utf16, end: exclusive, first: 0}"
#: How many spans are looked at of each kind of text (see `kind_of_text`), evenly over the file.
_MOST = 1000
#: And in texts of so many characters together.
_CHARACTERS = 1_000_000
_LOOSE = "spans behind characters that other units count otherwise, and nothing in the file proves the unit"
_ENDLESS = "spans in a script without blanks, where nothing in the file proves which letter is the last"
_DOUBTED = "spans of texts in which some cut words, and would not in another unit"
_UNITS = ("code_points", "utf16", "utf8", "graphemes")


class Telling:
    """The spans that can tell how a file counts, a bounded number of them, evenly over all that came.

    Each kind of text has its own, since one text in a thousand may be all that tells; and so have those with their words beside.
    """

    def __init__(self) -> None:
        self._all = [_Even(_MOST) for _ in range(KINDS)]
        self._said = [_Even(_MOST) for _ in range(KINDS)]

    def add(self, item: Item) -> None:
        """Look at the marks of an item. Where the file gives tokens their places are made by us, and count as we do."""
        if item.left_out is not None or not item.marks or item.words is not None:
            return
        kind = kind_of_text(item.text)
        for mark in item.marks:
            self._all[kind].add((item, mark))
            if mark.said is not None and not mark.pieces:
                self._said[kind].add((item, mark))

    @property
    def rows(self) -> list[tuple[Item, Mark]]:
        """Those of texts that tell most first."""
        return [row for kind in reversed(self._all) for row in _affordable(kind.kept)]

    @property
    def said(self) -> list[tuple[Item, Mark]]:
        """Those with their own words beside them."""
        return [row for kind in reversed(self._said) for row in _affordable(kind.kept)]


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


def _affordable(rows: Sequence[tuple[Item, Mark]]) -> list[tuple[Item, Mark]]:
    """The rows, of fewer texts where these are long: a text is counted through in every unit."""
    texts = {id(item): len(item.text) for item, _ in rows}
    step = 1 + sum(texts.values()) // _CHARACTERS
    kept = set(list(texts)[::step])
    return [row for row in rows if id(row[0]) in kept]


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
    rows, said = telling.rows, telling.said
    if asked is None and rows:
        candidates = [usual, *(o for o in _all(rows) if o != usual)]
        found = _by_words_said(said, candidates) if said else _by_edges(rows, candidates, kind, problems)
        if found is not None:
            chosen, why = found
        elif said:  # a tool may have cut the words from the text by the same wrong numbers
            _ask(_Spans(rows, candidates), problems)
    return Counted(chosen, why, problems)


def _all(rows: Sequence[tuple[Item, Mark]]) -> list[Offsets]:
    plain = not any(kind_of_text(item.text) for item, _ in rows)
    units = ("code_points",) if plain else _UNITS
    return [Offsets(u, e, f) for u, e, f in product(units, ("exclusive", "inclusive"), (0, 1))]  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Spans:
    """Spans as each of the candidates reads them, and how many of their ends lie within words then; the usual one first."""

    rows: Sequence[tuple[Item, Mark]]
    candidates: Sequence[Offsets]
    reads: list[list[tuple[int, int] | None]] = field(init=False)
    cuts: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        reads = [[place_of(i.text, m.start, m.end, c) for c in self.candidates] for i, m in self.rows]
        cuts = [[_cut(i.text, at) for at in row] for (i, _), row in zip(self.rows, reads, strict=True)]
        object.__setattr__(self, "reads", reads)
        object.__setattr__(self, "cuts", cuts)

    def moved(self, n: int) -> list[int]:
        """The spans that the candidate reads otherwise than the usual one."""
        return [k for k, row in enumerate(self.reads) if row[n] != row[0]]

    def units(self) -> list[int]:
        """The candidates that differ from the usual one by their unit only."""
        usual = self.candidates[0]
        return [n for n, c in enumerate(self.candidates) if n and (c.end, c.first) == (usual.end, usual.first)]


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
    if kind.sure and not kind.by_hand and not any(_cut(i.text, place_of(i.text, m.start, m.end, candidates[0])) for i, m in rows):
        return None
    counted = _Spans(rows, candidates)
    units = counted.units()
    better: list[tuple[int, int]] = []
    loose: set[int] = set()  # spans that another unit reads as other words, and just as well
    endless: set[int] = set()
    for n in range(1, len(candidates)):
        moved = counted.moved(n)
        if not moved or any(counted.cuts[k][n] for k in moved):
            continue
        cutting = sum(counted.cuts[k][0] > 0 for k in moved)
        if cutting * 2 >= len(moved) >= 3:
            better.append((n, len(moved)))
        elif not cutting and n in units:
            loose |= set(moved)
        elif not cutting and candidates[n].unit == candidates[0].unit:
            endless |= {k for k in moved if _is_unspaced_at(counted.rows[k][0].text, counted.reads[k][0])}
    if better:
        readings = {tuple(row[n] for row in counted.reads) for n, _ in better}
        if len(readings) == 1:
            n, spans = better[0]
            return candidates[n], f"proved by the edges of words at {spans} spans"
        names = " or ".join(str(candidates[n]) for n, _ in better[:3])
        problems.add(counted.rows[0][1].place, f"its spans cut words, and could count as {names}", _SETTING)
        return None
    if _ask(counted, problems):
        return None
    if loose and not kind.sure:
        mark = counted.rows[min(loose)][1]
        what = f"characters {mark.start} to {mark.end} are words in one unit and other words in another"
        problems.add(mark.place, what, _SETTING)
        return None
    for unproved, what in ((loose, _LOOSE), (endless, _ENDLESS)):
        for k in sorted(unproved) if kind.by_hand or not kind.sure else ():
            problems.note(f"{what}, read as {candidates[0]}", counted.rows[k][1].place)
    return None


def _is_unspaced_at(text: str, at: tuple[int, int] | None) -> bool:
    return at is not None and any(is_unspaced(c) for c in text[at[1] - 1 : at[1] + 1])


def _ask(counted: _Spans, problems: Problems) -> bool:
    """Ask how the file counts where many spans cut words that would not in another unit, or where nearly all do."""
    if any(_shifted(counted, *way, problems) for way in _UNCOUNTED):
        return True
    rows = counted.rows
    moved = {n: counted.moved(n) for n in counted.units()}
    doubted = {n: [k for k in moved[n] if counted.cuts[k][0] and not counted.cuts[k][n]] for n in moved}
    moving = sorted({k for found in doubted.values() for k in found})
    many = any(found and len(found) * 10 >= len(moved[n]) for n, found in doubted.items())
    if many or (moving and len(moving) * 50 >= len(rows)):
        mark = rows[moving[0]][1]
        start, end = mark.start, mark.end
        what = f"characters {start} to {end} cut words, as {len(moving)} of {len(rows)} spans do that would not in another unit"
        unit = max(doubted, key=lambda n: len(doubted[n]))
        mend = f"say how they count, for example data.offsets: {counted.candidates[unit]}"
        problems.add(mark.place, what, mend)
        return True
    texts = {rows[k][0].text for k in moving}
    for k in sorted({k for found in moved.values() for k in found if rows[k][0].text in texts}):
        problems.note(_DOUBTED, rows[k][1].place, rows[k][1].label)
    cut = [k for k, row in enumerate(counted.cuts) if row[0]]
    if len(cut) >= 5 and len(cut) * 3 >= len(rows):
        mark = rows[cut[0]][1]
        what = f"characters {mark.start} to {mark.end} cut words, as {len(cut)} of {len(rows)} spans do"
        problems.add(mark.place, what, _setting_for(counted))
        return True
    return False


def _setting_for(counted: _Spans) -> str:
    """What to do with spans that cut words: name the way of counting in which far fewer do, if there is one."""
    cutting = [sum(row[n] > 0 for row in counted.cuts) for n in range(len(counted.candidates))]
    best = min(range(len(cutting)), key=cutting.__getitem__)
    if cutting[best] * 2 > cutting[0]:
        return "mend the offsets: in no way of counting do they fit the words"
    return f"mend the offsets; or, if all of them count so, set data.offsets: {counted.candidates[best]}"


def _shifted(counted: _Spans, uncounted: Callable[[str, int], int], which: str, mend: str, problems: Problems) -> bool:
    """Refuse offsets that leave out some characters: behind those most spans cut words, and moved by them none does."""
    moved: dict[int, tuple[int, int]] = {}
    for k, (item, _) in enumerate(counted.rows):
        at = counted.reads[k][0]
        if at is not None and (to := (at[0] + uncounted(item.text, at[0]), at[1] + uncounted(item.text, at[1]))) != at:
            moved[k] = to
    cut = [k for k in moved if counted.cuts[k][0]]
    if not cut or len(cut) * 2 < len(moved) or any(_cut(counted.rows[k][0].text, to) for k, to in moved.items()):
        return False
    mark = counted.rows[cut[0]][1]
    what = f"characters {mark.start} to {mark.end} cut words, as {len(cut)} of {len(moved)} spans do where the tool did not count"
    problems.add(mark.place, f"{what} {which}", mend)
    return True


def _blanks_before(text: str, _: int) -> int:
    return len(text) - len(text.lstrip())


def _line_ends_before(text: str, place: int) -> int:
    """How many line ends of two characters lie before a place that counts each of them as one."""
    number = 0
    at = text.find("\r\n")
    while at >= 0 and at - number < place:
        number += 1
        at = text.find("\r\n", at + 2)
    return number


_UNCOUNTED: tuple[tuple[Callable[[str, int], int], str, str], ...] = (
    (_blanks_before, "the blanks before a text", "take the blanks before the texts away"),
    (_line_ends_before, "both characters of a line's end", "write \\n in the texts in place of \\r\\n"),
)


def _cut(text: str, at: tuple[int, int] | None) -> int:
    """How many ends of a span lie within a word or on whitespace; three where it is no place in the text."""
    if at is None or not 0 <= at[0] < at[1] <= len(text):
        return 3
    start, end = at
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
