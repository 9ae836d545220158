"""Intervals against scores of documents that are really drawn."""

from __future__ import annotations

import json

import numpy as np
import pytest

from holdfast.pipeline.training.intervals import with_intervals
from holdfast.pipeline.training.scores import score

TRUE = [
    ["B-PER", "I-PER", "O", "B-LOC"],
    ["B-LOC", "O", "B-PER"],
    ["O", "B-PER", "O"],
    ["B-LOC", "B-LOC", "O"],
    ["B-ODD", "O", "O"],
]
FOUND = [["B-PER", "I-PER", "O", "O"], ["B-LOC", "B-LOC", "O"], ["O", "B-PER", "O"], ["B-LOC", "O", "O"], ["B-ODD", "O", "B-PER"]]


def test_an_interval_holds_the_middle_of_the_scores_of_so_many_drawn_sets() -> None:
    draws = 50
    dice = np.random.default_rng(0)
    drawn = []
    for _ in range(draws):
        chosen = dice.integers(0, len(TRUE), len(TRUE))
        drawn.append(score([TRUE[n] for n in chosen], [FOUND[n] for n in chosen]))
    found = with_intervals(score(TRUE, FOUND), TRUE, FOUND, draws)
    for part in ("micro", "macro"):
        for name in ("precision", "recall", "f1"):
            low, high = np.percentile([d[part][name] for d in drawn], [2.5, 97.5])
            assert found[part]["intervals"][name] == pytest.approx([low, high])
    odd = [d["by_label"]["ODD"]["f1"] for d in drawn if "ODD" in d["by_label"]]
    assert len(odd) < draws
    assert found["by_label"]["ODD"]["intervals"]["f1"] == pytest.approx(list(np.percentile(odd, [2.5, 97.5])))


def test_the_same_predictions_have_the_same_intervals_and_the_scores_stay_what_they_are() -> None:
    scores = score(TRUE, FOUND)
    found = with_intervals(scores, TRUE, FOUND)
    assert found == with_intervals(scores, TRUE, FOUND)
    assert json.loads(json.dumps(found)) == found
    for part in ("micro", "macro"):
        assert {k: v for k, v in found[part].items() if k != "intervals"} == scores[part]
        low, high = found[part]["intervals"]["f1"]
        assert low <= scores[part]["f1"] <= high


def test_a_model_that_is_always_right_is_so_in_every_draw_and_more_documents_say_more() -> None:
    assert with_intervals(score(TRUE, TRUE), TRUE, TRUE)["micro"]["intervals"]["f1"] == [1.0, 1.0]
    many, guessed = TRUE * 20, FOUND * 20
    few = with_intervals(score(TRUE, FOUND), TRUE, FOUND)["micro"]["intervals"]["f1"]
    more = with_intervals(score(many, guessed), many, guessed)["micro"]["intervals"]["f1"]
    assert more[1] - more[0] < (few[1] - few[0]) / 2


def test_where_there_is_no_entity_there_is_no_interval() -> None:
    nothing = [["O", "O"]]
    assert with_intervals(score(nothing, nothing), nothing, nothing) == score(nothing, nothing)
