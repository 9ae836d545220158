"""Finding entities with a converted model: onnxruntime, tokenizers and numpy are all it needs."""

from __future__ import annotations

import importlib.util
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import BadData, HoldfastError, NotRestored, UsageError
from holdfast.pipeline.conversion.inference import open_session, predict_onnx
from holdfast.pipeline.data.documents import Document, split_words
from holdfast.pipeline.data.encode import Cutter, Window, decisive, word_predictions
from holdfast.pipeline.data.entities import words_of_spans
from holdfast.pipeline.training.checkpoint import TOKENIZER, load_tokenizer, parse_info

if TYPE_CHECKING:
    from holdfast.pipeline.conversion.inference import Floats

MODEL = "model.onnx"
LABELS = "labels.json"

_LIBRARIES = ("numpy", "onnxruntime", "tokenizers")
_BATCH_SIZE = 16

#: Texts, and characters, that are held at a time. A longer text is read in stretches of so many characters.
_GROUP, _LONGEST = 64, 100_000

#: What no encoding of Unicode has, and tokenizers refuse.
_HALF = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Entity:
    """An entity found in a text.

    Args:
        start: First character.
        end: The character after its last.
        label: What it is.
        text: `text[start:end]`.
        score: Mean probability (softmax of the logits) of the tags of its words, from 0 to 1.
    """

    start: int
    end: int
    label: str
    text: str
    score: float


class Predictor:
    """A converted model, ready for texts.

    Args:
        folder_or_file: The folder of a conversion, for its `model.onnx`; or one `.onnx` file in it, such as
            `model.int8.onnx`. Tokenizer and labels are those beside the model.

    Raises:
        NotRestored: there is no such folder or file.
        BadData: the model, `labels.json` or `tokenizer.json` is missing beside it, or cannot be read.
        UsageError: a library is missing.
    """

    def __init__(self, folder_or_file: Path) -> None:
        place = Path(folder_or_file)
        if not place.exists():
            raise NotRestored(f"{place}: there is no converted model here; convert a checkpoint, or restore it")
        model = place / MODEL if place.is_dir() else place
        for needed, what in (
            (model, "the model"),
            (model.with_name(LABELS), "the labels"),
            (model.with_name(TOKENIZER), "the tokenizer"),
        ):
            if not needed.is_file():
                raise BadData(
                    f"{model.parent}: {needed.name}, {what}, is missing; convert the checkpoint again, or restore the folder"
                )
        for library in _LIBRARIES:
            if importlib.util.find_spec(library) is None:
                raise UsageError(f"{library} is not installed, and finding entities needs it: install holdfast[pipeline]")
        self._info = parse_info(model.with_name(LABELS))
        info = self._info
        self._cutter = Cutter(load_tokenizer(model.parent), max_length=info.max_length, stride=info.stride)
        self._session = open_session(model)
        columns = self._session.get_outputs()[0].shape[-1]
        if columns != len(self._info.tags):
            raise BadData(f"{model}: gives {columns} logits for each piece, and {LABELS} has {len(self._info.tags)} tags")

    @property
    def labels(self) -> list[str]:
        """The types of the entities that it finds."""
        return sorted({tag.partition("-")[2] for tag in self._info.tags if "-" in tag})

    def entities(self, text: str) -> list[Entity]:
        """The entities of a text, in order. Any text of any length: long ones are read in overlapping windows, in linear time.

        Half a character (a lone surrogate) is read as U+FFFD, and stays what it is in the text of an entity.

        Raises:
            UsageError: it is no text.
        """
        return next(self.entities_of_all([text]))

    def entities_of_all(self, texts: Iterable[str]) -> Iterator[list[Entity]]:
        """The entities of each text, in order, as `entities` finds them; several texts go through the model at a time.

        However many texts there are, and however long they are, not more than two groups of them are held: while the entities of
        one are gathered, the next is in the model.

        Raises:
            UsageError: one is no text.
        """
        groups = map(self._cut, _groups(chain.from_iterable(map(_stretches, texts))))
        gathered: list[Entity] = []
        for group, logits in _ahead(groups, self._run):
            for stretch, found in zip(group.stretches, self._found(group, logits), strict=True):
                at = stretch.at
                gathered += found if not at else [replace(e, start=e.start + at, end=e.end + at) for e in found]
                if stretch.last:
                    yield gathered
                    gathered = []

    def _cut(self, stretches: Sequence[_Stretch]) -> _Group:
        documents = [Document(stretch.text, split_words(stretch.text)) for stretch in stretches]
        readable = [Document(_HALF.sub("\ufffd", d.text), d.words) for d in documents]
        return _Group(stretches, documents, self._cutter.cut(readable, None))

    def _run(self, group: _Group) -> list[Floats]:
        return predict_onnx(self._session, group.windows, batch_size=_BATCH_SIZE)

    def _found(self, group: _Group, logits: Sequence[Floats]) -> list[list[Entity]]:
        documents, windows = group.documents, group.windows
        places = decisive(len(documents), windows)
        tags = word_predictions(documents, windows, logits, self._info.tags, places)
        sure = [_probabilities(rows) for rows in logits]
        return [_entities(d, t, p, sure) for d, t, p in zip(documents, tags, places, strict=True)]


@dataclass(frozen=True)
class _Stretch:
    """A part of a text that is read at once, where in it it begins, and whether nothing comes after it."""

    text: str
    at: int
    last: bool


@dataclass(frozen=True)
class _Group:
    """What goes through the model together: stretches, their words, and the windows that they were cut into."""

    stretches: Sequence[_Stretch]
    documents: Sequence[Document]
    windows: Sequence[Window]


def _stretches(text: str) -> Iterator[_Stretch]:
    """A text, in parts if it is long; each but the last ends behind a line, or a blank, if there is one not far before."""
    if not isinstance(text, str):
        raise UsageError(f"expected a text to find entities in, got {type(text).__name__}; decode it first")
    at = 0
    while len(text) - at > _LONGEST:
        end = at + _LONGEST
        lines, blanks = text.rfind("\n", at + _LONGEST // 2, end) + 1, text.rfind(" ", at + _LONGEST // 2, end) + 1
        cut = lines or blanks or end
        yield _Stretch(text[at:cut], at, last=False)
        at = cut
    yield _Stretch(text[at:], at, last=True)


def _groups(stretches: Iterable[_Stretch]) -> Iterator[list[_Stretch]]:
    group: list[_Stretch] = []
    size = 0
    for stretch in stretches:
        if group and (len(group) == _GROUP or size + len(stretch.text) > _LONGEST):
            yield group
            group, size = [], 0
        group.append(stretch)
        size += len(stretch.text)
    if group:
        yield group


def _ahead(groups: Iterable[_Group], run: Callable[[_Group], list[Floats]]) -> Iterator[tuple[_Group, list[Floats]]]:
    """Each group with its logits. Those of the next one are found in a thread meanwhile."""
    running: deque[tuple[_Group, Future[list[Floats]]]] = deque()

    def oldest() -> tuple[_Group, list[Floats]]:
        group, future = running.popleft()
        return group, future.result()

    with ThreadPoolExecutor(1, thread_name_prefix="holdfast-predict") as thread:
        try:
            for group in groups:
                running.append((group, thread.submit(run, group)))
                if len(running) > 1:
                    yield oldest()
        except HoldfastError:  # of a text: those before it are answered first
            while running:
                yield oldest()
            raise
        while running:
            yield oldest()


def _entities(
    document: Document, tags: Sequence[str], places: Mapping[int, tuple[int, int]], sure: Sequence[Sequence[float]]
) -> list[Entity]:
    found = []
    for span, words in zip(*words_of_spans(document.words, tags), strict=True):
        # words without a piece of their own follow the word before, and have no probability
        scores = [sure[places[w][0]][places[w][1]] for w in words if w in places]
        found.append(Entity(span.start, span.end, span.label, document.text[span.start : span.end], sum(scores) / len(scores)))
    return found


def _probabilities(rows: Floats) -> list[float]:
    """Softmax of each row at its greatest column, which is the one that is chosen, in double precision."""
    import numpy as np

    every: Any = rows.astype(np.float64)
    found: list[float] = (1 / np.exp(every - every.max(axis=1, keepdims=True)).sum(axis=1)).tolist()
    return found
