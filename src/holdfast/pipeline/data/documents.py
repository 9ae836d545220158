"""Documents with named entities: what every later step reads."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

#: A word is a run of letters and digits, or one other visible character. Where a corpus brings its own words, they stay.
#: Letters of scripts that put no blanks between words are each a word of their own: a run of them would be a whole sentence.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)  # Unicode 16: Thai, Lao, Burmese, Khmer, kana, ideographs
_OF_UNSPACED = re.compile(f"[{_UNSPACED}]")
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")


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
    Devanagari, or the joiner in a Persian word does not end a word. In scripts that put no blanks between words each letter,
    with its marks, is a word.
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
        elif touches and open_to_letters and _is_letter(text[start]) and not is_unspaced(text[start]):
            words[-1] = (words[-1][0], end)
            open_to_letters = False
            continue
        open_to_letters = False
        words.append((start, end))
    return tuple(words)


def is_unspaced(character: str) -> bool:
    """True for letters of scripts that put no blanks between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese."""
    return _OF_UNSPACED.match(character) is not None


def _is_letter(character: str) -> bool:
    return character.isalnum() or character == "_"


def _is_mark(character: str) -> bool:
    """True for what shows only together with what stands before it, which tokenizers drop or merge."""
    return not character.isascii() and unicodedata.category(character) in {"Mn", "Mc", "Me", "Cf"}
