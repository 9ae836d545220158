"""The built-in sample, its baseline, and the folder of the tiny encoder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.pipeline.data.baseline import DictionaryBaseline, micro_f1
from holdfast.pipeline.data.documents import Document, Span, split_words
from holdfast.pipeline.sample import LABELS, Sample, make_sample, write_sample
from holdfast.pipeline.sample.resume import LONGEST, SHORTEST
from holdfast.pipeline.training.tiny import SPECIAL_TOKENS, make_tiny, word_pieces

_MAKE_TINY = """
import sys
from pathlib import Path
from holdfast.pipeline.sample import make_sample, write_sample
from holdfast.pipeline.training.tiny import make_tiny
write_sample(Path(sys.argv[1]))
make_tiny(Path(sys.argv[1]), make_sample().train)
"""
_TINY_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")


@pytest.fixture(scope="module")
def sample() -> Sample:
    return make_sample()


@pytest.fixture(scope="module")
def tiny(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    make_tiny(folder, sample.train)
    return folder


def _all(sample: Sample) -> tuple[Document, ...]:
    return (*sample.train, *sample.validation, *sample.test)


def _strings(documents: tuple[Document, ...]) -> list[str]:
    return [d.text[s.start : s.end].casefold() for d in documents for s in d.spans]


def test_there_are_400_80_and_80_documents_of_60_to_140_words_and_no_two_alike(sample: Sample) -> None:
    assert [len(split) for split in (sample.train, sample.validation, sample.test)] == [400, 80, 80]
    assert all(SHORTEST <= len(d.words) <= LONGEST for d in _all(sample))
    assert len({d.text for d in _all(sample)}) == 560


def test_every_split_has_exactly_the_eight_labels(sample: Sample) -> None:
    for split in (sample.train, sample.validation, sample.test):
        assert {s.label for d in split for s in d.spans} == set(LABELS)
    assert len(LABELS) == 8


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_span_lies_in_the_text_on_whole_words_after_the_one_before(seed: int) -> None:
    for document in _all(make_sample(seed)):
        assert document.words == split_words(document.text)
        starts, ends = {w[0] for w in document.words}, {w[1] for w in document.words}
        reached = 0
        for span in document.spans:
            assert reached <= span.start < span.end <= len(document.text)
            assert span.start in starts
            assert span.end in ends
            reached = span.end


def test_the_same_seed_gives_the_same_sample_and_another_seed_another(sample: Sample) -> None:
    assert make_sample() == sample
    assert make_sample(1) != sample


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_at_most_30_percent_of_the_entities_of_test_occur_in_training(seed: int) -> None:
    sample = make_sample(seed)
    known = set(_strings(sample.train))
    for split in (sample.validation, sample.test):
        occurrences = _strings(split)
        distinct = set(occurrences)
        by_string = sum(s in known for s in distinct) / len(distinct)
        by_occurrence = sum(s in known for s in occurrences) / len(occurrences)
        print(f"seed {seed}: {by_string:.3f} of the strings, {by_occurrence:.3f} of the occurrences")
        assert by_string <= 0.30
        assert by_occurrence <= 0.30


def test_addresses_and_telephone_numbers_are_nobodys(sample: Sample) -> None:
    for document in _all(sample):
        assert not re.findall(r"@(?!(?:\w+\.)?example\.(?:com|org|net)\b)", document.text)
        for span in document.spans:
            string = document.text[span.start : span.end]
            assert span.label != "PHONE" or re.search(r"\b555[-. ]\d{4}$", string)
            assert (span.label == "EMAIL") == ("@" in string)


def test_what_is_written_is_what_was_made(sample: Sample, tmp_path: Path) -> None:
    write_sample(tmp_path)
    for name in ("train", "validation", "test"):
        rows = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
        read = tuple(Document(r["text"], split_words(r["text"]), tuple(Span(*a) for a in r["annotations"])) for r in rows)
        assert read == getattr(sample, name)


def test_the_sample_is_written_from_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "holdfast.pipeline.sample", str(tmp_path / "a" / "b"), "--seed", "3"]
    subprocess.run(command, check=True)
    write_sample(tmp_path, seed=3)
    assert (tmp_path / "a" / "b" / "test.json").read_bytes() == (tmp_path / "test.json").read_bytes()


def test_the_baseline_is_decent_and_leaves_room(sample: Sample) -> None:
    baseline = DictionaryBaseline(sample.train)
    known = micro_f1(sample.train, map(baseline.predict, sample.train))
    f1 = micro_f1(sample.test, map(baseline.predict, sample.test))
    print(f"dictionary baseline: F1 {f1:.4f} on test, {known:.4f} on training")
    assert 0.35 < f1 < 0.6
    assert known > 0.9


def test_the_baseline_takes_the_longest_entry_and_leaves_out_what_is_mostly_no_entity() -> None:
    def document(text: str, *entities: str) -> Document:
        spans = tuple(sorted(Span(text.index(e), text.index(e) + len(e), "SKILL") for e in entities))
        return Document(text, split_words(text), spans)

    labelled = Document("x y z", split_words("x y z"), (Span(0, 1, "EMAIL"), Span(2, 3, "PHONE"), Span(4, 5, "EXPERIENCE")))
    train = (
        document("crop planning, crop", "crop planning"),
        document("planning x", "planning"),
        document("planning planning"),
        labelled,
    )
    baseline = DictionaryBaseline(train)
    found = baseline.predict(document("Crop Planning and planning, a.b@example.org, 555-0100, since 2011"))
    assert found == (Span(0, 13, "SKILL"), Span(28, 43, "EMAIL"), Span(45, 53, "PHONE"), Span(55, 65, "EXPERIENCE"))
    # A pattern of what the data do not label finds nothing.
    assert DictionaryBaseline(train[:-1]).predict(document("a.b@example.org, crop planning")) == (Span(17, 30, "SKILL"),)


def test_every_process_writes_the_same_sample_and_the_same_tiny_folder(sample: Sample, tiny: Path, tmp_path: Path) -> None:
    for seed in ("0", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": seed[0] + "1"}
        subprocess.run([sys.executable, "-c", _MAKE_TINY, str(tmp_path / seed)], check=True, env=environment)
    for name in (*_TINY_FILES, "train.json", "validation.json", "test.json"):
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "4711" / name).read_bytes(), name
    for name in _TINY_FILES:
        assert (tmp_path / "0" / name).read_bytes() == (tiny / name).read_bytes(), name
    assert sorted(os.listdir(tiny)) == sorted(_TINY_FILES)


def test_the_tokenizer_loads_fast_and_knows_every_character(sample: Sample, tiny: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    assert tokenizer.is_fast
    assert tokenizer.model_max_length == 4096
    assert tokenizer.convert_ids_to_tokens(list(range(5))) == list(SPECIAL_TOKENS)
    assert (tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.mask_token_id) == (0, 1, 4)
    for document in sample.test:
        words = [document.text[a:b] for a, b in document.words]
        encoded = tokenizer(words, is_split_into_words=True)
        assert sorted({w for w in encoded.word_ids() if w is not None}) == list(range(len(words)))
        assert encoded["input_ids"][0] == tokenizer.cls_token_id
        assert encoded["input_ids"][-1] == tokenizer.sep_token_id
        assert tokenizer.unk_token_id not in encoded["input_ids"]


def test_the_configuration_loads_and_fits_the_tokenizer(tiny: Path) -> None:
    from transformers import AutoConfig, AutoTokenizer

    config = AutoConfig.from_pretrained(tiny)
    assert config.model_type == "modernbert"
    assert config.vocab_size == len(AutoTokenizer.from_pretrained(tiny)) == 1000
    assert config.max_position_embeddings == 4096


def test_word_pieces_merge_the_most_frequent_pair_and_leave_digits_apart() -> None:
    pieces = word_pieces(["lot lot dot 2016 2016 2016 2016"], 2 * 94 + 5 + 2)
    assert pieces[-2:] == ("##ot", "lot")
    assert not any(len(p.removeprefix("##")) > 1 and p.removeprefix("##").isdigit() for p in pieces)
