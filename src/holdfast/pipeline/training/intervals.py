"""How sure a score is: intervals by the bootstrap over documents. Pure.

Documents are drawn with replacement, as many as there are, a thousand times; each draw has its own precision, recall and F1, and
the interval holds the middle 95 % of them (the percentile bootstrap; Efron, Tibshirani, "An Introduction to the Bootstrap", 1993,
chapter 13). Whole documents are drawn, because entities of one document are alike. The draws are of whole numbers by a fixed seed,
so the same predictions have the same intervals on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Counts = NDArray[np.int64]
    Floats = NDArray[np.float64]

#: How many draws, and how much of them an interval holds, in percent.
DRAWS, SHARE = 1000, 95

_SEED = 0
_NAMES = ("precision", "recall", "f1")


def with_intervals(
    scores: Mapping[str, Any], true: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], draws: int = DRAWS
) -> dict[str, Any]:
    """The same scores, where each group of figures also has `intervals`: `{"f1": [low, high], ...}`.

    A draw in which a label neither is nor was found says nothing of it, and the macro average of that draw is over the others.

    Args:
        scores: What `scores.score` gives for these tags.
        true: The tags of each document.
        predicted: As many, for the same words.
        draws: How many.
    """
    import numpy as np

    labels = list(scores["by_label"])
    counts = _counts(labels, true, predicted)
    if not labels or not len(counts):
        return dict(scores)
    dice = np.random.default_rng(_SEED)
    drawn = np.stack([counts[dice.integers(0, len(counts), len(counts))].sum(axis=0) for _ in range(draws)])
    each, told = _figures(drawn), drawn[..., 1] + drawn[..., 2] > 0  # [draws, labels, 3], [draws, labels]
    micro = _figures(drawn.sum(axis=1))
    macro = (each * told[..., None]).sum(axis=1) / np.maximum(told.sum(axis=1), 1)[:, None]
    by_label = {n: {**scores["by_label"][n], "intervals": _interval(each[told[:, at], at])} for at, n in enumerate(labels)}
    return {
        **scores,
        "micro": {**scores["micro"], "intervals": _interval(micro)},
        "macro": {**scores["macro"], "intervals": _interval(macro)},
        "by_label": by_label,
    }


def _counts(labels: Sequence[str], true: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Counts:
    """Right, predicted and true entities: [documents, labels, 3]."""
    import numpy as np
    from seqeval.metrics.sequence_labeling import get_entities

    number = {label: n for n, label in enumerate(labels)}
    found = np.zeros((len(true), len(labels), 3), dtype=np.int64)
    for row, tags, guesses in zip(found, true, predicted, strict=True):
        wanted, given = set(get_entities(list(tags))), set(get_entities(list(guesses)))
        for column, entities in enumerate((wanted & given, given, wanted)):
            for label, _, _ in entities:
                row[number[label], column] += 1
    return found


def _figures(counts: Counts) -> Floats:
    """Precision, recall and F1 in the last axis. What would divide by zero is 0, as in `scores`."""
    import numpy as np

    right, given, wanted = (counts[..., n].astype(np.float64) for n in range(3))
    both = given + wanted
    parts = [(right, given), (right, wanted), (2 * right, both)]
    return np.stack([np.divide(a, b, out=np.zeros_like(a), where=b > 0) for a, b in parts], axis=-1)


def _interval(draws: Floats) -> dict[str, list[float]]:
    import numpy as np

    aside = (100 - SHARE) / 2
    low, high = np.percentile(draws, [aside, 100 - aside], axis=0)
    return {name: [float(low[n]), float(high[n])] for n, name in enumerate(_NAMES)}
