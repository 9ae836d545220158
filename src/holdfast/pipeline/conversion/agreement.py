"""Whether a converted model gives what the model that it came from gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.pipeline.conversion.inference import forward_onnx, forward_torch
from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.data.encode import Window, decisive, word_predictions
from holdfast.pipeline.data.entities import spans_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Agreement:
    """How two models agree on documents.

    Args:
        documents: Number of documents.
        windows: Number of windows that they were cut into.
        words: Number of words.
        max_difference: Largest absolute difference of a logit, over all pieces.
        scale: Largest absolute logit of the first model, at least 1.
        allowed: Largest difference that passes: tolerance times scale.
        exempt: Words whose two highest logits in the first model are closer than twice `allowed`.
        exempt_differing: Words among them that got another tag.
        differing: Indices of documents whose entities differ, where no exempt word explains it.
    """

    documents: int
    windows: int
    words: int
    max_difference: float
    scale: float
    allowed: float
    exempt: int
    exempt_differing: int
    differing: tuple[int, ...]

    def document(self) -> dict[str, Any]:
        """As it is written to JSON."""
        return {
            "documents": self.documents,
            "windows": self.windows,
            "words": self.words,
            "max_difference": self.max_difference,
            "scale": self.scale,
            "allowed": self.allowed,
            "exempt_words": self.exempt,
            "exempt_words_differing": self.exempt_differing,
            "differing_documents": len(self.differing),
        }


def compare(
    documents: Sequence[Document],
    windows: Sequence[Window],
    first: Sequence[Floats],
    second: Sequence[Floats],
    tags: Sequence[str],
    *,
    tolerance: float,
) -> Agreement:
    """Compare the logits of two models for the same windows, and the entities that follow from them.

    A logit may move by `allowed` in either direction, so two logits closer than twice that may change places: such words
    are exempt. All others must keep their tag. Where the tags of a document differ in exempt words only, its entities are
    not compared.

    Args:
        documents: As they were encoded.
        windows: As `encode` made them.
        first: Logits of the model that is right, [pieces, tags] for each window.
        second: Logits of the other.
        tags: The tag of each column.
        tolerance: Allowed difference for logits of scale 1.
    """
    import numpy as np

    difference = _largest([np.abs(a - b).max() for a, b in zip(first, second, strict=True)])
    scale = max(1.0, _largest([np.abs(rows).max() for rows in first]))
    allowed = tolerance * scale
    before, after = (word_predictions(documents, windows, rows, tags) for rows in (first, second))
    exempt = exempt_differing = 0
    differing: list[int] = []
    for index, places in enumerate(decisive(len(documents), windows)):
        close = {word for word, (window, at) in places.items() if _gap(first[window][at]) < 2 * allowed}
        changed = {word for word, (x, y) in enumerate(zip(before[index], after[index], strict=True)) if x != y}
        exempt += len(close)
        exempt_differing += len(close & changed)
        told_apart = spans_of(documents[index], before[index]) != spans_of(documents[index], after[index])
        if changed & places.keys() - close or (told_apart and not changed & close):
            differing.append(index)
    words = sum(len(document.words) for document in documents)
    return Agreement(len(documents), len(windows), words, difference, scale, allowed, exempt, exempt_differing, tuple(differing))


def compare_shapes(model: Any, session: Any, *, vocabulary: int, longest: int, tolerance: float) -> list[dict[str, Any]]:
    """Compare a torch model with its ONNX form for batches of several shapes, half of them padded, of random pieces.

    Returns:
        One row for each shape: `batch`, `length`, `max_difference` over real pieces, and `allowed` as in `Agreement`.
    """
    import numpy as np

    random = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    for batch, length in ((1, 3), (1, longest), (3, 7), (2, max(3, longest // 2))):
        length = min(length, longest)  # noqa: PLW2901
        ids = random.integers(0, vocabulary, (batch, length), dtype=np.int64)
        mask = np.ones_like(ids)
        mask[1:, max(1, length // 2) :] = 0  # every row but the first is padded
        expected, found = forward_torch(model, ids, mask, "cpu"), forward_onnx(session, ids, mask)
        real = mask.astype(bool)
        rows.append(
            {
                "batch": batch,
                "length": length,
                "max_difference": float(np.abs(expected - found)[real].max()),
                "allowed": tolerance * max(1.0, float(np.abs(expected[real]).max())),
            }
        )
    return rows


def share_of_words(first: Sequence[Sequence[str]], second: Sequence[Sequence[str]]) -> float:
    """The share of words with the same tag, from 0 to 1; 1 where there are no words."""
    pairs = [x == y for a, b in zip(first, second, strict=True) for x, y in zip(a, b, strict=True)]
    return sum(pairs) / len(pairs) if pairs else 1.0


def _largest(values: Sequence[Any]) -> float:
    """The largest number; not a number where one of them is none, so that no comparison with it passes."""
    import numpy as np

    return float(np.max(values))


def _gap(row: Floats) -> float:
    """How far the highest logit is above the next."""
    import numpy as np

    if len(row) < 2:
        return float("inf")
    low, high = np.partition(row, -2)[-2:]
    return float(high - low)
