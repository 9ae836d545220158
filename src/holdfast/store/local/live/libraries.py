"""Copies that only the library which owns a file can make. It is used where it is installed; nothing here is needed."""

from __future__ import annotations

import importlib
import os
import tempfile
from pathlib import Path
from typing import Any

from holdfast.store.local.live import table
from holdfast.store.local.live.kind import FileKind

#: Kinds in which frameworks keep weights and the state of a training.
CHECKPOINTS = frozenset({table.ZIP.name, table.TORCH_LEGACY.name, table.SAFETENSORS.name, table.HDF5.name, table.ONNX.name})


def copy(kind: FileKind | None, place: Path, target: Path) -> str:
    """Copy a file by its library. Gives an empty text, or why there is no copy.

    Args:
        kind: What it is.
        place: The file; another process may be writing.
        target: The copy. It must not exist.
    """
    if kind is table.LMDB:
        return _lmdb(place, target)
    return f"{kind.name if kind else 'it'} is open for writing, and no library can copy it"


def _lmdb(place: Path, target: Path) -> str:
    """One of its read transactions sees one state, so a copy by it is consistent while others write (lmdb.h, `mdb_env_copy`)."""
    try:
        lmdb: Any = importlib.import_module("lmdb")
    except ImportError:
        return "a mixture: LMDB is open for writing; install the package lmdb to have it copied in one state"
    single = place.name != "data.mdb"
    try:
        # Its lock file is needed to see a state that no writer frees meanwhile, and is made where there is none.
        with (
            lmdb.open(str(place if single else place.parent), readonly=True, subdir=not single, max_dbs=0) as environment,
            tempfile.TemporaryDirectory(dir=target.parent) as folder,
        ):
            environment.copy(folder)
            os.rename(Path(folder) / "data.mdb", target)
    except (lmdb.Error, OSError) as error:
        return f"a mixture: LMDB could not copy it ({error})"
    return ""
