"""From words to the pieces that a model reads, in overlapping windows, and from a model's outputs back to words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holdfast.errors import BadData, UsageError
from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.data.entities import OUTSIDE, word_tags

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Encoding, Tokenizer

#: Label of a piece where no word begins: the loss leaves it out.
IGNORED = -100

#: Documents that are tokenized at a time: enough to keep every core busy, few enough to hold in memory.
_AT_A_TIME = 512


@dataclass(frozen=True)
class Window:
    """A stretch of a document that fits into the model, at most `max_length` pieces.

    Args:
        document: Index of the document.
        input_ids: The pieces, with the special ones around them.
        labels: The tag id of each piece where a word begins, else `IGNORED`; empty where tags are not known.
        words: Position in `input_ids` and index of each word that begins in this window.
        inside: Words that have no piece of their own, because they lie in a piece of an earlier word.
    """

    document: int
    input_ids: list[int]
    labels: list[int]
    words: list[tuple[int, int]]
    inside: list[int] = field(default_factory=list)


def encode(
    documents: Sequence[Document],
    tokenizer: Tokenizer,
    *,
    max_length: int,
    stride: int,
    tag_ids: Mapping[str, int] | None,
) -> list[Window]:
    """Cut documents into pieces. Nothing is cut off: a long document gives several windows that overlap.

    A piece belongs to the word that holds its first visible character; the first piece of a word carries its tag.
    Pieces are made from the whole text, as they will be where the model is used, whatever words the corpus brings.
    A window in which no word begins is left out: nothing is learnt or predicted there.

    Args:
        documents: What to encode.
        tokenizer: Any fast tokenizer. It is left as it is; its own padding and truncation are not used.
        max_length: The most pieces in a window, with the special ones.
        stride: Pieces that a window shares with the one before it.
        tag_ids: The id of each tag, or None where the documents have no tags.

    Returns:
        Windows in the order of the documents, and within a document from its beginning.

    Raises:
        UsageError: no new piece would fit into a window.
        BadData: a document has an entity of a type that `tag_ids` does not know.
    """
    return Cutter(tokenizer, max_length=max_length, stride=stride).cut(documents, tag_ids)


class Cutter:
    """Cuts documents as `encode` does, whenever some come. Making one takes as long as reading the tokenizer's file.

    Args:
        tokenizer: See `encode`.
        max_length: See `encode`.
        stride: See `encode`.

    Raises:
        UsageError: no new piece would fit into a window.
    """

    def __init__(self, tokenizer: Tokenizer, *, max_length: int, stride: int) -> None:
        from tokenizers import Tokenizer as Fresh

        own = Fresh.from_str(tokenizer.to_str())
        own.no_padding()
        room = max_length - own.num_special_tokens_to_add(is_pair=False)
        if not 0 <= stride < room:
            raise UsageError(f"max_length {max_length} leaves {room} pieces for text: stride {stride} must be from 0 to {room - 1}")
        own.enable_truncation(max_length, stride=stride)
        self._tokenizer = own
        self._step = room - stride

    def cut(self, documents: Sequence[Document], tag_ids: Mapping[str, int] | None) -> list[Window]:
        """The windows of the documents; see `encode`.

        Raises:
            BadData: a document has an entity of a type that `tag_ids` does not know.
        """
        windows: list[Window] = []
        for begin in range(0, len(documents), _AT_A_TIME):
            chunk = documents[begin : begin + _AT_A_TIME]
            encodings = self._tokenizer.encode_batch([document.text for document in chunk])
            for index, (document, encoding) in enumerate(zip(chunk, encodings, strict=True), start=begin):
                ids = None if tag_ids is None else _ids(document, index, tag_ids)
                windows += _windows(document, index, encoding, self._step, ids)
        return windows


def _ids(document: Document, index: int, tag_ids: Mapping[str, int]) -> list[int]:
    tags = word_tags(document)
    for tag in tags:
        if tag not in tag_ids:
            raise BadData(f"document {index + 1}: {tag} is not among the model's tags, which are {', '.join(tag_ids)}")
    return [tag_ids[tag] for tag in tags]


def _windows(document: Document, index: int, encoding: Encoding, step: int, ids: list[int] | None) -> Iterator[Window]:
    """The windows of one document. Each begins `step` pieces after the one before it."""
    parts = [encoding, *encoding.overflowing]
    # Position and characters of the pieces of text, window by window: special pieces stand for no text.
    pieces = [
        [(at, offsets) for at, (offsets, special) in enumerate(zip(p.offsets, p.special_tokens_mask, strict=True)) if not special]
        for p in parts
    ]
    text_of = {part * step + n: offsets for part, row in enumerate(pieces) for n, (_, offsets) in enumerate(row)}
    first, inside = _first_pieces(document, text_of)
    for part, (row, encoded) in enumerate(zip(pieces, parts, strict=True)):
        here = [part * step + n for n in range(len(row))]
        words = [(at, first[piece]) for piece, (at, _) in zip(here, row, strict=True) if piece in first]
        if not words:
            continue
        labels: list[int] = []
        if ids is not None:
            labels = [IGNORED] * len(encoded.ids)
            for at, word in words:
                labels[at] = ids[word]
        within = [word for piece in here for word in inside.get(piece, ())]
        yield Window(index, list(encoded.ids), labels, words, within)


def _first_pieces(document: Document, text_of: Mapping[int, tuple[int, int]]) -> tuple[dict[int, int], dict[int, list[int]]]:
    """The word that begins with a piece, by piece; and the words that lie in a piece and have none of their own."""
    text, words = document.text, list(document.words)
    starts = [start for start, _ in words]
    first: dict[int, int] = {}
    covered: dict[int, list[int]] = {}
    seen: set[int] = set()
    for piece in sorted(text_of):
        start, end = text_of[piece]
        visible = start
        while visible < end and text[visible].isspace():
            visible += 1
        if visible >= end:
            continue
        after = bisect_right(starts, visible)
        word = after - 1
        if word >= 0 and visible < words[word][1] and word not in seen:
            seen.add(word)
            first[piece] = word
        if after < len(starts) and starts[after] < end:
            covered[piece] = [w for w in range(after, bisect_right(starts, end - 1)) if w not in seen]
    return first, {piece: alone for piece, row in covered.items() if (alone := [w for w in row if w not in seen])}


def decisive(count: int, windows: Sequence[Window]) -> list[dict[int, tuple[int, int]]]:
    """Where each word of each document is decided: index of the window and position in it, by word.

    Where two windows hold a word, the one decides in which it stands further from the edge, since there the model saw more
    around it; at a tie the earlier. Words without a piece of their own are absent.

    Args:
        count: Number of documents.
        windows: As `encode` made them.
    """
    best: list[dict[int, tuple[int, int, int]]] = [{} for _ in range(count)]
    for index, window in enumerate(windows):
        decided = best[window.document]
        for at, word in window.words:
            depth = min(at, len(window.input_ids) - 1 - at)
            if word not in decided or depth > decided[word][0]:
                decided[word] = (depth, index, at)
    return [{word: (index, at) for word, (_, index, at) in decided.items()} for decided in best]


def word_predictions(
    documents: Sequence[Document],
    windows: Sequence[Window],
    logits: Sequence[np.ndarray],
    tags: Sequence[str],
    places: Sequence[Mapping[int, tuple[int, int]]] | None = None,
) -> list[list[str]]:
    """The tag of each word of each document, from what the model gives for the windows.

    Which window decides says `decisive`. A word without a piece of its own, because it lies in a piece of the word
    before or because the tokenizer drops it in the midst of an entity, goes on with that entity; else it is `O`.

    Args:
        documents: As they were encoded.
        windows: As `encode` made them.
        logits: For each window one row for each piece; rows beyond its pieces are padding and are ignored.
        tags: The tag of each column.
        places: What `decisive` says, where that is known.

    Raises:
        ValueError: logits do not fit the windows or the tags.
    """
    if len(logits) != len(windows):
        raise ValueError(f"{len(windows)} windows and {len(logits)} arrays of logits")
    inside: list[set[int]] = [set() for _ in documents]
    choices = []
    for window, rows in zip(windows, logits, strict=True):
        length = len(window.input_ids)
        if rows.ndim != 2 or rows.shape[0] < length or rows.shape[1] != len(tags):
            raise ValueError(f"logits of shape {rows.shape} for {length} pieces and {len(tags)} tags")
        choices.append(rows[:length].argmax(axis=1).tolist())
        inside[window.document].update(window.inside)
    known = decisive(len(documents), windows) if places is None else places
    return [
        _filled(len(document.words), {word: tags[choices[n][at]] for word, (n, at) in decided.items()}, within)
        for document, decided, within in zip(documents, known, inside, strict=True)
    ]


def _filled(count: int, decided: Mapping[int, str], inside: set[int]) -> list[str]:
    """Every word's tag, where words without a piece of their own go on with the entity around them."""
    result: list[str] = []
    following = OUTSIDE
    after: list[str] = []  # for each word the next decided tag after it, from the end
    for word in reversed(range(count)):
        after.append(following)
        following = decided.get(word, following)
    for word, ahead in zip(range(count), reversed(after), strict=True):
        before = result[-1] if result else OUTSIDE
        onward = OUTSIDE if before == OUTSIDE else f"I-{before[2:]}"
        if word in decided:
            result.append(decided[word])
        elif word in inside or ahead == onward:
            result.append(onward)
        else:
            result.append(OUTSIDE)
    return result
