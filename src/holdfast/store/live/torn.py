"""Whether a file is torn by its own format, and how much of a growing one is whole: a few reads of a file that is not small."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.store.live import archives, arrays, arrow, databases, pickles, records, table, texts
from holdfast.store.live.content import Content, EndsEarly, Part, Untold
from holdfast.store.live.kind import FileKind, Treatment

_CHECKS: dict[str, Callable[[Content], str]] = {
    table.SQLITE.name: databases.sqlite_torn,
    table.LMDB.name: databases.lmdb_torn,
    table.DUCKDB.name: databases.duckdb_torn,
    table.LEVEL.name: databases.level_torn,
    table.ZIP.name: archives.zip_torn,
    table.TORCH_LEGACY.name: pickles.torch_legacy_torn,
    table.SAFETENSORS.name: arrays.safetensors_torn,
    table.PICKLE.name: pickles.pickle_torn,
    table.NPY.name: arrays.npy_torn,
    table.HDF5.name: arrays.hdf5_torn,
    table.ZARR.name: texts.json_torn,
    table.PARQUET.name: arrow.parquet_torn,
    table.ARROW_FILE.name: arrow.arrow_file_torn,
    table.ONNX.name: arrays.onnx_torn,
    table.UBJSON.name: texts.ubjson_torn,
    table.LIGHTGBM.name: texts.lightgbm_torn,
    table.TFRECORD.name: records.tfrecord_torn,
    table.WANDB.name: records.wandb_torn,
    table.GZIP.name: archives.gzip_torn,
    table.XZ.name: archives.xz_torn,
    table.BZIP2.name: archives.bzip2_torn,
    table.ZSTD.name: archives.zstd_torn,
    table.ZLIB.name: archives.zlib_torn,
    table.TAR.name: archives.tar_torn,
    table.JSON.name: texts.json_torn,
    table.PNG.name: texts.png_torn,
    table.JPEG.name: texts.jpeg_torn,
    table.PDF.name: texts.pdf_torn,
}

#: Where whole records can be told. The other kinds that grow are good as far as they went.
_PREFIXES: dict[str, Callable[[Content, int], int]] = {
    table.ARROW_STREAM.name: arrow.stream_prefix,
    table.TFRECORD.name: records.tfrecord_prefix,
    table.WANDB.name: records.wandb_prefix,
    table.OPTUNA_JOURNAL.name: records.lines_prefix,
    table.JSON_LINES.name: records.json_lines_prefix,
    table.TAR.name: archives.tar_prefix,
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
