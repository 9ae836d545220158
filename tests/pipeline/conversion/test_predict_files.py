"""`predict` of files: every text once, in order, in every form, with memory that does not grow with the input."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import BadData, LocalError, UsageError
from holdfast.pipeline.conversion.predict import Predictor
from holdfast.pipeline.conversion.predict_files import files_among, predict_files
from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.data.reading import read_documents


@pytest.fixture(scope="module")
def predictor(converted_once: Path) -> Predictor:
    return Predictor(converted_once)


def texts(documents: Sequence[Document]) -> list[str]:
    return [d.text for d in documents[:20]]


def lines(place: Path, rows: Sequence[Any]) -> Path:
    place.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return place


def test_texts_together_have_the_entities_that_each_has_alone(predictor: Predictor, documents: Sequence[Document]) -> None:
    together = list(predictor.entities_of_all(["", *texts(documents), " "]))
    alone = [predictor.entities(text) for text in ["", *texts(documents), " "]]
    assert any(alone)
    assert [[(e.start, e.end, e.label, e.text) for e in row] for row in together] == [
        [(e.start, e.end, e.label, e.text) for e in row] for row in alone
    ]


def test_a_file_of_each_kind_of_input_gives_the_same_entities(
    predictor: Predictor, documents: Sequence[Document], tmp_path: Path
) -> None:
    given = texts(documents)
    jsonl = lines(tmp_path / "a.jsonl", [{"id": n, "body": text} for n, text in enumerate(given)])
    with (tmp_path / "b.csv").open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([["body", "id"], *([text.replace(" ", "\n", 1), n] for n, text in enumerate(given))])
    expected = [[[e.start, e.end, e.label] for e in found] for found in predictor.entities_of_all(given)]
    for source in (jsonl, tmp_path / "b.csv"):
        output = tmp_path / f"{source.stem}.out"
        told = predict_files(predictor, [source], column="body", kind="doccano", output=str(output))
        rows = [json.loads(line) for line in output.read_text().splitlines()]
        assert [row["label"] for row in rows] == expected
        assert (told.documents, told.entities) == (20, sum(map(len, expected)))
    (tmp_path / "c.txt").write_text(given[0])
    predict_files(predictor, [tmp_path / "c.txt", jsonl], column="body", kind="jsonl", output=str(tmp_path / "c.out"))
    first, second, *_ = map(json.loads, (tmp_path / "c.out").read_text().splitlines())
    assert (first["text"], first["file"], first["line"]) == (given[0], str(tmp_path / "c.txt"), 1)
    assert first["entities"] == second["entities"]
    assert [[e["start"], e["end"], e["label"]] for e in first["entities"]] == expected[0]


def test_what_is_written_can_be_read_as_data(predictor: Predictor, documents: Sequence[Document], tmp_path: Path) -> None:
    given = texts(documents)
    source = lines(tmp_path / "a.jsonl", [{"text": text} for text in given])
    expected = [[(e.text, e.label) for e in found] for found in predictor.entities_of_all(given)]
    for kind, name in (("doccano", "d.jsonl"), ("conll", "c.conll")):
        predict_files(predictor, [source], column="text", kind=kind, output=str(tmp_path / name))
        read = read_documents(tmp_path / name).documents
        assert [[(d.text[s.start : s.end], s.label) for s in d.spans] for d in read] == expected
    predict_files(predictor, [source], column="text", kind="csv", output=str(tmp_path / "e.csv"))
    with (tmp_path / "e.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(r["line"]), r["text"], r["label"]) for r in rows] == [
        (n, *pair) for n, found in enumerate(expected, start=1) for pair in found
    ]


def test_of_10_mb_of_text_only_a_group_is_held(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: what has been read and not come out yet, and what the model is given at once."""

    class Quick:
        def run(self, _: object, inputs: dict[str, Any]) -> list[Any]:
            import numpy as np

            shapes.append(inputs["input_ids"].shape)
            return [np.zeros((*inputs["input_ids"].shape, 5), dtype=np.float32)]

    shapes: list[tuple[int, int]] = []
    monkeypatch.setattr(predictor, "_session", Quick())
    held = count_reading(predictor, monkeypatch)
    read = 0

    def given() -> Iterator[str]:
        nonlocal read
        for _ in range(200):
            read += 1
            yield "Ada Lovelace walked to London\n" * 1700  # 51 kB
        read += 1
        yield "rain " * 60_000  # longer than what is read at once

    most = 0
    for out, _ in enumerate(predictor.entities_of_all(given())):
        most = max(most, read - out)
    assert read == 201
    assert most <= 4, "a group is one text of these, and two are held"
    assert max(held) <= 100_000
    assert sum(held) == 200 * 51_000 + 300_000
    assert max(rows for rows, _ in shapes) <= 16


def count_reading(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many characters are read at a time. Of the real work one in fifty groups is done, the others are counted only."""
    held: list[int] = []
    really_cut = predictor._cut

    def cut(stretches: Sequence[Any]) -> Any:
        held.append(sum(len(stretch.text) for stretch in stretches))
        return really_cut(stretches if len(held) % 50 == 0 else [replace(s, text="") for s in stretches])

    monkeypatch.setattr(predictor, "_cut", cut)
    return held


def test_a_long_text_is_cut_between_lines_and_places_count_from_its_beginning(predictor: Predictor) -> None:
    line = "Ada Lovelace walked to London .\n"
    text = line * 3300  # more than is read at once
    found = predictor.entities(text)
    assert found[-1].end > 100_000
    assert all(text[e.start : e.end] == e.text for e in found)
    assert all("\n" not in e.text or e.text in line * 3 for e in found)


def test_what_cannot_be_read_is_named_with_its_line_and_nothing_is_left(predictor: Predictor, tmp_path: Path) -> None:
    output = tmp_path / "out" / "x.jsonl"
    for name, content, told in (
        ("a.jsonl", b'{"text": "Ada"}\n{"text": ', r"a.jsonl: line 2: it is no JSON"),
        ("b.jsonl", b'{"body": "Ada"}\n', r"b.jsonl: line 1: it has no text named 'text', but body; name it with --column"),
        ("c.jsonl", b'["Ada"]\n', r"line 1: it has no text"),
        ("d.csv", b"id,body\n1,Ada\n", r"d.csv: line 1: it has no column 'text', but id, body; name it with --column"),
        ("e.csv", b"id,text\n1,Ada\n2\n", r"line 3: it has 1 columns"),
        ("f.txt", b"Ada\xff", r"f.txt: byte 3: not UTF-8"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadData, match=told):
            predict_files(predictor, [tmp_path / name], column="text", kind="jsonl", output=str(output))
        assert list(output.parent.iterdir()) == []


def test_a_file_that_is_there_is_never_replaced(predictor: Predictor, tmp_path: Path) -> None:
    source = lines(tmp_path / "a.jsonl", [{"text": "Ada"}])
    before = source.read_bytes()
    with pytest.raises(UsageError, match="something is there already"):
        predict_files(predictor, [source], column="text", kind="jsonl", output=str(source))
    assert source.read_bytes() == before
    other = tmp_path / "b.jsonl"
    predict_files(predictor, [source], column="text", kind="jsonl", output=str(other))
    assert other.is_file()


def test_where_nothing_can_be_written_another_file_goes_on(predictor: Predictor, tmp_path: Path) -> None:
    source = lines(tmp_path / "a.jsonl", [{"text": "Ada"}])
    with pytest.raises(LocalError, match="it cannot be written"):
        predict_files(predictor, [source], column="text", kind="jsonl", output=str(source / "b.jsonl"))
    predict_files(predictor, [source], column="text", kind="jsonl", output=str(tmp_path / "b.jsonl"))
    assert (tmp_path / "b.jsonl").is_file()


def test_words_of_the_command_are_one_text_or_files_that_are_there(tmp_path: Path) -> None:
    here = tmp_path / "a.txt"
    here.write_text("Ada")
    assert files_among([str(here), str(here)], ("conll", "-"), as_json=False) == [here, here]
    for text in ("Ada went", "-", "x" * 5000, "a\0b"):
        assert files_among([text], None, as_json=False) == []
    for given in ([str(tmp_path / "b.csv")], [str(here), "Ada went"]):
        with pytest.raises(UsageError, match="there is no such file"):
            files_among(given, None, as_json=False)
    with pytest.raises(UsageError, match="--to docx: give one of jsonl, csv, conll, doccano"):
        files_among([str(here)], ("docx", "-"), as_json=False)
    with pytest.raises(UsageError, match="--to goes with files"):
        files_among(["Ada went"], ("conll", "-"), as_json=False)
    with pytest.raises(UsageError, match="--json goes with one text"):
        files_among([str(here)], None, as_json=True)
    assert files_among([str(here)], None, as_json=False) == [here]
