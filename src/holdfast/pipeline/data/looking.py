"""What data files hold, for somebody to look at: each file examined, everything that is wrong in one list."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from holdfast.errors import BadData, UsageError
from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.data.entities import word_tags
from holdfast.pipeline.data.files import data_files
from holdfast.pipeline.data.formats.shape import Asked, Noted, gathered
from holdfast.pipeline.data.html import page
from holdfast.pipeline.data.reading import examined_files, write_documents
from holdfast.pipeline.data.sources import asked_of
from holdfast.pipeline.data.splits import find_splits
from holdfast.pipeline.settings import Data
from holdfast.session.files import write_bytes, write_text
from holdfast.store.format.keys import printable

KINDS = ("conll", "jsonl", "spacy")

#: What would end a cell or a line of columns.
_DIVIDES = re.compile("[\t\r\n\u2028\u2029\u0085]+")


@dataclass(frozen=True)
class Looked:
    """What the files of a path hold.

    Args:
        formats: Each file, by its path within the folder, with what it is.
        documents: All documents, in the order of the files.
        ids: Where each document stands: the file, and the place in it.
        noted: Each file with what was noteworthy, dropped or left out.
        problems: All that is wrong, a line each.
        splits: What would be training, validation and test if the path were `data.folder`; empty where it cannot be one.
    """

    formats: tuple[tuple[str, str], ...]
    documents: tuple[Document, ...]
    ids: tuple[str, ...]
    noted: tuple[tuple[str, Noted], ...]
    problems: tuple[str, ...]
    splits: str = ""

    def labels(self) -> Counter[str]:
        """How often each label stands in the documents."""
        return Counter(span.label for document in self.documents for span in document.spans)

    def _repr_html_(self) -> str:
        """What a notebook shows: counts by label, problems, notes, and twenty documents with their entities coloured."""
        formats = sorted({name for _, name in self.formats})
        files = f"{len(self.formats):,} file{'s' if len(self.formats) != 1 else ''}"
        head = f"{files}, {len(self.documents):,} documents: {'; '.join(formats)}"
        notes = [f"{file}: {noted}" for file, noted in self.gathered()]
        return page(head, {"entities": self.labels()}, self.documents, notes, self.problems)

    def gathered(self) -> list[tuple[str, Noted]]:
        """What was noteworthy, each kind once over all files."""
        return gathered(self.noted) if len(self.formats) > 1 else list(self.noted)

    def as_json(self) -> dict[str, Any]:
        """The same for programs: half-open offsets in code points."""
        rows = [{"file": file, "what": n.kind, "count": n.count, "first": n.first, "labels": n.labels} for file, n in self.noted]
        gone = ("dropped", "left out", "nothing is left", "read once")
        return {
            "format": min((name for _, name in self.formats), default=None),
            "files": [{"file": file, "format": name} for file, name in self.formats],
            "documents": [
                {"id": place, "text": d.text, "spans": [[s.start, s.end, s.label] for s in d.spans]}
                for place, d in zip(self.ids, self.documents, strict=True)
            ],
            "dropped": [row for row in rows if any(word in str(row["what"]) for word in gone)],
            "notes": [row for row in rows if not any(word in str(row["what"]) for word in gone)],
            "problems": list(self.problems),
        }


def asked_in(overrides: Sequence[str]) -> Asked:
    """What `--set` says of how to read.

    Raises:
        UsageError: it names no setting of reading, or gives it a value that it cannot have.
    """
    import yaml

    said: dict[str, Any] = {"sample": True}
    for given in overrides:
        key, equals, value = given.partition("=")
        path = key.strip().removeprefix("data.").split(".")
        if not equals or path[0] not in {"columns", "offsets", "annotator"}:
            raise UsageError(f"--set {given}: give data.columns, data.offsets or data.annotator, = and a value")
        try:
            read = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {given}: the value is not YAML") from error
        if len(path) == 1:
            said[path[0]] = read
        else:
            inner = said.setdefault(path[0], {})
            if not isinstance(inner, dict) or len(path) > 2:
                raise UsageError(f"--set {given}: {path[0]} is not a section")
            inner[path[1]] = read
    try:
        return asked_of(Data.model_validate(said))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"--set data.{place}: {first['msg']}; see docs/configuration.md") from error


def look(path: str | Path, asked: Asked = Asked()) -> Looked:  # noqa: B008 - it is frozen
    """Read all files of a path, however much of them is wrong. What comes back shows itself in a notebook.

    Args:
        path: A data file, or a folder of them.
        asked: What a person says of the files where they cannot prove it themselves; see `asked_in`.

    Raises:
        BadData: there is no file to read, or one cannot be read at all.
    """
    path = Path(path)
    files = data_files(path)
    formats: list[tuple[str, str]] = []
    documents: list[Document] = []
    ids: list[str] = []
    noted: list[tuple[str, Noted]] = []
    problems: list[str] = []
    for file, examined in examined_files(files, asked, problems):
        reading = examined.reading
        name = file.name if file == path else str(file.relative_to(path))
        formats.append((name, reading.format or "not read"))
        documents += reading.documents
        ids += [f"{name}: {place}" for place in reading.places]
        noted += [(name, n) for n in reading.noted]
        problems += examined.problems
    splits = ""
    if path.is_dir():
        try:
            splits = str(find_splits(path))
        except BadData as error:
            splits = f"refused: {error}"
    return Looked(tuple(formats), tuple(documents), tuple(ids), tuple(noted), tuple(problems), splits)


def check_kind(kind: str) -> None:
    """Refuse a kind that is not written, before anything is read.

    Raises:
        UsageError: of another kind.
    """
    if kind not in KINDS:
        raise UsageError(f"--to {kind}: give one of {', '.join(KINDS)}, and a file")


def write_as(kind: str, path: Path, documents: Sequence[Document]) -> None:
    """Write the documents as CoNLL columns, JSON lines or spaCy's DocBin; whole or not at all.

    A file that is there already is left as it is; that is no error where it holds the same.

    Raises:
        UsageError: of another kind; something else stands there already.
        BadData: spaCy is needed, and not installed.
    """
    check_kind(kind)
    write = {"jsonl": write_documents, "conll": _conll, "spacy": _docbin}[kind]
    if not path.exists():
        write(path, documents)
        return
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / "again"
        write(again, documents)
        if path.is_dir() or path.read_bytes() != again.read_bytes():
            raise UsageError(printable(f"--to {path}: something else is there already, and is left as it is; name another file"))


def _conll(path: Path, documents: Sequence[Document]) -> None:
    write_text(path, "\n".join(map(columns_of, documents)))


def columns_of(document: Document) -> str:
    """A document as CoNLL columns: a word and its tag a line."""
    words = [_DIVIDES.sub(" ", document.text[a:b]) for a, b in document.words]
    return "".join(f"{word}\t{tag}\n" for word, tag in zip(words, word_tags(document), strict=True))


def _docbin(path: Path, documents: Sequence[Document]) -> None:
    try:
        import spacy
        from spacy.tokens import Doc, DocBin
    except ImportError as error:
        raise BadData(f"{path}: a .spacy file needs the library spacy; pip install 'holdfast[spacy]'") from error
    vocabulary = spacy.blank("xx").vocab
    made = DocBin()
    for document in documents:
        tokens, spaces = _tokens(document)
        doc = Doc(vocabulary, words=tokens, spaces=spaces)
        spans = [doc.char_span(s.start, s.end, s.label) for s in document.spans]
        doc.set_ents([span for span in spans if span is not None], default="outside")  # each is one: tokens are cut at entities
        made.add(doc)
    write_bytes(path, made.to_bytes())


def _tokens(document: Document) -> tuple[list[str], list[bool]]:
    """The words, cut where an entity cuts them, and what stands between; and whether a blank stands behind each.

    A blank at the end is a token of its own, since spaCy puts one behind the last token by itself.
    """
    text = document.text
    edges = sorted({0, len(text), *(n for a, b in (*document.words, *((s.start, s.end) for s in document.spans)) for n in (a, b))})
    tokens: list[str] = []
    spaces: list[bool] = []
    for start, end in pairwise(edges):
        piece = text[start:end]
        if piece.startswith(" ") and tokens and end < len(text):
            spaces[-1], piece = True, piece[1:]
        if piece:
            tokens.append(piece)
            spaces.append(False)
    return tokens, spaces


def marked(document: Document) -> str:
    """The text on one line, each entity in brackets with its label."""
    parts = []
    at = 0
    for span in document.spans:
        parts.append(f"{document.text[at : span.start]}[{document.text[span.start : span.end]} {span.label}]")
        at = span.end
    return " ".join(("".join(parts) + document.text[at:]).split())
