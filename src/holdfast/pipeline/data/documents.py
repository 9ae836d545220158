"""Documents with named entities: what every later step reads."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

#: A word is a run of letters and digits, or one other visible character. Where a corpus brings its own words, they stay.
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, order=True)
class Span:
    """A named entity: characters `start` to `end` (exclusive) of the text, and what it is."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class Document:
    """A text, its words as character offsets `(start, end)` in order, and its entities in order, never overlapping."""

    text: str
    words: tuple[tuple[int, int], ...]
    spans: tuple[Span, ...] = ()


def split_words(text: str) -> tuple[tuple[int, int], ...]:
    """The words of a plain text, as character offsets.

    Combining marks and invisible joiners stay with the letters around them: a decomposed accent, a vowel sign of
    Devanagari, or the joiner in a Persian word does not end a word.
    """
    words: list[tuple[int, int]] = []
    open_to_letters = False  # the last word ended in a mark after letters, so letters that touch it go on with it
    for match in _WORD.finditer(text):
        start, end = match.span()
        touches = bool(words) and words[-1][1] == start
        if _is_mark(text[start]):
            if touches:
                open_to_letters = open_to_letters or _is_letter(text[start - 1])
                words[-1] = (words[-1][0], end)
                continue
        elif touches and open_to_letters and _is_letter(text[start]):
            words[-1] = (words[-1][0], end)
            open_to_letters = False
            continue
        open_to_letters = False
        words.append((start, end))
    return tuple(words)


def _is_letter(character: str) -> bool:
    return character.isalnum() or character == "_"


def _is_mark(character: str) -> bool:
    """True for what shows only together with what stands before it, which tokenizers drop or merge."""
    return not character.isascii() and unicodedata.category(character) in {"Mn", "Mc", "Me", "Cf"}
