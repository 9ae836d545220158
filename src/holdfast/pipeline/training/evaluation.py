"""Scores of finished weights on documents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdfast.pipeline.conversion.inference import predict_torch
from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.data.encode import encode, word_predictions
from holdfast.pipeline.data.entities import word_tags
from holdfast.pipeline.training.checkpoint import load_tokenizer, load_torch, read_info
from holdfast.pipeline.training.scores import score

_BATCH = 32


def evaluate(checkpoint: Path, documents: Sequence[Document], device: str) -> dict[str, Any]:
    """Entity scores (see `scores.score`) of a checkpoint in float32."""
    return score([word_tags(d) for d in documents], predict_tags(checkpoint, documents, device))


def predict_tags(checkpoint: Path, documents: Sequence[Document], device: str) -> list[list[str]]:
    """The tag of each word of each document, as a checkpoint in float32 gives them."""
    info = read_info(checkpoint)
    windows = encode(documents, load_tokenizer(checkpoint), max_length=info.max_length, stride=info.stride, tag_ids=None)
    logits = predict_torch(load_torch(checkpoint), windows, batch_size=_BATCH, device=device)
    return word_predictions(documents, windows, logits, info.tags)
