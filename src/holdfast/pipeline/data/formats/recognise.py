"""What a file is, by its content; and its items. One place that knows all formats."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from holdfast.pipeline.data.formats import foreign, own
from holdfast.pipeline.data.formats.columns import looks_like_bars, read_bars, read_columns, read_conll2012
from holdfast.pipeline.data.formats.foreign import foreign_bytes, foreign_object
from holdfast.pipeline.data.formats.json_tokens import TOKENS
from holdfast.pipeline.data.formats.json_tools import PAIRS, TOOLS, is_pair, read_cells, read_pair
from holdfast.pipeline.data.formats.objects import kind, parse_objects
from holdfast.pipeline.data.formats.shape import Asked, Foreign, Format, Item, ObjectFormat, Problems
from holdfast.pipeline.data.formats.tables import is_words, read_words, table_of

#: Suffixes of files in CoNLL columns, of those that hold objects, and of every file that can be read.
COLUMNS = (".conll", ".bio", ".iob", ".iob2", ".tsv", ".txt", ".ner", ".conllu", ".gold_conll")
OBJECTS = (".json", ".jsonl", ".ndjson", ".manifest")
SUFFIXES = (*OBJECTS, *COLUMNS, ".csv", ".py", ".ann", ".xmi", ".xml", ".spacy", ".parquet", ".arrow")

#: How many objects are looked at to tell what a file is.
_LOOK = 50


@dataclass(frozen=True)
class Content:
    """A file's items and what it is; None where that is not known."""

    format: Format | None
    items: tuple[Item, ...]


def refused(known: Foreign, problems: Problems, place: str = "") -> Content:
    """The refusal of a format by its name."""
    problems.add(place, f"this is {known.name}, which is not read", known.mend)
    return Content(None, ())


def read_text(path: Path, text: str, asked: Asked, problems: Problems) -> Content:
    """The items of a file of text.

    Args:
        path: Its place; only its name is used, and for brat the text beside it.
        text: Its content, without the mark of byte order.
        asked: What a person says of it.
        problems: Takes what is wrong.
    """
    suffix = path.suffix.lower()
    begun = text.lstrip()
    if suffix == ".py" or re.match(r"(?:#.*\n|\s)*[A-Z_]\w*\s*=\s*\[\s*[(\[]", begun):
        return _python(text, problems)
    if suffix in OBJECTS or _is_json(begun):
        return _objects(text, suffix, problems)
    if begun.startswith("<"):
        return _marked_up(begun, text, problems)
    if begun.startswith("#FORMAT=WebAnno TSV"):
        from holdfast.pipeline.data.formats.webanno import FORMAT, read_webanno

        return Content(FORMAT, tuple(read_webanno(text, problems)))
    if suffix == ".ann" or re.match(r"T\d+\t\S+ \d+ \d+", begun):
        from holdfast.pipeline.data.formats.brat import FORMAT as BRAT
        from holdfast.pipeline.data.formats.brat import read_brat

        return Content(BRAT, tuple(read_brat(path, text, problems)))
    if begun.startswith("#begin document"):
        items = read_conll2012(text, problems)
        return Content(Format("CoNLL-2012", "lines that begin with '#begin document'"), tuple(items))
    if found := table_of(text):
        if is_words(found.header):
            return Content(Format("table of words", "a header with 'Word' and 'Tag'"), tuple(read_words(found, problems)))
        if {"annotation_id", "lead_time"} <= set(found.header):
            return Content(Format("Label Studio CSV", "a header with 'annotation_id'"), tuple(read_cells(found.rows(), problems)))
        if suffix == ".csv":
            what = f"unknown suffix '.csv' for columns {', '.join(found.header)[:60]}"
            problems.add(
                "",
                what,
                "a table to read has columns Word and Tag, with 'Sentence #'; else write a token and its tag a line as .tsv",
            )
            return Content(None, ())
    if looks_like_bars(text):
        return Content(Format("a sentence a line", "words with a tag behind a bar"), tuple(read_bars(text, problems)))
    if suffix not in COLUMNS:
        problems.add("", f"unknown suffix {path.suffix!r}", f"a file to read ends in one of {' '.join(SUFFIXES)}")
        return Content(None, ())
    format, items = read_columns(text, asked.columns, problems)
    return Content(format, tuple(items))


def _is_json(begun: str) -> bool:
    return re.match(r'\{\s*"|\[\s*(?:\{|\[|"|\])|\{\s*\}', begun) is not None and not re.match(r"\S+[ \t]+(?:O|[BI]-)", begun)


def _objects(text: str, suffix: str, problems: Problems) -> Content:
    found = parse_objects(text, suffix in {".jsonl", ".ndjson", ".manifest"}, problems)
    if not found:
        return Content(None, ())
    if len(found) == 1 and found[0][0] == "top level" and not isinstance(found[0][1], dict):
        given = found[0][1]
        problems.add("top level", f"expected a list, got {kind(given)}", f"it should be [{own.OBJECT}, ...]")
        return Content(None, ())
    values = [value for _, value in found[:_LOOK]]
    first = next((v for v in values if isinstance(v, dict)), None)
    if first is not None and any(key in first for key in ("%TYPES", "%FEATURE_STRUCTURES", "%VIEWS")):
        from holdfast.pipeline.data.formats.uima import JSON, read_uima_json

        return Content(JSON, tuple(read_uima_json(first, problems)))
    if any(is_pair(value) for value in values):
        return Content(PAIRS, tuple(item for place, given in found for item in read_pair(given, place, problems)))
    objects = [v for v in values if isinstance(v, dict)]
    chosen = _format_of(objects)
    if isinstance(chosen, Foreign):
        return refused(chosen, problems)
    if len(found) == 1 and found[0][0] == "top level" and chosen is own.OWN and not own.fits(found[0][1]):
        problems.add("top level", "expected a list, got an object", f"it should be [{own.OBJECT}, ...]")
        return Content(None, ())
    return Content(chosen.format, tuple(item for place, given in found for item in _read(chosen, given, place, problems)))


def _read(chosen: ObjectFormat, given: Any, place: str, problems: Problems) -> list[Item]:
    if chosen is own.OWN or not isinstance(given, dict):
        return list(own.read(given, place, problems))
    if not chosen.fits(given):
        other = _format_of([given])
        name = other.name if isinstance(other, Foreign) else other.format.name
        if name != chosen.format.name and other is not own.OWN:
            problems.add(
                place, f"this is {name}, and what stands before it is {chosen.format.name}", "put them into files of their own"
            )
            return []
    return list(chosen.read(given, place, problems))


def _format_of(objects: list[dict[str, Any]]) -> ObjectFormat | Foreign:
    """The format of the first object that is of any; our own shape where none is, so that its message tells what is missing."""
    for given in objects:
        if own.fits(given) and "_task_hash" not in given and "annotation_approver" not in given:
            return own.OWN
        for known in (*TOOLS, *TOKENS):
            if known.fits(given) and not foreign_object(given):
                return known
        if found := foreign_object(given):
            return found
    return own.OWN


def _python(text: str, problems: Problems) -> Content:
    """Training tuples in a `.py`: their literals are read, and nothing is run."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        problems.add("", f"not Python ({error})", "it should be a list of (text, {'entities': [...]}) with a name")
        return Content(None, ())
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.List):
            try:
                rows = ast.literal_eval(node.value)
            except (ValueError, TypeError, MemoryError, RecursionError):
                continue
            if rows and all(is_pair(row) for row in rows):
                places = [f"line {element.lineno}" for element in node.value.elts]
                items = [item for place, row in zip(places, rows, strict=True) for item in read_pair(row, place, problems)]
                return Content(replace(PAIRS, why="a list of tuples in Python, read and not run"), tuple(items))
    problems.add("", "no list of (text, {'entities': [...]}) stands in it as plain values", "write it as JSON lines")
    return Content(None, ())


def _marked_up(begun: str, text: str, problems: Problems) -> Content:
    if "<xmi:XMI" in begun[:2000]:
        from holdfast.pipeline.data.formats.uima import XMI, read_xmi

        return Content(XMI, tuple(read_xmi(text, problems)))
    return refused(foreign.HTML if re.match(r"<(?:!DOCTYPE )?html", begun, re.IGNORECASE) else foreign.XML, problems)


def read_bytes(path: Path, data: bytes, problems: Problems) -> Content | None:
    """The items of a file that is no text; None where it is text."""
    if known := foreign_bytes(data[:64]):
        return refused(known, problems)
    if data[:4] == b"PAR1" or data[:6] == b"ARROW1" or data[:4] == b"\xff\xff\xff\xff":
        from holdfast.pipeline.data.formats.arrow import FORMAT, read_arrow

        return Content(FORMAT, tuple(read_arrow(path, data, problems)))
    if data[:2] in {b"\x78\x9c", b"\x78\x01", b"\x78\xda"} and not data[2:3].isalpha():
        from holdfast.pipeline.data.formats.spacy import FORMAT as DOCBIN
        from holdfast.pipeline.data.formats.spacy import read_docbin

        return Content(DOCBIN, tuple(read_docbin(data, problems)))
    return None
