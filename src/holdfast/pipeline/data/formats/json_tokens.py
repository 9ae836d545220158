"""JSON that holds tokens, and entities by the numbers of tokens or a tag a token: GLiNER, spaCy 2 training, datasets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from holdfast.pipeline.data.documents import Words
from holdfast.pipeline.data.formats.objects import short
from holdfast.pipeline.data.formats.shape import Format, Item, Mark, ObjectFormat, Problems
from holdfast.pipeline.data.formats.tags import IOB1, UNKNOWN, spans_of_tags
from holdfast.pipeline.data.formats.words import fitting


def joined(tokens: Sequence[str]) -> tuple[str, Words]:
    """The tokens with blanks between, and where each of them stands."""
    return " ".join(tokens), Words.between_blanks(tokens)


def tagged(tokens: Sequence[str], tags: Sequence[str], place: str, problems: Problems) -> Item | None:
    """The item of tokens with a tag each; None, and a problem, where that does not hold."""
    if len(tokens) != len(tags):
        problems.add(place, f"{len(tokens)} tokens and {len(tags)} tags", "give one tag for each token")
        return None
    if UNKNOWN & set(tags):
        return Item(place, " ".join(tokens), left_out="sentences with words that are tagged as unknown, left out")
    if any(not token.strip() for token in tokens):
        pairs = [(token, tag) for token, tag in zip(tokens, tags, strict=True) if token.strip()]
        problems.note("tokens of whitespace, dropped", place)
        tokens, tags = [t for t, _ in pairs], [t for _, t in pairs]
    text, words = joined(tokens)
    spans, wrong = spans_of_tags(tags)
    for n, what in wrong:
        problems.add(f"{place}, token {n + 1}", what, "a tag is O, or a prefix and a label")
    for first, _, _ in spans:
        if tags[first][0] == "I":
            problems.note(IOB1, f"{place}, token {first + 1}")
    marks = tuple(Mark(words[a][0], words[b][1], label, f"{place}, token {a + 1}") for a, b, label in spans)
    return Item(place, text, marks, words)


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


def _is_gliner(given: dict[str, Any]) -> bool:
    return _strings(given.get("tokenized_text")) and isinstance(given.get("ner"), list)


def _gliner(given: dict[str, Any], place: str, problems: Problems) -> Iterator[Item]:
    tokens, rows = given.get("tokenized_text"), given.get("ner")
    if not _strings(tokens) or not isinstance(rows, list):
        problems.add(place, "expected 'tokenized_text' and 'ner'", "give both, [] where there are no entities")
        return
    assert isinstance(tokens, list)
    text, words = joined(tokens)
    marks = []
    for n, row in enumerate(rows, start=1):
        at = f"{place}, entity {n}"
        if not (isinstance(row, list) and [type(part) for part in row] == [int, int, str]):
            problems.add(at, f"expected [first, last, label], got {short(row)}", "give the numbers of two tokens and a text")
        elif not 0 <= row[0] <= row[1] < len(tokens):
            problems.add(
                at,
                f"tokens {row[0]} to {row[1]} are not there, there are {len(tokens)}",
                "tokens count from 0, the last belongs to it",
            )
        else:
            marks.append(Mark(words[row[0]][0], words[row[1]][1], row[2], at))
    yield Item(place, text, tuple(marks), words)


def _is_spacy2(given: dict[str, Any]) -> bool:
    paragraphs = given.get("paragraphs")
    return isinstance(paragraphs, list) and all(isinstance(p, dict) and "sentences" in p for p in paragraphs)


def _spacy2(given: dict[str, Any], place: str, problems: Problems) -> Iterator[Item]:
    for n, paragraph in enumerate(given.get("paragraphs", ()), start=1):
        at = f"{place}, paragraph {n}"
        tokens = [t for s in paragraph.get("sentences", ()) for t in s.get("tokens", ())]
        words = [str(t.get("orth", "")) for t in tokens]
        tags = [str(t.get("ner", "-")) for t in tokens]
        raw = paragraph.get("raw")
        if not isinstance(raw, str):
            if item := tagged(words, tags, at, problems):
                yield replace(item, source=place)
            continue
        places = _placed(raw, words)
        if places is None:
            problems.add(at, "its tokens do not stand in its 'raw' text in their order", "write it again with spaCy")
        elif UNKNOWN & set(tags):
            yield Item(at, raw, left_out="sentences with words that are tagged as unknown, left out")
        else:
            spans, wrong = spans_of_tags(tags)
            for number, what in wrong:
                problems.add(f"{at}, token {number + 1}", what, "a tag is O, or a prefix and a label")
            marks = tuple(Mark(places[a][0], places[b][1], label, f"{at}, token {a + 1}") for a, b, label in spans)
            yield Item(at, raw, marks, fitting(places, raw, marks, at, problems), source=place)


def _placed(text: str, tokens: Sequence[str]) -> list[tuple[int, int]] | None:
    at = 0
    places = []
    for token in tokens:
        found = text.find(token, at)
        if found < 0 or text[at:found].strip():
            return None
        at = found + len(token)
        places.append((found, at))
    return places


def _is_datasets(given: dict[str, Any]) -> bool:
    return _strings(given.get("tokens")) and any(isinstance(given.get(key), list) for key in ("ner_tags", "tags", "labels"))


def _datasets(given: dict[str, Any], place: str, problems: Problems) -> Iterator[Item]:
    key = next((k for k in ("ner_tags", "tags", "labels") if isinstance(given.get(k), list)), None)
    tokens = given.get("tokens")
    if key is None or not _strings(tokens):
        problems.add(place, "expected 'tokens' and 'ner_tags'", "give both, a tag for each token")
        return
    assert isinstance(tokens, list)
    tags = given[key]
    if any(type(tag) is int for tag in tags):
        mend = "write the set with to_parquet or save_to_disk, which keep the names, or write the names in place of the numbers"
        problems.add(place, f"{key!r} holds numbers, and what they stand for is nowhere", mend)
    elif item := tagged(tokens, tags, place, problems):
        yield item


TOKENS: tuple[ObjectFormat, ...] = (
    ObjectFormat(Format("GLiNER JSON", "objects with 'tokenized_text' and 'ner'"), _is_gliner, _gliner),
    ObjectFormat(Format("spaCy 2 training JSON", "objects with 'paragraphs' of 'sentences'"), _is_spacy2, _spacy2),
    ObjectFormat(Format("datasets JSON lines", "objects with 'tokens' and a tag for each"), _is_datasets, _datasets),
)
