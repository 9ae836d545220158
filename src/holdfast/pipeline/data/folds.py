"""Dividing documents into folds for cross-validation: whole documents, and each label in every fold as often as can be.

What belongs together is in one fold: documents of the same text always, near-duplicates where they do not make up most of the data.
Entities are spread by `StratifiedGroupKFold` of scikit-learn: each entity is a sample of its label, each set of documents a group.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence

from holdfast.errors import BadData
from holdfast.pipeline.data.documents import Document
from holdfast.session.progress import Bar

#: Each document counts once under this, so that folds are of like size also where few have entities. No label is empty.
_DOCUMENT = ""
#: A set of near-duplicates that is more than this share of all documents is divided, as where splits are drawn.
_MOST = 0.5

#: For each fold the numbers of the documents that it is scored on.
Numbers = tuple[tuple[int, ...], ...]


def divide(documents: Sequence[Document], folds: int, seed: int) -> tuple[Numbers, tuple[str, ...]]:
    """For each fold the numbers of the documents that it is scored on, and what is to be said of it, a line each.

    Args:
        documents: All that there are to learn from.
        folds: How many, 2 or more.
        seed: Decides which; the same documents and versions give the same folds on every machine.

    Raises:
        BadData: there are fewer different documents than folds.
    """
    from holdfast.pipeline.data.near import near_duplicates  # numpy is needed here only

    same = _first_of(d.text for d in documents)
    if len(set(same)) < folds:
        raise BadData(
            f"hpo.folds: {folds} folds are more than there are different training documents ({len(set(same))}); give fewer folds, "
            "or more documents"
        )
    groups, notes = near_duplicates(documents, Bar()), []
    largest = max(Counter(groups).values())
    if largest > _MOST * len(groups) or len(set(groups)) < folds:
        notes.append(
            f"{largest} of {len(groups)} training documents are near-duplicates of each other, so they were not kept in one fold, "
            "and scores may come out too high"
        )
        groups = same
    return _filled(_spread(documents, groups, folds, seed), groups), tuple(notes)


def _first_of(texts: Iterable[str]) -> list[int]:
    """For each text the number of the first that is the same."""
    met: dict[str, int] = {}
    return [met.setdefault(text, number) for number, text in enumerate(texts)]


def _spread(documents: Sequence[Document], groups: Sequence[int], folds: int, seed: int) -> list[list[int]]:
    """The groups of each fold."""
    from sklearn.model_selection import StratifiedGroupKFold

    rows = [(label, g) for d, g in zip(documents, groups, strict=True) for label in (_DOCUMENT, *(s.label for s in d.spans))]
    labels, members = [label for label, _ in rows], [group for _, group in rows]
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a label that is rarer than there are folds cannot be in each
        return [sorted({members[row] for row in scored}) for _, scored in splitter.split(rows, labels, members)]


def _filled(chosen: list[list[int]], groups: Sequence[int]) -> Numbers:
    """The documents of each fold. A fold that nothing was put into, as there are few, takes a group of the one that has most."""
    for fold in chosen:
        if not fold:
            fold.append(max(chosen, key=len).pop())
    fold_of = {group: n for n, fold in enumerate(chosen) for group in fold}
    return tuple(tuple(number for number, group in enumerate(groups) if fold_of[group] == n) for n in range(len(chosen)))
