"""The table of kinds of file that a program may hold open while a backup looks at them.

One entry a kind: how it has to be copied, and what `docs/files-in-use.md` says of it. A new kind is an entry here, a line in
`kinds.recognise`, and, where its end can be told, a check in `torn`.
"""

from __future__ import annotations

import dataclasses

from holdfast.store.live.kind import FileKind, Treatment

_DATABASES = "Databases"
_WEIGHTS = "Weights, arrays and tables"
_LOGS = "Logs and event files"
_ARCHIVES = "Archives and compressed files"
_TEXTS = "Settings, models as text, pictures"
_UNMARKED = "What has no mark of its own"

_SAVE = "back up after the save, or save beside it and move it in"
_CUT = "does not open"

SQLITE = FileKind(
    "SQLite",
    _DATABASES,
    "sqlite3, Optuna's RDBStorage, MLflow, Trackio, Chroma",
    "`SQLite format 3` at the start",
    Treatment.LIBRARY,
    locked=True,
    worth="opens, passes its own check, and may hold parts of two states",
    whole="SQLite's own backup could read it; at rest also: it is as long as its header says",
    advice="nothing; end a transaction that stays open for minutes",
)
SQLITE_LOG = FileKind(
    "SQLite's log or journal",
    _DATABASES,
    "SQLite, beside its database",
    "`-wal`, `-journal` and their marks",
    Treatment.LIBRARY,
    worth="is worth nothing without the database of the same moment",
    whole="what it holds is in the copy of its database",
    advice="nothing: it is part of the database",
)
SQLITE_MEMORY = FileKind(
    "SQLite's shared memory",
    _DATABASES,
    "SQLite in WAL mode, beside its database",
    "`-shm` and its mark",
    Treatment.LIBRARY,
    locked=True,
    worth="is worth nothing: SQLite makes it anew",
    whole="always; it holds no data",
    advice="nothing",
    data=False,
)
LMDB = FileKind(
    "LMDB",
    _DATABASES,
    "lmdb, data sets of Caffe and Lightning",
    "the mark `de c0 ef be` in its first page",
    Treatment.LIBRARY,
    worth="opens, and of a large one holds parts of two states",
    whole="the library `lmdb` is installed to copy it, or no program has it open",
    advice="`pip install lmdb`, or close the environment before the backup",
)
LMDB_LOCK = FileKind(
    "LMDB's lock",
    _DATABASES,
    "lmdb, beside `data.mdb`",
    "the same mark at the start",
    Treatment.LIBRARY,
    locked=True,
    worth="is worth nothing: LMDB makes it anew",
    whole="always; it holds no data",
    advice="nothing",
    data=False,
)
DUCKDB = FileKind(
    "DuckDB",
    _DATABASES,
    "duckdb",
    "`DUCK` at byte 8",
    Treatment.WITH_LOG,
    locked=True,
    worth="without its `.wal` opens without an error and lacks what was committed last",
    whole="neither it nor its `.wal` moved while both were copied, and its blocks are there",
    advice="`CHECKPOINT` and close the connection before the last backup",
    never_empty=(".duckdb",),
)
DUCKDB_LOG = FileKind(
    "DuckDB's log",
    _DATABASES,
    "duckdb, beside its database",
    "`.wal` and its first entry",
    Treatment.WITH_LOG,
    worth="is worth nothing without the database that it belongs to",
    whole="it was copied with its database",
    advice="nothing: it is part of the database",
)
LEVEL = FileKind(
    "LevelDB or RocksDB",
    _DATABASES,
    "plyvel, rocksdict",
    "`CURRENT`, and `.ldb` or `.sst` with a number as name",
    Treatment.REST,
    in_place=False,
    worth="may lack files that the newest list of files names, and then does not open",
    whole="no file of the folder came or went while it was copied",
    advice="close the database before the last backup",
)
LEVEL_LOG = FileKind(
    "LevelDB's or RocksDB's log",
    _DATABASES,
    "plyvel, rocksdict",
    "`MANIFEST-n` or `n.log`, and a whole record's head",
    Treatment.PREFIX,
    worth="is good to its last whole record",
    whole="always; a cut record at the end is passed over",
    advice="close the database before the last backup",
)
LEVEL_LOCK = FileKind(
    "LevelDB's or RocksDB's lock",
    _DATABASES,
    "plyvel, rocksdict",
    "the name `LOCK`, and 0 bytes",
    Treatment.REST,
    locked=True,
    worth="is worth nothing: it is empty",
    whole="always; it holds no data",
    advice="nothing",
    data=False,
)

ZIP = FileKind(
    "zip",
    _WEIGHTS,
    "`torch.save`, Lightning, `np.savez`, skops, Keras 3, `zipfile`",
    "`PK` and two small numbers at the start",
    Treatment.REST,
    worth=_CUT,
    whole="its end record is there, and its directory lies inside the file",
    advice=_SAVE,
    never_empty=(".zip", ".pt", ".pth", ".ckpt", ".npz", ".skops", ".keras"),
)
PICKLE = FileKind(
    "pickle",
    _WEIGHTS,
    "`pickle.dump`, `joblib.dump`, scikit-learn models",
    "byte 80 and a protocol of 2 to 5 at the start",
    Treatment.REST,
    worth=_CUT,
    whole="its last object ends",
    advice=_SAVE,
    never_empty=(".pkl", ".pickle", ".joblib"),
)
TORCH_LEGACY = FileKind(
    "torch.save, legacy format",
    _WEIGHTS,
    "`torch.save` with `_use_new_zipfile_serialization=False`, and before torch 1.6",
    "a pickle of torch's own number at the start",
    Treatment.REST,
    worth=_CUT,
    whole="every tensor that its head lists is there",
    advice=_SAVE,
)
NPY = FileKind(
    "NumPy array",
    _WEIGHTS,
    "`np.save`, `open_memmap`",
    "`93 NUMPY` at the start",
    Treatment.REST,
    worth="does not open, or, of a mapped one, holds parts of two states",
    whole="it is as long as shape and type in its head say, and nothing is written through a mapping for a quarter of a second",
    advice="back up after the save; of a mapped array call `flush()` and delete it first",
    never_empty=(".npy",),
)
SAFETENSORS = FileKind(
    "safetensors",
    _WEIGHTS,
    "safetensors, transformers, diffusers",
    "a small number and `{` at byte 8",
    Treatment.REST,
    worth="is good where the library renames its file in (0.8 does); else does not open",
    whole="it is as long as its head says",
    advice=_SAVE,
    never_empty=(".safetensors",),
)
PARQUET = FileKind(
    "Parquet",
    _WEIGHTS,
    "pyarrow, pandas, polars",
    "`PAR1` at the start",
    Treatment.REST,
    worth=_CUT,
    whole="it ends in `PAR1`, and its footer lies inside the file",
    advice="close the writer (`with pq.ParquetWriter(...)`) before the backup",
    never_empty=(".parquet",),
)
ARROW_FILE = FileKind(
    "Arrow file",
    _WEIGHTS,
    "`pa.ipc.new_file`, Feather",
    "`ARROW1` and two zero bytes at the start",
    Treatment.REST,
    worth=_CUT,
    whole="it ends in `ARROW1`, and its footer lies inside the file",
    advice="close the writer before the backup",
    never_empty=(".feather",),
)
ARROW_STREAM = FileKind(
    "Arrow stream",
    _WEIGHTS,
    "`pa.ipc.new_stream`, caches of Hugging Face's datasets",
    "`ff ff ff ff` and a schema at the start",
    Treatment.PREFIX,
    worth="is good to its last whole batch",
    whole="always; every batch stands for itself",
    advice="close the writer before the last backup",
)
HDF5 = FileKind(
    "HDF5 and netCDF4",
    _WEIGHTS,
    "h5py, Keras weights, PyTables, netCDF4",
    "`89 HDF` at the start, or behind a user block",
    Treatment.REST,
    worth="does not open, or holds parts of two states",
    whole="it is as long as its head says, it is not marked as being written, and no program has it open for writing",
    advice="close the file before the backup; `flush()` alone is not enough, and what was not flushed is in no copy",
    never_empty=(".h5", ".hdf5", ".nc"),
)
LANCE = FileKind(
    "Lance",
    _WEIGHTS,
    "pylance, LanceDB",
    "`.lance` or `.manifest`, and `LANC` at the end",
    Treatment.REST,
    in_place=False,
    worth="is good: no file is written twice",
    whole="no file of the data set came or went while it was copied",
    advice="nothing",
)
ZARR = FileKind(
    "zarr",
    _WEIGHTS,
    "zarr",
    "`zarr.json` (2: `.zarray`, `.zgroup`), and the files beside it",
    Treatment.REST,
    in_place=False,
    worth="opens, and holds parts of two states; what is missing reads as the fill value",
    whole="no file of it came, went or changed while it was copied, nor in the quarter of a second before",
    advice="back up between writes",
)
ONNX = FileKind(
    "ONNX",
    _WEIGHTS,
    "`onnx.save`, `torch.onnx.export`",
    "`.onnx`, and a version as first field",
    Treatment.REST,
    worth=_CUT,
    whole="its graph lies inside the file",
    advice=_SAVE,
    never_empty=(".onnx",),
)
UBJSON = FileKind(
    "XGBoost, binary",
    _WEIGHTS,
    "`Booster.save_model('x.ubj')`",
    "`{L` and a short name at the start",
    Treatment.REST,
    worth=_CUT,
    whole="it ends in `}`",
    advice=_SAVE,
    never_empty=(".ubj",),
)
LIGHTGBM = FileKind(
    "LightGBM",
    _WEIGHTS,
    "`Booster.save_model`",
    "`tree` and `version=` in its first lines",
    Treatment.REST,
    worth="does not open, or opens with other parameters",
    whole="its trees and its parameters have an end",
    advice=_SAVE,
)

TFRECORD = FileKind(
    "TensorBoard and TFRecord",
    _LOGS,
    "torch's SummaryWriter, tensorboardX, TensorFlow",
    "a length and its checksum at the start",
    Treatment.PREFIX,
    worth="is good to its last whole record, and may lag behind: tensorboardX keeps records back even at `flush()`",
    whole="its last record is whole",
    advice="close the writer before the last backup",
)
WANDB = FileKind(
    "Weights & Biases, offline",
    _LOGS,
    "wandb",
    "`:W&B` at the start",
    Treatment.PREFIX,
    worth="is good to its last whole record, and lags behind: `log()` fills a buffer",
    whole="its last record is whole",
    advice="`wandb.finish()` before the last backup",
)
OPTUNA_JOURNAL = FileKind(
    "Optuna's journal",
    _LOGS,
    "Optuna's JournalFileBackend",
    "`op_code` in its first line",
    Treatment.PREFIX,
    worth="is good to its last whole line; a half line is spoilt for good by the next trial",
    whole="always; a half line is left out",
    advice="nothing",
)
JSON_LINES = FileKind(
    "JSON lines",
    _LOGS,
    "loggers, data sets",
    "`.jsonl` or `.ndjson`",
    Treatment.PREFIX,
    worth="is good to its last whole line",
    whole="always; a half line is left out",
    advice="`flush()` after a line that must be kept",
)
TEXT_LOG = FileKind(
    "log",
    _LOGS,
    "logging, `nohup`, what a program prints",
    "text in `.log`, `.out`, `.err`, or with the name `LOG`",
    Treatment.PREFIX,
    worth="is good as far as it went",
    whole="always",
    advice="nothing",
)

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
    worth=_CUT,
    whole="up to 1 MiB it decompresses to its end",
    advice=_SAVE,
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

JSON = FileKind(
    "JSON",
    _TEXTS,
    "`json.dump`, tokenizers, notebooks, XGBoost's `.json`",
    "`.json`, `.ipynb` or `.geojson`, and `{` or `[` at the start",
    Treatment.REST,
    worth="does not parse",
    whole="what it begins is closed",
    advice=_SAVE,
    never_empty=(".json", ".ipynb", ".geojson"),
)
PNG = FileKind(
    "PNG",
    _TEXTS,
    "matplotlib, Pillow",
    "`89 PNG` at the start",
    Treatment.REST,
    worth="shows its upper part only",
    whole="its end mark is there",
    advice=_SAVE,
    never_empty=(".png",),
)
JPEG = dataclasses.replace(
    PNG,
    name="JPEG",
    made_by="Pillow",
    known_by="`ff d8 ff` at the start",
    whole="up to 1 MiB: its end mark is there",
    never_empty=(".jpg", ".jpeg"),
)
PDF = dataclasses.replace(
    PNG,
    name="PDF",
    made_by="matplotlib, LaTeX",
    known_by="`%PDF-` at the start",
    worth="does not open, or is repaired by the viewer",
    whole="`%%EOF` is at its end",
    never_empty=(".pdf",),
)

#: What `recognise` knows. The order is that of the page.
KINDS = (
    *(SQLITE, SQLITE_LOG, SQLITE_MEMORY, DUCKDB, DUCKDB_LOG, LMDB, LMDB_LOCK, LEVEL, LEVEL_LOG, LEVEL_LOCK),
    *(ZIP, TORCH_LEGACY, SAFETENSORS, PICKLE, NPY, HDF5, ZARR, PARQUET, ARROW_FILE, ARROW_STREAM, LANCE, ONNX, UBJSON, LIGHTGBM),
    *(TFRECORD, WANDB, OPTUNA_JOURNAL, JSON_LINES, TEXT_LOG),
    *(GZIP, XZ, BZIP2, ZSTD, ZLIB, TAR),
    *(JSON, PNG, JPEG, PDF),
)

#: What nobody can recognise, for the page.
UNMARKED = (
    FileKind(
        "mapped array",
        _UNMARKED,
        "`np.memmap`, `torch.from_file(shared=True)`",
        "a program that has it mapped for writing",
        Treatment.REST,
        worth="holds parts of two states, and nothing tells so",
        whole="nothing is written to it for a quarter of a second",
        advice="`flush()` and delete the array, then back up",
    ),
    FileKind(
        "text",
        _UNMARKED,
        "`to_csv`, YAML, vocabularies",
        "",
        Treatment.REST,
        worth="may lack its last rows, and opens all the same",
        whole="it was the same before and after it was copied",
        advice=_SAVE,
    ),
    FileKind(
        "anything else",
        _UNMARKED,
        "faiss, hnswlib, usearch, formats of your own",
        "",
        Treatment.REST,
        worth="holds whatever was written so far",
        whole="it was the same before and after it was copied",
        advice=_SAVE,
    ),
)
