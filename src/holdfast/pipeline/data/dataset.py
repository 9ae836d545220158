"""A dataset: training, validation and test documents, their entity types, and an identity that changes with any of it."""

from __future__ import annotations

import difflib
import errno
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from holdfast.errors import BadData, LocalError, UsageError
from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.data.formats.recognise import OBJECTS
from holdfast.pipeline.data.formats.shape import Asked
from holdfast.pipeline.data.reading import COLUMNS, SUFFIXES, examine, refuse_all
from holdfast.pipeline.layout import DATASET
from holdfast.store.format.keys import printable

log = logging.getLogger(__name__)

_NAMES = {"train": ("train",), "validation": ("validation", "dev", "valid", "val"), "test": ("test",)}


@dataclass(frozen=True)
class Splits:
    """The files of a dataset. Without a validation file, validation documents are taken from the training file."""

    train: Path
    validation: Path | None
    test: Path


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
    """

    train: tuple[Document, ...]
    validation: tuple[Document, ...]
    test: tuple[Document, ...]
    labels: tuple[str, ...]
    identity: str
    notes: tuple[str, ...] = ()


def find_splits(folder: Path) -> Splits:
    """Find `train.*`, `test.*`, and one of `validation.*`, `dev.*`, `valid.*` or `val.*`, of the suffixes that are read.

    Raises:
        BadData: there is no such folder, training or test are missing, or several files could be the same split.
    """
    try:
        entries = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadData(printable(f"{folder}: the data folder cannot be read: {reason}; check the path")) from error
    found: dict[str, Path | None] = {}
    for split, names in _NAMES.items():
        files = [p for p in entries if p.stem in names]
        usual = [p for p in files if p.suffix.lower() in (*OBJECTS, *COLUMNS)]
        files = usual or files  # a table or a binary file may lie beside what was exported from it
        looked_for = " or ".join(f"{name}.*" for name in names)
        if len(files) > 1:
            shown = ", ".join(p.name for p in files)
            raise BadData(printable(f"{folder}: {shown} could each be the {split} data; leave one file of {looked_for}"))
        if not files and split != "validation":
            there = ", ".join(sorted(p.name for p in folder.iterdir())[:8]) or "nothing"
            looked_for += f" with suffix {' '.join(SUFFIXES)}"
            raise BadData(printable(f"{folder}: no {split} data; looked for {looked_for}; there is {there}"))
        found[split] = files[0] if files else None
    train, test = found["train"], found["test"]
    assert train is not None
    assert test is not None
    return Splits(train, found["validation"], test)


def load_dataset(
    splits: Splits,
    *,
    labels: Sequence[str] | None = None,
    validation_share: float = 0.1,
    seed: int = 0,
    asked: Asked = Asked(),  # noqa: B008 - it is frozen
) -> Dataset:
    """Read the splits and check that they fit together.

    Args:
        splits: The files.
        labels: The entity types; every type that occurs, where none are given.
        validation_share: Where there is no validation file, the share of training documents taken for it, at least one.
        seed: Decides which; the same on every machine and Python.
        asked: What a person says of the files where they cannot prove it themselves.

    Raises:
        BadData: something in the files is wrong, all of it in one list; a label is not among `labels`, there is no entity to
            learn from, or there are too few documents to take any for validation.
        UsageError: the share is not between 0 and 1.
    """
    notes: list[str] = []
    files = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    documents: dict[str, tuple[Document, ...]] = {}
    problems: list[str] = []
    told: set[str] = set()
    for split, path in files.items():
        if path is not None:
            examined = examine(path, asked)
            documents[split] = examined.reading.documents
            notes += examined.reading.notes
            problems += examined.problems
            if labels is not None:
                problems += _unknown_labels(path, examined.reading.documents, labels, told)
    refuse_all(problems)
    if not _label_counts(documents["train"]):
        raise BadData(printable(f"{splits.train}: no document has an entity; there is nothing to learn"))
    if splits.validation is None:
        chosen = validation_indices(splits.train, len(documents["train"]), validation_share, seed)
        whole = documents["train"]
        documents["validation"] = tuple(whole[n] for n in sorted(chosen))
        documents["train"] = tuple(d for n, d in enumerate(whole) if n not in chosen)
        notes.append(f"no validation data: {len(chosen)} of {len(whole)} training documents serve for it, chosen by seed {seed}")
    counts = {split: _label_counts(documents[split]) for split in files}
    known = tuple(sorted(set(labels if labels is not None else (label for count in counts.values() for label in count))))
    absent = [label for label in known if label not in counts["train"]]
    if absent:
        notes.append(f"no example in the training data, so it cannot be learnt: {', '.join(absent)}")
    notes += _shared_texts(documents)
    train, validation, test = (documents[split] for split in files)
    notes = [printable(note) for note in notes]
    return Dataset(train, validation, test, known, _identity(documents, files, known), tuple(notes))


def problems_of(files: Iterable[Path], labels: Sequence[str] | None, asked: Asked) -> list[str]:
    """Everything that is wrong in data files, a line each, before anything is made of them."""
    found: list[str] = []
    told: set[str] = set()
    for path in files:
        try:
            examined = examine(path, asked)
        except BadData as error:
            found.append(str(error))
            continue
        found += examined.problems
        if labels is not None:
            found += _unknown_labels(path, examined.reading.documents, labels, told)
    return found


def open_dataset(folder: Path) -> Dataset:
    """The dataset in a folder: one that the data stage wrote, with the labels that it was given, or anybody's splits.

    Raises:
        BadData: as `load_dataset`.
    """
    try:
        labels = json.loads((folder / DATASET).read_bytes())["labels"]
    except (OSError, ValueError, KeyError, TypeError):
        labels = None
    return load_dataset(find_splits(folder), labels=labels)


def validation_indices(path: Path, count: int, share: float, seed: int) -> frozenset[int]:
    """Which of `count` training documents serve for validation.

    They are drawn by hashes, not by a random generator, whose draws may change between versions of Python.

    Raises:
        BadData: fewer than two documents.
        UsageError: the share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise UsageError(f"validation_share should be between 0 and 1, got {share!r}")
    if count < 2:
        raise BadData(printable(f"{path}: {count} document is too few to take any for validation; add a validation file"))
    drawn = sorted(range(count), key=lambda n: (blake3(f"{seed}/{n}".encode()).digest(), n))
    return frozenset(drawn[: min(count - 1, max(1, round(count * share)))])


def summary(dataset: Dataset) -> list[str]:
    """A few lines for a person: the size of each split, examples of each label, and the notes."""
    splits = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    width = max(len(label) for label in ("label", *dataset.labels))
    lines = [f"dataset {dataset.identity[:12]}, {len(dataset.labels)} labels"]
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


def _shared_texts(documents: Mapping[str, Sequence[Document]]) -> list[str]:
    """Warn of documents that were learnt by heart before they measure anything."""
    learnt = {document.text for document in documents["train"]}
    shared = {split: sum(d.text in learnt for d in documents[split]) for split in ("validation", "test")}
    return [
        f"{count} of {len(documents[split])} {split} documents are also in the training data, so its scores come out too high"
        for split, count in shared.items()
        if count
    ]


def _identity(documents: Mapping[str, Sequence[Document]], order: Iterable[str], labels: Sequence[str]) -> str:
    digest = blake3(json.dumps({"format": 1, "labels": labels}).encode())
    for split in order:
        digest.update(f"\n{split} {len(documents[split])}".encode())
        for document in documents[split]:
            spans = [[span.start, span.end, span.label] for span in document.spans]
            digest.update(b"\n" + json.dumps([document.text, list(document.words), spans], separators=(",", ":")).encode())
    return digest.hexdigest()


def bring_here(path: Path, drive: Path | None, cache: Path) -> Path:
    """Copy data that lies on a mount to the local disk, where reading it is fast and cannot hang half-way.

    A file that is already here with the same size and time is not copied again. Of a folder, the files in it that can be
    read as data are brought. A copy takes its name only when it is whole.

    Args:
        path: A data file, or a folder of them.
        drive: The mount, or None.
        cache: Local folder for copies.

    Returns:
        The local path, or `path` itself where it does not lie on the mount.

    Raises:
        BadData: the data is not there, or cannot be read from the mount.
        LocalError: no space here.
    """
    source = path.resolve()
    if drive is None or not source.is_relative_to(drive.resolve()):
        return path
    here = cache / source.relative_to(drive.resolve())
    try:
        folder = source.is_dir()
        files = [p for p in sorted(source.iterdir()) if _is_data(p)] if folder else [source]
        copied = sum(_copy_if_changed(p, here / p.name if folder else here) for p in files)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise LocalError(printable(f"{here}: no space for a copy of {path}; make space")) from error
        raise BadData(printable(f"{path}: cannot be copied from the drive: {error.strerror or error}; check it there")) from error
    if folder:
        # a file that was renamed on the drive would be there under both names
        names = {p.name for p in files}
        for stale in [p for p in here.iterdir() if _is_data(p) and p.name not in names] if here.is_dir() else []:
            stale.unlink()
    if copied:
        log.info("copied %d file(s) of data from %s to %s", copied, printable(str(path)), printable(str(here)))
    return here


def _is_data(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _copy_if_changed(source: Path, target: Path) -> bool:
    before = source.stat()
    if target.is_file():
        there = target.stat()
        if (there.st_size, there.st_mtime_ns) == (before.st_size, before.st_mtime_ns):
            return False
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        shutil.copyfile(source, temporary)
        size = temporary.stat().st_size
        if size != before.st_size:  # a mount may end a file early
            raise OSError(errno.EIO, f"{size} bytes came instead of {before.st_size}")
        os.utime(temporary, ns=(before.st_atime_ns, before.st_mtime_ns))
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return True
