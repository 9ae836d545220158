"""Reading annotated documents, of our own shapes and of what annotation tools write.

A file is recognised by its content. Whatever is wrong is told in one list, a line each that names file, position and mend. What
can be read in only one sensible way, such as a span with a space at its end, is read and told in a note. Documents, annotations
and lines count from 1, as a person counts; offsets are characters of the text, from 0, the end exclusive.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from holdfast.errors import BadData
from holdfast.pipeline.data.documents import Document, split_words
from holdfast.pipeline.data.formats.making import documents_of
from holdfast.pipeline.data.formats.offsets import settle
from holdfast.pipeline.data.formats.recognise import COLUMNS, SUFFIXES, read_bytes, read_text
from holdfast.pipeline.data.formats.shape import Asked, Noted, Problems
from holdfast.session.files import write_text
from holdfast.store.format.keys import printable

__all__ = ["COLUMNS", "SUFFIXES", "Examined", "Reading", "examine", "read_documents", "refuse_all", "write_documents"]

#: How many problems are shown before the rest is counted.
_SHOWN = 200


@dataclass(frozen=True)
class Reading:
    """What a file holds; and what was noteworthy in it, a line each.

    Args:
        documents: What can be learnt from.
        notes: What was noteworthy, with the file's name.
        format: What the file is, and by what that was known.
        places: Where each document stands in the file.
        noted: The notes, in their parts.
        sources: Of each document what the file says that it is a part of, as a sentence of an article; None where it says nothing.
    """

    documents: tuple[Document, ...]
    notes: tuple[str, ...] = ()
    format: str = ""
    places: tuple[str, ...] = ()
    noted: tuple[Noted, ...] = ()
    sources: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class Examined:
    """What a file would give: the reading, and all that stands in its way, a line each."""

    reading: Reading
    problems: tuple[str, ...]


def read_documents(path: Path, asked: Asked = Asked()) -> Reading:  # noqa: B008 - it is frozen
    """Read the annotated documents of a file.

    Our own shapes are a list of `{"text": ..., "annotations": [[start, end, label], ...]}`, or one such object a line; and
    columns, a token a line with its tag. What annotation tools write is read as `holdfast.pipeline.data.formats` says.
    Where spans overlap, the longer is kept, then the earlier.

    In columns, a line of nothing but whitespace ends a sentence, and so does `-DOCSTART-`; each sentence becomes a document.
    A line that begins with `# ` is a comment, unless it holds a tag and has as many columns as the others have: then it is the
    token `#`.

    Args:
        path: The file.
        asked: What a person says of it where it cannot prove it itself.

    Raises:
        BadData: the file is not there, cannot be read, or something in it is wrong: all of it, a line each.
    """
    examined = examine(path, asked)
    refuse_all(examined.problems)
    return examined.reading


def refuse_all(problems: Sequence[str]) -> None:
    """Raise all problems as one, if there are any.

    Raises:
        BadData: one line where there is one problem, else a line that counts them and a line for each.
    """
    if not problems:
        return
    if len(problems) == 1:
        raise BadData(problems[0])
    shown = list(problems[:_SHOWN])
    if len(problems) > _SHOWN:
        shown.append(f"and {len(problems) - _SHOWN} more")
    raise BadData("\n  ".join([f"{len(problems)} problems in the data:", *shown]))


def examine(path: Path, asked: Asked = Asked()) -> Examined:  # noqa: B008 - it is frozen
    """What a file would give, with all its problems; nothing is raised for what stands in the file.

    Raises:
        BadData: the file is not there or cannot be read.
    """
    data = _bytes(path)
    problems = Problems()
    if not data.strip() or data == b"\xef\xbb\xbf":
        empty_brat = path.suffix.lower() == ".ann"  # brat writes it where there is nothing to mark
        if not empty_brat:
            _refuse(path, "", "it is empty", "it should hold annotated documents")
    content = read_bytes(path, data, problems)
    if content is None:
        content = read_text(path, _text(path, data), asked, problems)
    documents: list[tuple[str, Document, str | None]] = []
    described = ""
    if content.format is not None:
        settled = settle(content.items, content.format, asked.offsets, problems)
        described = f"{content.format.name} ({content.format.why})"
        if settled.offsets != content.format.offsets:
            problems.note(f"offsets count {settled.offsets}, {settled.why}", content.items[0].place)
        documents = documents_of(settled.items, asked.annotator, problems)
    if not documents and not problems.wrong:
        problems.add("", "it holds no documents" + (" to learn from" if content.items else ""), "it should hold at least one")
    wrong = [_line(path, *problem) for problem in problems.wrong]
    noted = tuple(problems.notes())
    notes = tuple(printable(f"{path}: {note}") for note in noted)
    places, made, sources = zip(*documents, strict=True) if documents else ((), (), ())
    reading = Reading(made, notes, described, places, noted, sources)
    return Examined(reading, tuple(wrong))


def _line(path: Path, where: str, what: str, mend: str) -> str:
    place = f"{path}: {where}" if where else str(path)
    return printable(f"{place}: {what}; {mend}")


def _refuse(path: Path, where: str, what: str, mend: str, cause: BaseException | None = None) -> NoReturn:
    raise BadData(_line(path, where, what, mend)) from cause


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        _refuse(path, "", "there is no such file", "check the path", error)
    except IsADirectoryError as error:
        _refuse(path, "", "it is a folder", "name the file in it", error)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        _refuse(path, "", f"it cannot be read: {reason}", "make it readable and try again", error)


def _text(path: Path, data: bytes) -> str:
    """The text of the file, without the mark that some editors put before it."""
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        where = f"byte {error.start}"
        _refuse(path, where, f"not UTF-8 (0x{data[error.start]:02x}, on line {line})", "save the file as UTF-8", error)


def write_documents(path: Path, documents: Sequence[Document]) -> None:
    """Write `.jsonl` that `read_documents` gives back as it was, words included; whole or not at all."""
    lines = []
    for document in documents:
        row: dict[str, Any] = {"text": document.text, "annotations": [[s.start, s.end, s.label] for s in document.spans]}
        if document.words != split_words(document.text):
            row["words"] = [list(word) for word in document.words]
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    write_text(path, "".join(lines))
