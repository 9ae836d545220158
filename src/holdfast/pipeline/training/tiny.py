"""A small encoder without weights, with a word-piece vocabulary of its own, to train from scratch in a minute.

The vocabulary is made here rather than by the `tokenizers` trainer, which breaks ties in the order of a hash map and so
gives other files in every process.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdfast.pipeline.data.documents import Document

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
#: Every printable ASCII character is in the vocabulary, so that no English word is unknown.
_ASCII = tuple(map(chr, range(33, 127)))


def make_tiny(folder: Path, documents: Sequence[Document], *, vocabulary_size: int = 1000, max_length: int = 4096) -> None:
    """Write a complete `transformers` folder but for the weights, which begin at random.

    The same documents give the same bytes, in any process.

    Args:
        folder: Is made where it is missing; files of the same name are overwritten.
        documents: The training documents: nothing else may shape the vocabulary.
        vocabulary_size: At most as many pieces; single characters are in it in any case.
        max_length: The longest input, in pieces.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    pieces = word_pieces([d.text for d in documents], vocabulary_size)
    ids = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))  # noqa: S106 - no password
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    # Case stays: it is most of what tells an unknown name from an unknown word.
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=False
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "config.json", _configuration(len(pieces), max_length))
    _write(folder / "tokenizer_config.json", _tokenizer_configuration(max_length))
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=True) + "\n", encoding="utf-8")


def word_pieces(texts: Sequence[str], size: int) -> tuple[str, ...]:
    """A word-piece vocabulary: special tokens, single characters, then pairs merged by frequency.

    Of equally frequent pairs the first in alphabetical order is merged, so the texts alone decide.
    """
    from tokenizers import pre_tokenizers

    split = pre_tokenizers.BertPreTokenizer()
    frequency: Counter[str] = Counter()
    for text in texts:
        frequency.update(word for word, _ in split.pre_tokenize_str(text))
    words = [[word[0], *("##" + c for c in word[1:])] for word in sorted(frequency)]
    counts = [frequency[word] for word in sorted(frequency)]
    characters = sorted({*_ASCII, *("##" + c for c in _ASCII), *(piece for word in words for piece in word)})
    vocabulary = [*SPECIAL_TOKENS, *characters]
    known = set(vocabulary)

    pairs: Counter[tuple[str, str]] = Counter()
    places: dict[tuple[str, str], set[int]] = {}
    for i, word in enumerate(words):
        if word[0].isdigit():
            continue  # a number stays digits: an unknown one then looks like those seen
        for pair in itertools.pairwise(word):
            pairs[pair] += counts[i]
            places.setdefault(pair, set()).add(i)
    while len(vocabulary) < size and pairs:
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        if pairs[best] < 2:
            break
        merged = best[0] + best[1].removeprefix("##")
        if merged not in known:
            known.add(merged)
            vocabulary.append(merged)
        for i in places.pop(best):
            for pair in itertools.pairwise(words[i]):
                pairs[pair] -= counts[i]
            words[i] = _merge(words[i], best, merged)
            for pair in itertools.pairwise(words[i]):
                pairs[pair] += counts[i]
                places.setdefault(pair, set()).add(i)
        del pairs[best]
    return tuple(vocabulary)


def _merge(word: list[str], pair: tuple[str, str], merged: str) -> list[str]:
    out: list[str] = []
    i = 0
    while i < len(word):
        if tuple(word[i : i + 2]) == pair:
            out.append(merged)
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out


def _configuration(vocabulary: int, max_length: int) -> dict[str, Any]:
    """A ModernBERT: of the encoders of `transformers`, one that learns who its neighbours are within a few epochs.

    Its first layer sees everything and the other two only what is near; a plain BERT, which has to learn what its
    positions mean, is nowhere after the same time. Its dropouts have names of their own: `embedding_dropout` and
    `mlp_dropout` are what BERT calls `hidden_dropout_prob`, `attention_dropout` is `attention_probs_dropout_prob`.
    """
    return {
        "model_type": "modernbert",
        "vocab_size": vocabulary,
        "hidden_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 192,
        "max_position_embeddings": max_length,
        "global_attn_every_n_layers": 3,
        "local_attention": 16,
        "initializer_cutoff_factor": 2.0,
        "embedding_dropout": 0.1,
        "mlp_dropout": 0.1,
        "attention_dropout": 0.0,  # with any, attention on a CPU takes the slow path
        "classifier_dropout": 0.0,
        "pad_token_id": 0,
        "cls_token_id": 2,
        "sep_token_id": 3,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }


def _tokenizer_configuration(max_length: int) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **{f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")},
    }


def _write(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
