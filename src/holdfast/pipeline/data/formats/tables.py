"""Tables with a header, between commas, semicolons or tabs: Kaggle's table of words, and Label Studio's cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.pipeline.data.formats.json_tokens import tagged
from holdfast.pipeline.data.formats.objects import short
from holdfast.pipeline.data.formats.shape import Item, Problems

_WORD, _TAG = ("word", "token", "words", "tokens"), ("tag", "ner_tag", "label", "tags", "labels", "ner_tags", "ner")


@dataclass(frozen=True)
class Header:
    """The names of a table's columns, and what divides them."""

    names: tuple[str, ...]
    divider: str


def header_of(begun: str, *, anything: bool) -> Header | None:
    """The header of a table that is known; None where its first line is none.

    Args:
        begun: The beginning of the file.
        anything: Whether any names divided by commas will do.
    """
    first = next(iter(begun.splitlines()), "")
    for divider in (",", "\t", ";"):
        try:
            names = [name.strip() for name in next(csv.reader([first], delimiter=divider), [])]
        except csv.Error:  # a NUL: no table
            return None
        known = {name.casefold() for name in names}
        words = known & set(_WORD) and known & set(_TAG) and any("sentence" in n for n in known)
        commas = divider == "," and all(names) and (anything or is_words(tuple(names)))
        if len(names) > 1 and ("annotation_id" in known or words or commas):
            return Header(tuple(names), divider)
    return None


def _body(text: str, header: Header, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(1 << 30)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=header.divider)
    try:
        next(reader)
        yield from ((reader.line_num, cells) for cells in reader if cells)
    except csv.Error as error:  # a carriage return alone, or a NUL
        problems.add(f"line {reader.line_num}", f"it is no table ({error})", "write it again as CSV")


def rows_of_table(text: str, header: Header, problems: Problems) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row with its place, by name of the column."""
    for line, cells in _body(text, header, problems):
        yield f"line {line}", dict(zip(header.names, cells, strict=False))


def is_words(header: tuple[str, ...]) -> bool:
    """True for a table that has a word and its tag on each row."""
    names = {name.casefold() for name in header}
    return bool(names & set(_WORD) and names & set(_TAG))


def read_words(text: str, header: Header, problems: Problems) -> Iterator[Item]:
    """The sentences of a table of words. Only the first row of each may say which sentence it is."""
    names = [name.casefold() for name in header.names]
    word = next(n for n, name in enumerate(names) if name in _WORD)
    tag = next(n for n, name in enumerate(names) if name in _TAG)
    sentence = next((n for n, name in enumerate(names) if "sentence" in name), None)
    if sentence is None:
        problems.add("line 1", "no column tells where a sentence ends", "keep the column 'Sentence #', or write CoNLL columns")
        return
    at, current = 0, ""
    ended: set[str] = set()
    tokens: list[str] = []
    tags: list[str] = []
    for line, cells in _body(text, header, problems):
        if len(cells) != len(names):
            problems.add(f"line {line}", f"{len(cells)} columns where the header has {len(names)}", "give each row as many")
            continue
        begins = cells[sentence].strip()
        if begins and begins != current:
            if tokens and (item := tagged(tokens, tags, f"line {at}", problems)):
                yield item
            if begins in ended:
                problems.add(
                    f"line {line}", f"sentence {short(begins)} goes on after others", "put the rows of a sentence together"
                )
            ended.add(current)
            tokens, tags, current = [], [], begins
        at = at if tokens else line
        tokens.append(cells[word])
        tags.append(cells[tag])
    if tokens and (item := tagged(tokens, tags, f"line {at}", problems)):
        yield item
