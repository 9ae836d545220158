"""Where the documents come from: files of the project, of a mounted drive, or the built-in sample."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blake3 import blake3

from holdfast.errors import BadData
from holdfast.pipeline.data.files import bring_here, companions, data_files
from holdfast.pipeline.data.formats.shape import Asked, Columns, Offsets
from holdfast.pipeline.data.splits import FOLDERS, find_splits, splits_in
from holdfast.pipeline.settings import Data
from holdfast.session.files import file_identity
from holdfast.store.format.keys import printable

#: Changes where the built-in sample's documents change, so that outputs made from another sample are recognised.
SAMPLE_VERSION = 1


def find_sources(data: Data, root: Path, mount: Path, cache: Path) -> dict[str, Path]:
    """The data files by split, on the local disk; empty for the built-in sample.

    Args:
        data: The settings; relative paths start at the root.
        root: The project folder.
        mount: Where Drive is mounted; what lies there is copied to `cache` once.
        cache: Local folder for copies.

    Raises:
        BadData: a file is not there.
    """
    if data.sample:
        return {}
    if data.folder is not None:
        folder = bring_here(root / Path(data.folder).expanduser(), mount, cache, deep=FOLDERS)
        splits = find_splits(folder)
        named = {"train": splits.train, "validation": splits.validation, "test": splits.test}
        return {k: p for k, p in named.items() if p is not None}
    given = {"train": data.train, "validation": data.validation, "test": data.test}
    found = {k: bring_here(root / Path(v).expanduser(), mount, cache) for k, v in given.items() if v is not None}
    for split, place in found.items():
        if not place.exists():
            raise BadData(f"{place}: data.{split}: there is no such file; paths start at the project folder {root}")
        held = splits_in(place) if place.is_dir() else []
        held += [f"data.{k}" for k, other in found.items() if k != split and place in other.parents]
        if held:
            both = f"data.{split} is a folder that holds {', '.join(held)}"
            mend = "give it as data.folder, or give each split its own file or folder"
            raise BadData(printable(f"{place}: {both}, and all in it would be read as one; {mend}"))
    return found


def describe_source(data: Data, sources: Mapping[str, Path]) -> dict[str, Any]:
    """What the documents are, for a fingerprint: content, not place. Nothing is parsed.

    Of a folder it is that of all files in it, in the order in which they are read; their names are not in it.
    """
    if data.sample:
        return {"sample": SAMPLE_VERSION}
    return {split: _folder(place) if place.is_dir() else _file(place) for split, place in sorted(sources.items())}


def _file(place: Path) -> dict[str, Any]:
    described = {"bytes": place.stat().st_size, "format": place.suffix, "blake3": file_identity(place)[:32]}
    beside = [file_identity(other)[:32] for other in companions(place)]
    return {**described, "beside": beside} if beside else described


def _folder(place: Path) -> dict[str, Any]:
    files = [_file(file) for file in data_files(place)]
    whole = blake3(json.dumps(files, sort_keys=True).encode()).hexdigest()[:32]
    return {"files": len(files), "bytes": sum(file["bytes"] for file in files), "blake3": whole}


def describe_draw(data: Data, sources: Mapping[str, Path], seed: int) -> dict[str, Any]:
    """What decides which documents are drawn for validation and test, for a fingerprint.

    Where there is a test file it is as version 0.1.0 wrote it, so that what that version began goes on.
    """
    drawn = {} if data.sample or "validation" in sources else {"share": data.validation_share, "seed": seed}
    if data.sample or "test" in sources:
        return {"validation": drawn}
    return {"validation": drawn, "test": {"share": data.test_share, "seed": seed}}


def asked_of(data: Data) -> Asked:
    """What the settings say of the files where they do not prove it themselves."""
    return Asked(
        None if data.columns is None else Columns(data.columns.token, data.columns.tag),
        None if data.offsets is None else Offsets(data.offsets.unit, data.offsets.end, data.offsets.first),
        data.annotator,
    )


def describe_asked(data: Data) -> dict[str, Any]:
    """The same for a fingerprint; empty where nothing is said, as in records that were made before it could be."""
    said = data.model_dump(include={"columns", "offsets", "annotator"}, exclude_none=True)
    return {"read_as": said} if said else {}
