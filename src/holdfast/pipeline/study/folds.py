"""The folds of a study: which training documents each is scored on, and the file that says so.

```json
{"format": 1, "folds": [["<SHA-256 of a document's text>", "..."], ["..."]]}
```

A fold learns from all training documents that it is not scored on. Documents of the same text have the same digest, so they are in
the same fold.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import BadData
from holdfast.flow.fingerprint import fingerprint
from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.data.folds import divide
from holdfast.session.files import set_aside, write_json

log = logging.getLogger(__name__)

FORMAT = 1


@dataclass(frozen=True)
class Folds:
    """Training documents by fold.

    Args:
        scored: For each fold the numbers of the training documents that it is scored on.
        identity: Changes with any of it.
    """

    scored: tuple[tuple[int, ...], ...]
    identity: str

    def __len__(self) -> int:
        return len(self.scored)

    def split(self, documents: Sequence[Document], fold: int) -> tuple[tuple[Document, ...], tuple[Document, ...]]:
        """What a fold, counted from 1, learns from, and what it is scored on."""
        scored = set(self.scored[fold - 1])
        return (
            tuple(d for n, d in enumerate(documents) if n not in scored),
            tuple(d for n, d in enumerate(documents) if n in scored),
        )


def folds_of(scored: Sequence[Sequence[int]], documents: Sequence[Document]) -> Folds:
    """Folds of the numbers of documents, by fold."""
    rows = _rows([[digest(documents[n]) for n in numbers] for numbers in scored])
    return Folds(tuple(map(tuple, scored)), fingerprint({"folds": rows}))


def digest(document: Document) -> str:
    """What a document is called in the file: SHA-256 of its text in UTF-8, in hex."""
    return hashlib.sha256(document.text.encode("utf-8", "surrogatepass")).hexdigest()


def write_folds(place: Path, folds: Folds, documents: Sequence[Document]) -> None:
    """Write the file, whole or not at all. One that says the same is left as it is."""
    if place.exists() and read_folds(place, documents).identity == folds.identity:
        return
    rows = _rows([[digest(documents[n]) for n in numbers] for numbers in folds.scored])
    write_json(place, {"format": FORMAT, "folds": rows})


def read_folds(place: Path, documents: Sequence[Document]) -> Folds:
    """The folds that a file gives to the training documents.

    Raises:
        BadData: one line: what in the file cannot be, and where.
    """
    rows = _read(place)
    numbers: dict[str, list[int]] = {}
    for number, document in enumerate(documents):
        numbers.setdefault(digest(document), []).append(number)
    met: dict[str, int] = {}
    for fold, row in enumerate(rows, start=1):
        if not row:
            raise BadData(f"{place}: fold {fold} is empty; give it documents, or take it out")
        for name in row:
            if name not in numbers:
                raise BadData(
                    f"{place}: fold {fold}: {name}: no training document has this SHA-256; it is of a document's text in UTF-8, "
                    "and validation and test documents are in no fold"
                )
            if name in met:
                raise BadData(f"{place}: {name} is in fold {met[name]} and in fold {fold}; each document is in one fold, once")
            met[name] = fold
    missing = [d for d in documents if digest(d) not in met]
    if missing:
        raise BadData(
            f"{place}: {len(missing)} of {len(documents)} training documents are in no fold, the first {_shown(missing[0])} "
            f"({digest(missing[0])}); add them"
        )
    return folds_of([sorted(n for name in row for n in numbers[name]) for row in rows], documents)


def choose_folds(
    count: int | None, given: Path | None, kept: Path | None, documents: Sequence[Document], seed: int, say: Callable[[str], None]
) -> Folds | None:
    """The folds of a study: those that are given, else those that it was begun with, else new ones. None where there are none.

    Args:
        count: How many are asked for.
        given: A file of a person's own.
        kept: Where the study keeps its own, if anywhere.
        documents: The training documents.
        seed: Decides new ones.
        say: Told what is to be said of new ones.

    Raises:
        BadData: they cannot be used; its text says which, and why.
    """
    if given is not None:
        folds = read_folds(given, documents)
        if count is not None and len(folds) != count:
            raise BadData(f"{given}: has {len(folds)} folds, and {count} are asked for; make them agree, or ask for none")
        _check(folds, documents, str(given))
        return folds
    if count is None:
        return None
    known = None if kept is None else _kept(kept, documents)
    if known is not None and len(known) == count:
        return known
    scored, notes = divide(documents, count, seed)
    for note in notes:
        say(note)
    folds = folds_of(scored, documents)
    _check(folds, documents, "hpo.folds")
    return folds


def _kept(place: Path, documents: Sequence[Document]) -> Folds | None:
    """The folds of the study's own file. One that is damaged is moved aside: the study itself knows what was in it."""
    if not place.exists():
        return None
    try:
        return read_folds(place, documents)
    except BadData as error:
        log.warning("the folds of the study are damaged and drawn again (%s); moved to %s", error, set_aside(place, "damaged").name)
        return None


def _check(folds: Folds, documents: Sequence[Document], what: str) -> None:
    """Refuse folds of which one would have nothing to learn."""
    for fold in range(1, len(folds) + 1):
        if not any(d.spans for d in folds.split(documents, fold)[0]):
            raise BadData(f"{what}: fold {fold} leaves no document with an entity to learn from; give other folds, or fewer")


def _rows(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Each digest once, sorted: the order within a fold decides nothing."""
    return [sorted(set(row)) for row in rows]


def _read(place: Path) -> list[list[str]]:
    try:
        document = json.loads(place.read_bytes())
    except FileNotFoundError as error:
        raise BadData(f"{place}: there is no such file; give the path of a file of folds") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BadData(f"{place}: cannot be read as JSON ({' '.join(str(error).split())})") from error
    if not _is_of_folds(document):
        expected = f'{{"format": {FORMAT}, "folds": [["<SHA-256>", ...], ...]}}'
        raise BadData(f"{place}: is no file of folds; expected {expected}, 2 folds or more")
    return [[name.lower() for name in row] for row in document["folds"]]


def _is_of_folds(document: Any) -> bool:
    if not isinstance(document, Mapping) or document.keys() != {"format", "folds"} or document["format"] != FORMAT:
        return False
    rows = document["folds"]
    lists = isinstance(rows, list) and len(rows) >= 2 and all(isinstance(row, list) for row in rows)
    return lists and all(isinstance(name, str) for row in rows for name in row)


def _shown(document: Document) -> str:
    text = " ".join(document.text.split())
    return repr(text if len(text) <= 40 else f"{text[:39]}\N{HORIZONTAL ELLIPSIS}")
