"""The small files of each tool, all of the same three documents: each is read to them, or refused by its name."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from holdfast.errors import BadData
from holdfast.pipeline.data.formats.shape import Asked, Offsets
from holdfast.pipeline.data.reading import examine, read_documents

SAMPLES = Path(__file__).parents[1] / "samples"
TRUTH = json.loads((SAMPLES / "truth.json").read_text())["documents"]

Spans = list[tuple[str, str]]

BY_TEXT = [
    "own.json",
    "own.jsonl",
    "label-studio.json",
    "label-studio-min.json",
    "label-studio.csv",
    "label-studio.tsv",
    "doccano.jsonl",
    "doccano-relations.jsonl",
    "prodigy.jsonl",
    "spacy3-to_json.json",
    "spacy2-train.json",
    "spacy2-train_data.py",
    "spacy2-tuples.json",
    "ner-annotator.json",
    "dataturks.json",
    "sagemaker-output.manifest",
]
BY_SENTENCE = [
    "conll2000-ner.tsv",
    "conll2002.conll",
    "conll2003.conll",
    "conll2012.gold_conll",
    "conllu-ner-misc.conllu",
    "germeval2014.tsv",
    "iob1.conll",
    "bilou.conll",
    "iobes.conll",
    "sentence-per-line.iob",
    "kaggle-ner.csv",
    "datasets-classlabel.parquet",
    "datasets-save_to_disk/train/data-00000-of-00001.arrow",
]
A_FILE_EACH = ["brat/{}.ann", "webanno-{}.tsv", "uima-{}.xmi", "uima-cas-{}.json"]
REFUSED = {
    "argilla-records.json": "Argilla",
    "lighttag.json": "LightTag",
    "tagtog/d1.ann.json": "tagtog",
    "kili.json": "Kili",
    "labelbox-legacy.json": "Labelbox",
    "azure/labels.json": "Azure",
    "vertex.jsonl": "Vertex",
    "ubiai.json": "UBIAI",
    "datasets.jsonl": "what they stand for is nowhere",
    "edge/doccano-two-users.zip": "zip",
}


def right_texts() -> list[tuple[str, list[tuple[int, int, str]]]]:
    return [(d["text"], [(s["start"], s["end"], s["label"]) for s in d["spans"]]) for d in TRUTH]


def right_sentences() -> list[tuple[list[str], Spans]]:
    """Each sentence's words, and its entities as words and label."""
    made = []
    for document in TRUTH:
        for words, tags in zip(document["sentences"], document["tags_iob2"], strict=True):
            spans: Spans = []
            for word, tag in zip(words, tags, strict=True):
                if tag.startswith("B-"):
                    spans.append((word, tag[2:]))
                elif tag.startswith("I-"):
                    spans[-1] = (f"{spans[-1][0]} {word}", tag[2:])
            made.append((words, spans))
    return made


@pytest.mark.parametrize("name", BY_TEXT)
def test_a_file_with_offsets_gives_the_texts_and_the_spans(name: str) -> None:
    documents = read_documents(SAMPLES / name).documents
    assert [(d.text, [(s.start, s.end, s.label) for s in d.spans]) for d in documents] == right_texts()


@pytest.mark.parametrize("names", A_FILE_EACH)
def test_a_tool_that_writes_a_file_for_each_document_gives_the_same(names: str) -> None:
    documents = [d for name in ("d1", "d2", "d3") for d in read_documents(SAMPLES / names.format(name)).documents]
    assert [(d.text, [(s.start, s.end, s.label) for s in d.spans]) for d in documents] == right_texts()


@pytest.mark.parametrize("name", BY_SENTENCE)
def test_a_file_with_tokens_gives_the_sentences_their_words_and_the_entities(name: str) -> None:
    documents = read_documents(SAMPLES / name).documents
    found = [([d.text[a:b] for a, b in d.words], [(d.text[s.start : s.end], s.label) for s in d.spans]) for d in documents]
    assert found == right_sentences()


@pytest.mark.parametrize("name", REFUSED)
def test_a_tool_that_is_not_read_is_refused_by_its_name_in_one_line_with_a_way_on(name: str) -> None:
    with pytest.raises(BadData, match=REFUSED[name]) as caught:
        read_documents(SAMPLES / name)
    for line in str(caught.value).split("\n"):
        assert line.strip().isprintable()


@pytest.mark.parametrize("name", ["label-studio.conll", "brat-anntoconll.conll"])
def test_columns_that_a_tool_made_of_its_own_words_give_the_entities_in_order(name: str) -> None:
    documents = read_documents(SAMPLES / name).documents
    found = {(s.label, d.text[s.start : s.end].replace(" ", "")) for d in documents for s in d.spans}
    assert {("NAME", "AnnLee"), ("ORG", "AcmeGmbH"), ("MAIL", "ann.lee@example.org"), ("CITY", "Lima"), ("CITY", "Kiel")} <= found


def test_what_was_rejected_or_ignored_is_left_out_and_counted() -> None:
    notes = read_documents(SAMPLES / "prodigy.jsonl").notes
    assert any("answer is reject, left out: 1" in note for note in notes)
    assert any("answer is ignore, left out: 1" in note for note in notes)


def test_gliner_gives_the_tokens_of_a_whole_document_and_its_entities() -> None:
    documents = read_documents(SAMPLES / "gliner.json").documents
    words = [[w for s in d["sentences"] for w in s] for d in TRUTH]
    assert [[d.text[a:b] for a, b in d.words] for d in documents] == words
    found = [[(d.text[s.start : s.end], s.label) for s in d.spans] for d in documents]
    assert found == [[(" ".join(s["text"].split()), s["label"]) for s in d["spans"]] for d in TRUTH]


def test_two_people_who_mark_one_text_differently_are_a_question_and_one_answer_settles_it() -> None:
    path = SAMPLES / "edge" / "label-studio.json"
    assert any("2 people marked this text, and not alike: 1, 2" in problem for problem in examine(path).problems)
    settled = examine(path, Asked(annotator="2"))
    assert not any("people marked" in problem for problem in settled.problems)
    assert [s.label for s in settled.reading.documents[2].spans] == ["NAME", "CITY"]


def test_offsets_that_a_tool_gave_in_another_unit_in_some_documents_are_asked_about() -> None:
    problems = examine(SAMPLES / "edge" / "label-studio.json").problems
    assert any("data.offsets" in problem and "document 8" in problem for problem in problems)


def test_a_docbin_is_read_by_spacy_and_where_it_is_not_installed_the_line_says_how_to_get_it() -> None:
    path = SAMPLES / "spacy3.spacy"
    if importlib.util.find_spec("spacy") is None:
        with pytest.raises(BadData, match=r"needs the library spacy; pip install 'holdfast\[spacy\]'"):
            read_documents(path)
    else:
        documents = read_documents(path).documents
        assert [(d.text, [(s.start, s.end, s.label) for s in d.spans]) for d in documents] == right_texts()


def test_what_is_said_of_offsets_does_not_move_tokens() -> None:
    path = SAMPLES / "conll2003.conll"
    assert read_documents(path, Asked(offsets=Offsets("utf16", "inclusive", 1))).documents == read_documents(path).documents
