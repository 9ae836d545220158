"""The model card, read as Hugging Face's hub reads it."""

from __future__ import annotations

from typing import Any

import pytest
from huggingface_hub import ModelCard

from holdfast.pipeline.conversion.card import Subject, card


def _score(f1: float, support: int) -> dict[str, Any]:
    of = {"precision": f1 - 0.1, "recall": f1, "f1": f1}
    return {**of, "support": support, "intervals": {kind: [value - 0.02, value + 0.02] for kind, value in of.items()}}


def made(**changes: Any) -> Subject:
    test = {"micro": _score(0.9, 120), "macro": _score(0.8, 120), "by_label": {"NAME": _score(0.95, 100), "CITY": _score(0.5, 20)}}
    return Subject(
        **{
            "name": "my: résumés",
            "backbone": "distilbert-base-uncased",
            "is_public": True,
            "labels": ["CITY", "NAME"],
            "documents": {"train": 4000, "validation": 80, "test": 90},
            "notes": ["2 documents of test stand in train | too"],
            "metrics": {"test": test, "learnt_from": "train", "steps": 1200, "best_step": 900, "parameters": 66_000_000},
            "configuration": {"learning_rate": 3e-5},
            "settings": {"epochs": 3, "learning_rate": 3e-5, "seed": 7},
            "conversion": {"f1": {"torch": 0.9, "onnx": 0.9, "int8": 0.89}, "versions": {"onnx": "1.22.0"}},
            "weights": "ab" * 32,
            **changes,
        }
    )


def test_the_hub_reads_from_its_head_what_it_is_and_how_good() -> None:
    data = ModelCard(card(made())).data
    assert (data.library_name, data.pipeline_tag, data.base_model) == ("onnx", "token-classification", "distilbert-base-uncased")
    assert data.model_name == "my: résumés"
    assert data.eval_results is not None
    assert {(r.metric_type, r.metric_value, r.dataset_split) for r in data.eval_results} == {
        ("precision", 0.8, "test"),
        ("recall", 0.9, "test"),
        ("f1", 0.9, "test"),
    }


def test_people_read_scores_with_intervals_how_it_was_made_and_what_says_little() -> None:
    text = ModelCard(card(made())).text
    assert "| `CITY` | 0.400 (0.380 to 0.420) | 0.500 (0.480 to 0.520) | 0.500 (0.480 to 0.520) | 20 |" in text
    assert "so that the score says little: `CITY` (20)." in text
    assert "- Of the documents: 2 documents of test stand in train \\| too" in text
    for row in (
        "| documents | train 4,000, validation 80, test 90 |",
        "| learning_rate (chosen by a study) | 3e-05 |",
        "| seed | 7 |",
    ):
        assert row in text
    assert "| learning_rate |" not in text
    assert "`model.int8.onnx` is smaller and only nearly the same: F1 0.8900." in text


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        (
            {"conversion": {"f1": {"torch": 0.9, "onnx": 0.9, "int8": 0.5}, "int8_refused": {}, "versions": {}}},
            "There is no 8-bit model: its F1 was 0.5000.",
            "model.int8.onnx",
        ),
        ({"conversion": {"f1": {"torch": 0.9, "onnx": 0.9}, "versions": {}}}, "`model.onnx` gives the tags", "8-bit"),
        ({"backbone": "mine", "is_public": False}, "named entities by mine", "base_model"),
    ],
)
def test_what_there_is_not_is_not_promised(changes: dict[str, Any], said: str, unsaid: str) -> None:
    text = card(made(**changes))
    assert said in text
    assert unsaid not in text


def test_what_an_older_version_did_not_record_is_said_to_be_that() -> None:
    old = made()
    text = card(
        made(metrics={"test": {**old.metrics["test"], "micro": {"precision": 0.8, "recall": 0.9, "f1": 0.9, "support": 9}}})
    )
    assert "| steps | not recorded |" in text
    assert "| all, micro | 0.800 | 0.900 | 0.900 | 9 |" in text
