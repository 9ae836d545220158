"""Entries of the table of kinds: archives and compressed files."""

from __future__ import annotations

import dataclasses

from holdfast.store.live.entries.words import CUT, SAVE
from holdfast.store.live.kind import FileKind, Treatment

_ARCHIVES = "Archives and compressed files"

GZIP = FileKind(
    "gzip",
    _ARCHIVES,
    "`gzip`, `.tar.gz`, `.csv.gz`, joblib",
    "`1f 8b 08` at the start",
    Treatment.PREFIX,
    worth="holds every line of the last `flush()`, and then the reader's EOFError",
    whole="no program has it open for writing, and, up to 1 MiB, it decompresses to its end",
    advice="close it before the last backup",
    never_empty=(".gz", ".tgz"),
)
XZ = dataclasses.replace(
    GZIP,
    name="xz",
    made_by="`lzma`, `.tar.xz`, joblib",
    known_by="`fd 7zXZ` at the start",
    worth="holds what was complete, and then the reader's EOFError",
    whole="no program has it open for writing, and its footer is there",
    never_empty=(".xz",),
)
BZIP2 = dataclasses.replace(
    XZ,
    name="bzip2",
    made_by="`bz2`, joblib",
    known_by="`BZh` at the start",
    whole=XZ.whole.replace("footer", "end mark"),
    never_empty=(".bz2",),
)
ZSTD = dataclasses.replace(
    XZ,
    name="zstd",
    made_by="zstandard, mosaic-streaming",
    known_by="`28 b5 2f fd` at the start",
    whole="no program has it open for writing, and its last block is there",
    never_empty=(".zst",),
)
ZLIB = dataclasses.replace(
    XZ,
    name="joblib, compressed",
    made_by="`joblib.dump(..., compress=3)`",
    known_by="zlib's mark, and a pickle inside",
    treatment=Treatment.REST,
    worth=CUT,
    whole="up to 1 MiB it decompresses to its end",
    advice=SAVE,
    never_empty=(),
)
TAR = FileKind(
    "tar",
    _ARCHIVES,
    "`tarfile`, webdataset",
    "`ustar` at byte 257",
    Treatment.PREFIX,
    worth="is good to its last whole member",
    whole="its last member lies inside the file",
    advice="close it before the last backup",
)
