"""From what a file gives to documents that can be learnt from: what is left out, dropped or changed is counted by label."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

from holdfast.pipeline.data.documents import Document, Span, Words, is_edge
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


class Making:
    """Makes documents of items as they come. Only texts that several people may have marked wait for the end.

    Args:
        annotator: Whose marks hold where several people marked one text; None where nobody said.
        problems: Takes what is wrong, dropped or changed.
    """

    def __init__(self, annotator: str | None, problems: Problems) -> None:
        self._annotator = annotator
        self._problems = problems
        self._made: list[tuple[str, Document, str | None] | Item] = []
        self._labels = _Labels()

    def add(self, item: Item) -> None:
        """Take an item, with marks in half-open code points."""
        if item.left_out is not None:
            self._problems.note(item.left_out, item.place)
        elif item.key is not None:
            self._made.append(item)
        elif document := self._document(item):
            self._made.append((item.place, document, item.source))

    def end(self) -> list[tuple[str, Document, str | None]]:
        """The documents in their order, each with its place and its source."""
        chosen = self._chosen([item for item in self._made if isinstance(item, Item)])
        documents: list[tuple[str, Document, str | None]] = []
        for made in self._made:
            if not isinstance(made, Item):
                documents.append(made)
            elif id(made) in chosen and (document := self._document(made)):
                documents.append((made.place, document, made.source))
        self._labels.look(self._problems)
        return documents

    def _document(self, item: Item) -> Document | None:
        document = _document(item, self._problems)
        self._labels.count(item, document)
        return document

    def _chosen(self, items: Sequence[Item]) -> set[int]:
        """One item for each text that several people marked: the one asked for; else it is a problem, if they differ."""
        by_key: dict[str | None, list[Item]] = {}
        for item in items:
            by_key.setdefault(item.key, []).append(item)
        return {id(self._of_several(same)) for same in by_key.values()}

    def _of_several(self, same: Sequence[Item]) -> Item:
        if len(same) == 1:
            return same[0]
        wanted = [i for i in same if i.annotator == self._annotator] if self._annotator is not None else []
        read = {(i.text, frozenset((m.start, m.end, m.label) for m in i.marks)) for i in same}
        names = ", ".join(str(i.annotator) for i in same)
        if not wanted and len(read) > 1:
            what = f"{len(same)} people marked this text, and not alike: {names}"
            known = [i.annotator for i in same if i.annotator is not None]
            mend = "say whose holds, for example data.annotator: " + short(next(iter(known), ""))
            if len(set(known)) < 2:  # nobody, or one person twice: no setting can choose
                by = f"{known[0]} alone" if known else "nobody knows whom"
                what = f"it stands {len(same)} times, marked differently, and by {by}"
                mend = "leave the one that holds; of Prodigy, export after `review`"
            elif self._annotator is not None:
                what += f"; none is {short(self._annotator)}"
            self._problems.add(same[1].place, what, mend)
        self._problems.note("texts marked by several people, read once", same[1].place)
        return wanted[0] if wanted else same[0]


class _Labels:
    """How often each label was given and is left, and where first."""

    def __init__(self) -> None:
        self.given: dict[str, str] = {}
        self.left: Counter[str] = Counter()
        self.first = ""

    def count(self, item: Item, document: Document | None) -> None:
        self.first = self.first or item.place
        for mark in item.marks:
            label = mark.label.strip()
            if label not in self.given:
                self.given[label] = mark.place
        if document is not None:
            for span in document.spans:
                self.left[span.label] += 1

    def look(self, problems: Problems) -> None:
        """Say which are gone, and which are hardly meant: twins, prefixes that are ours to add, words for nothing."""
        if not problems.wrong:
            for label in sorted(self.given.keys() - self.left.keys() - {""}):
                problems.note("labels of which nothing is left", self.first, label)
        _look_at_labels(self.left, self.given, problems)


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
    words = Words.plain(text) if item.words is None else item.words
    kept = _disjoint(where, spans, problems)
    return Document(text, words, _marked(text, words, kept, where, problems))


def _marked(
    text: str, words: Sequence[tuple[int, int]], spans: tuple[Span, ...], where: str, problems: Problems
) -> tuple[Span, ...]:
    """The spans that tags of words can say; a second one in the same word cannot be, and is dropped."""
    if not spans:
        return spans
    if isinstance(words, Words) and words.are_plain:
        whole = all(is_edge(text, s.start) and is_edge(text, s.end) for s in spans)  # without all the words of the text
    else:
        whole = isinstance(words, Words) and words.hold(spans)
    if whole:
        return spans
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


@lru_cache(maxsize=4096)
def _is_plain(label: str) -> bool:
    """True for a label of which nothing is to be said."""
    return bool(label) and label == label.strip() and label != "O" and _half(label) is None


def _span(text: str, mark: Mark, problems: Problems) -> Span | None:
    where, start, end, label = mark.place, mark.start, mark.end, mark.label
    if 0 <= start < end <= len(text) and _is_plain(label) and not (mark.pieces or text[start].isspace() or text[end - 1].isspace()):
        return Span(start, end, label)
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
    for ordered in (spans, sorted(spans)):
        if all(before.end <= after.start for before, after in pairwise(ordered)):
            return tuple(ordered)
    kept: list[Span] = []  # by their start
    dropped: Counter[Span] = Counter()
    for span in sorted(spans, key=lambda s: (s.start - s.end, s.start)):
        place = f"{where}, characters {span.start} to {span.end}"
        at = bisect(kept, span.start, key=lambda s: s.start)
        # what is kept is as long at least, so a span can only meet its two neighbours there
        met = [other for other in kept[max(0, at - 1) : at + 1] if span.start < other.end and other.start < span.end]
        if span in met:
            problems.note(_REPEATED, place)
        elif met:
            problems.note(_OVERLAPS, place, span.label)
            dropped[max(met, key=lambda s: (s.end - s.start, -s.start))] += 1
        else:
            kept.insert(at, span)
    for span, count in dropped.items():
        if count >= 5:
            problems.note(
                "spans over five or more others, which are dropped for it",
                f"{where}, characters {span.start} to {span.end}",
                span.label,
            )
    return tuple(kept)


def _look_at_labels(labels: Counter[str], first: Mapping[str, str], problems: Problems) -> None:
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
