"""Entities as tags and back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.pipeline.data.documents import Document, Span, split_words
from holdfast.pipeline.data.entities import bio_tags, spans_of, word_tags

LABELS = ("A", "creative-work", "_")


def test_tags_of_the_labels_in_the_order_of_the_outputs() -> None:
    assert bio_tags(["LOC", "PER"]) == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert bio_tags([]) == ("O",)


def document(text: str, *spans: tuple[int, int, str]) -> Document:
    return Document(text, split_words(text), tuple(Span(*span) for span in spans))


def test_a_word_that_overlaps_an_entity_belongs_to_it() -> None:
    assert word_tags(document("preOslo Romepost x", (3, 12, "A"))) == ["B-A", "I-A", "O"]


def test_a_word_that_two_entities_cut_belongs_to_the_earlier() -> None:
    assert word_tags(document("OsloRome Bonn", (0, 4, "A"), (4, 13, "B"))) == ["B-A", "B-B"]
    assert word_tags(document("OsloRome Bonn", (0, 4, "A"), (4, 8, "B"))) == ["B-A", "O"]


def test_neighbours_of_one_type_stay_two() -> None:
    both = document("Oslo Rome", (0, 4, "A"), (5, 9, "A"))
    assert word_tags(both) == ["B-A", "B-A"]
    assert spans_of(both, word_tags(both)) == both.spans


@st.composite
def annotated(draw: st.DrawFn) -> Document:
    """A text whose entities begin and end with words."""
    text = draw(st.text(alphabet="ab'. \u00e9\u0301\U0001f600\u4e2d\n", min_size=1, max_size=30))
    words = split_words(text)
    marks = draw(st.lists(st.sampled_from(["O", "join", *LABELS]), min_size=len(words), max_size=len(words)))
    spans: list[Span] = []
    for (start, end), mark in zip(words, marks, strict=True):
        if mark == "join" and spans and spans[-1].end in {e for s, e in words if e <= start}:
            last = spans.pop()
            spans.append(Span(last.start, end, last.label))
        elif mark in LABELS:
            spans.append(Span(start, end, mark))
    return Document(text, words, tuple(spans))


@settings(deadline=None)
@given(annotated())
def test_entities_survive_as_tags(given_document: Document) -> None:
    tags = word_tags(given_document)
    assert set(tags) <= set(bio_tags(LABELS))
    assert spans_of(given_document, tags) == given_document.spans
    assert spans_of(given_document.words, tags) == given_document.spans


@settings(deadline=None)  # the first example loads seqeval
@given(st.lists(st.sampled_from(bio_tags(LABELS)), max_size=12))
def test_tags_in_any_order_are_read_as_seqeval_reads_them(tags: list[str]) -> None:
    from seqeval.metrics import sequence_labeling

    found = spans_of([(n, n + 1) for n in range(len(tags))], tags)
    assert [(s.label, s.start, s.end - 1) for s in found] == sequence_labeling.get_entities(tags)


def test_too_few_tags_and_what_is_no_tag_are_refused() -> None:
    with pytest.raises(ValueError, match="2 words and 1 tags"):
        spans_of([(0, 1), (1, 2)], ["O"])
    for tag in ("PER", "S-PER", "B", "", "o"):
        with pytest.raises(ValueError, match="none of O"):
            spans_of([(0, 1)], [tag])
