"""What a file is, by its content; and its items. One place that knows all formats."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from holdfast.pipeline.data.formats import foreign, own
from holdfast.pipeline.data.formats.columns import look_at_columns, read_columns
from holdfast.pipeline.data.formats.foreign import foreign_bytes, foreign_object
from holdfast.pipeline.data.formats.json_tokens import TOKENS
from holdfast.pipeline.data.formats.json_tools import PAIRS, TOOLS, is_pair, read_cells, read_pair
from holdfast.pipeline.data.formats.objects import kind, values_of
from holdfast.pipeline.data.formats.sentences import CONLL2012, looks_like_bars, looks_like_prose, read_bars, read_conll2012
from holdfast.pipeline.data.formats.shape import Asked, Foreign, Format, Item, ObjectFormat, Problems
from holdfast.pipeline.data.formats.source import Source
from holdfast.pipeline.data.formats.tables import header_of, is_words, read_words, rows_of_table

#: Suffixes of files in CoNLL columns, of those that hold objects, and of every file that can be read.
COLUMNS = (".conll", ".bio", ".iob", ".iob2", ".tsv", ".txt", ".ner", ".conllu", ".gold_conll")
OBJECTS = (".json", ".jsonl", ".ndjson", ".manifest")
SUFFIXES = (*OBJECTS, *COLUMNS, ".csv", ".py", ".ann", ".xmi", ".xml", ".spacy", ".parquet", ".arrow")
_TABLE = "a table to read has columns Word and Tag, with 'Sentence #'; else write a token and its tag a line as .tsv"


@dataclass(frozen=True)
class Content:
    """What a file is, and its items, from the beginning as often as they are asked for."""

    format: Format
    items: Callable[[Problems], Iterable[Item]]


def recognise(source: Source, asked: Asked, problems: Problems) -> Content | None:
    """What a file is, by its content.

    Args:
        source: The file.
        asked: What a person says of it.
        problems: Takes what is wrong, and the refusal of what is known and not read.

    Returns:
        None where it is not read; why stands in the problems then.
    """
    head = source.head
    if known := foreign_bytes(head[:64]):
        _refused(known, problems)
        return None
    if head[:4] == b"PAR1" or head[:6] == b"ARROW1" or head[:4] == b"\xff\xff\xff\xff":
        from holdfast.pipeline.data.formats.arrow import FORMAT, read_arrow

        return Content(FORMAT, lambda p: read_arrow(source.path, source.data(), p))
    if head[:2] in {b"\x78\x9c", b"\x78\x01", b"\x78\xda"} and not head[2:3].isalpha():
        from holdfast.pipeline.data.formats.spacy import FORMAT as DOCBIN
        from holdfast.pipeline.data.formats.spacy import read_docbin

        return Content(DOCBIN, lambda p: read_docbin(source.data(), p))
    return _of_text(source, asked, problems)


def _refused(known: Foreign, problems: Problems) -> None:
    problems.add("", f"this is {known.name}, which is not read", known.mend)


def _of_text(source: Source, asked: Asked, problems: Problems) -> Content | None:
    suffix = source.path.suffix.lower()
    begun = source.begun().lstrip()
    if suffix == ".py" or re.match(r"(?:#.*\n|\s)*[A-Z_]\w*\s*=\s*\[\s*[(\[]", begun):
        return _python(source.text(), problems)
    if suffix in OBJECTS or _is_json(begun):
        return _objects(source, suffix, problems)
    if begun.startswith("<"):
        return _marked_up(source, begun, problems)
    if begun.startswith("#FORMAT=WebAnno TSV"):
        from holdfast.pipeline.data.formats.webanno import FORMAT, read_webanno

        return Content(FORMAT, lambda p: read_webanno(source.text(), p))
    if suffix == ".ann" or re.match(r"T\d+\t\S+ \d+ \d+", begun):
        from holdfast.pipeline.data.formats.brat import FORMAT as BRAT
        from holdfast.pipeline.data.formats.brat import read_brat

        return Content(BRAT, lambda p: read_brat(source.path, source.text(), p))
    if begun.startswith("#begin document"):
        return Content(CONLL2012, lambda p: read_conll2012(source, p))
    if header := header_of(source.begun(), anything=suffix == ".csv"):
        if is_words(header.names):
            return Content(
                Format("table of words", "a header with 'Word' and 'Tag'"), lambda p: read_words(source.text(), header, p)
            )
        if {"annotation_id", "lead_time"} <= set(header.names):
            cells = Format("Label Studio CSV", "a header with 'annotation_id'")
            return Content(cells, lambda p: read_cells(rows_of_table(source.text(), header, p), p))
        if suffix == ".csv":
            what = f"unknown suffix '.csv' for columns {', '.join(header.names)[:60]}"
            problems.add("", what, _TABLE)
            return None
    if suffix == ".csv":
        problems.add("", "it has no header of a table that is read", _TABLE)
        return None
    if looks_like_bars(begun):
        return Content(Format("a sentence a line", "words with a tag behind a bar"), lambda p: read_bars(source, p))
    if suffix not in COLUMNS:
        problems.add("", f"unknown suffix {source.path.suffix!r}", f"a file to read ends in one of {' '.join(SUFFIXES)}")
        return None
    if looks_like_prose(begun):
        _refused(foreign.NO_TEXT, problems)
        return None
    file = look_at_columns(source, asked.columns, problems)
    return None if file is None else Content(file.format, lambda p: read_columns(source, file, p))


def _is_json(begun: str) -> bool:
    return re.match(r'\{\s*"|\[\s*(?:\{|\[|"|\])|\{\s*\}', begun) is not None and not re.match(r"\S+[ \t]+(?:O|[BI]-)", begun)


def _objects(source: Source, suffix: str, problems: Problems) -> Content | None:
    values = values_of(source, suffix in {".jsonl", ".ndjson", ".manifest"}, problems)
    if values is None:
        return None
    place, given = values.first[0]
    if len(values.first) == 1 and place == "top level" and not isinstance(given, dict):
        problems.add("top level", f"expected a list, got {kind(given)}", f"it should be [{own.OBJECT}, ...]")
        return None
    first = next((v for _, v in values.first if isinstance(v, dict)), None)
    if first is not None and any(key in first for key in ("%TYPES", "%FEATURE_STRUCTURES", "%VIEWS")):
        from holdfast.pipeline.data.formats.uima import JSON, read_uima_json

        return Content(JSON, lambda p: read_uima_json(first, p))
    if any(is_pair(value) for _, value in values.first):
        return Content(PAIRS, lambda p: _items_of(values.all(p), p))
    chosen = _format_of([v for _, v in values.first if isinstance(v, dict)])
    if isinstance(chosen, Foreign):
        _refused(chosen, problems)
        return None
    if len(values.first) == 1 and place == "top level" and chosen is own.OWN and not own.fits(given):
        problems.add("top level", "expected a list, got an object", f"it should be [{own.OBJECT}, ...]")
        return None
    return Content(chosen.format, lambda p: (item for place, given in values.all(p) for item in _read(chosen, given, place, p)))


def _read(chosen: ObjectFormat, given: Any, place: str, problems: Problems) -> Iterable[Item]:
    if chosen is own.OWN or not isinstance(given, dict):
        return own.read(given, place, problems)
    if not _fits(chosen, given):
        other = _format_of([given])
        name = other.name if isinstance(other, Foreign) else other.format.name
        if name != chosen.format.name and other is not own.OWN:
            problems.add(
                place, f"this is {name}, and what stands before it is {chosen.format.name}", "put them into files of their own"
            )
            return ()
    return _as_written(chosen, given, place, problems)


def _as_written(chosen: ObjectFormat, given: dict[str, Any], place: str, problems: Problems) -> Iterator[Item]:
    """The items of an object. Where something in it is of another kind than its tool writes, that is a problem."""
    try:
        yield from chosen.read(given, place, problems)
    except (AttributeError, TypeError, KeyError, IndexError, ValueError):
        problems.add(
            place, f"it is not as {chosen.format.name} has it", "compare it with those that are read, and mend or leave it out"
        )


def _fits(known: ObjectFormat, given: dict[str, Any]) -> bool:
    try:
        return known.fits(given)
    except (AttributeError, TypeError, KeyError, IndexError):
        return False


def _format_of(objects: list[dict[str, Any]]) -> ObjectFormat | Foreign:
    """The format of the first object that is of any; our own shape where none is, so that its message tells what is missing."""
    for given in objects:
        if own.fits(given) and "_task_hash" not in given and "annotation_approver" not in given:
            return own.OWN
        for known in (*TOOLS, *TOKENS):
            if _fits(known, given) and not foreign_object(given):
                return known
        if found := foreign_object(given):
            return found
    return own.OWN


def _python(text: str, problems: Problems) -> Content | None:
    """Training tuples in a `.py`: their literals are read, and nothing is run."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        problems.add("", f"not Python ({error})", "it should be a list of (text, {'entities': [...]}) with a name")
        return None
    found: list[tuple[ast.List, list[Any]]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.List) and node.elts:
            try:
                rows = ast.literal_eval(node)
            except (ValueError, TypeError, MemoryError, RecursionError):
                continue
            if all(is_pair(row) for row in rows):
                found.append((node, rows))
    if len(found) > 1:
        lines = sorted(node.lineno for node, _ in found)
        what = f"it holds {len(found)} lists of (text, {{'entities': [...]}}), on lines {', '.join(map(str, lines))}"
        problems.add("", what, "leave one list, whole: training and test into files of their own")
        return None
    for node, rows in found:
        pairs = [(f"line {element.lineno}", row) for element, row in zip(node.elts, rows, strict=True)]
        python = replace(PAIRS, why="a list of tuples in Python, read and not run")
        return Content(python, _reader_of(pairs))
    problems.add("", "no list of (text, {'entities': [...]}) stands in it as plain values", "write it as JSON lines")
    return None


def _reader_of(pairs: Sequence[tuple[str, Any]]) -> Callable[[Problems], Iterable[Item]]:
    return lambda problems: _items_of(pairs, problems)


def _items_of(pairs: Iterable[tuple[str, Any]], problems: Problems) -> Iterator[Item]:
    for place, pair in pairs:
        yield from read_pair(pair, place, problems)


def _marked_up(source: Source, begun: str, problems: Problems) -> Content | None:
    if "<xmi:XMI" in begun[:2000]:
        from holdfast.pipeline.data.formats.uima import XMI, read_xmi

        return Content(XMI, lambda p: read_xmi(source.text(), p))
    _refused(foreign.HTML if re.match(r"<(?:!DOCTYPE )?html", begun, re.IGNORECASE) else foreign.XML, problems)
    return None
