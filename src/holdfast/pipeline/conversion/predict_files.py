"""Entities of files: texts come one by one, go through the model in groups, and are written as they come out."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from holdfast.errors import LocalError, UsageError
from holdfast.pipeline.conversion.predict import Entity, Predictor
from holdfast.pipeline.data.documents import Document, Span, split_words
from holdfast.pipeline.data.formats.source import Source, refuse
from holdfast.pipeline.data.looking import columns_of
from holdfast.session.progress import Bar
from holdfast.store.format.keys import printable
from holdfast.store.transfer.progress import Progress

KINDS = ("jsonl", "csv", "conll", "doccano")

_ROWS = (".jsonl", ".csv")
_NAMES = (*_ROWS, ".txt", ".md")
_HEAD = ("file", "line", "start", "end", "label", "text", "score")


@dataclass(frozen=True)
class Text:
    """A text of a file, and the line on which it begins, from 1."""

    file: Path
    line: int
    text: str


@dataclass(frozen=True)
class Predicted:
    """How much was written."""

    documents: int
    entities: int


def files_among(given: Sequence[str], to: tuple[str, str] | None, *, as_json: bool) -> list[Path]:
    """The files that words of a command line name; none where they are one text, or `-`.

    Raises:
        UsageError: a file that is named is not there; an option goes only with the other.
    """
    if to is not None and to[0] not in KINDS:
        raise UsageError(f"--to {to[0]}: give one of {', '.join(KINDS)}, and a file")
    files = [Path(word) for word in given]
    for word, file in zip(given, files, strict=True):
        if not _is_file(file) and (len(given) > 1 or word.lower().endswith(_NAMES)):
            raise UsageError(printable(f"{word}: there is no such file; give files that are here, or one text in quotes"))
    if not _is_file(files[0]):
        if to is not None:
            raise UsageError("--to goes with files; give a file to read, or leave it out")
        return []
    if as_json:
        raise UsageError("--json goes with one text; files are written as JSON lines already, or as --to says")
    return files


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a long text, or one with a NUL, is no name
        return False


def predict_files(predictor: Predictor, files: Sequence[Path], *, column: str, kind: str, output: str) -> Predicted:
    """Write the entities of all texts of the files, in their order.

    A `.jsonl` file has a text a line, a `.csv` file a text a row; any other is one text.

    Args:
        predictor: The model.
        files: What to read.
        column: The field or column that holds the text.
        kind: One of `KINDS`.
        output: A file that is not there yet; it appears once it is whole. `-` is standard output.

    Raises:
        BadData: a file cannot be read, or has no such text.
        UsageError: the output is there already.
        LocalError: it cannot be written.
    """
    progress = Bar()
    progress.begin("reading", files[0].name if len(files) == 1 else f"{len(files)} files", len(files), _size(files))
    try:
        if output == "-":
            return _write(predictor, texts_of(files, column, progress), kind, sys.stdout)
        return _write_whole(Path(output), lambda file: _write(predictor, texts_of(files, column, progress), kind, file))
    finally:
        progress.end()


def texts_of(files: Sequence[Path], column: str, progress: Progress) -> Iterator[Text]:
    """The texts of the files, one by one.

    Raises:
        BadData: a file cannot be read, is not UTF-8, or a line of it has no such text.
    """
    for path in files:
        with Source(path, _Within(progress)) as source:
            if path.suffix.lower() == ".jsonl":
                yield from _of_lines(source, column)
            elif path.suffix.lower() == ".csv":
                yield from _of_table(source, column)
            else:
                yield Text(path, 1, "".join(text for _, text in source.blocks()))
        progress.file_done()


class _Within:
    """The progress of one file as a part of that of all."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def begin(self, verb: str, what: str, files: int, size: int) -> None:
        """Nothing begins anew."""

    def advance(self, size: int) -> None:
        """Count bytes."""
        self._progress.advance(size)

    def file_done(self) -> None:
        """Counted by whoever goes through the files."""

    def end(self) -> None:
        """Nothing ends yet."""


def _of_lines(source: Source, column: str) -> Iterator[Text]:
    for number, line in source.lines():
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            refuse(source.path, f"line {number}", "it is no JSON", "give one object a line", error)
        text = row.get(column) if isinstance(row, dict) else None
        if not isinstance(text, str):
            has = ", ".join(map(str, list(row)[:8])) if isinstance(row, dict) else type(row).__name__
            refuse(
                source.path, f"line {number}", f"it has no text named {column!r}, but {has or 'nothing'}", "name it with --column"
            )
        yield Text(source.path, number, text)


def _of_table(source: Source, column: str) -> Iterator[Text]:
    reader = csv.reader(line + "\n" for _, line in source.lines())
    at: int | None = None
    while True:
        begins = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            refuse(source.path, f"line {begins}", f"it is no row of a CSV file: {error}", "mend the row", error)
        if row is None:
            return
        if at is None:
            if column not in row:
                refuse(source.path, "line 1", f"it has no column {column!r}, but {', '.join(row[:8])}", "name it with --column")
            at = row.index(column)
        elif row:
            if len(row) <= at:
                refuse(
                    source.path, f"line {begins}", f"it has {len(row)} columns, and {column!r} is number {at + 1}", "mend the row"
                )
            yield Text(source.path, begins, row[at])


def _write(predictor: Predictor, texts: Iterator[Text], kind: str, file: TextIO) -> Predicted:
    waiting: deque[Text] = deque()  # as many as the predictor holds

    def read() -> Iterator[str]:
        for text in texts:
            waiting.append(text)
            yield text.text

    documents = entities = 0
    if kind == "csv":
        file.write(_row(_HEAD))
    for found in predictor.entities_of_all(read()):
        text = waiting.popleft()
        if kind == "conll" and documents:
            file.write("\n")
        file.write(_AS[kind](text, found))
        documents += 1
        entities += len(found)
    file.flush()
    return Predicted(documents, entities)


def _write_whole(output: Path, write: Callable[[TextIO], Predicted]) -> Predicted:
    if output.exists():
        raise UsageError(printable(f"--to {output}: something is there already, and is left as it is; name another file"))
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            told = write(file)
            os.fsync(file.fileno())
        os.replace(temporary, output)
    except OSError as error:
        raise LocalError(error.errno, f"it cannot be written: {error.strerror}; name another file", str(output)) from error
    finally:
        with contextlib.suppress(OSError):  # where it could not be made there is nothing to remove
            temporary.unlink()
    return told


def as_row(entity: Entity) -> dict[str, Any]:
    """An entity as JSON has it."""
    e = entity  # by hand: `asdict` takes as long as the model of a small one
    return {"start": e.start, "end": e.end, "label": e.label, "text": e.text, "score": round(e.score, 6)}


def _jsonl(text: Text, found: Sequence[Entity]) -> str:
    return _json({"file": str(text.file), "line": text.line, "text": text.text, "entities": [as_row(e) for e in found]})


def _csv(text: Text, found: Sequence[Entity]) -> str:
    return "".join(_row((text.file, text.line, e.start, e.end, e.label, e.text, round(e.score, 6))) for e in found)


def _conll(text: Text, found: Sequence[Entity]) -> str:
    return columns_of(Document(text.text, split_words(text.text), tuple(Span(e.start, e.end, e.label) for e in found)))


def _doccano(text: Text, found: Sequence[Entity]) -> str:
    return _json({"text": text.text, "label": [[e.start, e.end, e.label] for e in found]})


_AS: dict[str, Callable[[Text, Sequence[Entity]], str]] = {"jsonl": _jsonl, "csv": _csv, "conll": _conll, "doccano": _doccano}


def _json(row: dict[str, Any]) -> str:
    try:
        return json.dumps(row, ensure_ascii=False).encode().decode() + "\n"
    except UnicodeEncodeError:  # half a character
        return json.dumps(row) + "\n"


def _row(values: Sequence[object]) -> str:
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerow(values)
    return made.getvalue()


def _size(files: Sequence[Path]) -> int:
    return sum(file.stat().st_size for file in files)
