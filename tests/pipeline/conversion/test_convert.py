"""A converted model gives what the checkpoint gives, in the same bytes each time; else nothing is left of it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from safetensors.torch import load_file, save_file

from holdfast.errors import BadData, StageFailed, UsageError
from holdfast.pipeline.conversion import convert as conversion
from holdfast.pipeline.conversion import onnx_export
from holdfast.pipeline.conversion.agreement import compare, share_of_words
from holdfast.pipeline.conversion.convert import convert
from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.data.encode import encode
from holdfast.pipeline.data.entities import spans_of
from holdfast.pipeline.settings import Conversion
from holdfast.pipeline.training.checkpoint import file_identity, load_tokenizer, weights_identity
from holdfast.pipeline.training.evaluation import predict_tags
from tests.pipeline.conftest import MAX_LENGTH, STRIDE, TAGS

FILES = ["conversion.json", "labels.json", "model.int8.onnx", "model.onnx", "tokenizer.json"]


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: file_identity(p) for p in folder.iterdir()}


@pytest.fixture(scope="module")
def converted(made_once: Path, documents: Sequence[Document], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conversion; read only."""
    output = tmp_path_factory.mktemp("onnx") / "converted"
    convert(made_once, output, documents)
    return output


def test_everything_is_there_and_agrees(
    checkpoint: Path,
    documents: Sequence[Document],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[str] = []
    report = convert(checkpoint, tmp_path / "out" / "converted", documents, say=told.append)
    output = tmp_path / "out" / "converted"
    assert names(output) == FILES
    assert names(output.parent) == ["converted"]
    assert report == json.loads((output / "conversion.json").read_bytes())
    assert report["checkpoint"] == weights_identity(checkpoint)
    agreement = report["agreement"]
    assert 0 < agreement["max_difference"] <= agreement["allowed"] == 1e-4 * agreement["scale"]
    assert agreement["differing_documents"] == 0
    assert agreement["exempt_words"] < agreement["words"] / 100
    assert agreement["windows"] > agreement["documents"] == len(documents)
    assert report["f1"]["onnx"] == pytest.approx(report["f1"]["torch"])
    assert report["same_tags_as_torch"]["torch"] == 1
    assert 0.8 < report["same_tags_as_torch"]["int8"] <= 1
    assert report["bytes"]["model.int8.onnx"] < report["bytes"]["model.onnx"] / 2
    assert {row["length"] for row in report["shapes"]} >= {3, MAX_LENGTH}
    assert json.loads((output / "labels.json").read_bytes()) == {"tags": list(TAGS), "max_length": MAX_LENGTH, "stride": STRIDE}
    assert (output / "tokenizer.json").read_bytes() == (checkpoint / "tokenizer.json").read_bytes()
    assert told[0] == "exporting to ONNX"
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_batch_and_length_are_free_and_nothing_names_this_machine(converted: Path) -> None:
    model = onnx.load(converted / "model.onnx")
    shapes = {
        v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in [*model.graph.input, *model.graph.output]
    }
    assert shapes == {
        "input_ids": ["batch", "length"],
        "attention_mask": ["batch", "length"],
        "logits": ["batch", "length", len(TAGS)],
    }
    for name in ("model.onnx", "model.int8.onnx"):
        data = (converted / name).read_bytes()
        for trace in (b"site-packages", b"holdfast", b".py", str(Path.home()).encode(), sys.prefix.encode()):
            assert trace not in data, (name, trace)


def test_fresh_processes_make_the_same_bytes(
    converted: Path, made_once: Path, documents: Sequence[Document], tmp_path: Path
) -> None:
    program = """
import sys
from pathlib import Path
from holdfast.pipeline.conversion.convert import convert
from tests.pipeline.conversion.test_convert import unpacked
convert(Path(sys.argv[1]), Path(sys.argv[2]), unpacked(sys.argv[3]))
"""
    packed = json.dumps([[d.text, list(d.words), [[s.start, s.end, s.label] for s in d.spans]] for d in documents])
    output = tmp_path / "a folder of another name"
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(made_once), str(output), packed],
        cwd=Path(__file__).parents[3],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert hashes(output) == hashes(converted)


def unpacked(packed: str) -> list[Document]:
    from holdfast.pipeline.data.documents import Span

    rows = json.loads(packed)
    return [Document(t, tuple((a, b) for a, b in words), tuple(Span(*s) for s in spans)) for t, words, spans in rows]


@pytest.fixture
def learnt(checkpoint: Path, documents: Sequence[Document]) -> tuple[Document, ...]:
    """The documents, with what the checkpoint finds in them as the truth: its own F1 is 1."""
    found = predict_tags(checkpoint, documents, "cpu")
    return tuple(replace(d, spans=spans_of(d, tags)) for d, tags in zip(documents, found, strict=True))


def test_an_int8_model_that_loses_too_much_is_not_kept_and_that_is_said(
    checkpoint: Path, learnt: tuple[Document, ...], tmp_path: Path
) -> None:
    output, warned = tmp_path / "onnx", []
    report = convert(checkpoint, output, learnt, int8_may_lose=0.0, warn=warned.append)
    assert report["f1"]["torch"] == report["f1"]["onnx"] == 1.0
    assert report["f1"]["int8"] < 1.0
    assert names(output) == [name for name in FILES if name != "model.int8.onnx"]
    assert "model.int8.onnx" not in report["bytes"]
    assert report == json.loads((output / "conversion.json").read_text())
    (line,) = warned
    f1 = report["f1"]["int8"]
    assert line.startswith(f"the int8 model is NOT kept: its entity F1 is {f1:.4f}, that of the trained model 1.0000")


def test_an_int8_model_that_finds_nothing_any_more_is_not_kept_by_default(
    made_once: Path, documents: Sequence[Document], tmp_path: Path
) -> None:
    """A tag that is never chosen has weights so large that eight bits leave nothing of the others'."""
    checkpoint = tmp_path / "checkpoint"
    shutil.copytree(made_once, checkpoint)
    weights = load_file(checkpoint / "model.safetensors")
    unused = len(TAGS) - 1
    weights["classifier.weight"][unused] *= 1e4
    weights["classifier.bias"][unused] = -1e6
    weights["classifier.bias"][TAGS.index("O")] += 1e-3
    save_file(weights, checkpoint / "model.safetensors", {"format": "pt"})
    found = predict_tags(checkpoint, documents, "cpu")
    learnt = tuple(replace(d, spans=spans_of(d, tags)) for d, tags in zip(documents, found, strict=True))
    assert any(d.spans for d in learnt)
    warned: list[str] = []
    report = convert(checkpoint, tmp_path / "onnx", learnt, int8_may_lose=Conversion().int8_may_lose, warn=warned.append)
    assert (report["f1"]["onnx"], report["f1"]["int8"]) == (1.0, 0.0)
    assert "model.int8.onnx" not in names(tmp_path / "onnx")
    (line,) = warned
    assert line.startswith("the int8 model is NOT kept: its entity F1 is 0.0000, that of the trained model 1.0000")


def test_an_int8_model_that_loses_no_more_than_it_may_is_kept(
    checkpoint: Path, learnt: tuple[Document, ...], tmp_path: Path
) -> None:
    warned: list[str] = []
    report = convert(checkpoint, tmp_path / "onnx", learnt, int8_may_lose=1.0, warn=warned.append)
    assert names(tmp_path / "onnx") == FILES
    assert "int8_refused" not in report
    assert not warned


def test_a_tolerance_of_nothing_fails_and_leaves_nothing(checkpoint: Path, documents: Sequence[Document], tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match=r"differs from torch by .* 0 is allowed") as caught:
        convert(checkpoint, tmp_path / "out" / "converted", documents, tolerance=0)
    assert "\n" not in str(caught.value)
    assert names(tmp_path / "out") == []


def test_a_failure_leaves_an_earlier_conversion_as_it_was(
    checkpoint: Path, converted: Path, documents: Sequence[Document], tmp_path: Path
) -> None:
    output = tmp_path / "converted"
    output.mkdir()
    for file in converted.iterdir():
        (output / file.name).write_bytes(file.read_bytes())
    with pytest.raises(StageFailed):
        convert(checkpoint, output, documents, tolerance=0)
    assert hashes(output) == hashes(converted)
    assert names(tmp_path) == ["checkpoint", "converted"]


def test_an_earlier_conversion_is_replaced_whole(checkpoint: Path, documents: Sequence[Document], tmp_path: Path) -> None:
    output = tmp_path / "converted"
    output.mkdir()
    for name in FILES:
        (output / name).write_text("old")
    convert(checkpoint, output, documents[:4], int8=False)
    assert names(output) == [name for name in FILES if name != "model.int8.onnx"]
    assert (output / "model.onnx").stat().st_size > 1000
    assert names(tmp_path) == ["checkpoint", "converted"]


def test_a_folder_with_files_of_others_is_never_replaced(checkpoint: Path, documents: Sequence[Document], tmp_path: Path) -> None:
    before = hashes(checkpoint)
    with pytest.raises(UsageError, match=r"holds config.json, which no conversion makes"):
        convert(checkpoint, checkpoint, documents)
    assert hashes(checkpoint) == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        convert(checkpoint, tmp_path / "file", documents)
    # What lies there is moved away, and with documents that have words it is converted.
    (tmp_path / "file").rename(tmp_path / "mine")
    (tmp_path / "file").mkdir()
    (tmp_path / "mine").rename(tmp_path / "file" / "mine")
    with pytest.raises(UsageError, match="holds mine, which no conversion makes"):
        convert(checkpoint, tmp_path / "file", documents)
    (tmp_path / "file" / "mine").rename(tmp_path / "mine")
    for none in ([], [Document("  ", ())]):
        with pytest.raises(UsageError, match=r"held-out documents|no document holds a word"):
            convert(checkpoint, tmp_path / "file", none)
    convert(checkpoint, tmp_path / "file", documents)
    assert names(tmp_path / "file") == FILES
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize("killed_between_renames", [True, False])
def test_what_a_kill_left_is_tidied(
    checkpoint: Path, documents: Sequence[Document], tmp_path: Path, killed_between_renames: bool
) -> None:
    output, old = tmp_path / "converted", tmp_path / ".converted.old"
    (tmp_path / ".converted.making").mkdir()
    (tmp_path / ".converted.making" / "model.onnx").write_text("half")
    old.mkdir()
    (old / "model.onnx").write_text("of before")
    if not killed_between_renames:
        output.mkdir()
        (output / "model.onnx").write_text("newer")
    with pytest.raises(StageFailed):
        convert(checkpoint, output, documents[:2], tolerance=0)
    assert (output / "model.onnx").read_text() == ("of before" if killed_between_renames else "newer")
    assert names(tmp_path) == ["checkpoint", "converted"]


def test_whatever_the_exporter_raises_is_one_line_with_its_words_as_a_note(
    checkpoint: Path, documents: Sequence[Document], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        with onnx_export.quiet():
            logging.getLogger("onnxscript").warning("cannot fold")
            raise RuntimeError("no decomposition\nfor aten.new_thing")

    monkeypatch.setattr(conversion, "export", broken)
    with pytest.raises(StageFailed, match=r"cannot be converted: RuntimeError: no decomposition for aten\.new_thing") as caught:
        convert(checkpoint, tmp_path / "converted", documents)
    assert caught.value.__cause__ is not None
    assert "cannot fold" in caught.value.__cause__.__notes__[0]
    assert names(tmp_path) == ["checkpoint"]


def test_a_partial_checkpoint_or_no_documents_are_told_before_anything_is_made(
    checkpoint: Path, documents: Sequence[Document], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="held-out documents"):
        convert(checkpoint, tmp_path / "converted", [])
    with pytest.raises(UsageError, match="no document holds a word"):
        convert(checkpoint, tmp_path / "converted", [Document("  ", ())])
    (checkpoint / "tokenizer.json").unlink()
    with pytest.raises(BadData, match=r"tokenizer.json missing"):
        convert(checkpoint, tmp_path / "converted", documents)
    assert names(tmp_path) == ["checkpoint"]


def test_weights_too_large_for_one_file_lie_beside_it(
    checkpoint: Path, converted: Path, documents: Sequence[Document], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "LARGEST_SINGLE_FILE", 1000)
    report = convert(checkpoint, tmp_path / "converted", documents)
    assert {"model.onnx.data", "model.int8.onnx.data"} <= report["bytes"].keys()
    assert report["bytes"]["model.onnx"] < report["bytes"]["model.onnx.data"]
    whole = json.loads((converted / "conversion.json").read_bytes())
    assert report["agreement"] == whole["agreement"]
    assert report["f1"] == whole["f1"]


def graph_of(nodes: Sequence[str], initializers: str = "") -> Any:
    """A graph; `weight` in it is called as a parameter is, which the notation cannot say."""
    body = "\n".join(nodes)
    graph = onnx.parser.parse_graph(f"g (float[n] x) => (float[n] y) {initializers} {{ {body} }}")
    for names in (node.input for node in graph.node):
        names[:] = [name.replace("weight", "model.weight") for name in names]
    for tensor in graph.initializer:
        tensor.name = tensor.name.replace("weight", "model.weight")
    return graph


def test_the_order_in_which_a_graph_was_traced_does_not_show() -> None:
    weights = "<float[1] late = {3}, float[1] weight = {2}, float[1] early = {1}, float[1] unused = {9}>"
    first = graph_of(["a = Mul(x, weight)", "b = Sin(x)", "c = Add(b, late)", "d = Sub(a, early)", "y = Div(d, c)"], weights)
    second = graph_of(
        ["v1 = Sin(x)", "v2 = Add(v1, k2)", "dead = Cos(x)", "v3 = Mul(x, weight)", "v4 = Sub(v3, k1)", "y = Div(v4, v2)"],
        "<float[1] k1 = {1}, float[1] weight = {2}, float[1] k2 = {3}>",
    )
    for graph in (first, second):
        onnx_export.put_in_order(graph)
    assert first == second
    assert [node.op_type for node in first.node] == ["Mul", "Sub", "Sin", "Add", "Div"]
    assert [tensor.name.rpartition("_")[0] or tensor.name for tensor in first.initializer] == [
        "model.weight",
        "constant",
        "constant",
    ]
    model = onnx.helper.make_model(first, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    found = onnx.reference.ReferenceEvaluator(model).run(None, {"x": np.array([0.5], dtype=np.float32)})[0]
    assert found == pytest.approx((0.5 * 2 - 1) / (np.sin(0.5) + 3))


def test_a_graph_with_subgraphs_is_left_as_it_is() -> None:
    branch = "<then_branch = t () => (float[n] p) { p = Sin(x) }, else_branch = e () => (float[n] q) { q = Cos(x) }>"
    graph = graph_of(["c = Cast<to = 9>(k)", f"y = If {branch} (c)"], "<float[1] k = {1}>")
    before = graph.SerializeToString()
    onnx_export.put_in_order(graph)
    assert graph.SerializeToString() == before


def test_words_that_the_tolerance_cannot_decide_are_exempt_and_counted_and_no_others(
    made_once: Path, documents: Sequence[Document]
) -> None:
    windows = encode(documents, load_tokenizer(made_once), max_length=MAX_LENGTH, stride=STRIDE, tag_ids=None)
    first = [np.zeros((len(w.input_ids), len(TAGS)), dtype=np.float32) for w in windows]
    for rows in first:
        rows[:, 1] = 0.5  # B-PERSON everywhere
    same = compare(documents, windows, first, first, TAGS, tolerance=0.01)
    assert (same.max_difference, same.exempt, same.differing) == (0, 0, ())

    window = next(w for w in windows if w.document == 5)
    index = windows.index(window)
    at = window.words[0][0]
    close, moved = [r.copy() for r in first], [r.copy() for r in first]
    close[index][at, 3] = 0.495  # closer than twice the tolerance
    moved[index][at, 3] = 0.505
    tie = compare(documents, windows, close, moved, TAGS, tolerance=0.01)
    assert (tie.exempt, tie.exempt_differing, tie.differing) == (1, 1, ())
    strict = compare(documents, windows, close, moved, TAGS, tolerance=0.001)
    assert (strict.exempt, strict.differing) == (0, (5,))

    moved[index][0, 0] = float("nan")
    assert not compare(documents, windows, close, moved, TAGS, tolerance=0.01).max_difference <= 1


def test_the_share_of_words_counts_words() -> None:
    assert share_of_words([["O", "O"], ["O", "B-A"]], [["O", "O"], ["O", "O"]]) == 0.75
    assert share_of_words([], []) == 1
