"""A token a line with its tag: what each column is by a look at the file, then its sentences one after the other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from holdfast.pipeline.data.formats.layout import LONG, SETTING, Layout, Row, decide, parted, unlike_columns, without_header
from holdfast.pipeline.data.formats.objects import short
from holdfast.pipeline.data.formats.sentences import Regular, Sentences, cells_of, item_of, item_of_regular, lines_of, sentences_of
from holdfast.pipeline.data.formats.shape import Columns, Format, Item, Problems
from holdfast.pipeline.data.formats.source import Source
from holdfast.pipeline.data.formats.tags import is_tag, scheme_of

_ONE_COLUMN = "expected a token and its tag, with a tab between"


@dataclass(frozen=True)
class ColumnFile:
    """How a file of columns is read.

    Args:
        format: What it is, and by what that was known.
        width: How many columns each row has.
        layout: Which of them is what.
        misc: True where the tag is a key in the last column, as in CoNLL-U.
        empty: Columns that hold `O` alone as far as was looked; a name in one of them would be a second layer.
        noted: What is to be said of the whole file once.
    """

    format: Format
    width: int
    layout: Layout
    misc: bool = False
    empty: tuple[int, ...] = ()
    noted: str = ""


def look_at_columns(source: Source, asked: Columns | None, problems: Problems) -> ColumnFile | None:
    """Which column is the token and which the tag, by a sample of the file that is all of it where it is small.

    Args:
        source: The file.
        asked: What a person says; it is taken as it is.
        problems: Takes what is wrong where nothing could be chosen.

    Returns:
        None where nothing could be chosen.
    """
    wrong, said = Problems(), Problems()
    sentences = without_header(_sampled(source, wrong), wrong)
    rows = [row for sentence in sentences for row in sentence]
    if not rows:
        return ColumnFile(Format("columns", "a token a line"), 0, Layout(0, 0))
    if found := unlike_columns(rows):
        problems.add(*found)
        return None
    width = Counter(len(row.cells) for row in rows).most_common(1)[0][0]
    sentences = [level for sentence in sentences if (level := level_rows(sentence, width, wrong))]
    rows = [row for sentence in sentences for row in sentence]
    numbered = asked is None and width == 10 and all(re.fullmatch(r"\d+([-.]\d+)?", row.cells[0]) for row in rows)
    if numbered and any(_misc_tag(row) is not None for row in rows):
        misc = Format("CoNLL-U with names in MISC", "ten columns, NER= or name= in the last")
        return ColumnFile(misc, width, Layout(1, 9), misc=True)
    layout = decide(sentences, width, asked, said) if sentences else None
    if layout is None:
        problems.extend(wrong)
        problems.extend(said)
        return None
    problems.extend(said)
    tags = {row.cells[layout.tag] for row in rows}
    scheme = scheme_of({tag for tag in tags if is_tag(tag)})
    name = f"{width} columns, token in {layout.token + 1}, tag in {layout.tag + 1}"
    why = f"tags of the scheme {scheme or 'IOB'}" if not asked else "as asked for"
    noted = f"tags of {scheme}, converted" if scheme not in {"IOB", None} else ""
    known = {layout.token, layout.tag, layout.inner}
    empty = [n for n in range(width) if n not in known and all(row.cells[n] == "O" for row in rows)]
    return ColumnFile(Format(name, why), width, layout, empty=() if asked else tuple(empty), noted=noted)


def _sampled(source: Source, problems: Problems) -> list[list[Row]]:
    """The sentences of the pieces that are looked at; of a file without blank lines those of the first piece."""
    sentences: list[list[Row]] = []
    width = 0
    for n, piece in enumerate(source.sample()):
        lines = list(lines_of([piece], problems))
        if not n:
            usual = Counter(len(cells_of(line)) for _, line in lines if line.strip() and not line.startswith("#")).most_common(1)
            width = usual[0][0] if usual else 0
        sentences += sentences_of(lines, width)
        if len(sentences) == 1 and not n:
            break
    return sentences


def read_columns(source: Source, file: ColumnFile, problems: Problems) -> Iterator[Item]:
    """The sentences of a file of columns, each an item. A row that is not as the file's others is a problem."""
    noted, first = file.noted, True
    layout = file.layout
    plain = not (file.misc or file.empty or layout.ids is not None or layout.ends is not None or layout.inner is not None)
    for sentence in Sentences(file.width).of_blocks(source.blocks(), problems):
        if isinstance(sentence, Regular):
            if plain and not first and not noted and len(sentence.cells) <= LONG:
                if item := item_of_regular(sentence, layout.token, layout.tag, problems):
                    yield item
                continue
            sentence = sentence.rows  # noqa: PLW2901 - the same
        rows: Sequence[Row] = sentence
        if first:
            rows = next(iter(without_header([sentence], problems)), ())
            first = False
        rows = level_rows(rows, file.width, problems)
        if file.misc:
            rows = [r._replace(cells=(*r.cells[:9], _misc_tag(r) or "O")) for r in rows if r.cells[0].isdigit()]
        for part in parted([rows], layout, problems):
            if noted:
                problems.note(noted, f"line {part[0].number}")
                noted = ""
            _look_beside(part, file, problems)
            if item := item_of(part, layout.token, layout.tag, problems):
                yield item


def _look_beside(rows: Sequence[Row], file: ColumnFile, problems: Problems) -> None:
    """Count what an inner layer marks; and find a second layer that begins behind what was looked at."""
    if (inner := file.layout.inner) is not None:
        for row in rows:
            cell = row.cells[inner]
            if cell != "O" and is_tag(cell) and cell[0] in "BSU":
                problems.note("entities of the inner layer, dropped", f"line {row.number}", cell[2:])
    for n in file.empty:
        for row in rows:
            if row.cells[n] != "O":
                what = f"columns {file.layout.tag + 1} and {n + 1} ({short(row.cells[n])}) each hold tags"
                problems.add(f"line {row.number}", what, SETTING)
                return


def level_rows(rows: Sequence[Row], width: int, problems: Problems) -> list[Row]:
    """The rows that have the usual number of columns; the others are problems."""
    if width > 1 and all(len(row.cells) == width for row in rows):
        return list(rows)
    good = []
    for row in rows:
        cells = row.cells
        while len(cells) > width and not cells[-1]:
            cells = cells[:-1]
        if len(cells) == 1:
            problems.add(f"line {row.number}", f"one column, {short(cells[0])}", _ONE_COLUMN)
        elif len(cells) != width:
            what = f"{len(cells)} columns where the others have {width}: {short(row.line.strip())}"
            problems.add(f"line {row.number}", what, "give each line as many; a token with a blank needs tabs between the columns")
        else:
            good.append(row._replace(cells=cells))
    return good


def _misc_tag(row: Row) -> str | None:
    """The tag in the last column of a line of CoNLL-U."""
    fields = dict(f.split("=", 1) for f in row.cells[9].split("|") if "=" in f)
    return fields.get("NER", fields.get("name"))
