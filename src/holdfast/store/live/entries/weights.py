"""Entries of the table of kinds: weights, arrays and tables."""

from __future__ import annotations

from holdfast.store.live.entries.words import CUT, SAVE
from holdfast.store.live.kind import FileKind, Treatment

_WEIGHTS = "Weights, arrays and tables"

ZIP = FileKind(
    "zip",
    _WEIGHTS,
    "`torch.save`, Lightning, `np.savez`, skops, Keras 3, `zipfile`",
    "`PK` and two small numbers at the start",
    Treatment.REST,
    worth=CUT,
    whole="its end record is there, and its directory lies inside the file",
    advice=SAVE,
    never_empty=(".zip", ".pt", ".pth", ".ckpt", ".npz", ".skops", ".keras"),
)
PICKLE = FileKind(
    "pickle",
    _WEIGHTS,
    "`pickle.dump`, `joblib.dump`, scikit-learn models",
    "byte 80 and a protocol of 2 to 5 at the start",
    Treatment.REST,
    worth=CUT,
    whole="its last object ends",
    advice=SAVE,
    never_empty=(".pkl", ".pickle", ".joblib"),
)
TORCH_LEGACY = FileKind(
    "torch.save, legacy format",
    _WEIGHTS,
    "`torch.save` with `_use_new_zipfile_serialization=False`, and before torch 1.6",
    "a pickle of torch's own number at the start",
    Treatment.REST,
    worth=CUT,
    whole="every tensor that its head lists is there",
    advice=SAVE,
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
    advice=SAVE,
    never_empty=(".safetensors",),
)
PARQUET = FileKind(
    "Parquet",
    _WEIGHTS,
    "pyarrow, pandas, polars",
    "`PAR1` at the start",
    Treatment.REST,
    worth=CUT,
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
    worth=CUT,
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
    worth=CUT,
    whole="its graph lies inside the file",
    advice=SAVE,
    never_empty=(".onnx",),
)
UBJSON = FileKind(
    "XGBoost, binary",
    _WEIGHTS,
    "`Booster.save_model('x.ubj')`",
    "`{L` and a short name at the start",
    Treatment.REST,
    worth=CUT,
    whole="it ends in `}`",
    advice=SAVE,
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
    advice=SAVE,
)
