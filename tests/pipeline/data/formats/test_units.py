"""Offsets in every unit, end and beginning: proved, asked for or refused, and no span wrong in silence."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.pipeline.data.formats.shape import Asked, Offsets
from holdfast.pipeline.data.formats.units import joined_places
from holdfast.pipeline.data.reading import examine

_NAMES = [("Ann Lee", "PER"), ("Bo", "PER"), ("Jose\u0301 Nu\u0301n\u0303ez", "PER"), ("Zo\u00eb", "PER"), ("Mia Roth-Li", "PER")]
_NAMES += [("Rome", "LOC"), ("K\u00f6ln", "LOC"), ("S\u00e3o Paulo", "LOC"), ("NodeJS", "SKILL"), ("C++", "SKILL"), ("A", "LOC")]
_SYMBOLS = [
    "\U0001f4e7",
    "\U0001f680\U0001f680",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0001f1e9\U0001f1ea",
    "\u2764\ufe0f",
]
_SYMBOLS += ["e\u0301", "\U0001f44d\U0001f3fd", "\r\n", "\u2014", "\u201c", "\u00a0", "\U0001d4d0\U0001d4d1", "\u00bd", "\t"]
_BETWEEN = "works for a team in and I live near 3 code since it , ."
_PLAIN = _BETWEEN.split()
LENGTHS: dict[str, Callable[[str], int]] = {
    "code_points": len,
    "utf16": lambda text: len(text.encode("utf-16-le")) // 2,
    "utf8": lambda text: len(text.encode()),
    "graphemes": lambda text: len(text) - len(joined_places(text)),
}
CONVENTIONS = list(itertools.product(LENGTHS, ("exclusive", "inclusive"), (0, 1)))
Marked = tuple[str, list[tuple[int, int, str]]]


def document(r: random.Random, *, odd: bool, plain: bool = False) -> Marked:
    """A text with names in it; odd ones have symbols between, and blanks and line breaks before it."""
    text = r.choice(["", "", " ", "\n\n", "\t "]) if odd else ""
    spans = []
    for n in range(r.randint(4, 14)):
        if n and not text.endswith("\n"):
            text += " "
        kind = r.random()
        if kind < 0.35:
            name, label = r.choice([(name, label) for name, label in _NAMES if odd or not plain or name.isascii()])
            spans.append((len(text), len(text) + len(name), label))
            text += name
        else:
            text += r.choice(_SYMBOLS) if odd and kind < 0.55 else r.choice(_PLAIN)
    return text, spans


def written(path: Path, documents: list[Marked], unit: str, end: str, first: int, *, said: bool) -> None:
    length = LENGTHS[unit]
    rows = []
    for text, spans in documents:
        marks: list[list[Any]] = []
        for a, b, label in spans:
            mark = [length(text[:a]) + first, length(text[:b]) + first - (end == "inclusive"), label]
            marks.append([*mark, text[a:b]] if said else mark)
        rows.append(json.dumps({"text": text, "annotations": marks}) + "\n")
    path.write_text("".join(rows))


def outcome(path: Path, documents: list[Marked], asked: Asked | None = None) -> str:
    """How the file was taken: right, asked, refused, or spans that are wrong, with and without a note."""
    found = examine(path, asked or Asked())
    if found.problems:
        return "asked for" if any("data.offsets" in p for p in found.problems) else "refused"
    right = [spans for _, spans in documents]
    read = [[(s.start, s.end, s.label) for s in d.spans] for d in found.reading.documents]
    wrong = sum(len(set(a) - set(b)) for a, b in zip(right, read, strict=True))
    if not wrong:
        return "proved" if any("offsets count" in note for note in found.reading.notes) else "right as they are"
    told = [n for n in found.reading.noted if any(word in n.kind for word in ("cut", "trimmed", "nothing in the file proves"))]
    return f"WRONG, {'noted' if sum(n.count for n in told) >= wrong else 'in silence'}"


def counts(path: Path, documents: list[Marked], conventions: list[tuple[str, str, int]] = CONVENTIONS) -> Counter[str]:
    """How the documents are taken in each convention, with the words beside the spans and without."""
    found: Counter[str] = Counter()
    for (unit, end, first), said in itertools.product(conventions, (False, True)):
        written(path, documents, unit, end, first, said=said)
        what = outcome(path, documents)
        assert what != "WRONG, in silence", (unit, end, first, said)
        found[f"{unit}, {end}, from {first}, {'with' if said else 'without'} words: {what}"] += 1
    return found


def test_200_documents_with_symbols_are_read_rightly_or_asked_about_in_every_unit_end_and_beginning(tmp_path: Path) -> None:
    r = random.Random(18)
    found = counts(tmp_path / "a.jsonl", [document(r, odd=True) for _ in range(200)])
    assert len(found) == 32
    assert all(what.endswith(("proved", "right as they are")) for what in found), found


@pytest.mark.parametrize("odd", [1, 3])
def test_a_few_documents_with_symbols_among_200_are_enough_or_are_asked_about(odd: int, tmp_path: Path) -> None:
    r = random.Random(odd)
    counts(tmp_path / "a.jsonl", [document(r, odd=50 <= n < 50 + odd, plain=True) for n in range(200)], CONVENTIONS[odd // 2 :: 2])


def test_one_document_with_symbols_among_thousands_with_accents_is_looked_at(tmp_path: Path) -> None:
    cafe: Marked = ("the caf\u00e9 of Ann Lee and Zo\u00eb in K\u00f6ln", [(12, 19, "PER"), (24, 27, "PER"), (31, 35, "LOC")])
    emoji: Marked = ("\U0001f680 Ann Lee and Zo\u00eb in K\u00f6ln", [(2, 9, "PER"), (14, 17, "PER"), (21, 25, "LOC")])
    path = tmp_path / "a.jsonl"
    documents = [*[cafe] * 1500, emoji, *[cafe] * 700]
    written(path, documents, "utf16", "exclusive", 0, said=False)
    assert outcome(path, documents) == "proved"


@pytest.mark.parametrize(("unit", "end", "first"), CONVENTIONS)
def test_what_is_asked_for_is_read_rightly_with_the_setting(unit: Any, end: Any, first: int, tmp_path: Path) -> None:
    r = random.Random(3)
    documents = [document(r, odd=n == 5, plain=True) for n in range(10)]
    written(tmp_path / "a.jsonl", documents, unit, end, first, said=False)
    assert outcome(tmp_path / "a.jsonl", documents, Asked(offsets=Offsets(unit, end, first))) in {"proved", "right as they are"}


def test_a_set_of_two_ways_of_counting_is_asked_about_or_refused(tmp_path: Path) -> None:
    r = random.Random(4)
    documents = [document(r, odd=True) for _ in range(60)]
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    for unit, end in [("utf16", "exclusive"), ("code_points", "inclusive"), ("graphemes", "exclusive")]:
        for said in (False, True):
            written(one, documents[:30], "code_points", "exclusive", 0, said=said)
            written(other, documents[30:], unit, end, 0, said=said)
            both = tmp_path / "both.jsonl"
            both.write_text(one.read_text() + other.read_text())
            assert outcome(both, documents) in {"asked for", "refused"}


def test_offsets_that_leave_out_the_blanks_before_a_text_are_refused_by_that(tmp_path: Path) -> None:
    r = random.Random(5)
    path = tmp_path / "a.jsonl"
    documents = [document(r, odd=True) for _ in range(40)]
    rows = []
    for text, spans in documents:
        gone = len(text) - len(text.lstrip())
        rows.append({"text": text, "annotations": [[a - gone, b - gone, label] for a, b, label in spans]})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert any("did not count the blanks before a text" in p for p in examine(path).problems)
    for row in rows:
        row["text"] = str(row["text"]).lstrip()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    bare = [(str(row["text"]), [(a, b, label) for a, b, label in row["annotations"]]) for row in rows]
    assert outcome(path, bare) == "right as they are"  # type: ignore[arg-type]


def test_offsets_that_count_a_line_end_of_two_characters_as_one_are_proved_or_refused_by_that(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    given = [("x\r\nAnn Lee\r\nin Bonn", [(3, 10, "PER"), (15, 19, "LOC")])] * 5
    given += [("cafe\u0301\r\nMia in Kiel", [(7, 10, "PER"), (14, 18, "LOC")])] * 5
    rows = [
        {"text": t, "annotations": [[len(t[:a].replace("\r", "")), len(t[:b].replace("\r", "")), k] for a, b, k in spans]}
        for t, spans in given
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert any("both characters of a line's end" in p for p in examine(path).problems)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:5]))
    assert outcome(path, given[:5]) == "proved"


def test_a_script_without_blanks_proves_no_end_and_that_is_said(tmp_path: Path) -> None:
    documents: list[Marked] = [("\u674e\u96f7\u5728\u5317\u4eac\u4e86", [(0, 2, "PER"), (3, 5, "LOC")])] * 3
    path = tmp_path / "a.jsonl"
    for unit, end in [("code_points", "exclusive"), ("code_points", "inclusive")]:
        written(path, documents, unit, end, 0, said=False)
        assert any("nothing in the file proves which letter is the last" in note for note in examine(path).reading.notes)
        written(path, documents, unit, end, 0, said=True)
        assert outcome(path, documents) in {"proved", "right as they are"}


@pytest.mark.torture
def test_a_hundred_sets_of_every_kind_hold_no_span_that_is_wrong_in_silence(tmp_path: Path) -> None:
    found: Counter[str] = Counter()
    for seed in range(100):
        r = random.Random(seed)
        few = r.choice([1, 2, 4, 20, 200])
        found += counts(tmp_path / "a.jsonl", [document(r, odd=n % 200 < few, plain=True) for n in range(200)])
    print("\n".join(f"{what} {number}" for what, number in sorted(found.items())))
