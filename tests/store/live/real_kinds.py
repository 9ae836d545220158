"""Files of many libraries, whole and cut: a whole one must read as whole, and what is said of the cut ones is printed.

Run by hand in an environment with as many of the libraries as there are, after a library or a check has changed:
`python -m tests.store.live.real_kinds`. What is not installed is named and left out. CI has `test_torn.py`.
"""

from __future__ import annotations

import io
import json
import os
import random
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from holdfast.store.live.kinds import recognise
from holdfast.store.live.torn import torn
from tests.store.live import samples
from tests.store.live.content import Held

#: Makes files below a folder; yields each with the name of its kind, or None where none is to be recognised.
Maker = Callable[[Path], Iterator[tuple[Path, str | None]]]

#: A check that takes longer, in seconds, is named.
SLOW = 0.1


def development(folder: Path) -> Iterator[tuple[Path, str | None]]:
    for kind, path in samples.make(folder).values():
        yield path, kind


def larger(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import gzip
    import lzma
    import pickle
    import tarfile

    import numpy as np
    import torch
    from torch.utils.tensorboard import SummaryWriter

    noise = np.random.default_rng(1).random(2_000_000)
    torch.save({"a": torch.from_numpy(noise)}, folder / "a.pt")
    yield folder / "a.pt", "zip"
    torch.save({"a": torch.from_numpy(noise)}, folder / "old.pt", _use_new_zipfile_serialization=False)
    yield folder / "old.pt", "torch.save, legacy format"
    for protocol in (2, 4, 5):
        for name, content in (
            ("array", noise),
            ("numbers", list(range(400_000))),
            ("texts", [f"word {i}" for i in range(200_000)]),
        ):
            path = folder / f"{name}-{protocol}.pkl"
            path.write_bytes(pickle.dumps(content, protocol))
            yield path, "pickle"
    (folder / "a.gz").write_bytes(gzip.compress(noise.tobytes(), 1))
    yield folder / "a.gz", "gzip"
    (folder / "a.xz").write_bytes(lzma.compress(noise.tobytes(), preset=0))
    yield folder / "a.xz", "xz"
    with zipfile.ZipFile(folder / "many.zip", "w") as archive:
        for number in range(65_540):
            archive.writestr(zipfile.ZipInfo(f"{number}"), b"")
    yield folder / "many.zip", "zip"
    with tarfile.open(folder / "many.tar", "w") as tar:
        for number in range(3000):
            member = tarfile.TarInfo(f"{number}")
            member.size = 700
            tar.addfile(member, io.BytesIO(bytes(700)))
    yield folder / "many.tar", "tar"
    with SummaryWriter(str(folder / "events")) as writer:
        for step in range(50_000):
            writer.add_scalar("loss", step, step)
        writer.add_histogram("h", noise)
        for step in range(20):
            writer.add_image("noise", np.random.default_rng(1).integers(0, 255, (3, 300, 300), dtype=np.uint8), step)
    (events,) = (folder / "events").iterdir()
    yield events, "TensorBoard and TFRecord"
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for _ in range(2000):
            torch.ones(3) + 1
    profile.export_chrome_trace(str(folder / "profile.json"))
    yield folder / "profile.json", "JSON"


def transformers(folder: Path) -> Iterator[tuple[Path, str | None]]:
    from tokenizers import Tokenizer, models
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    model = BertModel(BertConfig(vocab_size=300, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32))
    model.save_pretrained(folder / "m", max_shard_size="50KB")
    words = Tokenizer(models.WordLevel({f"word{i}": i for i in range(60_000)}, unk_token="word0"))
    PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(folder / "m")
    for path in sorted((folder / "m").iterdir()):
        yield path, "safetensors" if path.suffix == ".safetensors" else "JSON"


def distributed(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import torch
    import torch.distributed.checkpoint as dcp

    dcp.save({"a": torch.ones(1000), "b": {"c": torch.arange(7), "epoch": 3}}, checkpoint_id=str(folder / "d"))
    for path in sorted((folder / "d").iterdir()):
        yield path, "pickle" if path.name == ".metadata" else "zip"


def hdf5(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import h5py
    import numpy as np

    kind = "HDF5 and netCDF4"
    options: list[dict[str, Any]] = [{}, {"libver": "latest"}, {"libver": ("v108", "v108")}, {"libver": ("v110", "v110")}]
    options += [{"userblock_size": 512}, {"userblock_size": 2048, "libver": "latest"}, {"driver": "core", "backing_store": True}]
    options += [{"driver": "stdio"}, {"fs_strategy": "page", "fs_page_size": 4096}, {"fs_strategy": "fsm", "fs_persist": True}]
    options += [{"alignment_threshold": 1, "alignment_interval": 4096}, {"meta_block_size": 1 << 16}, {"track_order": True}]
    for number, given in enumerate(options):
        path = folder / f"{number}.h5"
        for mode in ("w", "a"):  # written, and gone on with
            with h5py.File(path, mode, **(given if mode == "w" else {})) as file:
                file[f"a{mode}"] = np.arange(30_000.0)
                file.attrs[mode] = 3
            yield path, kind
        with h5py.File(path, "a") as file:
            del file["aa"]
        yield path, kind
    with h5py.File(folder / "family-%d.h5", "w", driver="family", memb_size=20_000) as file:
        file["a"] = np.arange(10_000.0)
    yield folder / "family-0.h5", kind
    with h5py.File(folder / "swmr.h5", "w", libver="latest") as file:
        file.create_dataset("a", (100,), maxshape=(None,), chunks=(10,), dtype="f4")
        file.swmr_mode = True
        file["a"].resize((200,))
    yield folder / "swmr.h5", kind


def netcdf(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import netCDF4
    import numpy as np

    for form in ("NETCDF4", "NETCDF4_CLASSIC", "NETCDF3_CLASSIC"):
        path = folder / f"{form}.nc"
        with netCDF4.Dataset(path, "w", format=form) as file:
            file.createDimension("x", None)
            file.createVariable("v", "f8", ("x",), zlib="4" in form)[:] = np.arange(1000.0)
        yield path, None if "3" in form else "HDF5 and netCDF4"


def pytables(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import numpy as np
    import tables

    with tables.open_file(folder / "a.h5", "w") as file:
        file.create_array("/", "a", np.zeros(1000))
    yield folder / "a.h5", "HDF5 and netCDF4"


def pandas(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import pandas as pd

    frame = pd.DataFrame({"a": range(3000), "b": [f"row {i}" for i in range(3000)]})
    for name, kind, write in (
        ("a.parquet", "Parquet", frame.to_parquet),
        ("a.feather", "Arrow file", frame.to_feather),
        ("a.json", "JSON", frame.to_json),
        ("lines.json", "JSON", lambda p: frame.to_json(p, orient="records", lines=True)),
        ("a.pkl", "pickle", frame.to_pickle),
        ("a.csv.gz", "gzip", frame.to_csv),
        ("a.csv.zst", "zstd", frame.to_csv),
        ("a.csv.zip", "zip", frame.to_csv),
        ("a.csv", None, frame.to_csv),
        ("a.h5", "HDF5 and netCDF4", lambda p: frame.to_hdf(p, key="a")),
    ):
        write(folder / name)
        yield folder / name, kind


def polars(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import polars as pl

    frame = pl.DataFrame({"a": range(3000), "b": [f"row {i}" for i in range(3000)]})
    frame.write_parquet(folder / "a.parquet")
    frame.write_ipc(folder / "a.arrow")
    frame.write_ipc_stream(folder / "stream.arrow")
    frame.write_ndjson(folder / "a.ndjson")
    yield folder / "a.parquet", "Parquet"
    yield folder / "a.arrow", "Arrow file"
    yield folder / "stream.arrow", "Arrow stream"
    yield folder / "a.ndjson", "JSON lines"


def fastparquet(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import fastparquet as fp
    import pandas as pd

    fp.write(str(folder / "a.parquet"), pd.DataFrame({"a": range(3000)}), compression="ZSTD")
    yield folder / "a.parquet", "Parquet"


def zstandard(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import zstandard as zs

    noise = random.Random(1).randbytes(3_000_000)
    text = b"some words, and more of them\n" * 100_000
    for number, given in enumerate(({}, {"write_checksum": True}, {"write_content_size": False}, {"level": 19}, {"threads": 2})):
        for name, data in (("noise", noise), ("text", text), ("none", b"")):
            path = folder / f"{name}-{number}.zst"
            path.write_bytes(zs.ZstdCompressor(**given).compress(data))
            yield path, "zstd"
    with (folder / "stream.zst").open("wb") as sink, zs.ZstdCompressor().stream_writer(sink) as writer:
        for _ in range(3):
            writer.write(text)
            writer.flush(zs.FLUSH_FRAME)
    yield folder / "stream.zst", "zstd"


def zarr(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import numpy as np
    import zarr as za

    for form in (2, 3):
        group = za.open_group(folder / f"{form}.zarr", mode="w", zarr_format=form)
        group.create_array("a", data=np.random.default_rng(1).random((200, 200)), chunks=(50, 50))
        for path in sorted((folder / f"{form}.zarr").rglob("*")):
            if path.is_file() and path.name.startswith(("zarr.", ".z")):
                yield path, "zarr"
            elif path.is_file():
                yield path, "zstd" if form == 3 else None  # a chunk is compressed by zstd, or has blosc's head


def lance(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import lance as la
    import pyarrow as pa

    la.write_dataset(pa.table({"a": range(1000)}), str(folder / "a.lance"))
    for path in sorted((folder / "a.lance").rglob("*")):
        if path.is_file():
            yield path, {".lance": "Lance", ".manifest": "Lance", ".json": "JSON"}.get(path.suffix)


def wandb(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import wandb as wb

    for steps in (3, 3000):
        run = wb.init(project="x", dir=str(folder), mode="offline", settings=wb.Settings(silent=True))
        for step in range(steps):
            run.log({"loss": step, "text": "x" * (step * 37 % 5000)})
        run.finish()
    for path in sorted(folder.glob("wandb/offline-run*/*.wandb")):
        yield path, "Weights & Biases, offline"


def tensorboardx(folder: Path) -> Iterator[tuple[Path, str | None]]:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder / "events")) as writer:
        for step in range(5000):
            writer.add_scalar("loss", step, step)
    (events,) = (folder / "events").iterdir()
    yield events, "TensorBoard and TFRecord"


def xgboost(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import numpy as np
    import xgboost as xgb

    noise = np.random.default_rng(1).random((500, 10))
    for rounds in (1, 200):
        model = xgb.train({"max_depth": 5}, xgb.DMatrix(noise, noise[:, 0] > 0.5, feature_names=list("abcdefghij")), rounds)
        model.save_model(folder / f"{rounds}.ubj")
        model.save_model(folder / f"{rounds}.json")
        yield folder / f"{rounds}.ubj", "XGBoost, binary"
        yield folder / f"{rounds}.json", "JSON"


def lightgbm(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import lightgbm as lgb
    import numpy as np
    import pandas as pd

    noise = np.random.default_rng(1).random((2000, 10))
    frame = pd.DataFrame(noise, columns=list("abcdefghij")).assign(kind=pd.Categorical([f"kind {i % 900}" for i in range(2000)]))
    for name, data in (("plain", noise), ("kinds", frame)):
        for rounds in (1, 50, 600):
            path = folder / f"{name}-{rounds}.txt"
            model = lgb.train({"verbose": -1}, lgb.Dataset(data, noise[:, 0] > 0.5), rounds)
            model.save_model(path)
            yield path, "LightGBM"
            again = folder / f"{name}-{rounds}-again.txt"
            lgb.Booster(model_file=path).save_model(again)
            yield again, "LightGBM"


def skops(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import numpy as np
    import skops.io as sio
    from sklearn.linear_model import LogisticRegression

    sio.dump(LogisticRegression().fit(np.arange(10.0).reshape(-1, 1), [0, 1] * 5), folder / "a.skops")
    yield folder / "a.skops", "zip"


def leveldb(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import plyvel

    database = plyvel.DB(str(folder / "level"), create_if_missing=True, write_buffer_size=1 << 17)
    for number in range(3000):
        database.put(b"%d" % number, b"v" * 500)
    database.close()
    yield from _level(folder / "level")


def rocksdb(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import rocksdict

    database = rocksdict.Rdict(str(folder / "rocks"))
    for number in range(3000):
        database[number] = b"v" * 500
    database.flush()
    database[1] = b"w"
    yield from _level(folder / "rocks")
    database.close()


def _level(folder: Path) -> Iterator[tuple[Path, str | None]]:
    kinds = {"CURRENT": "LevelDB or RocksDB", "LOCK": "LevelDB's or RocksDB's lock", "LOG": "log", "LOG.old": None}
    suffixes = {".log": "LevelDB's or RocksDB's log", ".ldb": "LevelDB or RocksDB", ".sst": "LevelDB or RocksDB", ".json": "JSON"}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("MANIFEST"):
            yield path, "LevelDB's or RocksDB's log"
        else:
            yield path, kinds.get(path.name, suffixes.get(path.suffix))


def audio(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import numpy as np
    import soundfile

    for suffix in ("wav", "flac", "ogg"):
        soundfile.write(folder / f"a.{suffix}", np.zeros(10_000), 16_000)
        yield folder / f"a.{suffix}", None


def avro(folder: Path) -> Iterator[tuple[Path, str | None]]:
    import fastavro

    with (folder / "a.avro").open("wb") as stream:
        fastavro.writer(stream, {"type": "record", "name": "r", "fields": [{"name": "a", "type": "int"}]}, [{"a": 1}] * 100)
    yield folder / "a.avro", None


def pdf(folder: Path) -> Iterator[tuple[Path, str | None]]:
    from pypdf import PdfReader, PdfWriter
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(folder / "a.pdf"))
    canvas.drawString(100, 100, "words")
    canvas.save()
    writer = PdfWriter()
    writer.append(PdfReader(folder / "a.pdf"))
    writer.write(folder / "b.pdf")
    yield folder / "a.pdf", "PDF"
    yield folder / "b.pdf", "PDF"


def installed(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Whatever lies in this Python's packages: nothing there is torn. Its kinds are counted, not compared."""
    for place in {Path(p).resolve() for p in sys.path if p.endswith("site-packages")}:
        for above, _, names in os.walk(place):
            for name in names:
                path = Path(above, name)
                if path.is_file() and not name.endswith((".py", ".pyc", ".so", ".pyi")) and path.stat().st_size < 50_000_000:
                    yield path, "?"


MAKERS: tuple[Maker, ...] = (
    *(development, larger, transformers, distributed, hdf5, netcdf, pytables, pandas, polars, fastparquet, zstandard, zarr, lance),
    *(wandb, tensorboardx, xgboost, lightgbm, skops, leveldb, rocksdb, audio, avro, pdf, installed),
)


def cuts(size: int) -> list[int]:
    """Where a file of this size is cut: all over it, and near its end."""
    spread = {size * part // 16 for part in range(1, 16)}
    return sorted({cut for cut in spread | {size - near for near in (1, 2, 4, 9, 30, 100, 1000)} if 0 < cut < size})


def main() -> int:
    wrong, told = 0, defaultdict[str, list[int]](lambda: [0, 0, 0])
    for maker in MAKERS:
        with tempfile.TemporaryDirectory() as above:
            try:
                for path, expected in maker(Path(above)):
                    whole = Held(path)
                    began = time.perf_counter()
                    kind = recognise(path.name, whole)
                    why = torn(kind, whole) if kind else ""
                    took = time.perf_counter() - began
                    name = kind.name if kind else None
                    mistaken = bool(why) or expected not in (name, "?")
                    wrong += mistaken
                    if mistaken or took > SLOW:
                        print(f"{maker.__name__} {path.name}: {name} for {expected}, {why!r}, {took:.3f} s, {whole.reads} reads")
                    if kind is None:
                        continue
                    told[kind.name][0] += 1
                    for cut in cuts(whole.size) if expected != "?" else ():
                        part = Held(whole.data[:cut])
                        found = recognise(path.name, part)
                        told[kind.name][1] += 1
                        told[kind.name][2] += bool(found and torn(found, part))
            except ImportError as missing:
                print(f"{maker.__name__}: left out, {missing}")
    for name, (files, cut, seen) in sorted(told.items()):
        print(json.dumps({"kind": name, "whole files": files, "cut": cut, "told torn": seen}))
    print(f"{wrong} wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
