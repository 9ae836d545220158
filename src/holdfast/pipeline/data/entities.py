"""From entities to one BIO tag a word, and back. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.pipeline.data.documents import Document, Span

OUTSIDE = "O"


def bio_tags(labels: Sequence[str]) -> tuple[str, ...]:
    """The tags of these entity types, in the order of the model's outputs: `O`, then `B-` and `I-` of each."""
    return (OUTSIDE, *(f"{prefix}-{label}" for label in labels for prefix in "BI"))


def word_tags(document: Document) -> list[str]:
    """The BIO tag of each word of the document.

    Every word that overlaps an entity belongs to it, so an entity that cuts through a word is widened to all of it.
    A word that two entities cut belongs to the earlier; the later begins with its next word, if it has one.
    """
    tags = [OUTSIDE] * len(document.words)
    word = 0
    for span in document.spans:
        while word < len(document.words) and document.words[word][1] <= span.start:
            word += 1
        prefix = "B-"
        while word < len(document.words) and document.words[word][0] < span.end:
            tags[word] = prefix + span.label
            prefix = "I-"
            word += 1
    return tags


def spans_of(document_or_words: Document | Sequence[tuple[int, int]], tags: Sequence[str]) -> tuple[Span, ...]:
    """The entities that the tags of the words say, in order; the inverse of `word_tags`.

    Lenient as seqeval's default mode is: an `I-` without a `B-` before it begins an entity, and so does a change of type.

    Raises:
        ValueError: there are not as many tags as words, or a tag is none of `O`, `B-...` and `I-...`.
    """
    words = document_or_words.words if isinstance(document_or_words, Document) else document_or_words
    return tuple(words_of_spans(words, tags)[0])


def words_of_spans(words: Sequence[tuple[int, int]], tags: Sequence[str]) -> tuple[list[Span], list[range]]:
    """The same, and beside each entity the indices of its words. Looks at each word once. Errors as in `spans_of`."""
    if len(words) != len(tags):
        raise ValueError(f"{len(words)} words and {len(tags)} tags: there must be one tag for each word")
    edges = list(words)
    spans, within = [], []
    for first, last, label in _runs(tags):
        spans.append(Span(edges[first][0], edges[last][1], label))
        within.append(range(first, last + 1))
    return spans, within


def _runs(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """First word, last word and label of each entity."""
    begun: int | None = None
    label = ""
    for word, tag in enumerate(tags):
        prefix, dash, kind = tag.partition("-")
        if tag != OUTSIDE and (prefix not in {"B", "I"} or not dash):
            raise ValueError(f"word {word}: {tag!r} is none of O, B-... and I-...")
        goes_on = prefix == "I" and begun is not None and kind == label
        if begun is not None and not goes_on:
            yield begun, word - 1, label
            begun = None
        if tag != OUTSIDE and not goes_on:
            begun, label = word, kind
    if begun is not None:
        yield begun, len(tags) - 1, label
