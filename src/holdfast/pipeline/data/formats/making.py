"""From what a file gives to documents that can be learnt from: what is left out, dropped or changed is counted by label."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from holdfast.pipeline.data.documents import Document, Span, split_words
from holdfast.pipeline.data.entities import spans_of, word_tags
from holdfast.pipeline.data.formats.objects import short
from holdfast.pipeline.data.formats.shape import Item, Mark, Problems

_TRIMMED = "spans that begin or end with whitespace, trimmed"
_REPEATED = "spans given again, dropped"
_OVERLAPS = "spans that overlap a longer or an earlier one, dropped"
_CUTS = "spans that cut through a word, widened to all of it where words are tagged"
_SHARED = "spans that share their only word with an earlier one, dropped"
_PIECES = "spans in several pieces, read from the first piece to the last"
_NOTHING = frozenset({"null", "none", "nan", "-", "_", "x", "undefined"})
_PREFIX = re.compile(r"[BIESLU]-\S")


def documents_of(items: Iterable[Item], annotator: str | None, problems: Problems) -> list[tuple[str, Document, str | None]]:
    """The documents of the items, in their order, each with its place and its source.

    Args:
        items: With marks in half-open code points.
        annotator: Whose marks hold where several people marked one text; None where nobody said.
        problems: Takes what is wrong, dropped or changed.
    """
    learnt = _chosen([item for item in items if _is_learnt(item, problems)], annotator, problems)
    documents = [(item.place, document, item.source) for item in learnt if (document := _document(item, problems))]
    given = Counter(mark.label.strip() for item in learnt for mark in item.marks)
    left = Counter(span.label for _, document, _ in documents for span in document.spans)
    for label in sorted(given.keys() - left.keys() - {""}):
        if not problems.wrong:
            problems.note("labels of which nothing is left", learnt[0].place, label)
    _look_at_labels(left, learnt, problems)
    return documents


def _is_learnt(item: Item, problems: Problems) -> bool:
    if item.left_out is not None:
        problems.note(item.left_out, item.place)
    return item.left_out is None


def _chosen(items: list[Item], annotator: str | None, problems: Problems) -> list[Item]:
    """One item for each text that several people marked: the one asked for; else it is a problem, if they differ."""
    by_key: dict[str, list[Item]] = {}
    for item in items:
        if item.key is not None:
            by_key.setdefault(item.key, []).append(item)
    gone: set[int] = set()
    for same in by_key.values():
        if len(same) < 2:
            continue
        wanted = [i for i in same if i.annotator == annotator] if annotator is not None else []
        keep = wanted[0] if wanted else same[0]
        read = {(i.text, frozenset((m.start, m.end, m.label) for m in i.marks)) for i in same}
        names = ", ".join(str(i.annotator) for i in same)
        if not wanted and len(read) > 1:
            what = f"{len(same)} people marked this text, and not alike: {names}"
            problems.add(same[1].place, what, "say whose holds, for example data.annotator: " + short(same[0].annotator))
        problems.note("texts marked by several people, read once", same[1].place)
        gone |= {id(i) for i in same if i is not keep}
    return [item for item in items if id(item) not in gone]


def _document(item: Item, problems: Problems) -> Document | None:
    text, where = item.text, item.place
    if not text.strip():
        problems.add(where, "'text' is empty", "leave the document out")
        return None
    if (half := _half(text)) is not None:
        problems.add(where, f"'text' holds half a character at {half}", "write the whole character")
        return None
    before = len(problems.wrong)
    spans = [span for mark in item.marks if (span := _span(text, mark, problems))]
    if len(problems.wrong) > before:
        return None
    words = item.words if item.words is not None else split_words(text)
    kept = _disjoint(where, spans, problems)
    return Document(text, words, _marked(text, words, kept, where, problems))


def _marked(
    text: str, words: tuple[tuple[int, int], ...], spans: tuple[Span, ...], where: str, problems: Problems
) -> tuple[Span, ...]:
    """The spans that tags of words can say; a second one in the same word cannot be, and is dropped."""
    document = Document(text, words, spans)
    said = spans_of(document, word_tags(document))
    if said == spans:
        return spans
    edges = {edge for word in words for edge in word}
    for span in spans:
        if span.start not in edges or span.end not in edges:
            problems.note(_CUTS, f"{where}, characters {span.start} to {span.end}")
    if len(said) == len(spans):
        return spans
    lost = []
    taken: set[int] = set()
    for span in spans:
        own = {n for n, (a, b) in enumerate(words) if a < span.end and span.start < b}
        if not own - taken:
            problems.note(_SHARED, f"{where}, characters {span.start} to {span.end}", span.label)
            lost.append(span)
        taken |= own
    return tuple(span for span in spans if span not in lost)


def _half(text: str) -> int | None:
    """JSON can name half a character, which no tokenizer and no file can hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return error.start
    return None


def _span(text: str, mark: Mark, problems: Problems) -> Span | None:
    where, start, end, label = mark.place, mark.start, mark.end, mark.label
    wrong: tuple[str, str] | None = None
    if not label.strip():
        wrong = "the label is empty", "name the type of the entity"
    elif (half := _half(label)) is not None:
        wrong = f"the label holds half a character at {half}", "write the whole character"
    elif label.strip() == "O":
        wrong = "'O' is no label: it is the tag of words that are no entity", "take the annotation out, or give it another name"
    elif start >= end:
        wrong = f"start {short(start)} is not before end {short(end)}", "the end is exclusive: one past the last"
    elif start < 0 or end > len(text):
        what = f"characters {short(start)} to {short(end)} are outside the text, which has {len(text)}"
        wrong = what, "offsets count characters from 0, the end exclusive"
    elif not text[start:end].strip():
        wrong = f"characters {start} to {end} are only whitespace", "remove the annotation"
    if wrong:
        problems.add(where, *wrong)
        return None
    if mark.pieces:
        problems.note(_PIECES, where, label.strip())
    inner = text[start:end]
    trimmed = Span(end - len(inner.lstrip()), start + len(inner.rstrip()), label.strip())
    if (trimmed.start, trimmed.end) != (start, end):
        problems.note(_TRIMMED, where)
    return trimmed


def _disjoint(where: str, spans: list[Span], problems: Problems) -> tuple[Span, ...]:
    """The spans in order without overlaps: the longer stays, then the earlier in the text, then in the list."""
    kept: list[Span] = []
    dropped: Counter[Span] = Counter()
    for span in sorted(spans, key=lambda s: (s.start - s.end, s.start)):
        place = f"{where}, characters {span.start} to {span.end}"
        over = next((other for other in kept if span.start < other.end and other.start < span.end), None)
        if span in kept:
            problems.note(_REPEATED, place)
        elif over is not None:
            problems.note(_OVERLAPS, place, span.label)
            dropped[over] += 1
        else:
            kept.append(span)
    for span, count in dropped.items():
        if count >= 5:
            problems.note(
                "spans over five or more others, which are dropped for it",
                f"{where}, characters {span.start} to {span.end}",
                span.label,
            )
    return tuple(sorted(kept))


def _look_at_labels(labels: Counter[str], items: Sequence[Item], problems: Problems) -> None:
    """Labels that are hardly meant: twins, prefixes that are ours to add, words for nothing."""
    first: dict[str, str] = {}
    for item in items:
        for mark in item.marks:
            first.setdefault(mark.label.strip(), mark.place)
    twins: dict[str, list[str]] = {}
    for label in sorted(labels):
        plain = unicodedata.normalize("NFKD", label).casefold()
        twins.setdefault("".join(c for c in plain if c.isalnum()), []).append(label)
    for same in twins.values():
        if len(same) > 1 and any(c.isalnum() for c in same[0]):
            shown = ", ".join(f"{short(label)} ({labels[label]})" for label in same)
            problems.note(f"labels that differ by case, blanks, marks or accents only: {shown}", first[same[-1]])
    prefixed = [label for label in labels if _PREFIX.match(label)]
    if prefixed and len(prefixed) == len(labels):
        what = f"all labels have the prefix of a tag, as {short(prefixed[0])} has"
        problems.add(first[prefixed[0]], what, "the prefix is ours to add: give the label alone, and a span for the whole entity")
    for label in sorted(labels):
        if label.casefold() in _NOTHING:
            problems.note("labels that stand for nothing elsewhere, learnt as labels", first[label], label)
