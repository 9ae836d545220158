"""Whether a file is torn by its own format, and how much of a growing one is whole: a few reads of a file that is not small."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.store.live import archives, arrays, arrow, databases, pickles, records, texts
from holdfast.store.live.content import Content, EndsEarly, Part, Untold
from holdfast.store.live.entries.archives import BZIP2, GZIP, TAR, XZ, ZLIB, ZSTD
from holdfast.store.live.entries.databases import DUCKDB, LEVEL, LMDB, SQLITE
from holdfast.store.live.entries.logs import JSON_LINES, OPTUNA_JOURNAL, TFRECORD, WANDB
from holdfast.store.live.entries.texts import JPEG, JSON, PDF, PNG
from holdfast.store.live.entries.weights import (
    ARROW_FILE,
    ARROW_STREAM,
    HDF5,
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
from holdfast.store.live.kind import FileKind, Treatment

_CHECKS: dict[str, Callable[[Content], str]] = {
    SQLITE.name: databases.sqlite_torn,
    LMDB.name: databases.lmdb_torn,
    DUCKDB.name: databases.duckdb_torn,
    LEVEL.name: databases.level_torn,
    ZIP.name: archives.zip_torn,
    TORCH_LEGACY.name: pickles.torch_legacy_torn,
    SAFETENSORS.name: arrays.safetensors_torn,
    PICKLE.name: pickles.pickle_torn,
    NPY.name: arrays.npy_torn,
    HDF5.name: arrays.hdf5_torn,
    ZARR.name: texts.json_torn,
    PARQUET.name: arrow.parquet_torn,
    ARROW_FILE.name: arrow.arrow_file_torn,
    ONNX.name: arrays.onnx_torn,
    UBJSON.name: texts.ubjson_torn,
    LIGHTGBM.name: texts.lightgbm_torn,
    TFRECORD.name: records.tfrecord_torn,
    WANDB.name: records.wandb_torn,
    GZIP.name: archives.gzip_torn,
    XZ.name: archives.xz_torn,
    BZIP2.name: archives.bzip2_torn,
    ZSTD.name: archives.zstd_torn,
    ZLIB.name: archives.zlib_torn,
    TAR.name: archives.tar_torn,
    JSON.name: texts.json_torn,
    PNG.name: texts.png_torn,
    JPEG.name: texts.jpeg_torn,
    PDF.name: texts.pdf_torn,
}

#: Where whole records can be told. The other kinds that grow are good as far as they went.
_PREFIXES: dict[str, Callable[[Content, int], int]] = {
    ARROW_STREAM.name: arrow.stream_prefix,
    TFRECORD.name: records.tfrecord_prefix,
    WANDB.name: records.wandb_prefix,
    OPTUNA_JOURNAL.name: records.lines_prefix,
    JSON_LINES.name: records.json_lines_prefix,
    TAR.name: archives.tar_prefix,
}


def torn(kind: FileKind, content: Content) -> str:
    """Why the file is torn, in words; "" where it is whole, and where its format does not tell.

    Only what the format itself proves is said: whatever reads a file that is called torn here misses something. A file of a
    database that is in use is for its library to judge.

    Args:
        kind: What `recognise` made of it.
        content: Its bytes.
    """
    if content.size == 0:
        return f"empty, where {kind.name} was to be written" if kind.never_empty else ""
    check = _CHECKS.get(kind.name)
    if check is None:
        return ""
    try:
        return check(content)
    except EndsEarly:
        return f"{kind.name}, cut short"
    except Untold:
        return ""


def whole_prefix(kind: FileKind, content: Content, length: int) -> int:
    """How much of the first `length` bytes of a growing file is whole records, in bytes.

    Costs a few reads as a rule, and of a file whose records are large one read for each of them.

    Args:
        kind: One whose treatment is `PREFIX`.
        content: The bytes of the file.
        length: Its size at one look.

    Raises:
        ValueError: it is another kind, of which a part is worth nothing.
    """
    if kind.treatment is not Treatment.PREFIX:
        raise ValueError(f"only a part of a kind that grows is worth something, not of {kind.name}")
    prefix = _PREFIXES.get(kind.name)
    try:
        return prefix(Part(content, length), min(length, content.size)) if prefix else length
    except (EndsEarly, Untold):
        return length
