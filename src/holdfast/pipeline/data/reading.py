"""Reading annotated documents: character-span JSON, the same one object a line, and CoNLL columns.

The suffix says which. Whatever is wrong is told in one line that names file, position and mend. What can be read in only
one sensible way, such as a span with a space at its end, is read and told in a note. Documents, annotations and lines
count from 1, as a person counts; offsets are characters of the text, from 0, the end exclusive.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from holdfast.errors import BadData
from holdfast.pipeline.data.documents import Document, Span, split_words
from holdfast.pipeline.data.entities import OUTSIDE, spans_of
from holdfast.session.files import write_text
from holdfast.store.format.keys import printable

#: Suffixes of files in CoNLL columns, and of every file that can be read.
COLUMNS = (".conll", ".bio", ".iob", ".iob2", ".tsv", ".txt")
SUFFIXES = (".json", ".jsonl", *COLUMNS)

_OBJECT = '{"text": "...", "annotations": [[start, end, "LABEL"], ...]}'
_TAG = re.compile(r"O|[BI]-\S.*")
_DIVIDER = "-DOCSTART-"
_BLANK = " \t\r"

_IOB1 = "entities that begin with I- and not B-, read as beginning there"
_TRIMMED = "spans that begin or end with whitespace, trimmed"
_REPEATED = "spans given again, dropped"
_OVERLAPS = "spans that overlap a longer or an earlier one, dropped"
_CUTS = "spans that cut through a word, widened to all of it where words are tagged"


@dataclass(frozen=True)
class Reading:
    """What a file holds; and what was noteworthy in it, a line each."""

    documents: tuple[Document, ...]
    notes: tuple[str, ...] = ()


def read_documents(path: Path) -> Reading:
    """Read the annotated documents of a file.

    `.json` holds a list of `{"text": ..., "annotations": [[start, end, label], ...]}`; `.jsonl` one such object a line.
    Where spans overlap, the longer is kept, then the earlier.

    `.conll`, `.bio`, `.iob`, `.iob2`, `.tsv` and `.txt` hold a token a line with its tag (`O`, `B-...` or `I-...`) in the
    last column, between tabs, or spaces where the line has no tab. A line of nothing but whitespace ends a sentence, and
    so does `-DOCSTART-`; each sentence becomes a document. A line that begins with `# ` is a comment, unless it ends in
    a tag and has as many columns as the others have: then it is the token `#`.

    Raises:
        BadData: the file is not there, cannot be read, or does not hold this.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        _refuse(path, "", f"unknown suffix {path.suffix!r}", f"a file to read ends in one of {' '.join(SUFFIXES)}")
    text = _text(path)
    notes = _Notes(path)
    if not text.strip():
        _refuse(path, "", "it is empty", "it should hold annotated documents")
    if suffix in COLUMNS:
        documents = tuple(_sentences(path, text, notes))
    else:
        objects = _listed(path, text) if suffix == ".json" else _one_a_line(path, text)
        documents = tuple(_document(path, where, given, notes) for where, given in objects)
    if not documents:
        _refuse(path, "", "it holds no documents", "it should hold at least one")
    return Reading(documents, notes.lines())


class _Notes:
    """Counts what is noteworthy, and remembers where each kind came first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, kind: str, where: str) -> None:
        count, first = self._found.get(kind, (0, where))
        self._found[kind] = (count + 1, first)

    def lines(self) -> tuple[str, ...]:
        return tuple(printable(f"{self._path}: {kind}: {count}, first at {at}") for kind, (count, at) in self._found.items())


def _refuse(path: Path, where: str, what: str, mend: str, cause: BaseException | None = None) -> NoReturn:
    place = f"{path}: {where}" if where else str(path)
    raise BadData(printable(f"{place}: {what}; {mend}")) from cause


def _short(value: Any) -> str:
    try:
        shown = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:  # it could just be read, and cannot be written one call deeper
        shown = "lists in lists"
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _text(path: Path) -> str:
    """The text of the file, without the mark that some editors put before it."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        _refuse(path, "", "there is no such file", "check the path", error)
    except IsADirectoryError as error:
        _refuse(path, "", "it is a folder", "name the file in it", error)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        _refuse(path, "", f"it cannot be read: {reason}", "make it readable and try again", error)
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        where = f"byte {error.start}"
        _refuse(path, where, f"not UTF-8 (0x{data[error.start]:02x})", "save the file as UTF-8", error)


def _parsed(path: Path, text: str, line: int | None = None) -> Any:
    """The value that the text is: of the whole file, or of one line of it."""
    where = "" if line is None else f"line {line}"
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {line or error.lineno}, column {error.colno}"
        mend = "mend it there"
        if line is not None:
            mend = "each line should hold one whole object"
        elif error.msg == "Extra data":
            mend = "if it holds one object a line, name it .jsonl"
        _refuse(path, place, f"not JSON ({error.msg})", mend, error)
    except RecursionError as error:
        _refuse(path, where, "lists in lists too deep to read", f"expected {_OBJECT}", error)
    except ValueError as error:  # a number of thousands of digits
        _refuse(path, where, f"not JSON that can be read ({error})", f"expected {_OBJECT}", error)


def _listed(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    top = _parsed(path, text)
    if not isinstance(top, list):
        _refuse(path, "top level", f"expected a list, got {_kind(top)}", f"it should be [{_OBJECT}, ...]")
    for number, given in enumerate(top, start=1):
        yield f"document {number}", given


def _one_a_line(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: U+2028 may stand in a JSON string
        if line.strip():
            yield f"line {number}", _parsed(path, line, number)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def _document(path: Path, where: str, given: Any, notes: _Notes) -> Document:
    if not isinstance(given, dict):
        what = f"expected an object, got {_kind(given)}"
        _refuse(path, where, what, f"it should be {_OBJECT}" + ("; a list belongs into .json" if isinstance(given, list) else ""))
    for name in ("text", "annotations"):
        if name not in given:
            mend = "give [] where there are none" if name == "annotations" else f"it should be {_OBJECT}"
            _refuse(path, where, f"no {name!r} (it has {_short(sorted(given))})", mend)
    text, annotations = given["text"], given["annotations"]
    if not isinstance(text, str):
        _refuse(path, where, f"'text' should be text, got {_kind(text)}", f"it should be {_OBJECT}")
    if not text.strip():
        _refuse(path, where, "'text' is empty", "leave the document out")
    _check_encodable(path, where, "'text'", text)
    if not isinstance(annotations, list):
        _refuse(path, where, f"'annotations' should be a list, got {_kind(annotations)}", "give [] where there are none")
    spans = [_span(path, f"{where}, annotation {n}", text, a, notes) for n, a in enumerate(annotations, start=1)]
    words = _words(path, where, text, given["words"]) if "words" in given else split_words(text)
    kept = _disjoint(where, spans, notes)
    edges = {edge for word in words for edge in word}
    for span in kept:
        if span.start not in edges or span.end not in edges:
            notes.add(_CUTS, f"{where}, characters {span.start} to {span.end}")
    return Document(text, words, kept)


def _words(path: Path, where: str, text: str, given: Any) -> tuple[tuple[int, int], ...]:
    """The words that a corpus brings, where they are not what `split_words` finds."""
    mend = "it should be [[start, end], ...], in order, end exclusive; without it the text is split into words"
    if not isinstance(given, list):
        _refuse(path, where, f"'words' should be a list, got {_kind(given)}", mend)
    words: list[tuple[int, int]] = []
    at = 0
    for n, word in enumerate(given, start=1):
        if not (isinstance(word, list) and [type(part) for part in word] == [int, int]):
            _refuse(path, f"{where}, word {n}", f"expected [start, end], got {_short(word)}", mend)
        start, end = word
        if not at <= start < end <= len(text):
            _refuse(
                path, f"{where}, word {n}", f"characters {_short(start)} to {_short(end)} are outside the text or its order", mend
            )
        words.append((start, end))
        at = end
    return tuple(words)


def write_documents(path: Path, documents: Sequence[Document]) -> None:
    """Write `.jsonl` that `read_documents` gives back as it was, words included; whole or not at all."""
    lines = []
    for document in documents:
        row: dict[str, Any] = {"text": document.text, "annotations": [[s.start, s.end, s.label] for s in document.spans]}
        if document.words != split_words(document.text):
            row["words"] = [list(word) for word in document.words]
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    write_text(path, "".join(lines))


def _check_encodable(path: Path, where: str, what: str, text: str) -> None:
    """JSON can name half a character, which no tokenizer and no file can hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        _refuse(path, where, f"{what} holds half a character at {error.start}", "write the whole character", error)


def _span(path: Path, where: str, text: str, given: Any, notes: _Notes) -> Span:
    # `type is int`, since true is an int too
    if not (isinstance(given, list) and [type(part) for part in given] == [int, int, str]):
        _refuse(path, where, f"expected [start, end, label], got {_short(given)}", "give two whole numbers and a text")
    start, end, label = given
    if not label.strip():
        _refuse(path, where, "the label is empty", "name the type of the entity")
    _check_encodable(path, where, "the label", label)
    if start >= end:
        _refuse(path, where, f"start {_short(start)} is not before end {_short(end)}", "the end is exclusive: one past the last")
    if start < 0 or end > len(text):
        what = f"characters {_short(start)} to {_short(end)} are outside the text, which has {len(text)}"
        _refuse(path, where, what, "offsets count characters from 0, the end exclusive")
    inner = text[start:end]
    trimmed = Span(end - len(inner.lstrip()), start + len(inner.rstrip()), label.strip())
    if not inner.strip():
        _refuse(path, where, f"characters {start} to {end} are only whitespace", "remove the annotation")
    if (trimmed.start, trimmed.end) != (start, end):
        notes.add(_TRIMMED, where)
    return trimmed


def _disjoint(where: str, spans: list[Span], notes: _Notes) -> tuple[Span, ...]:
    """The spans in order without overlaps: the longer stays, then the earlier in the text, then in the list."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start - s.end, s.start)):
        if span in kept:
            notes.add(_REPEATED, f"{where}, characters {span.start} to {span.end}")
        elif any(span.start < other.end and other.start < span.end for other in kept):
            notes.add(_OVERLAPS, f"{where}, characters {span.start} to {span.end}")
        else:
            kept.append(span)
    return tuple(sorted(kept))


def _columns(line: str) -> list[str]:
    """The columns of a line. Only tab and space divide: other whitespace may be a token of its own."""
    inner = line.strip(_BLANK)
    return [c.strip(" ") for c in inner.split("\t")] if "\t" in inner else [c for c in inner.split(" ") if c]


def _sentences(path: Path, text: str, notes: _Notes) -> Iterator[Document]:
    rows = [(number, line, _columns(line)) for number, line in enumerate(text.split("\n"), start=1)]
    usual = Counter(len(row) for _, line, row in rows if line.strip() and not line.startswith("#")).most_common(1)
    tokens: list[str] = []
    tags: list[str] = []
    begun = 0
    for number, line, row in [*rows, (0, "", [])]:
        if not line.strip() or row[0] == _DIVIDER:
            if tokens:
                yield _sentence(tokens, tags, begun, notes)
            tokens, tags = [], []
            continue
        is_tag = len(row) > 1 and _TAG.fullmatch(row[-1])
        if line.startswith("# ") and not (is_tag and (not usual or len(row) == usual[0][0])):
            continue
        if len(row) < 2:
            _refuse(path, f"line {number}", f"one column, {_short(row[0])}", "expected a token and its tag, with a tab between")
        if not is_tag:
            mend = "a tag is O, B-LABEL or I-LABEL, in the last column"
            _refuse(path, f"line {number}", f"{_short(row[-1])} is not a tag", mend)
        begun = begun if tokens else number
        tokens.append(row[0])
        tags.append(row[-1])


def _sentence(tokens: list[str], tags: list[str], line: int, notes: _Notes) -> Document:
    words: list[tuple[int, int]] = []
    at = 0
    for token in tokens:
        words.append((at, at + len(token)))
        at += len(token) + 1
    for n, (tag, before) in enumerate(zip(tags, [OUTSIDE, *tags], strict=False)):
        if tag.startswith("I-") and before[2:] != tag[2:]:
            notes.add(_IOB1, f"line {line + n}")
    return replace(Document(" ".join(tokens), tuple(words)), spans=spans_of(words, tags))
