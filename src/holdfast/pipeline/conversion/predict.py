"""Finding entities with a converted model: onnxruntime, tokenizers and numpy are all it needs."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import BadData, NotRestored, UsageError
from holdfast.pipeline.conversion.inference import open_session, predict_onnx
from holdfast.pipeline.data.documents import Document, split_words
from holdfast.pipeline.data.encode import decisive, encode, word_predictions
from holdfast.pipeline.data.entities import words_of_spans
from holdfast.pipeline.training.checkpoint import TOKENIZER, load_tokenizer, parse_info

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MODEL = "model.onnx"
LABELS = "labels.json"

_LIBRARIES = ("numpy", "onnxruntime", "tokenizers")
_BATCH_SIZE = 16

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
        self._tokenizer = load_tokenizer(model.parent)
        self._session = open_session(model)
        columns = self._session.get_outputs()[0].shape[-1]
        if columns != len(self._info.tags):
            raise BadData(f"{model}: gives {columns} logits for each piece, and {LABELS} has {len(self._info.tags)} tags")

    def entities(self, text: str) -> list[Entity]:
        """The entities of a text, in order. Any text of any length: long ones are read in overlapping windows, in linear time.

        Half a character (a lone surrogate) is read as U+FFFD, and stays what it is in the text of an entity.

        Raises:
            UsageError: it is no text.
        """
        if not isinstance(text, str):
            raise UsageError(f"expected a text to find entities in, got {type(text).__name__}; decode it first")
        document = Document(text, split_words(text))
        read = Document(_HALF.sub("\ufffd", text), document.words)
        info = self._info
        windows = encode([read], self._tokenizer, max_length=info.max_length, stride=info.stride, tag_ids=None)
        logits = predict_onnx(self._session, windows, batch_size=_BATCH_SIZE)
        tags = word_predictions([document], windows, logits, info.tags)[0]
        sure = {
            word: _probability(logits[window][at], info.tags.index(tags[word]))
            for word, (window, at) in decisive(1, windows)[0].items()
        }
        found = []
        for span, words in zip(*words_of_spans(document.words, tags), strict=True):
            # words without a piece of their own follow the word before, and have no probability
            scores = [sure[w] for w in words if w in sure]
            found.append(Entity(span.start, span.end, span.label, text[span.start : span.end], sum(scores) / len(scores)))
        return found


def _probability(row: npt.NDArray[np.float32], column: int) -> float:
    """Softmax of the row, in double precision, shifted so that nothing overflows."""
    import numpy as np

    powers: Any = np.exp(row.astype(np.float64) - float(row.max()))
    return float(powers[column] / powers.sum())
