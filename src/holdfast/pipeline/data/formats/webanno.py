"""WebAnno TSV 3, as WebAnno and INCEpTION write it: a token a line with its offsets, a column for each feature.

After INCEpTION's `Tsv3XSerializer` and `Escaping`: offsets are UTF-16 units of the document, `[n]` joins the tokens of one
annotation, `|` stacks several, a backslash escapes in values and in `#Text=`, and column 3 escapes nothing. Its tokens are
the words of the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from holdfast.pipeline.data.formats.objects import short
from holdfast.pipeline.data.formats.shape import Format, Item, Mark, Offsets, Problems
from holdfast.pipeline.data.formats.words import cut

FORMAT = Format("WebAnno TSV 3", "a first line #FORMAT=WebAnno TSV", Offsets("utf16"))

_ROW = re.compile(r"(\d+-\d+)(\.\d+)?\t(\d+)-(\d+)\t([^\t]*)\t?(.*)")
_NUMBERED = re.compile(r"(.*?)\[(\d+)\]", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


@dataclass(frozen=True)
class _Row:
    number: int
    sub: bool
    start: int
    end: int
    token: str
    cells: tuple[str, ...]


def read_webanno(text: str, problems: Problems) -> Iterator[Item]:
    """The document of a file, its sentences as they stand in it."""
    rows: list[_Row] = []
    header: list[tuple[str, list[str]]] = []
    texts: list[tuple[int, str]] = []  # the row before which a `#Text=` stands
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.rstrip("\r")  # noqa: PLW2901 - the line without its end
        if line.startswith(("#T_SP=", "#T_CH=", "#T_RL=")):
            layer, *features = line[6:].split("|")
            header.append((layer if line.startswith("#T_SP=") else "", features))
        elif line.startswith("#Text="):
            texts.append((len(rows), _unescaped(line[6:])))
        elif line and not line.startswith("#"):
            found = _ROW.fullmatch(line)
            if found is None:
                problems.add(
                    f"line {number}", f"expected a token with its number and offsets, got {short(line)}", "export it again"
                )
                return
            _, sub, start, end, token, rest = found.groups()
            rows.append(_Row(number, sub is not None, int(start), int(end), token, tuple(rest.split("\t"))))
    if not rows:
        return
    column = _column(header, problems)
    if column is None:
        return
    units = _whole(rows, texts)
    wrong = next((row for row in rows if "".join(units[row.start : row.end]) != row.token), None)
    if wrong is not None:
        problems.add(f"line {wrong.number}", f"token {short(wrong.token)} does not stand where its offsets say", "export it again")
        return
    points = [0, *accumulate(map(len, units))]
    rows = [replace(row, start=points[row.start], end=points[row.end]) for row in rows]
    marks = tuple(_marks(rows, column))
    yield Item(f"line {rows[0].number}", "".join(units), marks, cut(((row.start, row.end) for row in rows if not row.sub), marks))


def _column(header: Sequence[tuple[str, list[str]]], problems: Problems) -> int | None:
    """The column of the entities' label: `value` of the layer of named entities, or of the only layer of spans."""
    at = 0
    found: list[tuple[str, int]] = []
    for layer, features in header:
        for n, feature in enumerate(features):
            if layer and (feature == "value" or len(features) == 1):
                found.append((layer, at + n))
        at += max(1, len(features))
    named = [entry for entry in found if entry[0].endswith("NamedEntity")]
    chosen = named or found
    if len(chosen) == 1:
        return chosen[0][1]
    what = f"{len(chosen)} layers could hold the entities: {', '.join(layer for layer, _ in chosen) or 'none has a value'}"
    problems.add("line 2", what, "export the layer of named entities alone")
    return None


def _whole(rows: Sequence[_Row], texts: Sequence[tuple[int, str]]) -> list[str]:
    """The document's text by UTF-16 units, a character at its first unit. What no sentence holds is blank."""
    units: list[str] = []

    def fill(at: int) -> None:
        while len(units) < at:
            units.append("\n" if len(units) + 1 == at else " ")

    n = 0
    while n < len(texts):
        first = texts[n][0]
        lines = [texts[n][1]]
        while n + 1 < len(texts) and texts[n + 1][0] == first:
            n += 1
            lines.append(texts[n][1])
        n += 1
        sentence = "\n".join(lines)
        row = next((r for r in rows[first:] if not r.sub), None)
        if row is None:
            continue
        inner = sentence.find(row.token)
        begin = row.start - _length(sentence[: max(0, inner)])
        fill(begin)
        del units[max(0, begin) :]
        for character in sentence:
            units += [character] + [""] * (_length(character) - 1)
    fill(max(row.end for row in rows))
    return units


def _length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), text)


def _marks(rows: Sequence[_Row], column: int) -> Iterator[Mark]:
    joined: dict[tuple[str, str], list[_Row]] = {}
    for row in rows:
        cell = row.cells[column] if column < len(row.cells) else "_"
        if cell in {"_", ""}:
            continue
        for value in re.split(r"(?<!\\)\|", cell):
            found = _NUMBERED.fullmatch(value)
            label, n = (found[1], found[2]) if found else (value, f"line {row.number}")
            if label in {"*", "_"}:  # an annotation without a value
                label = ""
            joined.setdefault((_unescaped(label), n), []).append(row)
    for (label, _), held in joined.items():
        yield Mark(held[0].start, held[-1].end, label, f"line {held[0].number}")
