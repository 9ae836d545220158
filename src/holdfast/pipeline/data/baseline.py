"""What a trained model must beat: the entities of training looked up as they are, and three patterns where they apply."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from holdfast.pipeline.data.documents import Document, Span
from holdfast.pipeline.data.entities import spans_of, word_tags

_NUMBER = r"(?:\d+(?:\.\d)?\+?|one|two|three|four|five|six|seven|eight|nine|ten|\w+teen|eleven|twelve|twenty)"
_PATTERNS = (
    ("EMAIL", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    ("PHONE", re.compile(r"(?<![\w-])(?:\+\d{1,2}[ -])?(?:\(\d{3}\) ?|\d{3}[-. ])?\d{3}[-. ]\d{4}(?![\w-])")),
    ("EXPERIENCE", re.compile(rf"\b{_NUMBER} (?:and a half )?(?:years|yrs|months)\b|\bsince (?:19|20)\d\d\b", re.IGNORECASE)),
)


class DictionaryBaseline:
    """Finds entities called EMAIL, PHONE and EXPERIENCE by pattern, if training has such, everything else by looking it up.

    Upper and lower case are one. An entity of training that, in training, is no entity more often than it is one
    is left out; of two labels the more frequent one holds.

    Args:
        documents: The training documents.
    """

    def __init__(self, documents: Sequence[Document]) -> None:
        counts: dict[tuple[str, ...], Counter[str]] = {}
        for document in documents:
            for span in _tagged(document):
                counts.setdefault(_words(document, span.start, span.end), Counter())[span.label] += 1
        labels = {label for found in counts.values() for label in found}
        self._patterns = tuple((label, pattern) for label, pattern in _PATTERNS if label in labels)
        self._longest = max(map(len, counts), default=0)
        seen: Counter[tuple[str, ...]] = Counter()
        for document in documents:
            strings = _strings(document)
            seen.update(
                tuple(strings[i:j]) for i in range(len(strings)) for j in range(i + 1, min(len(strings), i + self._longest) + 1)
            )
        self._labels = {
            key: max(labels, key=lambda label: (labels[label], label))
            for key, labels in counts.items()
            if 2 * labels.total() >= seen[key]
        }

    def predict(self, document: Document) -> tuple[Span, ...]:
        """The entities found: patterns first, then, from left to right, the longest known string."""
        found = [Span(*m.span(), label) for label, pattern in self._patterns for m in pattern.finditer(document.text)]
        taken = [False] * len(document.words)
        for i, (start, end) in enumerate(document.words):
            taken[i] = any(s.start < end and start < s.end for s in found)
        strings = _strings(document)
        i = 0
        while i < len(strings):
            for j in range(min(len(strings), i + self._longest), i, -1):
                label = self._labels.get(tuple(strings[i:j]))
                if label is not None and not any(taken[i:j]):
                    found.append(Span(document.words[i][0], document.words[j - 1][1], label))
                    i = j
                    break
            else:
                i += 1
        return tuple(sorted(found))


def _strings(document: Document) -> list[str]:
    return [document.text[a:b].casefold() for a, b in document.words]


def _tagged(document: Document) -> tuple[Span, ...]:
    """The entities as a model is trained and measured on them: of whole words."""
    return spans_of(document, word_tags(document))


def _words(document: Document, start: int, end: int) -> tuple[str, ...]:
    return tuple(document.text[a:b].casefold() for a, b in document.words if start <= a and b <= end)


def micro_f1(documents: Iterable[Document], predicted: Iterable[Iterable[Span]]) -> float:
    """F1 over all entities, of whole words as tags say them: one is found where its characters and its label are exactly right."""
    hit = true = found = 0
    for document, spans in zip(documents, predicted, strict=True):
        gold, guess = set(_tagged(document)), set(spans)
        hit, true, found = hit + len(gold & guess), true + len(gold), found + len(guess)
    return 2 * hit / max(1, true + found)
