"""A second file of each format that is read, of other and harder documents: each is read to its twin in our own shape."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.data.reading import Reading, examine, read_documents

SECOND = Path(__file__).parents[1] / "samples" / "second"

#: Files of whole texts, with what each leaves out and why, if anything.
TEXTS = {
    "label-studio.json": ("documents that were cancelled or skipped, left out", "documents that nobody has annotated, left out"),
    "label-studio-min.json": ("documents that nobody has annotated, left out",),
    "label-studio.csv": ("documents that nobody has annotated, left out",),
    "label-studio.tsv": ("documents that nobody has annotated, left out",),
    "doccano.jsonl": (),
    "doccano-utf16.jsonl": (),
    "doccano-relations.jsonl": (),
    "prodigy.jsonl": ("documents whose answer is reject, left out", "documents whose answer is ignore, left out"),
    "spacy3.spacy": ("documents with words that nobody has annotated, left out",),
    "spacy3-to_json.json": ("documents that nobody has annotated, left out",),
    "spacy2-train.json": (),
    "spacy2-train_data.py": (),
    "spacy2-tuples.json": (),
    "ner-annotator.json": ("documents that nobody has annotated, left out",),
    "dataturks.json": ("documents that nobody has annotated, left out",),
    "sagemaker-output.manifest": ("documents whose labeling failed or never was, left out",),
}
#: Files of tokens, a sentence a document.
TOKENS = [
    "conll2000-ner.tsv",
    "conll2002.conll",
    "conll2003.conll",
    "conll2012.gold_conll",
    "conllu-ner-misc.conllu",
    "germeval2014.tsv",
    "universal-ner.iob2",
    "iob1.conll",
    "iobes.conll",
    "bilou.conll",
    "bmes.conll",
    "sentence-per-line.iob",
    "kaggle-ner.csv",
    "gliner.json",
    "datasets-3.parquet",
    "datasets-5.parquet",
]


def twin(name: str = "twin.jsonl") -> tuple[Document, ...]:
    return read_documents(SECOND / name).documents


def marked(documents: tuple[Document, ...] | list[Document]) -> list[tuple[str, list[tuple[int, int, str]]]]:
    return [(d.text, [(s.start, s.end, s.label) for s in d.spans]) for d in documents]


def left_out(reading: Reading) -> tuple[str, ...]:
    return tuple(n.kind for n in reading.noted if "left out" in n.kind)


def test_the_twins_hold_what_is_hard() -> None:
    documents = twin()
    assert [len(d.spans) for d in documents] == [4, 4, 4, 6, 0, 2]
    assert any(ord(c) > 0xFFFF for c in documents[1].text[: documents[1].spans[0].start])
    assert [s.label for s in documents[3].spans].count("FÄHIGKEIT") == 4
    assert len(twin("twin-tokens.jsonl")) == 10


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_of_texts_gives_its_twin_and_says_what_it_leaves_out(name: str) -> None:
    examined = examine(SECOND / name)
    assert examined.problems == ()
    assert marked(examined.reading.documents) == marked(twin())
    assert left_out(examined.reading) == TEXTS[name]


@pytest.mark.parametrize("names", ["brat/{}.ann", "webanno/{}.tsv", "uima/{}.xmi", "uima/{}.json"])
def test_files_of_a_document_each_give_the_twin(names: str) -> None:
    documents = [d for n in range(1, 7) for d in read_documents(SECOND / names.format(f"k{n}")).documents]
    assert marked(documents) == marked(twin())


@pytest.mark.parametrize("name", TOKENS)
def test_a_file_of_tokens_gives_its_twin_with_its_words(name: str) -> None:
    examined = examine(SECOND / name)
    assert examined.problems == ()
    assert examined.reading.documents == twin("twin-tokens.jsonl")


def test_the_splits_of_a_datasets_folder_give_the_twin_together() -> None:
    files = [SECOND / "datasets-save_to_disk" / split / "data-00000-of-00001.arrow" for split in ("train", "test")]
    assert tuple(d for file in files for d in read_documents(file).documents) == twin("twin-tokens.jsonl")


@pytest.mark.parametrize("name", ["label-studio", "brat-anntoconll"])
def test_columns_of_the_words_that_a_tool_made_give_their_twin(name: str) -> None:
    assert read_documents(SECOND / f"{name}.conll").documents == twin(f"twin-{name}.jsonl")


def words_of(documents: tuple[Document, ...] | list[Document]) -> list[str]:
    return [d.text[a:b] for d in documents for a, b in d.words]


@pytest.mark.parametrize("name", ["spacy3.spacy", "spacy3-to_json.json", "spacy2-train.json", "prodigy.jsonl"])
def test_tokens_of_a_file_are_the_words(name: str) -> None:
    assert words_of(read_documents(SECOND / name).documents) == words_of(twin("twin-tokens.jsonl"))


@pytest.mark.parametrize("names", ["webanno/{}.tsv", "uima/{}.xmi", "uima/{}.json"])
def test_tokens_of_files_of_a_document_each_are_the_words(names: str) -> None:
    documents = [d for n in range(1, 7) for d in read_documents(SECOND / names.format(f"k{n}")).documents]
    assert words_of(documents) == words_of(twin("twin-tokens.jsonl"))


def test_a_part_of_a_webanno_token_that_is_an_entity_is_a_word(tmp_path: Path) -> None:
    header = "#FORMAT=WebAnno TSV 3.3\n#T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|value\n\n\n"
    rows = ["1-1\t0-2\t🚄\t_\t", "1-2\t3-12\tUlm-Wien!\t_\t", "1-2.1\t3-6\tUlm\tORT\t", "1-2.2\t7-11\tWien\tORT\t"]
    path = tmp_path / "a.tsv"
    path.write_text(header + "#Text=🚄 Ulm-Wien!\n" + "\n".join(rows) + "\n")
    (document,) = read_documents(path).documents
    assert words_of([document]) == ["🚄", "Ulm", "-", "Wien", "!"]
    assert [document.text[s.start : s.end] for s in document.spans] == ["Ulm", "Wien"]


@pytest.mark.parametrize("change", [("<type[0-9]*:Token [^>]*/>", ""), ('(<type[0-9]*:Token [^>]*) end="[0-9]+"', r'\1 end="900"')])
def test_an_xmi_without_tokens_or_with_wrong_ones_gives_the_same_text_and_entities(change: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "k2.xmi"
    path.write_text(re.sub(*change, (SECOND / "uima" / "k2.xmi").read_text()))
    documents = read_documents(path).documents
    assert marked(documents) == marked(twin()[1:2])
    assert documents[0].words == twin()[1].words


def test_tokens_of_prodigy_with_which_a_span_does_not_end_are_not_taken_and_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    line = (SECOND / "prodigy.jsonl").read_text().splitlines()[0]
    path.write_text(line.replace('"start": 7, "end": 18, "id": 1', '"start": 7, "end": 17, "id": 1'))
    reading = read_documents(path)
    assert marked(reading.documents) == marked(twin()[:1])
    assert any("split into words anew: 1" in note for note in reading.notes)
