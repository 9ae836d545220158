"""Copies that only the library which owns a file can make. It is used where it is installed; nothing here is needed."""

from __future__ import annotations

import errno
import functools
import importlib
import os
import tempfile
from pathlib import Path
from typing import Any

from holdfast.errors import LocalError, Refused
from holdfast.store.apart.job import Apart
from holdfast.store.live.entries.archives import BZIP2, GZIP, XZ, ZSTD
from holdfast.store.live.entries.databases import LMDB
from holdfast.store.live.entries.weights import HDF5, ONNX, SAFETENSORS, TORCH_LEGACY, ZIP
from holdfast.store.live.kind import FileKind

#: Kinds in which frameworks keep weights and the state of a training.
CHECKPOINTS = frozenset({ZIP.name, TORCH_LEGACY.name, SAFETENSORS.name, HDF5.name, ONNX.name})


#: Not whole while a program has them open for writing, whatever lies on the disk: the library keeps the rest in memory.
WHOLE_WHEN_CLOSED = frozenset(kind.name for kind in (HDF5, GZIP, XZ, BZIP2, ZSTD))

#: What a copy by a library may take: so many seconds, and more for a file that is larger than this rate moves in them.
COPY_SECONDS, _BYTES_PER_SECOND = 60.0, 10_000_000
#: A process that copies by libraries is ended after so long without a copy.
_IDLE_SECONDS = 60.0


@functools.cache
def _apart() -> Apart:
    """A call of a library may hang, and then costs no more than the file: in a process that can be ended."""
    return Apart(idle_seconds=_IDLE_SECONDS)


def copy(kind: FileKind | None, place: Path, target: Path, *, seconds: float = COPY_SECONDS) -> str:
    """Copy a file by its library. Gives an empty text, or why there is no copy.

    Args:
        kind: What it is.
        place: The file; another process may be writing.
        target: The copy. It must not exist.
        seconds: How long it may take; more for a large file.

    Raises:
        Refused: it took longer.
    """
    if kind is not LMDB:
        return f"{kind.name if kind else 'it'} is open for writing, and no library can copy it"
    allowed = max(seconds, os.stat(place).st_size / _BYTES_PER_SECOND)
    try:
        return _apart().call(_lmdb, place, target, seconds=allowed)
    except LocalError as error:
        if error.errno != errno.ETIMEDOUT:
            return f"a mixture: LMDB could not copy it ({error.strerror})"
        why = f"LMDB did not answer within {allowed:.0f} s; back up again when the program that holds it goes on"
        raise Refused(errno.ETIMEDOUT, why, str(place)) from error


def _lmdb(place: Path, target: Path) -> str:
    """One of its read transactions sees one state, so a copy by it is consistent while others write (lmdb.h, `mdb_env_copy`)."""
    try:
        lmdb: Any = importlib.import_module("lmdb")
    except ImportError:
        return "a mixture: LMDB is open for writing; install the package lmdb to have it copied in one state"
    single = place.name != "data.mdb" or os.path.exists(f"{place}-lock")
    try:
        # Its lock file is needed to see a state that no writer frees meanwhile, and is made where there is none.
        with (
            lmdb.open(str(place if single else place.parent), readonly=True, subdir=not single, max_dbs=0) as environment,
            tempfile.TemporaryDirectory(dir=target.parent) as folder,
        ):
            made = Path(folder) / "data.mdb"
            copying = str(made) if single else folder  # a copy is of the same form as its original
            try:
                # Page by page: the other way waits for the writer's lock, so for as long as a transaction is open.
                environment.copy(copying, compact=True)
            except lmdb.Error:  # it has pages that nothing leads to
                made.unlink(missing_ok=True)
                environment.copy(copying)
            os.rename(made, target)
    except (lmdb.Error, OSError) as error:
        return f"a mixture: LMDB could not copy it ({error})"
    return ""
