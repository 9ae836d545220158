"""Validation and test where there is no file for them: drawn by seed, and what belongs together stays together."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import BadData, UsageError
from holdfast.pipeline.data.dataset import Dataset, load_dataset
from holdfast.pipeline.data.drawing import draw, units_of
from holdfast.pipeline.data.splits import Splits

SOURCES, SENTENCES = 20, 5


def sentence(source: int, number: int) -> list[str]:
    """Words that no other sentence has, of which the first tells the source."""
    return [f"s{source}", "Oslo", *(f"w{source}x{number}x{n}" for n in range(4))]


def conll2003(folder: Path) -> Path:
    lines = []
    for source in range(SOURCES):
        lines += ["-DOCSTART- -X- -X- O", ""]
        for number in range(SENTENCES):
            lines += [f"{word} NN B-NP {'B-LOC' if word == 'Oslo' else 'O'}" for word in sentence(source, number)] + [""]
    return _written(folder / "train.conll", "\n".join(lines))


def conllu(folder: Path) -> Path:
    lines = []
    for source in range(SOURCES):
        lines.append(f"# newdoc id = d{source}")
        for number in range(SENTENCES):
            words = sentence(source, number)
            lines += [f"# sent_id = d{source}-{number}"]
            lines += [
                f"{n}\t{word}\t_\tX\t_\t_\t0\troot\t_\t{'NER=B-LOC' if word == 'Oslo' else '_'}" for n, word in enumerate(words, 1)
            ]
            lines.append("")
    return _written(folder / "train.conllu", "\n".join(lines))


def conll2012(folder: Path) -> Path:
    lines = []
    for source in range(SOURCES):
        for number in range(SENTENCES):  # each a part of its own, of the same document
            lines.append(f"#begin document (d{source}); part {number:03}")
            for n, word in enumerate(sentence(source, number)):
                lines.append(f"d{source} 0 {n} {word} NN * - - - - {'(LOC)' if word == 'Oslo' else '*'} -")
            lines += ["", "#end document"]
    return _written(folder / "train.gold_conll", "\n".join(lines))


def germeval(folder: Path) -> Path:
    lines = []
    for number in range(SENTENCES):  # the sentences of a source do not stand together
        for source in range(SOURCES):
            lines.append(f"#\thttp://example.org/{source} [2009-10-{number + 1:02}]")
            lines += [f"{n}\t{word}\t{'B-LOC' if word == 'Oslo' else 'O'}\tO" for n, word in enumerate(sentence(source, number), 1)]
            lines.append("")
    return _written(folder / "train.tsv", "\n".join(lines))


def spacy2(folder: Path) -> Path:
    def tokens(source: int, number: int) -> list[dict[str, str]]:
        return [{"orth": word, "ner": "U-LOC" if word == "Oslo" else "O"} for word in sentence(source, number)]

    made = [{"id": s, "paragraphs": [{"sentences": [{"tokens": tokens(s, n)}]} for n in range(SENTENCES)]} for s in range(SOURCES)]
    return _written(folder / "train.json", json.dumps(made))


def a_file_each(folder: Path) -> Path:
    for source in range(SOURCES):
        lines = []
        for number in range(SENTENCES):
            lines += [f"{word}\t{'B-LOC' if word == 'Oslo' else 'O'}" for word in sentence(source, number)] + [""]
        _written(folder / "train" / f"{source:02}.conll", "\n".join(lines))
    return folder / "train"


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def parts(dataset: Dataset) -> dict[str, list[str]]:
    return {name: [d.text for d in getattr(dataset, name)] for name in ("train", "validation", "test")}


@pytest.mark.parametrize("make", [conll2003, conllu, conll2012, germeval, spacy2, a_file_each])
def test_the_sentences_of_one_document_are_never_in_two_splits(make: Callable[[Path], Path], tmp_path: Path) -> None:
    splits = Splits(make(tmp_path), None)
    seen = set()
    for seed in range(4):
        dataset = load_dataset(splits, seed=seed, compared=False)
        found = parts(dataset)
        sources = {name: {text.split()[0] for text in texts} for name, texts in found.items()}
        assert {name: len(s) for name, s in sources.items()} == {"train": 16, "validation": 2, "test": 2}
        assert (
            not sources["train"] & sources["validation"]
            | sources["train"] & sources["test"]
            | sources["validation"] & sources["test"]
        )
        assert sorted(text for texts in found.values() for text in texts) == sorted(
            " ".join(sentence(s, n)) for s in range(SOURCES) for n in range(SENTENCES)
        )
        notes = "\n".join(dataset.notes)
        assert f"no test data: 10 of 100 training documents serve for it, chosen by seed {seed}" in notes
        assert "drawn together: 20 sources that the data names, 100 documents" in notes
        seen.add(frozenset(sources["test"]))
    assert len(seen) > 1, "the seed decides"


def test_near_duplicates_are_never_in_two_splits(tmp_path: Path) -> None:
    word = random.Random(5)
    rows = []
    for n in range(60):
        words = [f"w{word.randrange(4000)}" for _ in range(50)]
        for copy in range(1 + n % 3):
            text = " ".join([f"n{n}", "Oslo", *words, f"c{copy}"])
            rows.append({"text": text, "annotations": [[len(f"n{n} "), len(f"n{n} Oslo"), "LOC"]]})
    word.shuffle(rows)
    path = _written(tmp_path / "all.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    for seed in range(3):
        dataset = load_dataset(Splits(path, None), seed=seed, validation_share=0.2)
        names = [{text.split()[0] for text in texts} for texts in parts(dataset).values()]
        assert sum(map(len, names)) == 60
        assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (84, 24, 12)
        assert "drawn together: 40 sets of near-duplicates, 100 documents" in dataset.notes
        assert not any("too high" in note for note in dataset.notes)


def test_a_test_file_with_near_duplicates_of_training_is_said(tmp_path: Path) -> None:
    words = [f"w{n}" for n in range(50)]
    texts = [" ".join(["Oslo", *words[n:], *words[:n]]) for n in range(0, 50, 10)]

    def put(name: str, texts: list[str]) -> Path:
        rows = [{"text": text, "annotations": [[0, 4, "LOC"]]} for text in texts]
        return _written(tmp_path / name, "".join(json.dumps(row) + "\n" for row in rows))

    train = put("train.jsonl", texts)
    test = put("test.jsonl", [texts[0], texts[1] + " more", "Oslo " + texts[2].upper(), "Oslo alone"])
    notes = load_dataset(Splits(train, test, test)).notes
    of_training = tuple(
        f"{count} of 4 {split} documents are {what}, so its scores come out too high"
        for split in ("validation", "test")
        for count, what in ((1, "also in the training data"), (2, "near-duplicates of training documents"))
    )
    chosen = "4 of 4 test documents are also in the validation data, by which the model is chosen, so its scores come out too high"
    assert notes == (*of_training, chosen)


def test_where_the_data_names_no_sources_and_has_no_duplicates_the_drawn_set_is_that_of_0_1_0(tmp_path: Path) -> None:
    """The identity is written down as version 0.1.0 gave it: studies that go on must not meet another validation set."""
    train = _written(tmp_path / "train.conll", "\n\n".join(f"word{n}\tO\nOslo\tB-LOC" for n in range(30)))
    test = _written(tmp_path / "test.conll", "Rome\tB-LOC\n")
    dataset = load_dataset(Splits(train, None, test), validation_share=0.2, seed=3)
    assert dataset.identity == IDENTITY
    assert dataset.notes == ("no validation data: 6 of 30 training documents serve for it, chosen by seed 3",)


IDENTITY = "a4fe974ddaa8d0b34858368844e7bce2bb1bcb7672d40efbbf44348beeba5336"


def test_a_unit_that_would_go_beyond_the_share_is_passed_over_and_something_is_always_taken_and_left() -> None:
    units = [(0, 1, 2, 3, 4, 5), (6,), (7,), (8, 9)]
    for seed in range(20):
        chosen = draw(units, 10, 0.2, seed)
        assert 1 <= len(chosen) <= 3
        assert 0 not in chosen
    assert draw([(0, 1, 2), (3, 4, 5, 6)], 7, 0.1, 0) == {0, 1, 2}
    assert len(draw([(0, 1), (2, 3)], 4, 0.99, 0)) == 2


def test_what_cannot_be_kept_together_is_said() -> None:
    alone = list(range(10))
    assert units_of(["a"] * 10, alone, 3).members == tuple((n,) for n in range(10)), "one source tells nothing"
    units = units_of(["a"] * 5 + ["b"] * 5, alone, 3)
    assert len(units.members) == 10
    assert units.notes == ("all documents are of 2 source(s), so documents of one source were not kept together",)
    units = units_of([None] * 10, [0] * 6 + [6, 7, 8, 9], 3)
    assert len(units.members) == 10
    assert "6 of 10 documents are near-duplicates of each other, so near-duplicates were not kept together" in units.notes[0]
    sources, near = ["a", "a", "b", "c", "c", None], [0, 1, 0, 3, 4, 4]
    assert units_of(sources, near, 2).members == ((0, 1, 2), (3, 4, 5)), "one that is near joins its source and that of the other"
    units = units_of(sources, near, 3)
    assert units.members == ((0, 1), (2,), (3, 4), (5,))
    assert "with near-duplicates together there is too little to draw from" in units.notes[0]


def test_too_few_documents_and_shares_that_are_none_are_refused(tmp_path: Path) -> None:
    path = _written(tmp_path / "train.conll", "Oslo\tB-LOC\n\nRome\tB-LOC\n")
    with pytest.raises(BadData, match=r"too few documents \(2\) to take any for validation and test; add a file of"):
        load_dataset(Splits(path, None))
    for share in (0, 1, -0.1, float("nan")):
        with pytest.raises(UsageError, match="test_share should be between 0 and 1"):
            load_dataset(Splits(path, path), test_share=share)
