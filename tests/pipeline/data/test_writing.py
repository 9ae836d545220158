"""What is written to be read elsewhere is read back as it was."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from holdfast.pipeline.data.documents import Document, Span, split_words
from holdfast.pipeline.data.looking import write_as
from holdfast.pipeline.data.reading import read_documents

SECOND = Path(__file__).parent / "samples" / "second"


@pytest.mark.parametrize(
    ("name", "kind"), [("twin", "jsonl"), ("twin", "spacy"), ("twin-tokens", "conll"), ("twin-tokens", "spacy")]
)
def test_documents_are_written_with_their_words_and_entities(name: str, kind: str, tmp_path: Path) -> None:
    documents = read_documents(SECOND / f"{name}.jsonl").documents
    write_as(kind, tmp_path / f"a.{kind}", documents)
    assert read_documents(tmp_path / f"a.{kind}").documents == documents


def test_blanks_wherever_they_stand_and_entities_of_any_words_come_back_from_a_docbin(tmp_path: Path) -> None:
    draw = random.Random(18)
    documents = []
    for _ in range(200):
        text = "".join(draw.choice(["Ulm", "Köln", "🚀", "北京", "-", " ", "  ", "\n", "\t", "\u00a0"]) for _ in range(12))
        words = split_words(text)
        if words:
            first = draw.randrange(len(words))
            last = min(first + draw.randrange(3), len(words) - 1)
            documents.append(Document(text, words, (Span(words[first][0], words[last][1], "ORT"),)))
    write_as("spacy", tmp_path / "a.spacy", documents)
    assert list(read_documents(tmp_path / "a.spacy").documents) == documents
