"""Documents with named entities: what every later step reads."""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

#: A word is a run of letters and digits, or one other visible character. Where a corpus brings its own words, they stay.
#: Letters of scripts that put no blanks between words are each a word of their own: a run of them would be a whole sentence.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)  # Unicode 16: Thai, Lao, Burmese, Khmer, kana, ideographs
_OF_UNSPACED = re.compile(f"[{_UNSPACED}]")
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")


class Words(Sequence[tuple[int, int]]):
    """Where the words of a text stand, as character offsets `(start, end)` in order. Compares as the tuple of them.

    A word takes eight bytes, and those of a plain text are found when somebody asks for them: most of what a large file needs in
    memory would be its words otherwise.

    Args:
        places: Each word's start and end.
    """

    __slots__ = ("_blanks", "_edges", "_text")

    def __init__(self, places: Iterable[tuple[int, int]] = ()) -> None:
        self._text: str | None = None
        self._blanks = False
        self._edges: array[int] | None = array("I")
        for place in places:
            self._edges.extend(place)

    @classmethod
    def plain(cls, text: str) -> Words:
        """The words that `split_words` finds in a text."""
        made = cls.__new__(cls)
        made._text, made._blanks, made._edges = text, False, None
        return made

    @classmethod
    def between_blanks(cls, tokens: Sequence[str]) -> Words:
        """Where tokens stand that are joined by one blank each."""
        made = cls.__new__(cls)
        text = " ".join(tokens)
        made._text, made._blanks, made._edges = text, True, None
        if not all(tokens) or text.count(" ") >= len(tokens):  # a token with a blank in it cannot be told from two later
            made._text, made._edges = None, _edges_between(tokens)
        return made

    @property
    def are_plain(self) -> bool:
        """True where they were not given, but are those of the text."""
        return self._text is not None and not self._blanks

    def hold(self, spans: Iterable[Span]) -> bool:
        """True where each span begins where a word begins, and ends where one ends."""
        edges = self._found()
        starts, ends = edges[::2], edges[1::2]
        for span in spans:
            first, last = bisect_left(starts, span.start), bisect_left(ends, span.end)
            if not (first < len(starts) and starts[first] == span.start and last < len(ends) and ends[last] == span.end):
                return False
        return True

    def _found(self) -> array[int]:
        if self._edges is None:
            text = self._text or ""
            self._edges = _edges_between(text.split(" ")) if self._blanks else _edges_of(text)
        return self._edges

    def __len__(self) -> int:
        return len(self._found()) // 2

    @overload
    def __getitem__(self, index: int) -> tuple[int, int]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[tuple[int, int], ...]: ...
    def __getitem__(self, index: int | slice) -> tuple[int, int] | tuple[tuple[int, int], ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        edges = self._found()
        if index < 0:
            index += len(edges) // 2
        if not 0 <= index < len(edges) // 2:
            raise IndexError(index)
        return edges[2 * index], edges[2 * index + 1]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        edges = iter(self._found())
        return zip(edges, edges, strict=True)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Words):
            same = self._text is not None and self._text == other._text and self._blanks == other._blanks
            return same or self._found() == other._found()
        return isinstance(other, tuple) and tuple(self) == other

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


@dataclass(frozen=True, order=True, slots=True)
class Span:
    """A named entity: characters `start` to `end` (exclusive) of the text, and what it is."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Document:
    """A text, its words as character offsets `(start, end)` in order, and its entities in order, never overlapping."""

    text: str
    words: Sequence[tuple[int, int]]
    spans: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.words, Words):
            object.__setattr__(self, "words", Words(self.words))


def split_words(text: str) -> Words:
    """The words of a plain text, as character offsets.

    Combining marks and invisible joiners stay with the letters around them: a decomposed accent, a vowel sign of
    Devanagari, or the joiner in a Persian word does not end a word. In scripts that put no blanks between words each letter,
    with its marks, is a word.
    """
    return Words.plain(text)


def _edges_between(tokens: Iterable[str]) -> array[int]:
    edges = array("I")
    at = 0
    for token in tokens:
        edges.append(at)
        at += len(token)
        edges.append(at)
        at += 1
    return edges


def _edges_of(text: str) -> array[int]:
    edges = array("I")
    if text.isascii():  # no marks
        for match in _WORD.finditer(text):
            edges.extend(match.span())
        return edges
    open_to_letters = False  # the last word ended in a mark after letters, so letters that touch it go on with it
    for match in _WORD.finditer(text):
        start, end = match.span()
        touches = bool(edges) and edges[-1] == start
        if _is_mark(text[start]):
            if touches:
                open_to_letters = open_to_letters or _is_letter(text[start - 1])
                edges[-1] = end
                continue
        elif touches and open_to_letters and _is_letter(text[start]) and not is_unspaced(text[start]):
            edges[-1] = end
            open_to_letters = False
            continue
        open_to_letters = False
        edges.append(start)
        edges.append(end)
    return edges


def is_edge(text: str, place: int) -> bool | None:
    """Whether no word of a plain text goes on over a place between two characters; None where that needs all its words."""
    if place <= 0 or place >= len(text):
        return True
    before, after = text[place - 1], text[place]
    if before.isspace() or after.isspace():
        return True
    if _is_mark(before) or _is_mark(after):
        return None
    return not (_is_letter(before) and _is_letter(after)) or is_unspaced(before) or is_unspaced(after)


def is_unspaced(character: str) -> bool:
    """True for letters of scripts that put no blanks between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese."""
    return _OF_UNSPACED.match(character) is not None


def _is_letter(character: str) -> bool:
    return character.isalnum() or character == "_"


def _is_mark(character: str) -> bool:
    """True for what shows only together with what stands before it, which tokenizers drop or merge."""
    return not character.isascii() and unicodedata.category(character) in {"Mn", "Mc", "Me", "Cf"}
