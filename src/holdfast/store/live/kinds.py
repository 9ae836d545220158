"""Which kind of file this is: told by its content, and by its name only where the content has no mark."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

from holdfast.store.live.arrow import begins_stream
from holdfast.store.live.content import Content, is_text, little, tail
from holdfast.store.live.crc import masked_crc
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
from holdfast.store.live.entries.unmarked import UNMARKED
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
from holdfast.store.live.kind import FileKind, Treatment
from holdfast.store.live.table import KINDS

__all__ = ["KINDS", "UNMARKED", "FileKind", "Treatment", "recognise"]

#: One read holds every mark: HDF5's lies at 0 or behind a user block of 512, 1,024, 2,048 or 4,096 bytes, tar's at 257.
HEAD = 4096 + 8

HDF5_MARK = b"\x89HDF\r\n\x1a\n"
LMDB_MARK = b"\xde\xc0\xef\xbe"
#: torch's own number as a pickle of protocol 2 (torch/serialization.py, `MAGIC_NUMBER`).
TORCH_LEGACY_MARK = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

_STARTS: tuple[tuple[bytes, FileKind], ...] = (
    (b"SQLite format 3\0", SQLITE),
    (b"\x37\x7f\x06\x82", SQLITE_LOG),
    (b"\x37\x7f\x06\x83", SQLITE_LOG),
    (b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", SQLITE_LOG),
    (LMDB_MARK + b"\1\0", LMDB_LOCK),
    (b"PK\3\4", ZIP),
    (b"PK\5\6", ZIP),
    (TORCH_LEGACY_MARK, TORCH_LEGACY),
    (b"\x93NUMPY", NPY),
    (b"ARROW1\0\0", ARROW_FILE),
    (b":W&B\xe1\xbe", WANDB),
    (b'{"op_code":', OPTUNA_JOURNAL),
    (b"tree\nversion=", LIGHTGBM),
    (b"\xfd7zXZ\0", XZ),
    (b"\x28\xb5\x2f\xfd", ZSTD),
    (b"\x89PNG\r\n\x1a\n", PNG),
)


_MARKS = tuple(mark for mark, _ in _STARTS)


def recognise(name: str, content: Content) -> FileKind | None:
    """The kind of a file, or nothing where it has no mark that is known.

    Costs one read of 4 KiB, and for two kinds one more of a few bytes.

    Args:
        name: Its name, or its path with slashes; only the last part counts.
        content: Its bytes.
    """
    name = name.rpartition("/")[2].lower()
    if content.size == 0:
        return _promised(name)
    head = content.read(0, HEAD)
    if head.startswith(_MARKS):
        return next(kind for mark, kind in _STARTS if head.startswith(mark))
    if not head:  # it was emptied right now
        return _promised(name)
    first = head[0]
    for begins, belongs, kind in _MARKED:
        if (begins is None or first in begins) and belongs(head):
            return kind
    for named, kind in _NAMED:
        if named(name, head):
            return kind
    return LANCE if name.endswith((".lance", ".manifest")) and tail(content, 4) == b"LANC" else None


def _promised(name: str) -> FileKind | None:
    """The kind that the name of an empty file promises."""
    if name == "lock":
        return LEVEL_LOCK
    for kind in KINDS:
        if kind.never_empty and name.endswith(kind.never_empty):
            return kind
    return next((kind for named, kind in _NAMED if named(name, b"")), None)


def hdf5_start(head: bytes) -> int:
    """Where an HDF5 file's superblock begins, behind its user block; -1 where it is none.

    Source: HDF5 File Format Specification 3.0, II.A: at 0, 512, and then doubling. Looked for up to 4,096.
    """
    if HDF5_MARK not in head:
        return -1
    return next((at for at in (0, 512, 1024, 2048, 4096) if head[at : at + 8] == HDF5_MARK), -1)


def _is_hdf5(head: bytes) -> bool:
    return hdf5_start(head) >= 0


def _is_lmdb(head: bytes) -> bool:
    """A meta page: page number 0, the flag of a meta page, the mark (lmdb's mdb.c, `MDB_page`, `MDB_meta`)."""
    return head[:8] == bytes(8) and head[10:12] == b"\x08\0" and head[16:20] == LMDB_MARK


def _is_duckdb(head: bytes) -> bool:
    """The mark is four letters of text, so the storage version behind it has to be a small number."""
    return head[8:12] == b"DUCK" and len(head) >= 20 and 0 < little(head[12:20]) < 1 << 16


def _is_pickle(head: bytes) -> bool:
    return len(head) > 2 and head[0] == 0x80 and 2 <= head[1] <= 5


def _is_safetensors(head: bytes) -> bool:
    """A length of at most 100 MB, which the library allows, and the start of an object with a name, or of an empty one."""
    return 2 <= little(head[:8]) <= 100_000_000 and re.match(rb'\{\s*["}]', head[8:40]) is not None


def _is_parquet(head: bytes) -> bool:
    """The mark is four letters of text: what follows is the first field of a Thrift structure, or not text."""
    return head[:4] in (b"PAR1", b"PARE") and (head[4:5] == b"\x15" or not is_text(head[:64]))


def _is_ubjson(head: bytes) -> bool:
    """An object, the length of its first name as an int64, and that name."""
    length = int.from_bytes(head[2:10], "big")
    return head[:2] == b"{L" and 0 < length < 256 and len(head) >= 10 and head[10 : 10 + length].isascii()


def _is_tfrecord(head: bytes) -> bool:
    """Its first record is shorter than a TiB, and the length of that has the right sum."""
    return len(head) >= 12 and head[5:8] == b"\0\0\0" and masked_crc(head[:8]) == little(head[8:12])


def _is_gzip(head: bytes) -> bool:
    """Deflate, and no reserved flag (RFC 1952, 2.3.1)."""
    return head[:3] == b"\x1f\x8b\x08" and len(head) > 3 and head[3] & 0xE0 == 0


def _is_bzip2(head: bytes) -> bool:
    return re.match(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", head) is not None


def _is_zlib_pickle(head: bytes) -> bool:
    """Two bytes are too few to be sure, and text may begin with them, so a pickle has to come out."""
    if head[:1] != b"\x78" or len(head) < 2 or (head[0] << 8 | head[1]) % 31:
        return False
    try:
        return _is_pickle(zlib.decompressobj().decompress(head, 64))
    except zlib.error:
        return False


def _is_tar(head: bytes) -> bool:
    """The mark, and the sum of the header (POSIX.1-2017, pax)."""
    if head[257:262] != b"ustar":
        return False
    octal = re.match(rb" *([0-7]+)[ \0]", head[148:156])
    return octal is not None and int(octal[1], 8) == sum(head[:148]) + sum(head[156:512]) + 8 * 0x20


def _is_jpeg(head: bytes) -> bool:
    return head[:3] == b"\xff\xd8\xff" and len(head) > 3 and 0xC0 <= head[3] <= 0xFE


def _is_pdf(head: bytes) -> bool:
    return re.match(rb"%PDF-[12]\.\d\s", head) is not None


#: What it may begin with, where that is one byte of a few; whether it is one; and which.
_MARKED: tuple[tuple[bytes | None, Callable[[bytes], bool], FileKind], ...] = (
    (b"\0", _is_lmdb, LMDB),
    (None, _is_duckdb, DUCKDB),
    (None, _is_hdf5, HDF5),
    (None, _is_tfrecord, TFRECORD),
    (None, begins_stream, ARROW_STREAM),
    (None, _is_safetensors, SAFETENSORS),
    (b"P", _is_parquet, PARQUET),
    (b"{", _is_ubjson, UBJSON),
    (b"\x1f", _is_gzip, GZIP),
    (b"B", _is_bzip2, BZIP2),
    (None, _is_tar, TAR),
    (b"\xff", _is_jpeg, JPEG),
    (b"%", _is_pdf, PDF),
    (b"\x80", _is_pickle, PICKLE),
    (b"x", _is_zlib_pickle, ZLIB),
)


def _named_log(name: str, head: bytes) -> bool:
    return (name.endswith((".log", ".out", ".err")) or name == "log") and is_text(head)


def _named_level_log(name: str, head: bytes) -> bool:
    """A record's head: a type of 1 to 8, which text has not (leveldb's doc/log_format.md; RocksDB has 5 to 8 as well)."""
    numbered = re.fullmatch(r"\d{6,}\.log|manifest-\d{6,}", name) is not None
    return numbered and (not head or (len(head) >= 7 and 1 <= head[6] <= 8))


def _named_level(name: str, head: bytes) -> bool:
    if name == "current":
        return head.startswith(b"MANIFEST-")
    return re.fullmatch(r"\d{6,}\.(ldb|sst)", name) is not None and not is_text(head[:64])


def _named_zarr(name: str, head: bytes) -> bool:
    return name in ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata") and _opens_json(head)


def _named_json(name: str, head: bytes) -> bool:
    return name.endswith((".json", ".ipynb", ".geojson")) and _opens_json(head)


def _named_json_lines(name: str, head: bytes) -> bool:
    return name.endswith((".jsonl", ".ndjson")) and is_text(head)


def _named_duckdb_log(name: str, head: bytes) -> bool:
    """The first entry: field 100, the type of an entry, and its value `b`, the version of the log."""
    return name.endswith(".wal") and head.startswith(b"d\0b")


def _named_sqlite_memory(name: str, head: bytes) -> bool:
    """The version of the WAL index, 3,007,000, in the machine's byte order."""
    return name.endswith("-shm") and head[:4] in (b"\x18\xe2\x2d\x00", b"\x00\x2d\xe2\x18")


def _named_onnx(name: str, head: bytes) -> bool:
    """ModelProto: field 1, the version of the format, comes first and is small."""
    return name.endswith(".onnx") and len(head) > 1 and head[0] == 0x08 and 1 <= head[1] < 64


def _named_parquet(name: str, head: bytes) -> bool:
    """Begun, and not more than the mark is there."""
    return name.endswith(".parquet") and head == b"PAR1"


def _opens_json(head: bytes) -> bool:
    """True where it begins with an object or a list, in UTF-8, UTF-16 or UTF-32."""
    start = head[:64].lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0")
    return start[:1] in (b"{", b"[")


_NAMED: tuple[tuple[Callable[[str, bytes], bool], FileKind], ...] = (
    (_named_level_log, LEVEL_LOG),
    (_named_level, LEVEL),
    (_named_duckdb_log, DUCKDB_LOG),
    (_named_sqlite_memory, SQLITE_MEMORY),
    (_named_zarr, ZARR),
    (_named_json, JSON),
    (_named_json_lines, JSON_LINES),
    (_named_onnx, ONNX),
    (_named_parquet, PARQUET),
    (_named_log, TEXT_LOG),
)
