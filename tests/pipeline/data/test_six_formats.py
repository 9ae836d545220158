"""One corpus from six formats is one dataset."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from benchmarks.six_formats import FORMATS, OF_TEXT, Sentence, as_split, load_from

from holdfast.pipeline.data.reading import examine, read_documents

WORDS = """Zoë Ulm Köln 🚀 🧑\u200d🔧 can't @bo 's U.S. 5\u00a0kg https://a.example/b_c?d=e … , " ' A|B \\ C++ 北京 王小明 #tag
NA null - _ * Rene\u0301e""".replace("\n", " ")
LABELS = ["ORT", "PERSON", "RUF_NR", "corporation"]


def corpus(seed: int, sizes: tuple[int, int, int] = (40, 15, 15)) -> dict[str, list[Sentence]]:
    print(f"seed {seed}")
    draw = random.Random(seed)

    def sentence() -> Sentence:
        tokens: list[str] = []
        tags: list[str] = []
        for _ in range(draw.randint(1, 6)):
            label = draw.choice([None, *LABELS])
            for n in range(draw.randint(1, 3)):
                tokens.append(draw.choice(WORDS.split(" ")))
                tags.append("O" if label is None else f"{'I' if n else 'B'}-{label}")
        return Sentence(tuple(tokens), tuple(tags))

    return {split: [sentence() for _ in range(size)] for split, size in zip(("train", "validation", "test"), sizes, strict=True)}


def test_one_corpus_from_six_formats_has_one_identity_and_the_same_documents(tmp_path: Path) -> None:
    given = corpus(18)
    assert any(not as_split(s) for s in given["train"])
    loaded = {name: load_from(tmp_path / str(n), given, name) for n, name in enumerate(FORMATS)}
    conll = loaded["CoNLL"]
    assert [[d.text[a:b] for a, b in d.words] for d in conll.train] == [list(s.tokens) for s in given["train"]]
    assert [[(s.start, s.end, s.label) for s in d.spans] for d in conll.test] == [s.spans for s in given["test"]]
    for name, dataset in loaded.items():
        assert (dataset.train, dataset.validation, dataset.test) == (conll.train, conll.validation, conll.test), name
        assert dataset.identity == conll.identity


def test_a_text_that_brings_no_words_has_the_identity_of_its_tokens_where_it_is_split_into_them(tmp_path: Path) -> None:
    given = corpus(19, (200, 60, 60))
    whole = {split: [s for s in sentences if as_split(s)] for split, sentences in given.items()}
    assert 0 < len(whole["train"]) < len(given["train"])
    conll = load_from(tmp_path / "conll", whole, "CoNLL").identity
    assert {load_from(tmp_path / name, whole, name, words=False).identity for name in OF_TEXT} == {conll}
    other = load_from(tmp_path / "whole", given, "CoNLL").identity
    plain = [load_from(tmp_path / f"{name} whole", given, name, words=False) for name in OF_TEXT]
    assert plain[0].identity == plain[1].identity != other


@pytest.mark.parametrize("words", ["words", [["a", "b"]], [[0, 5], [6]], None])
def test_what_is_called_words_and_is_none_is_passed_over(tmp_path: Path, words: object) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "can't @Bo", "label": [[6, 9, "NAME"]], "words": words}))
    (document,) = read_documents(path).documents
    assert [document.text[a:b] for a, b in document.words] == ["can", "'", "t", "@", "Bo"]


@pytest.mark.parametrize("words", [[[0, 4], [6, 9]], [[0, 5], [5, 7], [7, 9]], [[0, 9], [6, 9]], [[0, 5], [6, 9], [9, 12]]])
def test_words_beside_a_text_that_do_not_fit_its_spans_or_its_length_are_not_taken_and_that_is_said(
    tmp_path: Path, words: list[list[int]]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "can't @Bo", "label": [[0, 5, "WORD"], [6, 9, "NAME"]], "words": words}))
    examined = examine(path)
    assert examined.problems == ()
    assert len(examined.reading.documents[0].words) == 5
    assert any("split into words anew: 1" in note for note in examined.reading.notes)
