"""Documents in folds: whole, each once, what belongs together in one, labels in each."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from holdfast.errors import BadData
from holdfast.pipeline.data.documents import Document, Span, split_words
from holdfast.pipeline.data.folds import divide


def document(text: str, label: str = "") -> Document:
    words = split_words(text)
    return Document(text, words, (Span(*words[0], label),) if label else ())


def different(number: int) -> str:
    chance = random.Random(number)
    return " ".join("".join(chance.choices("abcdefgh", k=6)) for _ in range(12))


def test_each_document_is_in_one_fold_and_each_label_in_every_fold() -> None:
    documents = [document(different(n), ("A", "A", "A", "B")[n % 4] if n % 5 else "RARE") for n in range(60)]
    folds, notes = divide(documents, 5, seed=3)
    assert sorted(n for fold in folds for n in fold) == list(range(60))
    assert not notes
    counts = [Counter(s.label for n in fold for s in documents[n].spans) for fold in folds]
    for label in ("A", "B", "RARE"):
        each = [count[label] for count in counts]
        assert max(each) - min(each) <= 1, (label, each)
    assert {len(fold) for fold in folds} <= {11, 12, 13}
    assert divide(documents, 5, seed=3)[0] == folds
    assert divide(documents, 5, seed=4)[0] != folds


def test_the_same_text_and_near_duplicates_stay_in_one_fold() -> None:
    copies = [different(900), different(901), f"{different(901)} more"]
    texts = [*(different(n) for n in range(20)), *(text for text in copies for _ in range(3))]
    documents = [document(text, "A") for text in texts]
    folds, _ = divide(documents, 4, seed=0)
    where = {n: number for number, fold in enumerate(folds) for n in fold}
    assert len({where[n] for n in (20, 21, 22)}) == 1
    assert len({where[n] for n in range(23, 29)}) == 1


def test_near_duplicates_that_are_most_of_the_data_are_divided_and_that_is_said() -> None:
    documents = [document(f"{different(7)} {different(8)} {n}", "A") for n in range(6)] + [document(different(1), "A")] * 2
    folds, notes = divide(documents, 3, seed=0)
    assert "near-duplicates of each other, so they were not kept in one fold" in notes[0]
    assert all(folds)
    assert len([fold for fold in folds if 6 in fold or 7 in fold]) == 1, "the same text stays together in any case"


@pytest.mark.parametrize("folds", [2, 3, 7])
def test_a_fold_is_never_empty_however_few_documents_there_are(folds: int) -> None:
    for seed in range(5):
        found, _ = divide([document(different(n), "A" if n else "") for n in range(folds)], folds, seed)
        assert [len(fold) for fold in found] == [1] * folds


def test_more_folds_than_different_documents_are_refused() -> None:
    with pytest.raises(BadData, match=r"hpo\.folds: 3 folds are more than there are different training documents \(2\)"):
        divide([document("one", "A"), document("one", "A"), document("two", "A")], 3, seed=0)
