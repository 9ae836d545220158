"""A converted model finds the entities that the checkpoint finds, without torch."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from holdfast.errors import BadData, NotRestored, UsageError
from holdfast.pipeline.conversion.inference import predict_torch
from holdfast.pipeline.conversion.predict import Entity, Predictor
from holdfast.pipeline.data.documents import Document, split_words
from holdfast.pipeline.data.encode import encode, word_predictions
from holdfast.pipeline.data.entities import spans_of
from holdfast.pipeline.training.checkpoint import load_tokenizer, load_torch
from tests.pipeline.conftest import MAX_LENGTH, STRIDE, TAGS


@pytest.fixture
def converted(converted_once: Path, tmp_path: Path) -> Path:
    """A conversion of one's own, to damage."""
    folder = tmp_path / "converted"
    folder.mkdir()
    for file in converted_once.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_entities_are_those_of_the_checkpoint(converted_once: Path, made_once: Path, documents: Sequence[Document]) -> None:
    predictor, tokenizer, model = Predictor(converted_once), load_tokenizer(made_once), load_torch(made_once)
    for given in documents[:12]:
        document = Document(given.text, split_words(given.text))
        windows = encode([document], tokenizer, max_length=MAX_LENGTH, stride=STRIDE, tag_ids=None)
        logits = predict_torch(model, windows, batch_size=16, device="cpu")
        expected = spans_of(document, word_predictions([document], windows, logits, TAGS)[0])
        found = predictor.entities(given.text)
        assert [(e.start, e.end, e.label) for e in found] == [(s.start, s.end, s.label) for s in expected]
        assert all(e.text == given.text[e.start : e.end] and 1 / len(TAGS) <= e.score <= 1 for e in found)


def test_the_score_is_the_mean_probability_of_the_tags_of_its_words(converted_once: Path) -> None:
    predictor = Predictor(converted_once)
    a_way_off = -40.0

    class Fixed:
        """Gives `B-PERSON I-PERSON O` with probabilities 0.8, 0.6 and 1."""

        def run(self, _: object, inputs: dict[str, Any]) -> list[Any]:
            logits = np.full((*inputs["input_ids"].shape, len(TAGS)), a_way_off, dtype=np.float32)
            logits[0, 1, [1, 0]] = np.log([0.8, 0.2])
            logits[0, 2, [2, 0]] = np.log([0.6, 0.4])
            logits[0, 3, 0] = 40
            return [logits]

    predictor._session = Fixed()
    assert predictor.entities("Ada Lovelace walked") == [Entity(0, 12, "PERSON", "Ada Lovelace", pytest.approx(0.7))]


def test_texts_without_words_have_no_entities(converted_once: Path) -> None:
    predictor = Predictor(converted_once)
    assert predictor.entities("") == []
    assert predictor.entities(" \n\t ") == []


def test_the_8_bit_model_is_taken_by_its_path(converted: Path) -> None:
    (converted / "model.onnx").unlink()
    assert Predictor(converted / "model.int8.onnx").entities("Ada Lovelace walked to London") is not None
    with pytest.raises(BadData, match=r"model.onnx, the model, is missing"):
        Predictor(converted)


def test_neither_torch_nor_transformers_is_loaded(converted_once: Path) -> None:
    program = """
import json, sys
from dataclasses import asdict
from pathlib import Path
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "onnx", "onnxscript", "seqeval", "safetensors"}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
from holdfast.pipeline.conversion.predict import Predictor
found = Predictor(Path(sys.argv[1])).entities("Ada Lovelace walked to London")
print(json.dumps([[asdict(e) for e in found], sorted({"torch", "transformers"} & sys.modules.keys())]))
"""
    done = subprocess.run([sys.executable, "-c", program, str(converted_once)], check=True, capture_output=True, text=True)
    found, loaded = json.loads(done.stdout)
    assert loaded == []
    assert found == [asdict(e) for e in Predictor(converted_once).entities("Ada Lovelace walked to London")]
    assert done.stderr == ""


def test_no_folder_is_not_restored(tmp_path: Path) -> None:
    with pytest.raises(NotRestored, match="no converted model"):
        Predictor(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["model.onnx", "labels.json", "tokenizer.json"])
def test_a_missing_file_is_named(converted: Path, name: str) -> None:
    (converted / name).unlink()
    with pytest.raises(BadData, match=f"{name}, the .*, is missing"):
        Predictor(converted)


@pytest.mark.parametrize("name", ["model.onnx", "labels.json", "tokenizer.json"])
def test_a_damaged_file_is_named_in_one_line(converted: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    (converted / name).write_bytes((converted / name).read_bytes()[:40])
    with pytest.raises(BadData, match=name) as caught:
        Predictor(converted)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_labels_of_another_model_are_told(converted: Path) -> None:
    (converted / "labels.json").write_text(json.dumps({"tags": ["O", "B-X", "I-X"], "max_length": 24, "stride": 6}))
    with pytest.raises(BadData, match=r"gives 5 logits for each piece, and labels.json has 3 tags"):
        Predictor(converted)


def test_a_missing_library_is_told(converted_once: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "onnxruntime" else known(name, *a))
    with pytest.raises(UsageError, match=r"onnxruntime is not installed.*install holdfast\[pipeline\]"):
        Predictor(converted_once)


ODD_TEXTS = (
    "Ada\ud800 Lovelace",
    "\udcff",
    "Ada \ud83d\ude00 Lovelace",  # a pair that JSON of Python leaves in two halves
    "Ada\0Lovelace",
    "\ufeffAda",
    "\r\n\r",
    "\u200b\u200d",
    "a" * 3000,
    "\U0010ffff\ufffe",
)


@pytest.mark.parametrize("text", ODD_TEXTS, ids=ascii)
def test_any_text_has_an_answer(converted_once: Path, text: str) -> None:
    for entity in Predictor(converted_once).entities(text):
        assert entity.text == text[entity.start : entity.end]


@pytest.mark.parametrize("given", [b"Ada", None, 3, ["Ada"]])
def test_what_is_no_text_is_one_line(converted_once: Path, given: Any) -> None:
    with pytest.raises(UsageError, match=f"expected a text to find entities in, got {type(given).__name__}"):
        Predictor(converted_once).entities(given)


def test_texts_before_one_that_cannot_be_read_are_answered_first(converted_once: Path) -> None:
    predictor = Predictor(converted_once)
    given: list[Any] = ["Ada walked"] * 200
    expected, answers = predictor.entities("Ada walked"), predictor.entities_of_all([*given, b"Ada"])
    for _ in range(192):  # whole groups
        assert next(answers) == expected
    with pytest.raises(UsageError, match="got bytes"):
        next(answers)


def operations(predictor: Predictor, text: str) -> int:
    """The operations of Python that finding its entities takes in our code."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        if "holdfast" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before, of_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(trace)
    threading.settrace(trace)  # the model reads in one
    try:
        predictor.entities(text)
    finally:
        sys.settrace(before)
        threading.settrace(of_threads)  # type: ignore[arg-type]
    return count


def test_the_time_grows_with_the_text_and_no_faster(converted_once: Path) -> None:
    predictor = Predictor(converted_once)

    class EachAnEntity:
        def run(self, _: object, inputs: dict[str, Any]) -> list[Any]:
            logits = np.zeros((*inputs["input_ids"].shape, len(TAGS)), dtype=np.float32)
            logits[:, :, 1] = 1
            return [logits]

    predictor._session = EachAnEntity()
    words = "Ada walked to the old mill . "
    operations(predictor, words)  # what is loaded once
    once, twice = operations(predictor, words * 40), operations(predictor, words * 80)
    assert twice < 2.1 * once
