"""The table of kinds of file that a program may hold open while a backup looks at them.

One entry a kind, in the module of its family in `entries/`: how it has to be copied, and what `docs/files-in-use.md` says of it. A
new kind is an entry there, its name here, a line in `kinds.recognise`, and, where its end can be told, a check in `torn`.
"""

from __future__ import annotations

from holdfast.store.live.entries.archives import BZIP2, GZIP, TAR, XZ, ZLIB, ZSTD
from holdfast.store.live.entries.databases import (
    DUCKDB,
    DUCKDB_LOG,
    LEVEL,
    LEVEL_LOCK,
    LEVEL_LOG,
    LMDB,
    LMDB_LOCK,
    SQLITE,
    SQLITE_LOG,
    SQLITE_MEMORY,
)
from holdfast.store.live.entries.logs import JSON_LINES, OPTUNA_JOURNAL, TEXT_LOG, TFRECORD, WANDB
from holdfast.store.live.entries.texts import JPEG, JSON, PDF, PNG
from holdfast.store.live.entries.weights import (
    ARROW_FILE,
    ARROW_STREAM,
    HDF5,
    LANCE,
    LIGHTGBM,
    NPY,
    ONNX,
    PARQUET,
    PICKLE,
    SAFETENSORS,
    TORCH_LEGACY,
    UBJSON,
    ZARR,
    ZIP,
)

#: What `recognise` knows. The order is that of the page.
KINDS = (
    *(SQLITE, SQLITE_LOG, SQLITE_MEMORY, DUCKDB, DUCKDB_LOG, LMDB, LMDB_LOCK, LEVEL, LEVEL_LOG, LEVEL_LOCK),
    *(ZIP, TORCH_LEGACY, SAFETENSORS, PICKLE, NPY, HDF5, ZARR, PARQUET, ARROW_FILE, ARROW_STREAM, LANCE, ONNX, UBJSON, LIGHTGBM),
    *(TFRECORD, WANDB, OPTUNA_JOURNAL, JSON_LINES, TEXT_LOG),
    *(GZIP, XZ, BZIP2, ZSTD, ZLIB, TAR),
    *(JSON, PNG, JPEG, PDF),
)
