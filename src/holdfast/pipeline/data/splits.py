"""Which files of a folder are the training, the validation and the test data. A split is a file, or a folder of files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import BadData
from holdfast.pipeline.data.files import holds_data, is_beside, is_data, without_companions
from holdfast.pipeline.data.formats.recognise import COLUMNS, OBJECTS, SUFFIXES
from holdfast.store.format.keys import printable

_NAMES = {"train": ("train",), "validation": ("validation", "dev", "valid", "val"), "test": ("test",)}
#: The names of folders that are a split.
FOLDERS = tuple(name for names in _NAMES.values() for name in names)
#: What `datasets` puts behind the name of a file that is not divided.
_WHOLE = re.compile(r"-0+-of-0*1$")


@dataclass(frozen=True)
class Splits:
    """The files of a dataset, or the folders of them. Without validation or test, it is drawn from the training documents."""

    train: Path
    validation: Path | None
    test: Path | None = None

    def __str__(self) -> str:
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        return ", ".join(f"{name} {'drawn from train' if path is None else path.name}" for name, path in parts.items())


def find_splits(folder: Path) -> Splits:
    """Find `train.*`, `test.*`, and one of `validation.*`, `dev.*`, `valid.*` or `val.*`, of the suffixes that are read.

    A folder of such a name, with data in it, is a split too. Where there is one file alone, of whatever name, or one that
    `datasets` saved, it is the training data.

    Raises:
        BadData: there is no such folder, training is missing, several could be the same split, or test is missing and files
            are there of which it is not known what they are.
    """
    try:
        entries = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
        files = without_companions(p for p in entries if is_data(p) and not is_beside(p))
        folders = [p for p in entries if p.name in FOLDERS and p.is_dir() and holds_data(p)]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadData(printable(f"{folder}: the data folder cannot be read: {reason}; check the path")) from error
    found: dict[str, Path | None] = {}
    known: set[Path] = set()
    for split, names in _NAMES.items():
        named = [p for p in files if _WHOLE.sub("", p.stem) in names]
        usual = [p for p in named if p.suffix.lower() in (*OBJECTS, *COLUMNS)]
        could = [p for p in folders if p.name in names] + (usual or named)  # a table may lie beside what was exported from it
        known.update(named, could)
        if len(could) > 1:
            shown = ", ".join(p.name for p in could)
            one = f"{_looked_for(split)}, or a folder {names[0]} with all of them"
            raise BadData(printable(f"{folder}: {shown} could each be the {split} data; leave one file of {one}"))
        found[split] = could[0] if could else None
    train = found["train"]
    if train is None and not known:
        train = _alone(folder, files)
    others = [p for p in files if p not in known]
    for split in ("train",) if train is None else ("test",) if found["test"] is None and found["train"] and others else ():
        _refuse(folder, split, entries, others)
    assert train is not None
    return Splits(train, found["validation"], found["test"])


def splits_in(folder: Path) -> list[str]:
    """The names of files and folders right in a folder that are splits by their name, if they are of two or more splits."""
    found = {
        split: p.name
        for p in sorted(folder.iterdir())
        for split, names in _NAMES.items()
        if p.name in names or (is_data(p) and _WHOLE.sub("", p.stem) in names)
    }
    return sorted(found.values()) if len(found) > 1 else []


def _alone(folder: Path, files: Sequence[Path]) -> Path | None:
    """What is all the data there is."""
    if (folder / "dataset_info.json").is_file() and files:
        return folder
    return files[0] if len(files) == 1 else None


def _looked_for(split: str) -> str:
    return " or ".join(f"{name}.*" for name in _NAMES[split])


def _refuse(folder: Path, split: str, entries: Sequence[Path], others: Sequence[Path]) -> None:
    there = ", ".join(p.name for p in entries[:8]) or "nothing"
    looked_for = f"{_looked_for(split)} with suffix {' '.join(SUFFIXES)}"
    mend = ""
    if others and split == "train":
        mend = f"; to read all files as one, and draw validation and test, give data.train: {folder}"
    elif others:
        mend = "; name it so, or give the training file as data.train alone: then test is drawn from it"
    raise BadData(printable(f"{folder}: no {split} data; looked for {looked_for}; there is {there}{mend}"))
