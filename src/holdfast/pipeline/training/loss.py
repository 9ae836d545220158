"""The loss: cross-entropy over word tags, with a weight per tag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from holdfast.errors import ConfigurationError
from holdfast.pipeline.experiment import nearest


def tag_weights(wanted: str | Mapping[str, float], tags: Sequence[str], labels: Sequence[int]) -> list[float] | None:
    """A weight per tag; None where all are equal.

    `balanced` is n / (k * n_t) for n labelled words, k tags that occur and n_t words of tag t (G. King, L. Zeng, Logistic
    Regression in Rare Events Data, 2001; scikit-learn's `class_weight="balanced"`).

    Args:
        wanted: `none`, `balanced`, or a weight per entity type (1 for the others and for O).
        tags: Names of the tags, by number.
        labels: The tag of every training word, -100 where there is none.

    Raises:
        ConfigurationError: a weight for an entity type that does not exist.
    """
    if isinstance(wanted, Mapping):
        types = sorted({t[2:] for t in tags if t != "O"})
        for unknown in sorted(set(wanted) - set(types)):
            raise ConfigurationError(f"training.class_weights.{unknown} is not a label of the data{nearest(unknown, types)}")
        return [float(wanted.get(t[2:], 1.0)) if t != "O" else 1.0 for t in tags]
    if wanted == "none":
        return None
    counts = Counter(label for label in labels if label >= 0)
    total = sum(counts.values())
    return [total / (len(counts) * counts[i]) if counts[i] else 1.0 for i in range(len(tags))]


def weighted_loss(weights: Sequence[float] | None) -> Callable[..., Any]:
    """A loss function for the Trainer: the mean over the words of an optimizer step, also when its batches accumulate."""
    import torch
    from torch.nn.functional import cross_entropy

    tensor = None if weights is None else torch.tensor(weights)

    def loss(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs[0]
        weight = None if tensor is None else tensor.to(logits.device)
        total = cross_entropy(
            logits.reshape(-1, logits.shape[-1]).float(), labels.reshape(-1), weight=weight, ignore_index=-100, reduction="sum"
        )
        words = num_items_in_batch if num_items_in_batch is not None else (labels != -100).sum().clamp(min=1)
        return total / words

    return loss
