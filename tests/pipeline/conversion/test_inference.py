"""Batches change nothing: not the order, not the logits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from holdfast.errors import UsageError
from holdfast.pipeline.conversion.inference import padded, predict_torch
from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.data.encode import Window, decisive, encode, word_predictions
from holdfast.pipeline.training.checkpoint import load_tokenizer, load_torch
from tests.pipeline.conftest import MAX_LENGTH, STRIDE, TAGS


@pytest.fixture
def windows(made_once: Path, documents: Sequence[Document]) -> list[Window]:
    return encode(documents, load_tokenizer(made_once), max_length=MAX_LENGTH, stride=STRIDE, tag_ids=None)


def test_logits_come_in_the_order_given_whatever_the_batch(made_once: Path, windows: list[Window]) -> None:
    model = load_torch(made_once)
    alone = predict_torch(model, windows, batch_size=1, device="cpu")
    assert [rows.shape for rows in alone] == [(len(w.input_ids), len(TAGS)) for w in windows]
    assert {str(rows.dtype) for rows in alone} == {"float32"}
    for size in (3, 1000):
        together = predict_torch(model, windows, batch_size=size, device="cpu")
        assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(alone, together, strict=True))
    assert predict_torch(model, [], batch_size=4, device="cpu") == []
    with pytest.raises(UsageError, match="batch_size 0"):
        predict_torch(model, windows, batch_size=0, device="cpu")


def test_padding_is_hidden_by_the_mask() -> None:
    ids, mask = padded([[5, 6, 7], [8]])
    assert ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert ids.dtype == mask.dtype == np.int64


def test_the_deciding_piece_is_the_one_that_word_predictions_takes(documents: Sequence[Document], windows: list[Window]) -> None:
    random = np.random.default_rng(3)
    logits = [random.normal(size=(len(w.input_ids), len(TAGS))).astype(np.float32) for w in windows]
    predicted = word_predictions(documents, windows, logits, TAGS)
    places = decisive(len(documents), windows)
    assert sum(len(p) for p in places) > 0
    for tags, decided in zip(predicted, places, strict=True):
        assert {w: tags[w] for w in decided} == {w: TAGS[int(logits[i][at].argmax())] for w, (i, at) in decided.items()}
