"""A dataset: training, validation and test documents, their entity types, and an identity that changes with any of it."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from holdfast.errors import BadData, UsageError
from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.data.drawing import draw, units_of
from holdfast.pipeline.data.files import data_files, is_document
from holdfast.pipeline.data.formats.shape import Asked, Noted, gathered
from holdfast.pipeline.data.html import page
from holdfast.pipeline.data.reading import examined_files, refuse_all
from holdfast.pipeline.data.splits import Splits, find_splits
from holdfast.pipeline.layout import DATASET
from holdfast.session.progress import Bar
from holdfast.store.format.keys import printable


@dataclass(frozen=True)
class Dataset:
    """Documents for training, for choosing, and for the final measure.

    Args:
        train: What models learn from.
        validation: What a study chooses by.
        test: What nothing is chosen by.
        labels: The entity types, sorted.
        identity: BLAKE3 of all documents and labels, in hex.
        notes: What was noteworthy, a line for a person each.
        formats: What the files of each split are, a line each.
    """

    train: tuple[Document, ...]
    validation: tuple[Document, ...]
    test: tuple[Document, ...]
    labels: tuple[str, ...]
    identity: str
    notes: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        """What a notebook shows: counts by label, notes, and twenty training documents with their entities coloured."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        head = f"dataset {self.identity[:12]}: " + ", ".join(f"{len(d):,} {name} documents" for name, d in splits.items())
        return page(head, {name: _label_counts(d) for name, d in splits.items()}, self.train, self.notes, ())


def load_dataset(
    splits: Splits,
    *,
    labels: Sequence[str] | None = None,
    validation_share: float = 0.1,
    test_share: float = 0.1,
    seed: int = 0,
    asked: Asked = Asked(),  # noqa: B008 - it is frozen
    compared: bool = True,
) -> Dataset:
    """Read the splits and check that they fit together.

    Where validation or test is not given, it is drawn from the training documents. Documents of one source stay together, where
    the file names sources, and so do near-duplicates (see `near`). Without either, and with a test file, the documents that
    are drawn for validation are those that version 0.1.0 drew.

    Args:
        splits: The files.
        labels: The entity types; every type that occurs, where none are given.
        validation_share: Where there is no validation file, the share of training documents taken for it, at least one.
        test_share: The same for test.
        seed: Decides which; the same on every machine and Python.
        asked: What a person says of the files where they cannot prove it themselves.
        compared: Whether to count what validation and test share with training. What is drawn does not depend on it.

    Raises:
        BadData: something in the files is wrong, all of it in one list; a label is not among `labels`, there is no entity to
            learn from, or there are too few documents to take any for validation or test.
        UsageError: a share is not between 0 and 1.
    """
    given = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    problems: list[str] = []
    told: set[str] = set()
    read = {name: _read(path, asked, labels, told, problems) for name, path in given.items() if path is not None}
    refuse_all(problems)
    documents = {name: found.documents for name, found in read.items()}
    notes = [note for found in read.values() for note in found.notes]
    if not _label_counts(documents["train"]):
        raise BadData(printable(f"{splits.train}: no document has an entity; there is nothing to learn"))
    shares = {"test": test_share, "validation": validation_share}
    missing = {name: share for name, share in shares.items() if name not in documents}
    if missing:
        drawn, said = _drawn(splits.train, read["train"], missing, seed)
        documents.update(drawn)
        notes += said
    counts = {split: _label_counts(documents[split]) for split in given}
    known = tuple(sorted(set(labels if labels is not None else (label for count in counts.values() for label in count))))
    absent = [label for label in known if label not in counts["train"]]
    if absent:
        notes.append(f"no example in the training data, so it cannot be learnt: {', '.join(absent)}")
    if compared:
        notes += _shared_texts(documents)
    train, validation, test = (documents[split] for split in given)
    notes = [printable(note) for note in notes]
    formats = tuple(printable(f"{name:10}  {line}") for name, found in read.items() for line in found.formats)
    return Dataset(train, validation, test, known, _identity(documents, given, known), tuple(notes), formats)


@dataclass(frozen=True)
class _Split:
    """What the files of a split hold: documents, of each the source that its file names, what was noteworthy, what they are."""

    documents: tuple[Document, ...]
    sources: tuple[str | None, ...]
    notes: tuple[str, ...]
    formats: tuple[str, ...]


def _read(path: Path, asked: Asked, labels: Sequence[str] | None, told: set[str], problems: list[str]) -> _Split:
    """All files of a split, one after the other. What is wrong in them is added to the problems."""
    files = data_files(path)
    documents: list[Document] = []
    sources: list[str | None] = []
    notes: list[str] = []
    noted: list[tuple[str, Noted]] = []
    formats: dict[str, list[str]] = {}
    for file, examined in examined_files(files, asked, problems):
        reading = examined.reading
        formats.setdefault(reading.format, []).append(file.name)
        problems += examined.problems
        if labels is not None:
            problems += _unknown_labels(file, reading.documents, labels, told)
        documents += reading.documents
        named = any(reading.sources)
        whole = str(file) if len(files) > 1 and not named and is_document(file) else None
        sources += [f"{file}: {source}" if source is not None else whole for source in reading.sources]
        notes += reading.notes
        noted += [(file.name if file == path else str(file.relative_to(path)), n) for n in reading.noted]
    if len(files) > 1:
        notes = [f"{path}/{file}: {note}" for file, note in gathered(noted)]
    described = (f"{names[0] if len(names) == 1 else f'{len(names):,} files'}: {name}" for name, names in formats.items())
    return _Split(tuple(documents), tuple(sources), tuple(notes), tuple(described))


def _drawn(path: Path, read: _Split, shares: Mapping[str, float], seed: int) -> tuple[dict[str, tuple[Document, ...]], list[str]]:
    """The training documents without those that are drawn for other splits, these, and what is to be said of it."""
    from holdfast.pipeline.data.near import near_duplicates  # numpy is needed here only

    whole = read.documents
    for name, share in shares.items():
        if not 0 < share < 1:
            raise UsageError(f"{name}_share should be between 0 and 1, got {share!r}")
    if len(whole) <= len(shares):
        names = " and ".join(sorted(shares, reverse=True))
        raise BadData(printable(f"{path}: too few documents ({len(whole)}) to take any for {names}; add a file of {names}"))
    units = units_of(read.sources, near_duplicates(whole, Bar()), len(shares) + 1)
    left = list(units.members)
    documents: dict[str, tuple[Document, ...]] = {}
    notes = []
    for name, share in shares.items():
        chosen = draw(left, len(whole), share, seed, "" if name == "validation" else f"{name}/")
        left = [unit for unit in left if unit[0] not in chosen]
        documents[name] = tuple(whole[n] for n in sorted(chosen))
        notes.append(f"no {name} data: {len(chosen)} of {len(whole)} training documents serve for it, chosen by seed {seed}")
    documents["train"] = tuple(whole[n] for n in sorted(n for unit in left for n in unit))
    return documents, [*notes, *units.notes]


def problems_of(files: Iterable[Path], labels: Sequence[str] | None, asked: Asked) -> list[str]:
    """Everything that is wrong in data files, or folders of them, a line each, before anything is made of them."""
    problems: list[str] = []
    told: set[str] = set()
    for path in files:
        try:
            _read(path, asked, labels, told, problems)
        except BadData as error:
            problems.append(str(error))
    return problems


def open_dataset(folder: str | Path) -> Dataset:
    """The dataset in a folder: one that the data stage wrote, with the labels that it was given, or anybody's splits.

    It shows itself in a notebook.

    Raises:
        BadData: as `load_dataset`.
    """
    folder = Path(folder)
    try:
        labels = json.loads((folder / DATASET).read_bytes())["labels"]
    except (OSError, ValueError, KeyError, TypeError):
        labels = None
    # what the data stage wrote was compared then, and every stage reads it
    return load_dataset(find_splits(folder), labels=labels, compared=labels is None)


def summary(dataset: Dataset) -> list[str]:
    """A few lines for a person: what the files are, the size of each split, examples of each label, and the notes."""
    splits = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    width = max(len(label) for label in ("label", *dataset.labels))
    lines = [f"dataset {dataset.identity[:12]}, {len(dataset.labels)} labels", *dataset.formats]
    for split, documents in splits.items():
        words, entities = sum(len(d.words) for d in documents), sum(len(d.spans) for d in documents)
        lines.append(f"{split:10}  {len(documents):,} documents, {words:,} words, {entities:,} entities")
    counts = [_label_counts(documents) for documents in splits.values()]
    lines.append(f"{'label':{width}}" + "".join(f"  {split:>10}" for split in splits))
    lines += [f"{printable(label):{width}}" + "".join(f"  {c[label]:>10,}" for c in counts) for label in dataset.labels]
    return [*lines, *(f"note: {note}" for note in dataset.notes)]


def _unknown_labels(path: Path, documents: Iterable[Document], labels: Sequence[str], told: set[str]) -> Iterator[str]:
    """A line for each label that is not in the configuration, at the first place of it; `told` are those of files before."""
    for number, document in enumerate(documents, start=1):
        for span in document.spans:
            if span.label not in labels and span.label not in told:
                told.add(span.label)
                # without regard to case: `per` for `PER` is the commonest slip
                folded = {label.casefold(): label for label in labels}
                near = difflib.get_close_matches(span.label.casefold(), folded, n=1, cutoff=0.5)
                mend = f"did you mean {folded[near[0]]!r}" if near else f"known are {', '.join(labels) or 'none'}"
                place = f"{path}: document {number}, characters {span.start} to {span.end}"
                yield printable(f"{place}: label {span.label!r} is not in the configuration; {mend}")


def _label_counts(documents: Iterable[Document]) -> Counter[str]:
    return Counter(span.label for document in documents for span in document.spans)


def _shared_texts(documents: Mapping[str, Sequence[Document]]) -> Iterator[str]:
    """Warn of documents that were learnt by heart before they measure anything."""
    from holdfast.pipeline.data.near import near_to

    asked = (
        ("validation", "train", "the training data", "training documents"),
        ("test", "train", "the training data", "training documents"),
        ("test", "validation", "the validation data, by which the model is chosen", "validation documents, which choose the model"),
    )
    for split, before, there, alike in asked:
        known = {document.text for document in documents[before]}
        others = [d for d in documents[split] if d.text not in known]
        of = f"of {len(documents[split])} {split} documents"
        if shared := len(documents[split]) - len(others):
            yield f"{shared} {of} are also in {there}, so its scores come out too high"
        if near := sum(near_to(documents[before], others, Bar())):
            yield f"{near} {of} are near-duplicates of {alike}, so its scores come out too high"


def _identity(documents: Mapping[str, Sequence[Document]], order: Iterable[str], labels: Sequence[str]) -> str:
    digest = blake3(json.dumps({"format": 1, "labels": labels}).encode())
    for split in order:
        digest.update(f"\n{split} {len(documents[split])}".encode())
        for document in documents[split]:
            spans = [[span.start, span.end, span.label] for span in document.spans]
            digest.update(b"\n" + json.dumps([document.text, list(document.words), spans], separators=(",", ":")).encode())
    return digest.hexdigest()
