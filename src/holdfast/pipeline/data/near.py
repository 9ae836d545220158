"""Near-duplicates: documents whose words are nearly the same, found without comparing each with each.

Two documents are near-duplicates if the sets of their runs of five words (shingles), without regard to case, have a Jaccard
similarity of at least 0.8: what they share, by what they have together. Of a document of fewer than five words all of it is one
run. Candidates are found by MinHash and banding (Broder, "On the resemblance and containment of documents", 1997; Leskovec,
Rajaraman, Ullman, "Mining of Massive Datasets", chapter 3): 100 hash functions in 20 bands of 5, by which a pair at 0.8 is met
with a probability of 1 - (1 - 0.8^5)^20 = 0.9996. Each candidate is then compared exactly. All arithmetic is of whole numbers
of 64 bits, so the same documents give the same answer on every machine; time and memory grow with the number of words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from holdfast.pipeline.data.documents import Document
from holdfast.store.transfer.progress import Progress, Silent

#: Of how many words a run is, and in percent from which similarity on two documents are near-duplicates.
RUN, ALIKE = 5, 80

_BANDS, _ROWS = 20, 5
_BATCH = 100_000  # words that are hashed at once
#: With how many different documents of a bucket one is compared: more of them would make the time quadratic.
_COMPARED = 16
_KEPT = 10_000  # documents whose runs are remembered while candidates are compared

Numbers = NDArray[np.uint64]


def _fixed(what: str, count: int) -> Numbers:
    """Odd numbers that are the same for ever."""
    return np.frombuffer(blake3(what.encode()).digest(length=8 * count), dtype="<u8").astype(np.uint64) | np.uint64(1)


_OF_WORD = _fixed("holdfast: place of a word in a run", RUN)
_TIMES = _fixed("holdfast: hash functions, factors", _BANDS * _ROWS)
_PLUS = _fixed("holdfast: hash functions, summands", _BANDS * _ROWS)


class Runs:
    """The runs of words of documents, as numbers of 64 bits.

    Args:
        documents: Of which.
        progress: Follows the characters as they are hashed, which is what takes long.
    """

    def __init__(self, documents: Sequence[Document], progress: Progress | None = None) -> None:
        self.documents = documents
        self._progress = progress or Silent()
        self._words: dict[str, int] = {}
        self._remembered: dict[int, Numbers] = {}

    def bands(self) -> Numbers:
        """A row for each document: the number of the bucket that it falls into, for each band."""
        self._progress.begin("comparing", "documents", 1, sum(len(d.text) for d in self.documents))
        try:
            found = [_bands(*batch) for batch in self._batches()]
        finally:
            self._progress.end()
        return np.concatenate(found) if found else np.empty((0, _BANDS), dtype=np.uint64)

    def of(self, number: int) -> Numbers:
        """The runs of one document, each once, sorted."""
        found = self._remembered.get(number)
        if found is None:
            words = self._of_words(self.documents[number])
            found = np.unique(_runs(np.array(words, dtype=np.uint64), np.array([len(words)]))[0])
            if len(self._remembered) >= _KEPT:
                self._remembered.clear()
            self._remembered[number] = found
        return found

    def _of_words(self, document: Document) -> list[int]:
        text, known = document.text, self._words
        words = [text[start:end].casefold() for start, end in document.words] or [text]
        numbers = []
        for word in words:
            number = known.get(word)
            if number is None:
                digest = blake3(word.encode("utf-8", "surrogatepass")).digest(length=8)
                number = known[word] = int.from_bytes(digest, "little")
            numbers.append(number)
        return numbers + [0] * (RUN - len(numbers))

    def _batches(self) -> Iterator[tuple[Numbers, NDArray[np.int64]]]:
        numbers: list[int] = []
        lengths: list[int] = []
        characters = 0
        for document in self.documents:
            words = self._of_words(document)
            numbers += words
            lengths.append(len(words))
            characters += len(document.text)
            if len(numbers) >= _BATCH:
                yield _runs(np.array(numbers, dtype=np.uint64), np.array(lengths))
                self._progress.advance(characters)
                numbers, lengths, characters = [], [], 0
        if lengths:
            yield _runs(np.array(numbers, dtype=np.uint64), np.array(lengths))


def near_duplicates(documents: Sequence[Document], progress: Progress | None = None) -> list[int]:
    """For each document the first one, by its number, that it is a near-duplicate of, over others between or not; else itself.

    Near-duplicates of near-duplicates count as such, so that what this says divides the documents into sets.
    """
    runs = Runs(documents, progress)
    bands = runs.bands()
    first = list(range(len(documents)))
    for band in range(bands.shape[1]):
        for bucket in _buckets(bands[:, band]):
            met: list[int] = []
            for number in bucket:
                root = _root(first, number)
                if any(_root(first, other) == root for other in met):
                    continue
                same = next((other for other in met if _alike(runs.of(other), runs.of(number))), None)
                if same is not None:
                    low, high = sorted((root, _root(first, same)))
                    first[high] = low
                elif len(met) < _COMPARED:
                    met.append(number)
    return [_root(first, number) for number in range(len(documents))]


def near_to(learnt: Sequence[Document], others: Sequence[Document], progress: Progress | None = None) -> list[bool]:
    """Of each of the others, whether it is a near-duplicate of one of the documents that are learnt from."""
    here, there = Runs(learnt, progress), Runs(others, progress)
    known, asked = here.bands(), there.bands()
    found = [False] * len(others)
    for band in range(known.shape[1]):
        order = np.argsort(known[:, band], kind="stable")
        values = known[order, band]
        begin, end = (np.searchsorted(values, asked[:, band], side) for side in ("left", "right"))
        for number in np.flatnonzero(begin < end).tolist():
            if not found[number]:
                bucket = order[begin[number] : end[number]][:_COMPARED].tolist()
                found[number] = any(_alike(here.of(other), there.of(number)) for other in bucket)
    return found


def _alike(one: Numbers, other: Numbers) -> bool:
    shared = np.intersect1d(one, other, assume_unique=True).size
    return bool(100 * shared >= ALIKE * (one.size + other.size - shared))


def _root(first: list[int], number: int) -> int:
    while first[number] != number:
        first[number] = first[first[number]]
        number = first[number]
    return number


def _buckets(values: Numbers) -> Iterator[list[int]]:
    """The documents that share a bucket, two or more each, in their order."""
    order = np.argsort(values, kind="stable")
    edges = np.concatenate(([0], np.flatnonzero(np.diff(values[order])) + 1, [values.size]))
    for n in np.flatnonzero(np.diff(edges) > 1).tolist():
        yield order[edges[n] : edges[n + 1]].tolist()


def _runs(words: Numbers, lengths: NDArray[np.int64]) -> tuple[Numbers, NDArray[np.int64]]:
    """The runs of all documents one after the other, and where those of each begin."""
    ends = np.cumsum(lengths)
    mixed = np.zeros(words.size - RUN + 1, dtype=np.uint64)
    for place in range(RUN):
        mixed += _stirred(words[place : place + mixed.size] * _OF_WORD[place])
    inside = np.ones(words.size, dtype=bool)
    for back in range(1, RUN):
        inside[ends - back] = False  # a run that begins here would end in the next document
    begins = np.concatenate(([0], np.cumsum(lengths - RUN + 1)[:-1]))
    return _stirred(mixed[inside[: mixed.size]]), begins


def _bands(runs: Numbers, begins: NDArray[np.int64]) -> Numbers:
    found = np.zeros((begins.size, _BANDS), dtype=np.uint64)
    for n in range(_BANDS * _ROWS):
        least = np.minimum.reduceat(runs * _TIMES[n] + _PLUS[n], begins)
        found[:, n // _ROWS] = _stirred(found[:, n // _ROWS] * _OF_WORD[0] + least)
    return found


def _stirred(values: Numbers) -> Numbers:
    """Every bit of the result depends on every bit of the value (the end of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
