"""How good predicted entities are: precision, recall and F1 of whole entities, as seqeval counts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_METRICS = ("f1", "precision", "recall")
_AVERAGES = ("micro", "macro")

#: Names of the figures that a study can aim at.
OBJECTIVES: tuple[str, ...] = tuple(f"{metric}_{average}" for metric in _METRICS for average in _AVERAGES)


def score(true: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Compare predicted BIO tags with the true ones, entity by entity.

    An entity counts only where its first word, last word and label all agree. What would divide by zero is 0. The macro
    average is over the labels that occur in `true` or in `predicted`.

    Args:
        true: The tags of each document.
        predicted: As many, for the same words.

    Returns:
        `{"micro": FIGURES, "macro": FIGURES, "by_label": {LABEL: FIGURES}}`, where FIGURES are `precision`, `recall`
        and `f1` from 0 to 1, and `support`, the number of true entities. Plain numbers, labels sorted.

    Raises:
        ValueError: documents or words differ in number.
    """
    from seqeval.metrics.sequence_labeling import (
        get_entities,
        precision_recall_fscore_support,
    )

    # seqeval tells a document from a tag by its being a list
    rows, guesses = [list(tags) for tags in true], [list(tags) for tags in predicted]
    if [len(tags) for tags in rows] != [len(tags) for tags in guesses]:
        raise ValueError("true and predicted tags differ in the number of documents or words")
    labels = sorted({label for label, _, _ in [*get_entities(rows), *get_entities(guesses)]})
    if not labels:  # seqeval would average over nothing
        nothing = _figures(0.0, 0.0, 0.0, 0)
        return {"micro": dict(nothing), "macro": dict(nothing), "by_label": {}}

    def averaged(average: str | None) -> Any:
        return precision_recall_fscore_support(rows, guesses, average=average, zero_division=0)

    each = zip(labels, *averaged(None), strict=True)
    return {
        **{average: _figures(*averaged(average)) for average in _AVERAGES},
        "by_label": {label: _figures(*figures) for label, *figures in each},
    }


def flat(scores: Mapping[str, Any]) -> dict[str, float]:
    """The averaged figures of `score` by the names in `OBJECTIVES`, such as `f1_micro`."""
    return {f"{metric}_{average}": float(scores[average][metric]) for metric in _METRICS for average in _AVERAGES}


def _figures(precision: Any, recall: Any, f1: Any, support: Any) -> dict[str, float | int]:
    return {"precision": float(precision), "recall": float(recall), "f1": float(f1), "support": int(support)}
