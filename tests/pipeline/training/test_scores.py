"""Scores against sums done by hand."""

from __future__ import annotations

import json

import pytest

from holdfast.pipeline.training.scores import OBJECTIVES, flat, score

TRUE = [["B-PER", "I-PER", "O", "B-LOC"], ["B-LOC", "O", "B-PER"]]
# PER: one of two found, exactly. LOC: one of two found, and one that is only half of the person.
PREDICTED = [["B-PER", "I-PER", "O", "O"], ["B-LOC", "B-LOC", "O"]]


def test_scores_are_those_of_whole_entities() -> None:
    scores = score(TRUE, PREDICTED)
    assert scores["by_label"] == {
        "LOC": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2},
        "PER": {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 2},
    }
    assert list(scores["by_label"]) == ["LOC", "PER"]
    micro = {"precision": pytest.approx(2 / 3), "recall": 0.5, "f1": pytest.approx(4 / 7), "support": 4}
    assert scores["micro"] == micro
    assert scores["macro"] == {"precision": 0.75, "recall": 0.5, "f1": pytest.approx(7 / 12), "support": 4}


def test_half_an_entity_counts_for_nothing_and_tuples_are_as_good_as_lists() -> None:
    scores = score([("B-A", "I-A")], (("B-A", "O"),))
    assert scores["micro"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}


def test_entities_do_not_reach_across_documents() -> None:
    assert score([["B-A"], ["I-A"]], [["B-A"], ["O"]])["micro"]["recall"] == 0.5


@pytest.mark.parametrize(
    ("true", "predicted"),
    [([], []), ([[]], [[]]), ([["O"]], [["O"]]), ([["B-A"]], [["O"]]), ([["O"]], [["B-A"]]), ([["B-A"]], [["B-B"]])],
)
def test_what_would_divide_by_zero_is_zero_without_a_warning(true: list[list[str]], predicted: list[list[str]]) -> None:
    scores = score(true, predicted)
    for average in ("micro", "macro"):
        assert scores[average]["f1"] == scores[average]["precision"] == scores[average]["recall"] == 0.0
    assert scores["micro"]["support"] == sum(tag == "B-A" for tags in true for tag in tags)


def test_scores_are_plain_numbers_and_labels_may_hold_hyphens() -> None:
    scores = score([["B-creative-work", "O"]], [["B-creative-work", "B-x"]])
    assert json.loads(json.dumps(scores)) == scores
    assert list(scores["by_label"]) == ["creative-work", "x"]
    assert {type(v) for part in (scores["micro"], *scores["by_label"].values()) for v in part.values()} == {int, float}


def test_every_objective_is_a_flat_figure() -> None:
    figures = flat(score(TRUE, PREDICTED))
    assert set(figures) == set(OBJECTIVES)
    assert figures["f1_micro"] == pytest.approx(4 / 7)
    assert figures["precision_macro"] == 0.75
    assert all(type(value) is float for value in figures.values())


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValueError, match="differ"):
        score([["O"]], [["O", "O"]])
    with pytest.raises(ValueError, match="differ"):
        score([["O"]], [])
