"""From words to pieces and back, with real tokenizers of each family, trained here."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import tokenizers as library
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import BadData, UsageError
from holdfast.pipeline.data.documents import Document, Span, split_words
from holdfast.pipeline.data.encode import IGNORED, Window, encode, word_predictions
from holdfast.pipeline.data.entities import bio_tags, word_tags

models, normalizers, pre_tokenizers = library.models, library.normalizers, library.pre_tokenizers
processors, trainers, Tokenizer = library.processors, library.trainers, library.Tokenizer

CORPUS = ["the old mill by Alderbridge isn't open", "Zoe and José went to 東京, didn't they?", "O'Brien's café"] * 20
LABELS = ("A", "B")
TAGS = bio_tags(LABELS)
TAG_IDS = {tag: n for n, tag in enumerate(TAGS)}


def word_piece() -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made.train_from_iterator(CORPUS, trainers.WordPieceTrainer(vocab_size=90, special_tokens=special, show_progress=False))
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


def byte_level() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(CORPUS, trainer)
    made.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0), trim_offsets=False)
    return made


def metaspace() -> Tokenizer:
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=80, special_tokens=["<s>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    made.train_from_iterator(CORPUS, trainer)
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    return made


def bare() -> Tokenizer:
    """Pieces reach across words, and there are no special ones."""
    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=120, special_tokens=["<unk>"], show_progress=False))
    return made


MAKERS: dict[str, Callable[[], Tokenizer]] = {f.__name__: f for f in (word_piece, byte_level, metaspace, bare)}


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Tokenizer]:
    return {name: make() for name, make in MAKERS.items()}


def document(text: str, *spans: tuple[int, int, str]) -> Document:
    return Document(text, split_words(text), tuple(Span(*span) for span in spans))


def perfect(window: Window, *, padding: int = 0) -> Any:
    """Logits of a model that learnt the labels, and is sure of nonsense where there is none."""
    logits = np.zeros((len(window.input_ids) + padding, len(TAGS)), dtype=np.float32)
    for at in range(len(logits)):
        label = window.labels[at] if at < len(window.labels) else IGNORED
        logits[at, label if label != IGNORED else 1] = 9.0
    return logits


def predicted(documents: Sequence[Document], windows: Sequence[Window]) -> list[list[str]]:
    return word_predictions(documents, windows, [perfect(w, padding=n % 3) for n, w in enumerate(windows)], TAGS)


TEXT = "O'Brien's mill,  the café of Zoë Alderbridge in 東京 isn't 😀 open\n(yet)."


@pytest.mark.parametrize("name", MAKERS)
def test_each_word_has_its_first_piece_and_that_carries_its_tag(name: str, tokenizers: dict[str, Tokenizer]) -> None:
    given_document = document(TEXT, (0, 9, "A"), (29, 44, "B"), (48, 50, "A"), (57, 58, "B"))
    (window,) = encode([given_document], tokenizers[name], max_length=200, stride=20, tag_ids=TAG_IDS)
    encoding = tokenizers[name].encode(TEXT)
    assert window.input_ids == encoding.ids
    tags = word_tags(given_document)
    assert sorted([word for _, word in window.words] + window.inside) == list(range(len(given_document.words)))
    for at, word in window.words:
        start, end = encoding.offsets[at]
        first = start + len(TEXT[start:end]) - len(TEXT[start:end].lstrip())
        assert first == given_document.words[word][0]
        assert window.labels[at] == TAG_IDS[tags[word]]
    labelled = {at for at, label in enumerate(window.labels) if label != IGNORED}
    assert labelled == {at for at, _ in window.words}
    assert len(window.labels) == len(window.input_ids)
    if name != "bare":
        assert predicted([given_document], [window]) == [tags]


@pytest.mark.parametrize("name", MAKERS)
def test_without_tags_there_are_no_labels_and_the_rest_is_the_same(name: str, tokenizers: dict[str, Tokenizer]) -> None:
    known = encode([document(TEXT)], tokenizers[name], max_length=16, stride=4, tag_ids=TAG_IDS)
    unknown = encode([document(TEXT)], tokenizers[name], max_length=16, stride=4, tag_ids=None)
    assert all(w.labels == [] for w in unknown)
    assert [(w.input_ids, w.words) for w in unknown] == [(w.input_ids, w.words) for w in known]


@pytest.mark.parametrize("name", MAKERS)
def test_nothing_of_a_long_document_is_cut_off(name: str, tokenizers: dict[str, Tokenizer]) -> None:
    text = " ".join(CORPUS)
    words = split_words(text)
    long = document(text, *((*words[n], "AB"[n % 2]) for n in range(0, len(words), 3)))
    windows = encode([document("x"), long, document("y")], tokenizers[name], max_length=16, stride=5, tag_ids=TAG_IDS)
    assert len(windows) > 10
    assert all(len(w.input_ids) <= 16 for w in windows)
    assert [w.document for w in windows] == sorted(w.document for w in windows)
    there = {word for w in windows if w.document == 1 for word in [*(word for _, word in w.words), *w.inside]}
    assert there == set(range(len(long.words)))
    own = {word for w in windows if w.document == 1 for _, word in w.words}
    result, tags = predicted([document("x"), long, document("y")], windows)[1], word_tags(long)
    assert [result[word] for word in sorted(own)] == [tags[word] for word in sorted(own)]


@pytest.mark.parametrize("name", ["word_piece", "byte_level", "metaspace"])
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_every_tag_survives(name: str, tokenizers: dict[str, Tokenizer], data: st.DataObject) -> None:
    alphabet = st.sampled_from(
        ["a", "mill", "Zo", "é", "e\u0301", "'", "s", "t", ",", "東", "😀", "\u200d", "ﬁ", " ", "  ", "\n", "[SEP]"]
    )
    documents = []
    for _ in range(data.draw(st.integers(1, 3))):
        text = "".join(data.draw(st.lists(alphabet, min_size=1, max_size=40)))
        words = split_words(text)
        seed = data.draw(st.integers(0, 1000))
        documents.append(Document(text, words, entities(words, random.Random(seed))))
    max_length = data.draw(st.integers(4, 24))
    stride = data.draw(st.integers(0, max_length - 3))
    windows = encode(documents, tokenizers[name], max_length=max_length, stride=stride, tag_ids=TAG_IDS)
    result = predicted(documents, windows)
    for n, given_document in enumerate(documents):
        own = {word for w in windows if w.document == n for _, word in w.words}
        tags = word_tags(given_document)
        assert len(result[n]) == len(tags)
        assert all(result[n][word] == tags[word] for word in own)


def entities(words: Sequence[tuple[int, int]], generator: random.Random) -> tuple[Span, ...]:
    spans, word = [], 0
    while word < len(words):
        length = min(generator.randint(1, 4), len(words) - word)
        if generator.random() < 0.4:
            spans.append(Span(words[word][0], words[word + length - 1][1], generator.choice(LABELS)))
        word += length
    return tuple(spans)


def test_a_word_in_a_piece_of_the_word_before_goes_on_with_its_entity(tokenizers: dict[str, Tokenizer]) -> None:
    short = document("O'Brien's", (0, 9, "A"))
    windows = encode([short], tokenizers["byte_level"], max_length=32, stride=4, tag_ids=TAG_IDS)
    assert windows[0].inside == [4]  # `s` lies in the piece `'s`
    assert predicted([short], windows) == [["B-A", "I-A", "I-A", "I-A", "I-A"]]
    outside = document("O'Brien's", (0, 7, "A"))
    windows = encode([outside], tokenizers["byte_level"], max_length=32, stride=4, tag_ids=TAG_IDS)
    assert predicted([outside], windows) == [["B-A", "I-A", "I-A", "O", "O"]]


def test_a_word_that_the_tokenizer_drops_is_outside_unless_its_entity_goes_on_behind_it(tokenizers: dict[str, Tokenizer]) -> None:
    text = "a \x01 mill \x01"
    dropped = Document(text, ((0, 1), (2, 3), (4, 8), (9, 10)), (Span(0, 10, "A"),))
    windows = encode([dropped], tokenizers["word_piece"], max_length=32, stride=4, tag_ids=TAG_IDS)
    assert [word for _, word in windows[0].words] == [0, 2]
    assert predicted([dropped], windows) == [["B-A", "I-A", "I-A", "O"]]
    apart = Document(text, dropped.words, (Span(0, 1, "A"), Span(4, 8, "A")))
    windows = encode([apart], tokenizers["word_piece"], max_length=32, stride=4, tag_ids=TAG_IDS)
    assert predicted([apart], windows) == [["B-A", "O", "B-A", "O"]]


def test_a_document_without_pieces_gives_no_window_and_is_all_outside(tokenizers: dict[str, Tokenizer]) -> None:
    nothing = Document("\x01", ((0, 1),), (Span(0, 1, "A"),))
    windows = encode([nothing, document("a")], tokenizers["word_piece"], max_length=8, stride=0, tag_ids=TAG_IDS)
    assert [w.document for w in windows] == [1]
    assert predicted([nothing, document("a")], windows) == [["O"], ["O"]]


def test_words_of_the_corpus_are_kept_where_they_are_not_those_of_the_tokenizer(tokenizers: dict[str, Tokenizer]) -> None:
    corpus = Document("isn't Alder-bridge", ((0, 5), (6, 18)), (Span(6, 18, "B"),))
    for name, tokenizer in tokenizers.items():
        windows = encode([corpus], tokenizer, max_length=64, stride=4, tag_ids=TAG_IDS)
        if name != "bare":
            assert predicted([corpus], windows) == [["O", "B-B"]]


def test_the_callers_tokenizer_is_left_as_it_is_and_its_settings_are_not_used(tokenizers: dict[str, Tokenizer]) -> None:
    own = Tokenizer.from_str(tokenizers["word_piece"].to_str())
    own.enable_padding(length=50, pad_token="[PAD]")
    own.enable_truncation(5, direction="left")
    before = own.to_str()
    windows = encode([document(TEXT)], own, max_length=16, stride=4, tag_ids=TAG_IDS)
    assert own.to_str() == before
    assert windows == encode([document(TEXT)], tokenizers["word_piece"], max_length=16, stride=4, tag_ids=TAG_IDS)


def test_where_windows_overlap_the_one_decides_in_which_the_word_stands_further_inside() -> None:
    four = Document("a b c d", ((0, 1), (2, 3), (4, 5), (6, 7)))
    first = Window(0, [9, 1, 2, 3, 9], [], [(1, 0), (2, 1), (3, 2)])
    second = Window(0, [9, 2, 3, 4, 9], [], [(1, 1), (2, 2), (3, 3)])
    ours, theirs = np.zeros((5, 5)), np.zeros((7, 5))
    ours[:, 1], theirs[:, 3] = 1.0, 1.0
    assert word_predictions([four], [first, second], [ours, theirs], TAGS) == [["B-A", "B-A", "B-B", "B-B"]]
    tie = Window(0, [9, 1, 2, 3, 9], [], [(1, 0), (2, 1), (3, 2)])
    assert word_predictions([four], [first, tie], [ours, theirs], TAGS) == [["B-A", "B-A", "B-A", "O"]]


def test_what_cannot_be_encoded_or_read_back_is_refused(tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers["word_piece"]
    for max_length, stride in ((8, 6), (2, 0), (1, 0), (8, -1)):
        with pytest.raises(UsageError, match="stride"):
            encode([document("a")], tokenizer, max_length=max_length, stride=stride, tag_ids=None)
    with pytest.raises(BadData, match="document 2: B-C is not among the model's tags"):
        encode([document("a"), document("a", (0, 1, "C"))], tokenizer, max_length=8, stride=0, tag_ids=TAG_IDS)
    windows = encode([document("a")], tokenizer, max_length=8, stride=0, tag_ids=None)
    for logits in ([], [np.zeros((2, 5))], [np.zeros((3, 4))]):
        with pytest.raises(ValueError, match="logits"):
            word_predictions([document("a")], windows, logits, TAGS)
