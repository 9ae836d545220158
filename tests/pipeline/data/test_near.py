"""Near-duplicates: found as the definition says, the same everywhere, and without comparing each with each."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations

import pytest

from holdfast.pipeline.data import near
from holdfast.pipeline.data.documents import Document, split_words
from holdfast.pipeline.data.near import Runs, near_duplicates, near_to


def document(words: Sequence[str]) -> Document:
    text = " ".join(words)
    return Document(text, split_words(text))


def runs(given: Document) -> set[tuple[str, ...]]:
    words = [given.text[a:b].casefold() for a, b in given.words]
    return {tuple(words[n : n + 5]) for n in range(max(1, len(words) - 4))}


def alike(a: set[tuple[str, ...]], b: set[tuple[str, ...]]) -> bool:
    """The definition, as it stands in the module, on the words themselves."""
    return 5 * len(a & b) >= 4 * len(a | b)


def varied(seed: int, count: int, length: int) -> list[Document]:
    """Texts that nobody wrote, each beside copies with some words changed, near the edge on both sides of it."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        words = [f"w{draw.randrange(3000)}" for _ in range(length)]
        made.append(document(words))
        for changes in (1, 1, 2, 3, 6):
            copy = list(words)
            for _ in range(changes):
                copy[draw.randrange(length)] = f"x{draw.randrange(3000)}"
            made.append(document(copy))
    return made


def test_exactly_the_pairs_of_the_definition_are_found_on_both_sides_of_its_edge() -> None:
    documents = varied(1, 30, 80)
    sets = [runs(d) for d in documents]
    pairs = {(a, b) for a, b in combinations(range(len(documents)), 2) if alike(sets[a], sets[b])}
    assert 60 < len(pairs) < 300
    first = list(range(len(documents)))
    for a, b in sorted(pairs):  # sets of near-duplicates of near-duplicates
        low, high = sorted((first[a], first[b]))
        first = [low if f == high else f for f in first]
    assert near_duplicates(documents) == first
    learnt, others = documents[::2], documents[1::2]
    assert near_to(learnt, others) == [any(alike(a, b) for a in sets[::2]) for b in sets[1::2]]


def test_case_and_blanks_make_no_difference_and_a_short_text_has_only_its_equals() -> None:
    texts = [
        "Ada Obi lives in Oslo.",
        "ADA  OBI lives\nin Oslo .",
        "SOCCER -",
        "Soccer -",
        "SOCCER",
        "-",
        "日本語",
        "日本話",
        "…",
        "\u200b",
        "\u200b",
    ]
    documents = [Document(text, split_words(text)) for text in texts]
    assert near_duplicates(documents) == [0, 0, 2, 2, 4, 5, 6, 7, 8, 9, 9]
    assert near_duplicates([]) == near_to([], []) == near_to(documents, []) == []
    assert near_to([], documents) == [False] * len(documents)


def test_the_buckets_are_the_same_on_every_machine() -> None:
    """Written down: a study that goes on elsewhere must not learn from what it is measured by."""
    bands = Runs([document(["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog"]), document(["Oslo"])]).bands()
    assert bands.shape == (2, 20)
    assert [hex(int(n)) for n in bands[:, 0]] == BANDS


BANDS = ["0xddd32766e4c7686c", "0x2af581d1b29f1ce5"]


def test_of_many_that_share_a_bucket_each_is_compared_with_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts of one template are near each other in every band; comparing each with each would take a day for a large file."""
    real, compared = near._alike, []
    monkeypatch.setattr(near, "_alike", lambda a, b: (compared.append(1), real(a, b))[1])
    template = [f"w{n}" for n in range(40)]
    documents = [document([*template, f"a{n}", f"b{n}"]) for n in range(300)]  # 36 of 40 runs are shared: 0.82
    assert near_duplicates(documents) == [0] * 300
    assert len(compared) < 2 * 300
    counts = []
    for count in (150, 300):
        compared.clear()
        documents = [document([*template, *(f"{c}{n}" for c in "abcdefgh")]) for n in range(count)]  # 36 of 52: not near
        assert near_duplicates(documents) == list(range(count))
        counts.append(len(compared))
    assert counts[1] < 2.5 * counts[0]
