"""Our own shape: a text and its annotations as `[start, end, label]`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from holdfast.pipeline.data.formats.objects import kind, short
from holdfast.pipeline.data.formats.shape import Format, Item, Mark, ObjectFormat, Problems

OBJECT = '{"text": "...", "annotations": [[start, end, "LABEL"], ...]}'
FORMAT = Format("character-span JSON", "objects with 'text' and 'annotations'", by_hand=True)
_SPAN_KEYS = frozenset({"labels", "label", "spans", "entities", "ents"})
_NO_SPANS = frozenset({"annotations", "tokens", "words", "sents", "relations"})
_STARTS = frozenset({"start", "start_offset", "startOffset", "begin", "offset"})


def fits(given: dict[str, Any]) -> bool:
    """True for an object with a text and a list of annotations."""
    if not isinstance(given.get("text"), str):
        return False
    annotations = given.get("annotations")
    return isinstance(annotations, list) and all(isinstance(a, list) for a in annotations)


def read(given: Any, place: str, problems: Problems) -> Iterator[Item]:
    """The item of an object; what is wrong with it is added to the problems."""
    if not isinstance(given, dict):
        problems.add(place, f"expected an object, got {kind(given)}", f"it should be {OBJECT}")
        return
    beside = [key for key, value in given.items() if key in _SPAN_KEYS and isinstance(value, list) and value]
    beside += [key for key, value in given.items() if key not in _SPAN_KEYS | _NO_SPANS and _holds_spans(value)]
    if "text" not in given:
        problems.add(place, f"no 'text' (it has {short(sorted(given))})", f"it should be {OBJECT}")
        return
    if "annotations" not in given:
        has = short(sorted(given))
        other = next((key for key in given if key in _SPAN_KEYS and given[key]), None)  # not a list, but not nothing
        mend = f"write what is in {other!r} as {OBJECT}" if other else "give [] where there are none"
        mend = f"rename {beside[0]!r}, with {OBJECT}" if beside else mend
        problems.add(place, f"no 'annotations' (it has {has})", mend)
        return
    text, annotations = given["text"], given["annotations"]
    if not isinstance(text, str):
        problems.add(place, f"'text' should be text, got {kind(text)}", f"it should be {OBJECT}")
        return
    if not isinstance(annotations, list):
        problems.add(place, f"'annotations' should be a list, got {kind(annotations)}", "give [] where there are none")
        return
    if beside and not annotations:
        mend = f"put what is in {beside[0]!r} into 'annotations', as {OBJECT}"
        problems.add(place, f"'annotations' is empty, and {beside[0]!r} beside it is not", mend)
        return
    for key in beside:
        problems.note(f"lists of spans under {short(key)}, beside 'annotations' and not read", place)
    marks = tuple(m for n, a in enumerate(annotations, start=1) if (m := mark(a, f"{place}, annotation {n}", problems)))
    words = _words(given["words"], text, place, problems) if "words" in given else None
    yield Item(place, text, marks, words, left_out(given))


def _holds_spans(value: Any) -> bool:
    """True for a list of `[start, end, label]`, or of objects with a start."""
    first = value[0] if isinstance(value, list) and value else None
    if isinstance(first, dict):
        return not _STARTS.isdisjoint(first)
    return isinstance(first, list) and [type(part) for part in first[:3]] == [int, int, str]


def left_out(given: dict[str, Any]) -> str | None:
    """Why a tool's own fields say that this is not to be learnt; None where they say nothing of the kind."""
    answer = given.get("answer")
    if answer in ("reject", "ignore"):  # not a set: it may be a list
        return f"documents whose answer is {answer}, left out"
    if given.get("was_cancelled") is True or given.get("skipped") is True:
        return "documents that were cancelled or skipped, left out"
    return None


def mark(given: Any, place: str, problems: Problems) -> Mark | None:
    """A mark of `[start, end, label]`, or of the same with the words of the text as a fourth."""
    if type(given) is list and len(given) == 3:
        start, end, label = given
        if type(start) is int and type(end) is int and type(label) is str:
            return Mark(start, end, label, place)
    # `type is int`, since true is an int too
    types = [type(part) for part in given] if isinstance(given, list | tuple) else []
    if types not in ([int, int, str], [int, int, str, str]):
        problems.add(place, f"expected [start, end, label], got {short(given)}", "give two whole numbers and a text")
        return None
    return Mark(given[0], given[1], given[2], place, given[3] if len(given) == 4 else None)


def _words(given: Any, text: str, place: str, problems: Problems) -> tuple[tuple[int, int], ...] | None:
    """The words that a corpus brings, where they are not what `split_words` finds."""
    mend = "it should be [[start, end], ...], in order, end exclusive; without it the text is split into words"
    if not isinstance(given, list):
        problems.add(place, f"'words' should be a list, got {kind(given)}", mend)
        return None
    words: list[tuple[int, int]] = []
    at = 0
    for n, word in enumerate(given, start=1):
        if not (isinstance(word, list) and [type(part) for part in word] == [int, int]):
            problems.add(f"{place}, word {n}", f"expected [start, end], got {short(word)}", mend)
            return None
        start, end = word
        if not at <= start < end <= len(text):
            what = f"characters {short(start)} to {short(end)} are outside the text or its order"
            problems.add(f"{place}, word {n}", what, mend)
            return None
        words.append((start, end))
        at = end
    return tuple(words)


OWN = ObjectFormat(FORMAT, fits, read)
