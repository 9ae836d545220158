"""A small token classifier with random weights, made once, and documents to run it on."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from holdfast.pipeline.data.documents import Document, Span, split_words
from holdfast.pipeline.data.entities import bio_tags
from holdfast.pipeline.quiet import quiet
from holdfast.pipeline.training.checkpoint import CheckpointInfo, write_info

TAGS = bio_tags(("PERSON", "PLACE"))
MAX_LENGTH = 24
STRIDE = 6

_PEOPLE = ("Ada Lovelace", "Grace", "Alan Turing", "Edsger")
_PLACES = ("London", "New York", "Rotterdam")
_FILLERS = ("walked", "to", "the", "old", "mill", "by", "river", "and", "saw", "rain", ",", ".")
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def sentence(random_: random.Random, fillers: int) -> Document:
    """Words with a person at the beginning and a place somewhere after it."""
    pieces = [(random_.choice(_PEOPLE), "PERSON"), *((random_.choice(_FILLERS), "") for _ in range(fillers))]
    pieces.insert(random_.randint(1, len(pieces)), (random_.choice(_PLACES), "PLACE"))
    text, spans = "", []
    for word, label in pieces:
        text += " " if text else ""
        if label:
            spans.append(Span(len(text), len(text) + len(word), label))
        text += word
    return Document(text, split_words(text), tuple(spans))


def make_checkpoint(folder: Path) -> None:
    """A BERT of two layers with seeded weights, spread enough that it gives every tag; and a word-piece tokenizer."""
    import tokenizers
    import torch
    import transformers

    words = sorted({w for phrase in (*_PEOPLE, *_PLACES, *_FILLERS) for w in phrase.split()} - {"Edsger", "Rotterdam"})
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    pieces = [*_SPECIAL, *words, *letters, *(letter.upper() for letter in letters), *("##" + letter for letter in letters)]
    raw = tokenizers.Tokenizer(tokenizers.models.WordPiece({p: n for n, p in enumerate(pieces)}, unk_token="[UNK]"))
    raw.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    raw.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    raw.enable_truncation(5)  # as files of published models have it; nothing may obey
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(7)
        special = {f"{t[1:-1].lower()}_token": t for t in _SPECIAL}
        transformers.PreTrainedTokenizerFast(tokenizer_object=raw, **special).save_pretrained(folder)
        config = transformers.BertConfig(
            vocab_size=len(pieces),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=MAX_LENGTH,
            initializer_range=0.3,
            id2label=dict(enumerate(TAGS)),
            label2id={tag: n for n, tag in enumerate(TAGS)},
        )
        transformers.BertForTokenClassification(config).save_pretrained(folder)
    raw.save(str(folder / "tokenizer.json"))
    write_info(folder, CheckpointInfo(TAGS, MAX_LENGTH, STRIDE))


def write_documents(place: Path, documents: Sequence[Document]) -> None:
    """As `.jsonl`."""
    rows = [{"text": d.text, "annotations": [[s.start, s.end, s.label] for s in d.spans]} for d in documents]
    place.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint; read only."""
    folder = tmp_path_factory.mktemp("model") / "checkpoint"
    make_checkpoint(folder)
    return folder


@pytest.fixture
def checkpoint(made_once: Path, tmp_path: Path) -> Path:
    """A checkpoint of one's own, to damage."""
    return Path(shutil.copytree(made_once, tmp_path / "checkpoint"))


@pytest.fixture(scope="session")
def documents() -> tuple[Document, ...]:
    """Forty documents: most fit into a window, some give several."""
    random_ = random.Random(11)
    return tuple(sentence(random_, random_.choice((3, 6, 10, 40))) for _ in range(40))


@pytest.fixture(scope="session")
def converted_once(made_once: Path, documents: Sequence[Document], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint, converted; read only."""
    from holdfast.pipeline.conversion.convert import convert

    output = tmp_path_factory.mktemp("onnx") / "converted"
    convert(made_once, output, documents[:4])
    return output


@pytest.fixture
def data(documents: Sequence[Document], tmp_path: Path) -> Path:
    """The same documents as a file."""
    place = tmp_path / "test.jsonl"
    write_documents(place, documents)
    return place
