"""The small files of each tool, all of the same three documents: each is read to them, or refused by its name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast.errors import BadData
from holdfast.pipeline.data.reading import read_documents

SAMPLES = Path(__file__).parents[1] / "samples"
TRUTH = json.loads((SAMPLES / "truth.json").read_text())["documents"]

Spans = list[tuple[str, str]]

BY_TEXT = [
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
]
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
