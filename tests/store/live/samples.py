"""Real files of the libraries that the development environment has, each whole, by the name of its kind."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

#: What makes a file at a path, by file name, and the name of its kind.
Sample = tuple[str, str, Callable[[Path], Any]]


def _numpy() -> Iterator[Sample]:
    import ml_dtypes
    import numpy as np

    random = np.random.default_rng(1)
    table = np.zeros(50, dtype=[("a", "<i4"), ("b", "<f8", (2, 3)), ("c", "S5"), ("d", "<U7"), ("e", "<M8[ns]")])

    def two(path: Path) -> None:
        with path.open("wb") as stream:
            np.save(stream, np.arange(100))
            np.save(stream, np.arange(10.0))

    yield "plain.npy", "NumPy array", lambda p: np.save(p, random.random((100, 7)))
    yield "empty.npy", "NumPy array", lambda p: np.save(p, np.zeros((0, 5)))
    yield "scalar.npy", "NumPy array", lambda p: np.save(p, np.float32(3))
    yield "table.npy", "NumPy array", lambda p: np.save(p, table)
    yield "aligned.npy", "NumPy array", lambda p: np.save(p, np.zeros(9, dtype=np.dtype("i1,f8", align=True)))
    yield "text.npy", "NumPy array", lambda p: np.save(p, np.array(["a", "Zürich"]))
    yield "bool.npy", "NumPy array", lambda p: np.save(p, np.ones(33, dtype=bool))
    yield "complex.npy", "NumPy array", lambda p: np.save(p, np.ones(33, dtype=complex))
    yield "bfloat16.npy", "NumPy array", lambda p: np.save(p, np.ones(33, dtype=ml_dtypes.bfloat16).view("V2"))
    yield "fortran.npy", "NumPy array", lambda p: np.save(p, np.asfortranarray(random.random((20, 30))))
    yield "objects.npy", "NumPy array", lambda p: np.save(p, np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    yield "two.npy", "NumPy array", two
    yield "mapped.npy", "NumPy array", lambda p: np.lib.format.open_memmap(p, mode="w+", dtype="f4", shape=(100, 3)).flush()
    yield "plain.npz", "zip", lambda p: np.savez(p, a=random.random(500), b=np.arange(3))
    yield "compressed.npz", "zip", lambda p: np.savez_compressed(p, a=random.random(500))


def _torch() -> Iterator[Sample]:
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Linear(20, 30), torch.nn.Linear(30, 2))
    adam = torch.optim.AdamW(net.parameters())
    net(torch.ones(2, 20)).sum().backward()
    adam.step()
    mixed = {
        "half": torch.ones(7, dtype=torch.bfloat16),
        "view": torch.arange(50)[3:9],
        "bool": torch.ones(3) > 0,
        "complex": torch.ones(2) * 1j,
    }
    both = {"net": net.state_dict(), "adam": adam.state_dict(), "epoch": 3, "mixed": mixed}

    yield "zip.pt", "zip", lambda p: torch.save(both, p)
    yield "nothing.pt", "zip", lambda p: torch.save({}, p)
    yield "module.pth", "zip", lambda p: torch.save(net, p)
    yield "legacy.pt", "torch.save, legacy format", lambda p: torch.save(both, p, _use_new_zipfile_serialization=False)
    yield (
        "legacy-alone.pt",
        "torch.save, legacy format",
        lambda p: torch.save(torch.ones(1000), p, _use_new_zipfile_serialization=False),
    )
    yield "legacy-empty.pt", "torch.save, legacy format", lambda p: torch.save([1, "a"], p, _use_new_zipfile_serialization=False)
    yield (
        "legacy-old.pt",
        "torch.save, legacy format",
        lambda p: torch.save(net.state_dict(), p, pickle_protocol=2, _use_new_zipfile_serialization=False),
    )
    yield "plain.safetensors", "safetensors", lambda p: save_file(net.state_dict(), p, metadata={"format": "pt"})
    yield "none.safetensors", "safetensors", lambda p: save_file({}, p)
    yield "scalar.safetensors", "safetensors", lambda p: save_file({"a": torch.tensor(3.0), "b": torch.zeros(0, 4)}, p)
    yield "small.onnx", "ONNX", _onnx


def _onnx(path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    weights = helper.make_tensor("w", TensorProto.FLOAT, [100], [0.5] * 100)
    node = helper.make_node("Add", ["x", "w"], ["y"])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [100]) for name in ("x", "y")]
    model = helper.make_model(helper.make_graph([node], "g", values[:1], values[1:], [weights]), producer_name="a")
    onnx.save(model, str(path))


def _joblib() -> Iterator[Sample]:
    import joblib
    import numpy as np

    many = {"a": np.random.default_rng(2).random(5000), "b": ["x"] * 100}
    yield "raw.joblib", "pickle", lambda p: joblib.dump(many, p)
    yield "array.joblib", "pickle", lambda p: joblib.dump(many["a"], p)
    yield "zlib.joblib", "joblib, compressed", lambda p: joblib.dump(many, p, compress=3)
    yield "hard.joblib", "joblib, compressed", lambda p: joblib.dump(many, p, compress=9)
    yield "gzip.pkl.gz", "gzip", lambda p: joblib.dump(many, p, compress=("gzip", 3))
    yield "xz.pkl.xz", "xz", lambda p: joblib.dump(many, p, compress=("xz", 3))
    yield "bz2.pkl.bz2", "bzip2", lambda p: joblib.dump(many, p, compress=("bz2", 3))


def _pickles() -> Iterator[Sample]:
    many = {"numbers": list(range(3000)), "text": "ü" * 500, "bytes": bytes(range(256)) * 40, "set": {1, 2}, "none": None}

    def several(path: Path) -> None:
        with path.open("wb") as stream:
            for _ in range(3):
                pickle.dump(many, stream)

    def with_data(path: Path) -> None:
        path.write_bytes(pickle.dumps({"shape": (3, 4)}) + bytes(range(96)))

    for protocol in (2, 3, 4, 5):
        yield f"protocol-{protocol}.pkl", "pickle", lambda p, protocol=protocol: p.write_bytes(pickle.dumps(many, protocol))
        yield (
            f"large-{protocol}.pkl",
            "pickle",
            lambda p, protocol=protocol: p.write_bytes(pickle.dumps([b"z" * 900_000] * 3 + [many], protocol)),
        )
    yield "one.pkl", "pickle", lambda p: p.write_bytes(pickle.dumps(1))
    yield "several.pkl", "pickle", several
    yield "own-format.bin", "pickle", with_data


def _zips() -> Iterator[Sample]:
    text = b"some words, and more of them\n" * 500

    def zipped(path: Path, comment: bytes = b"", members: int = 3, **options: Any) -> None:
        with zipfile.ZipFile(path, "w", **options) as archive:
            archive.comment = comment
            for number in range(members):
                archive.writestr(f"member {number}", text)

    def appended(path: Path) -> None:
        zipped(path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("one more", text)

    def large(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for number in range(3):
                with archive.open(f"member {number}", "w", force_zip64=True) as member:
                    member.write(text)

    def streamed(path: Path) -> None:
        class NoSeek(io.RawIOBase):
            def __init__(self) -> None:
                self.stream = path.open("wb")

            def writable(self) -> bool:
                return True

            def write(self, data: Any) -> int:
                return self.stream.write(data)

        stream = NoSeek()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a", text)
        stream.stream.close()

    yield "plain.zip", "zip", zipped
    yield "none.zip", "zip", lambda p: zipped(p, members=0)
    yield "deflated.zip", "zip", lambda p: zipped(p, compression=zipfile.ZIP_DEFLATED)
    yield "comment.zip", "zip", lambda p: zipped(p, b"a comment, PK\5\6 within it")
    yield "long-comment.zip", "zip", lambda p: zipped(p, b"c" * 65_535)
    yield "appended.zip", "zip", appended
    yield "zip64.zip", "zip", large
    yield "streamed.zip", "zip", streamed
    yield "two.distcp", "zip", lambda p: (zipped(p), p.write_bytes(p.read_bytes() * 2))
    yield "behind.zip", "zip", lambda p: (zipped(p), p.write_bytes(p.read_bytes() + b"\0" * 100))


def _tars_and_streams() -> Iterator[Sample]:
    text = b"some words, and more of them\n" * 500

    def tarred(path: Path, mode: str = "w", form: int = tarfile.PAX_FORMAT) -> None:
        with tarfile.open(path, mode, format=form) as archive:
            for number in range(3):
                member = tarfile.TarInfo(f"{'long' * 40 if number == 1 else 'member'} ü {number}")
                member.size = len(text) - number
                member.mtime = 1.5
                archive.addfile(member, io.BytesIO(text))
            for kind, name in ((tarfile.DIRTYPE, "folder"), (tarfile.SYMTYPE, "link"), (tarfile.LNKTYPE, "hard")):
                member = tarfile.TarInfo(name)
                member.type, member.linkname = kind, "member ü 0"
                archive.addfile(member)

    def more_tarred(path: Path) -> None:
        tarred(path)
        with tarfile.open(path, "a") as archive:
            archive.addfile(tarfile.TarInfo("empty"), io.BytesIO())

    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        yield f"form-{form}.tar", "tar", lambda p, form=form: tarred(p, "w", form) if form else _ustar(p, text)
    yield "appended.tar", "tar", more_tarred
    yield "packed.tar.gz", "gzip", lambda p: tarred(p, "w:gz")
    yield "packed.tar.xz", "xz", lambda p: tarred(p, "w:xz")
    yield "packed.tar.bz2", "bzip2", lambda p: tarred(p, "w:bz2")
    yield "plain.gz", "gzip", lambda p: p.write_bytes(gzip.compress(text))
    yield "none.gz", "gzip", lambda p: p.write_bytes(gzip.compress(b""))
    yield "two.gz", "gzip", lambda p: p.write_bytes(gzip.compress(text) + gzip.compress(text))
    yield "padded.gz", "gzip", lambda p: p.write_bytes(gzip.compress(text) + b"\0" * 512)
    yield "plain.xz", "xz", lambda p: p.write_bytes(lzma.compress(text))
    yield "padded.xz", "xz", lambda p: p.write_bytes(lzma.compress(text) + b"\0" * 8 + lzma.compress(b""))
    for check in (lzma.CHECK_NONE, lzma.CHECK_CRC32, lzma.CHECK_SHA256):
        yield f"check-{check}.xz", "xz", lambda p, check=check: p.write_bytes(lzma.compress(text, check=check))
    yield "plain.bz2", "bzip2", lambda p: p.write_bytes(bz2.compress(text))
    yield "none.bz2", "bzip2", lambda p: p.write_bytes(bz2.compress(b""))
    yield "two.bz2", "bzip2", lambda p: p.write_bytes(bz2.compress(text) + bz2.compress(b"b"))


def _ustar(path: Path, text: bytes) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo("a")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))


def _texts() -> Iterator[Sample]:
    many = {"a": [1, 2.5, float("nan"), float("inf")], "text": 'ü "quoted" \\ { [ // no comment', "nested": [{}, [], None, True]}
    spread = json.dumps(many, indent=2, ensure_ascii=False)

    yield "plain.json", "JSON", lambda p: p.write_text(json.dumps(many))
    yield "spread.json", "JSON", lambda p: p.write_text(spread + "\n", encoding="utf-8")
    yield "bom.json", "JSON", lambda p: p.write_text(spread, encoding="utf-8-sig")
    yield "utf-16.json", "JSON", lambda p: p.write_text(spread, encoding="utf-16")
    yield "utf-16-le.json", "JSON", lambda p: p.write_bytes(spread.encode("utf-16-le"))
    yield "utf-32.json", "JSON", lambda p: p.write_text(spread, encoding="utf-32")
    yield "latin.json", "JSON", lambda p: p.write_bytes('{"a": "Zürich"}'.encode("latin-1"))
    yield "twice.json", "JSON", lambda p: p.write_text('{"a": 1, "a": 2}')
    yield "huge-number.json", "JSON", lambda p: p.write_text(f"[{'9' * 5000}]")
    yield "deep.json", "JSON", lambda p: p.write_text("[" * 50_000 + "]" * 50_000)
    yield "comments.json", "JSON", lambda p: p.write_text('{\n  // don\'t {\n  "a": 1, /* [ " */\n  \'b\': "x",\n}\n')
    yield "lines.json", "JSON", lambda p: p.write_text('{"a": 1}\n{"a": 2}\n{"a":')
    yield "many-lines.json", "JSON", lambda p: p.write_text('{"a": 1}\n' * 200_000 + '{"a":')
    yield (
        "large.json",
        "JSON",
        lambda p: p.write_text(json.dumps({"vocabulary": {f"word {i}": i for i in range(80_000)}}, indent=1)),
    )
    yield "open-trace.json", "JSON", lambda p: p.write_text('[\n{"name": "a", "ph": "B", "ts": 1},\n')
    yield "zarr.json", "zarr", lambda p: p.write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    yield "plain.jsonl", "JSON lines", lambda p: p.write_text('{"a": 1}\n{"a": 2}\n')
    yield "no-end.jsonl", "JSON lines", lambda p: p.write_text('{"a": 1}\n{"a": 2}')
    yield "train.log", "log", lambda p: p.write_text("step 1\n\x1b[31mloss 3\r 50%|█████")


def _pictures() -> Iterator[Sample]:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure()
    figure.subplots().plot([1, 3, 2])
    noise = Image.effect_noise((200, 150), 60).convert("RGB")
    yield "plot.png", "PNG", figure.savefig
    yield "noise.png", "PNG", noise.save
    yield "behind.png", "PNG", lambda p: (noise.save(p), p.write_bytes(p.read_bytes() + b"more"))
    yield "plot.pdf", "PDF", figure.savefig
    yield "photo.jpg", "JPEG", noise.save
    yield "slow.jpg", "JPEG", lambda p: noise.save(p, progressive=True)
    yield "behind.jpg", "JPEG", lambda p: (noise.save(p), p.write_bytes(p.read_bytes() + b"\0" * 100))


def _logs() -> Iterator[Sample]:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def events(path: Path, steps: int, picture: int = 0) -> None:
        import numpy as np
        from torch.utils.tensorboard import SummaryWriter

        folder = path.with_suffix(".folder")
        writer = SummaryWriter(str(folder))
        for step in range(steps):
            writer.add_scalar("loss", step, step)
        if picture:
            writer.add_image("noise", np.random.default_rng(1).integers(0, 255, (3, picture, picture), dtype=np.uint8))
        writer.close()
        (made,) = folder.iterdir()
        made.replace(path)

    def journal(path: Path) -> None:
        study = optuna.create_study(storage=JournalStorage(JournalFileBackend(str(path))))
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)

    yield "events.out.tfevents.1.host", "TensorBoard and TFRecord", lambda p: events(p, 20)
    yield "events.out.tfevents.2.host", "TensorBoard and TFRecord", lambda p: events(p, 3000)
    yield "events.out.tfevents.3.host", "TensorBoard and TFRecord", lambda p: events(p, 20, 400)
    yield "journal.log", "Optuna's journal", journal


def _databases() -> Iterator[Sample]:
    import duckdb
    import lmdb

    def sqlite(path: Path, mode: str = "delete", page: int = 4096, rows: int = 2000) -> None:
        connection = sqlite3.connect(path)
        connection.execute(f"pragma page_size = {page}")
        connection.execute(f"pragma journal_mode = {mode}")
        connection.execute("create table t (a integer primary key, b text)")
        connection.executemany("insert into t values (?, ?)", ((i, "x" * 50) for i in range(rows)))
        connection.commit()
        connection.execute("delete from t where a % 2")
        connection.commit()
        connection.close()

    def duck(path: Path, rows: int) -> None:
        with duckdb.connect(str(path), config={"threads": 1}) as connection:
            connection.execute(f"create table t as select range a, random() b from range({rows})")
            connection.execute("checkpoint")
            connection.execute("delete from t where a % 2 = 0")

    def lightning(path: Path, **options: Any) -> None:
        with lmdb.open(str(path), subdir=False, map_size=1 << 24, **options) as environment:
            for round_ in range(3):
                with environment.begin(write=True) as transaction:
                    for number in range(round_, 2000):
                        transaction.put(b"%d" % number, b"v" * 100)
            with environment.begin(write=True) as transaction:
                for number in range(1500):
                    transaction.delete(b"%d" % number)

    yield "plain.db", "SQLite", sqlite
    yield "small-pages.db", "SQLite", lambda p: sqlite(p, page=512)
    yield "large-pages.db", "SQLite", lambda p: sqlite(p, page=65536, rows=3)
    yield "wal.db", "SQLite", lambda p: sqlite(p, "wal")
    yield "plain.duckdb", "DuckDB", lambda p: duck(p, 100_000)
    yield "none.duckdb", "DuckDB", lambda p: duckdb.connect(str(p), config={"threads": 1}).close()
    yield "data.mdb", "LMDB", lightning
    yield "mapped.mdb", "LMDB", lambda p: lightning(p, writemap=True)
    yield "none.mdb", "LMDB", lambda p: lmdb.open(str(p), subdir=False).close()
    yield "lock.mdb", "LMDB's lock", lambda p: (lightning(p.with_suffix(".x")), p.with_suffix(".x-lock").replace(p))


def _tables() -> Iterator[Sample]:
    import h5py
    import numpy as np
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet as pq

    table = pa.table({"a": range(3000), "b": [f"row {i}" for i in range(3000)], "c": np.random.default_rng(1).random(3000)})

    def hdf5(path: Path, **options: Any) -> None:
        with h5py.File(path, "w", **options) as file:
            file["a"] = np.arange(1000.0)
            file.create_dataset("c", data=np.random.default_rng(1).random((300, 10)), chunks=(100, 10), compression="gzip")
            file.attrs["x"] = 3

    def shrunk(path: Path) -> None:
        hdf5(path)
        with h5py.File(path, "a") as file:
            del file["a"]

    def stream(path: Path, opened: Callable[..., Any] = pa.ipc.new_stream, options: Any = None) -> None:
        with path.open("wb") as sink, opened(sink, table.schema, options=options) as writer:
            for batch in table.to_batches(max_chunksize=500):
                writer.write_batch(batch)

    yield "plain.h5", "HDF5 and netCDF4", hdf5
    yield "latest.h5", "HDF5 and netCDF4", lambda p: hdf5(p, libver="latest")
    yield "v108.h5", "HDF5 and netCDF4", lambda p: hdf5(p, libver=("v108", "v108"))
    yield "block.h5", "HDF5 and netCDF4", lambda p: hdf5(p, userblock_size=512)
    yield "large-block.h5", "HDF5 and netCDF4", lambda p: hdf5(p, userblock_size=4096, libver="latest")
    yield "core.h5", "HDF5 and netCDF4", lambda p: hdf5(p, driver="core", backing_store=True, block_size=65536)
    yield "pages.h5", "HDF5 and netCDF4", lambda p: hdf5(p, fs_strategy="page", fs_page_size=4096)
    yield "split.h5-m.h5", "HDF5 and netCDF4", lambda p: hdf5(Path(str(p).removesuffix("-m.h5")), driver="split")
    yield "shrunk.h5", "HDF5 and netCDF4", shrunk
    for compression in ("snappy", "none", "zstd", "gzip"):
        yield f"{compression}.parquet", "Parquet", lambda p, c=compression: pq.write_table(table, p, compression=c)
    yield "none.parquet", "Parquet", lambda p: pq.write_table(table.slice(0, 0), p)
    yield "plain.arrow", "Arrow file", lambda p: stream(p, pa.ipc.new_file)
    yield "plain.feather", "Arrow file", lambda p: pa.feather.write_feather(table, p)
    yield "stream.arrow", "Arrow stream", stream
    yield "packed-stream.arrow", "Arrow stream", lambda p: stream(p, options=pa.ipc.IpcWriteOptions(compression="zstd"))
    for codec in ("zstd", "gzip", "bz2"):
        yield f"pyarrow.{codec}", {"bz2": "bzip2"}.get(codec, codec), lambda p, c=codec: _pyarrow_packed(p, c)


def _pyarrow_packed(path: Path, codec: str) -> None:
    import pyarrow as pa

    with pa.CompressedOutputStream(str(path), codec) as sink:
        for number in range(50_000):
            sink.write(b"%d words\n" % number)


def samples() -> Iterator[Sample]:
    """All of them."""
    for family in (_numpy, _torch, _joblib, _pickles, _zips, _tars_and_streams, _texts, _pictures, _logs, _databases, _tables):
        yield from family()


def make(folder: Path, wanted: Iterator[Sample] | None = None) -> dict[str, tuple[str, Path]]:
    """Makes them in a folder.

    Returns:
        By name the kind and the file.
    """
    made = {}
    for name, kind, write in wanted or samples():
        write(folder / name)
        made[name] = (kind, folder / name)
    return made
