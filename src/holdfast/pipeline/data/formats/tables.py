"""Tables with a header, between commas, semicolons or tabs: Kaggle's table of words, and Label Studio's cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.pipeline.data.formats.json_tokens import tagged
from holdfast.pipeline.data.formats.shape import Item, Problems

_WORD, _TAG = ("word", "token"), ("tag", "ner_tag", "label")


@dataclass(frozen=True)
class Table:
    """The header and the rows of a table, with the line on which each row ends."""

    header: tuple[str, ...]
    body: tuple[tuple[int, tuple[str, ...]], ...]

    def rows(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Each row with its place, by name of the column."""
        for line, cells in self.body:
            yield f"line {line}", dict(zip(self.header, cells, strict=False))


def table_of(text: str) -> Table | None:
    """The table that the text is; None where its first line is no header of several names."""
    first = text[:100_000].splitlines()[0]
    for divider in (",", "\t", ";"):
        header = next(csv.reader([first], delimiter=divider), [])
        names = {name.strip().casefold() for name in header}
        known = "annotation_id" in names or (names & set(_WORD) and names & set(_TAG) and any("sentence" in n for n in names))
        if len(header) > 1 and (known or (divider == "," and all(name.strip() for name in header))):
            csv.field_size_limit(1 << 30)
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=divider)
            next(reader)
            try:
                body = tuple((reader.line_num, tuple(cells)) for cells in reader if cells)
            except csv.Error:  # a carriage return alone, or a NUL: no table
                return None
            return Table(tuple(name.strip() for name in header), body)
    return None


def is_words(header: tuple[str, ...]) -> bool:
    """True for a table that has a word and its tag on each row."""
    names = {name.casefold() for name in header}
    return bool(names & set(_WORD) and names & set(_TAG))


def read_words(table: Table, problems: Problems) -> Iterator[Item]:
    """The sentences of a table of words. Only the first row of each may say which sentence it is."""
    names = [name.casefold() for name in table.header]
    word = next(n for n, name in enumerate(names) if name in _WORD)
    tag = next(n for n, name in enumerate(names) if name in _TAG)
    sentence = next((n for n, name in enumerate(names) if "sentence" in name), None)
    if sentence is None:
        problems.add("line 1", "no column tells where a sentence ends", "keep the column 'Sentence #', or write CoNLL columns")
        return
    at, current = 0, ""
    tokens: list[str] = []
    tags: list[str] = []
    for line, cells in table.body:
        if len(cells) != len(names):
            problems.add(f"line {line}", f"{len(cells)} columns where the header has {len(names)}", "give each row as many")
            continue
        begins = cells[sentence].strip()
        if begins and begins != current:
            if tokens and (item := tagged(tokens, tags, f"line {at}", problems)):
                yield item
            tokens, tags, current = [], [], begins
        at = at if tokens else line
        tokens.append(cells[word])
        tags.append(cells[tag])
    if tokens and (item := tagged(tokens, tags, f"line {at}", problems)):
        yield item
