"""What is torn by its own format is told, and nothing else is; and it costs little."""

from __future__ import annotations

import gzip
import pickle
import random
import struct
import zlib
from pathlib import Path

import pytest

from holdfast.store.live import kinds
from holdfast.store.live.kinds import KINDS, Treatment, recognise
from holdfast.store.live.torn import torn, whole_prefix
from tests.store.live.content import Held

#: Kinds of which nothing, or little, can be told without their library.
NEVER = {"Arrow stream", "Optuna's journal", "JSON lines", "log", "LMDB's lock"}
RARELY = {"LMDB"}
#: Samples that have something whole before their end, or whose end may be missing.
ALSO_WHOLE = {
    *("own-format.bin", "behind.zip", "behind.png", "behind.jpg", "padded.gz", "lines.json", "many-lines.json", "open-trace.json"),
    *("wal.db", "split.h5-m.h5", "comment.zip", "long-comment.zip", "two.distcp"),
}


def said(name: str, data: bytes | Path, size: int | None = None) -> str:
    content = Held(data, size)
    kind = recognise(name, content)
    return torn(kind, content) if kind else ""


def test_a_whole_file_of_a_real_library_is_never_called_torn(made: dict[str, tuple[str, Path]]) -> None:
    assert {name: why for name, (_, path) in made.items() if (why := said(name, path))} == {}


def test_a_cut_file_of_a_real_library_is_called_torn_wherever_its_format_tells(made: dict[str, tuple[str, Path]]) -> None:
    rng = random.Random(20261128)
    missed: dict[str, list[int]] = {}
    for name, (kind, path) in made.items():
        whole = path.read_bytes()
        least = 4200 if kind.startswith("HDF5") else 1 if kind == "tar" else 64
        for cut in [len(whole) // 2, *(rng.randrange(len(whole)) for _ in range(6))]:
            if cut >= least and not said(name, whole[:cut]):
                missed.setdefault(name, []).append(cut - len(whole))
    # By chance a cut lies between two members, behind the closing bracket of a text, or at a full stop in a pickle.
    by_chance = {name for name in missed if len(missed[name]) == 1}
    blank = {name for name in missed if made[name][0] == "tar"}  # zeros at the end are no members
    unknown = {name for name in missed if made[name][0] in NEVER | RARELY} | ALSO_WHOLE
    assert {name: cuts for name, cuts in missed.items() if name not in by_chance | blank | unknown} == {}
    assert len(by_chance - unknown - blank) <= 6


@pytest.mark.parametrize(
    ("name", "sample", "cut", "why"),
    [
        ("zip.pt", "zip.pt", -22, "a zip without its end record"),
        ("plain.npz", "plain.npz", 0.5, "a zip without its end record"),
        ("zip64.zip", "zip64.zip", -1, "a zip without its end record"),
        ("plain.npy", "plain.npy", -1, "a NumPy array shorter than its shape"),
        ("objects.npy", "objects.npy", -1, "NumPy array, cut short"),
        ("plain.safetensors", "plain.safetensors", -1, "a safetensors file shorter than its head says"),
        ("plain.safetensors", "plain.safetensors", 20, "a safetensors file that ends inside its head"),
        ("snappy.parquet", "snappy.parquet", -4, "a Parquet file without its footer"),
        ("plain.arrow", "plain.arrow", -6, "an Arrow file without its end mark"),
        ("plain.h5", "plain.h5", -1, "an HDF5 file shorter than its superblock says"),
        ("legacy.pt", "legacy.pt", -1, "a torch.save that ends inside its tensors"),
        ("legacy.pt", "legacy.pt", 300, "a torch.save that ends inside its head"),
        ("large-5.pkl", "large-5.pkl", 0.5, "a pickle that ends before its end"),
        ("raw.joblib", "raw.joblib", 0.5, "a pickle that ends before its end"),
        ("zlib.joblib", "zlib.joblib", 0.5, "a joblib, compressed that ends before its end"),
        ("plain.gz", "plain.gz", -1, "a gzip that ends before its end"),
        ("plain.gz", "plain.gz", 10, "a gzip that ends before its end"),
        ("plain.xz", "plain.xz", -1, "an xz without its footer"),
        ("plain.bz2", "plain.bz2", -1, "a bzip2 that ends before its end"),
        ("pyarrow.zstd", "pyarrow.zstd", -1, "zstd, cut short"),
        ("form-1.tar", "form-1.tar", 5000, "a tar that ends inside a member"),
        ("plain.json", "plain.json", -1, "a JSON text that ends before it is closed"),
        ("utf-16.json", "utf-16.json", -2, "a JSON text that ends before it is closed"),
        ("large.json", "large.json", 0.7, "a JSON text that ends before it is closed"),
        ("small.onnx", "small.onnx", 200, "an ONNX model that ends inside its graph"),
        ("noise.png", "noise.png", -1, "PNG, cut short"),
        ("photo.jpg", "photo.jpg", -2, "a JPEG without its end mark"),
        ("plot.pdf", "plot.pdf", 0.5, "a PDF without its end mark"),
        ("plain.db", "plain.db", -4096, "a SQLite database shorter than its header says"),
        ("plain.duckdb", "plain.duckdb", -1, "DuckDB, cut short"),
        ("none.mdb", "none.mdb", 4096, "LMDB, cut short"),
        ("events.out.tfevents.2.host", "events.out.tfevents.2.host", -1, "a file of records that ends inside one"),
        ("events.out.tfevents.3.host", "events.out.tfevents.3.host", -1000, "a file of records that ends inside one"),
    ],
)
def test_why_is_said_in_words(made: dict[str, tuple[str, Path]], name: str, sample: str, cut: float, why: str) -> None:
    whole = made[sample][1].read_bytes()
    size = int(cut * len(whole)) if isinstance(cut, float) else int(cut) % len(whole)
    assert said(name, whole[:size]) == why


@pytest.mark.parametrize("options", [{}, {"libver": "latest"}, {"libver": ("v108", "v108")}, {"userblock_size": 512}])
def test_an_hdf5_file_that_was_left_open_is_torn_until_it_is_closed(tmp_path: Path, options: dict[str, object]) -> None:
    import h5py
    import numpy as np

    path = tmp_path / "a.h5"
    file = h5py.File(path, "w", **options)
    file["a"] = np.arange(1000.0)
    assert said("a.h5", path) in {
        "an HDF5 file that was not flushed since it was written to",
        "an HDF5 file that is marked as being written",
    }
    file.close()
    assert said("a.h5", path) == ""
    path.write_bytes(path.read_bytes() + b"\r\n")
    assert said("a.h5", path) == ""


def test_what_a_text_model_of_lightgbm_ends_with_decides() -> None:
    trees = "tree\nversion=v4\nnum_class=1\nfeature_names=a b\n\nTree=0\nnum_leaves=2\nleaf_value=1 2\n\n"
    after = "end of trees\n\nfeature_importances:\na=1\n"
    parameters = "\nparameters:\n[boosting: gbdt]\n\nend of parameters\n"
    categories = '\npandas_categorical:[["x", "y"]]\n'
    for whole in (trees + after, trees + after + parameters, trees + after + parameters + categories):
        assert said("model.txt", whole.encode()) == ""
    for cut in (trees, trees[:-9], trees + after + parameters[:-8], trees + after + parameters + categories[:-4]):
        assert said("model.txt", cut.encode()).startswith("a LightGBM model that ends inside its"), cut


def test_a_binary_model_of_xgboost_ends_in_a_bracket() -> None:
    whole = b"{L" + struct.pack(">q", 7) + b"learnerSL" + struct.pack(">q", 1) + b"x}"
    assert said("m.ubj", whole) == ""
    assert said("m.ubj", whole[:-1]) == "a model that ends before it is closed"


def test_a_current_of_leveldb_ends_its_line() -> None:
    assert said("CURRENT", b"MANIFEST-000002\n") == ""
    assert said("CURRENT", b"MANIFEST-0000") == "a CURRENT without the end of its line"


def test_a_damaged_stream_that_is_small_is_told() -> None:
    whole = bytearray(gzip.compress(b"some words, and more of them\n" * 50))
    whole[-5] ^= 1
    assert said("a.gz", bytes(whole)) == "a gzip that does not decompress"
    longer = zlib.compress(pickle.dumps(b"x" * 1000)) + b"and something behind it"
    assert said("a.joblib", longer) == ""


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.never_empty], ids=lambda kind: kind.name)
def test_an_empty_file_that_promises_content_is_torn(kind: kinds.FileKind) -> None:
    for suffix in kind.never_empty:
        assert said(f"outputs/x{suffix}", b"") == f"empty, where {kind.name} was to be written"


def test_an_empty_file_that_promises_nothing_is_whole() -> None:
    for name in ("a.csv", "b.txt", "c.log", "d.done", "LOCK", "e.jsonl", "000003.log", "f.db", "g.wandb", "h.tar"):
        assert said(name, b"") == ""


def test_a_large_file_is_looked_at_in_a_few_small_reads(made: dict[str, tuple[str, Path]], tmp_path: Path) -> None:
    import h5py
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch
    from safetensors.torch import save_file

    noise = torch.rand(3_000_000, generator=torch.Generator().manual_seed(1))
    torch.save(noise, tmp_path / "a.pt")
    torch.save(noise, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    np.save(tmp_path / "a.npy", noise.numpy())
    np.savez(tmp_path / "a.npz", noise.numpy())
    save_file({"a": noise}, tmp_path / "a.safetensors")
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([noise.numpy(), list(range(300_000))], 4))
    pq.write_table(pa.table({"a": noise.numpy()}), tmp_path / "a.parquet")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = noise.numpy()
    (tmp_path / "a.gz").write_bytes(gzip.compress(noise.numpy().tobytes(), 0))
    for path in sorted(tmp_path.iterdir()):
        for cut in (None, path.stat().st_size * 2 // 3):
            content = Held(path, cut)
            kind = recognise(path.name, content)
            assert kind is not None, path.name
            assert bool(torn(kind, content)) == (cut is not None and path.suffix != ".gz"), path.name
            walked = path.name in ("old.pt", "a.npy")
            assert content.taken <= (1 << 20 if path.name == "old.pt" else 80_000), (path.name, content.taken)
            assert content.reads <= 60 or walked, (path.name, content.reads)


def test_a_file_that_shrinks_while_it_is_looked_at_is_torn(made: dict[str, tuple[str, Path]]) -> None:
    class Shrunk(Held):
        @property
        def size(self) -> int:
            return 2 * len(self.data)

    for name in ("plain.npy", "plain.safetensors", "plain.duckdb", "plain.h5", "zip.pt", "snappy.parquet", "plain.gz"):
        kind, path = made[name]
        content = Shrunk(path)
        found = recognise(name, content)
        assert found is not None
        assert found.name == kind
        torn(found, content)  # says something or nothing, and raises nothing


def test_a_damaged_file_raises_nothing(made: dict[str, tuple[str, Path]]) -> None:
    rng = random.Random(20261128)
    for name, (_, path) in made.items():
        whole = path.read_bytes()[: 1 << 18]
        for _ in range(12):
            data = bytearray(whole)
            for _ in range(rng.randrange(1, 6)):
                at = rng.randrange(len(data)) if rng.random() < 0.5 else rng.randrange(min(len(data), 300))
                data[at : at + rng.randrange(1, 9)] = rng.choice((b"\xff" * 8, bytes(8), rng.randbytes(4)))
            content = Held(bytes(data))
            kind = recognise(name, content)
            if kind is not None:
                torn(kind, content)
            if kind is not None and kind.treatment is Treatment.PREFIX:
                assert 0 <= whole_prefix(kind, content, content.size) <= content.size, name
