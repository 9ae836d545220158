"""Reading annotated documents, of our own shapes and of what annotation tools write.

A file is recognised by its content. Whatever is wrong is told in one list, a line each that names file, position and mend. What
can be read in only one sensible way, such as a span with a space at its end, is read and told in a note. Documents, annotations
and lines count from 1, as a person counts; offsets are characters of the text, from 0, the end exclusive.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import BadData
from holdfast.pipeline.data.documents import Document, Words
from holdfast.pipeline.data.formats.making import Making
from holdfast.pipeline.data.formats.offsets import Telling, converted, how_it_counts
from holdfast.pipeline.data.formats.recognise import COLUMNS, SUFFIXES, Content, recognise
from holdfast.pipeline.data.formats.shape import Asked, Noted, Offsets, Problems
from holdfast.pipeline.data.formats.source import Source, line_of, refuse
from holdfast.session.files import write_text
from holdfast.session.progress import Bar
from holdfast.store.format.keys import printable
from holdfast.store.transfer.progress import Progress

__all__ = [
    "COLUMNS",
    "SUFFIXES",
    "Examined",
    "Reading",
    "examine",
    "examined_files",
    "read_documents",
    "refuse_all",
    "write_documents",
]

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


def examine(path: Path, asked: Asked = Asked(), progress: Progress | None = None) -> Examined:  # noqa: B008 - it is frozen
    """What a file would give, with all its problems; nothing is raised for what stands in the file.

    A file of lines is read piece by piece, so it may be larger than the memory that is left beside its documents. Where its spans
    turn out to count in another way than its tool usually does, it is read twice.

    Args:
        path: The file.
        asked: What a person says of it where it cannot prove it itself.
        progress: Follows the bytes; default a bar, which shows itself once it takes longer than a second.

    Raises:
        BadData: the file is not there or cannot be read.
    """
    with Source(path, progress or Bar()) as source:
        _refuse_empty(source)
        found = Problems()
        content = recognise(source, asked, found)
        if content is None:
            if not found.wrong:
                found.add("", "it holds no documents", "it should hold at least one")
            return Examined(Reading(()), _told(path, found))
        read = _read(content, content.format.offsets if asked.offsets is None else asked.offsets, asked, found)
        counted = how_it_counts(read.telling, content.format, asked.offsets)
        if counted.offsets != read.offsets:
            read = _read(content, counted.offsets, asked, found)
    problems = read.problems
    problems.extend(counted.problems)
    if counted.offsets != content.format.offsets:
        problems.note(f"offsets count {counted.offsets}, {counted.why}", read.first)
    if not read.documents and not problems.wrong:
        problems.add("", "it holds no documents" + (" to learn from" if read.first else ""), "it should hold at least one")
    noted = tuple(problems.notes())
    notes = tuple(printable(f"{path}: {note}") for note in noted)
    described = f"{content.format.name} ({content.format.why})"
    places, documents, sources = zip(*read.documents, strict=True) if read.documents else ((), (), ())
    return Examined(Reading(documents, notes, described, places, noted, sources), _told(path, problems))


def examined_files(files: Sequence[Path], asked: Asked, problems: list[str]) -> Iterator[tuple[Path, Examined]]:
    """What each of the files would give. One that cannot be read at all is added to the problems, where there are others.

    Raises:
        BadData: there is one file, and it is not there or cannot be read.
    """
    for file in files:
        try:
            yield file, examine(file, asked)
        except BadData as error:
            if len(files) == 1:
                raise
            problems.append(str(error))


@dataclass(frozen=True)
class _Read:
    """The documents under one way of counting, and what would tell another."""

    documents: list[tuple[str, Document, str | None]]
    offsets: Offsets
    telling: Telling
    first: str
    problems: Problems


def _read(content: Content, offsets: Offsets, asked: Asked, found: Problems) -> _Read:
    """Read the whole file once; an item is a document before the next one comes."""
    problems = found.copy()
    telling, making, first = Telling(), Making(asked.annotator, problems), ""
    # millions of objects come that all stay: looking among them for circles would take a third of the time
    collects = gc.isenabled()
    gc.disable()
    try:
        for item in content.items(problems):
            first = first or item.place
            telling.add(item)
            making.add(converted(item, offsets, problems))
    finally:
        if collects:
            gc.enable()
    return _Read(making.end(), offsets, telling, first, problems)


def _refuse_empty(source: Source) -> None:
    # brat writes an empty .ann where there is nothing to mark
    empty = source.size <= len(source.head) and not source.head.strip().removeprefix(b"\xef\xbb\xbf")
    if empty and source.path.suffix.lower() != ".ann":
        refuse(source.path, "", "it is empty", "it should hold annotated documents")


def _told(path: Path, problems: Problems) -> tuple[str, ...]:
    told = [line_of(path, *problem) for problem in problems.wrong]
    if problems.untold:
        told.append(printable(f"{path}: and {problems.untold:,} more of the kinds above; mend these and read it again"))
    return tuple(told)


def write_documents(path: Path, documents: Sequence[Document]) -> None:
    """Write `.jsonl` that `read_documents` gives back as it was, words included; whole or not at all."""
    lines = []
    for document in documents:
        row: dict[str, Any] = {"text": document.text, "annotations": [[s.start, s.end, s.label] for s in document.spans]}
        if document.words != Words.plain(document.text):
            row["words"] = [list(word) for word in document.words]
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    write_text(path, "".join(lines))
