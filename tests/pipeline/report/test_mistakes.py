"""Every way in which found entities differ from the true ones, by hand."""

from __future__ import annotations

import pytest

from holdfast.pipeline.data.documents import Document, Span, split_words
from holdfast.pipeline.report.mistakes import AROUND, Mistake, compare, excerpt

TEXT = "Ada Lovelace met Grace Hopper in New York."
ADA, GRACE, YORK = Span(0, 12, "PERSON"), Span(17, 29, "PERSON"), Span(33, 41, "PLACE")


@pytest.mark.parametrize(
    ("found", "kinds"),
    [
        ([ADA, GRACE, YORK], []),
        ([Span(0, 3, "PERSON"), GRACE, YORK], ["boundary"]),
        ([ADA, GRACE, Span(33, 41, "PERSON")], ["type"]),
        ([ADA, GRACE, Span(37, 41, "PERSON")], ["type"]),
        ([ADA, YORK], ["missed"]),
        ([ADA, Span(13, 16, "PLACE"), GRACE, YORK], ["invented"]),
        ([Span(0, 3, "PERSON"), Span(4, 12, "PERSON"), GRACE, YORK], ["invented", "boundary"]),
        ([Span(0, 29, "PERSON"), YORK], ["boundary", "missed"]),
        ([], ["missed", "missed", "missed"]),
    ],
)
def test_each_mistake_has_its_kind(found: list[Span], kinds: list[str]) -> None:
    told = compare([[ADA, GRACE, YORK]], [found])
    assert sorted(m.kind for m in told.all) == sorted(kinds)
    assert told.right == sum(s in found for s in (ADA, GRACE, YORK))
    assert sum(told.count(kind) for kind in ("boundary", "type", "missed", "invented")) == len(told.all)


def test_confusion_counts_every_entity_of_either_side_once() -> None:
    found = [[Span(0, 3, "PERSON"), Span(33, 41, "PERSON"), Span(13, 16, "PLACE")], [ADA]]
    told = compare([[ADA, GRACE, YORK], [ADA]], found)
    assert told.confusion == {("PERSON", "PERSON"): 2, ("PLACE", "PERSON"): 1, ("PERSON", ""): 1, ("", "PLACE"): 1}
    assert sum(n for (true, _), n in told.confusion.items() if true) == 4
    assert sum(n for (_, given), n in told.confusion.items() if given) == 4


def test_an_excerpt_is_the_text_around_it_in_pieces() -> None:
    document = Document(TEXT, split_words(TEXT))
    pieces = excerpt(document, Mistake("boundary", 0, GRACE, Span(13, 22, "PERSON")))
    assert [(p.text, p.true, p.found) for p in pieces] == [
        ("Ada Lovelace ", "", ""),
        ("met ", "", "PERSON"),
        ("Grace", "PERSON", "PERSON"),
        (" Hopper", "PERSON", ""),
        (" in New York.", "", ""),
    ]


def test_an_excerpt_of_a_long_document_is_short() -> None:
    text = "word " * 1000
    document = Document(text, split_words(text))
    pieces = excerpt(document, Mistake("missed", 0, Span(2000, 4000, "A"), None))
    assert pieces[0].text == pieces[-1].text == "…"
    assert sum(len(p.text) for p in pieces) < 2 * AROUND + 220
