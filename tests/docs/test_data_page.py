"""docs/data.md, row by row: each sample is read as the format that its row names, or refused by that name with its way on."""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from holdfast.cli.app import app
from tests.docs.pages import REPOSITORY
from tests.pipeline.data.formats.layouts import LAYOUTS

SAMPLES = REPOSITORY / "tests" / "pipeline" / "data" / "samples"
PAGE = (REPOSITORY / "docs" / "data.md").read_text(encoding="utf-8")


def rows_of(heading: str) -> list[list[str]]:
    """The cells of each row of the table below a heading."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines[1:]]


@dataclass(frozen=True)
class Shown:
    """What `holdfast data --json` says of a file."""

    code: int
    format: str
    documents: int
    problems: list[str]


def shown(path: Path) -> Shown:
    done = CliRunner().invoke(app, ["data", str(path), "--json"])
    assert done.stdout, done.exception
    given = json.loads(done.stdout)
    return Shown(done.exit_code, given["format"], len(given["documents"]), given["problems"])


#: Words of the format that `holdfast data` names, for each row that says it in other words.
NAMED = {
    "Label Studio CSV, TSV": "Label Studio CSV",
    "Label Studio CoNLL": "4 columns, token in 1, tag in 4",
    "spaCy DocBin (`.spacy`; needs `holdfast[spacy]`)": "spaCy DocBin",
    "spaCy 2 tuples, in JSON or Python": "spaCy 2 training tuples",
    "character-span JSON and JSONL": "character-span JSON",
    "WebAnno and INCEpTION TSV 3": "WebAnno TSV 3",
    "UIMA CAS as XMI and as JSON": "UIMA CAS",
    "parquet and Arrow of `datasets` (needs `holdfast[data]`)": "datasets parquet or Arrow",
    "CoNLL columns: 2000, 2002, 2003, GermEval, Universal NER, brat's `anntoconll`": "columns, token in ",
    "CoNLL-U": "CoNLL-U with names in MISC",
    "IOB1, IOB2, IOBES, BILOU, BMES": "tags of the scheme ",
    "a sentence a line, with the tag behind a bar": "a sentence a line",
    "Kaggle's table, and simpletransformers'": "table of words",
}
READ = rows_of("What is read")
REFUSED = rows_of("What is known and refused")


def samples(cell: str) -> list[str]:
    return [name for name in cell.split("`")[1::2] if (SAMPLES / name).is_file()]


@pytest.mark.parametrize("row", READ, ids=lambda row: row[0])
def test_a_row_of_what_is_read_is_read_as_the_format_that_it_names(row: list[str]) -> None:
    names = samples(row[2])
    assert len(names) == row[2].count("`") // 2
    for name in names:
        found = shown(SAMPLES / name)
        assert NAMED.get(row[0], row[0]) in found.format
        if name.endswith(".spacy") and importlib.util.find_spec("spacy") is None:
            assert "pip install 'holdfast[spacy]'" in found.problems[0]
        else:
            assert (found.code, found.problems) == (0, [])
            assert found.documents > 0


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row[0])
def test_a_row_of_what_is_refused_is_refused_by_its_name_with_its_way_on(row: list[str]) -> None:
    (name,) = samples(row[1])
    found = shown(SAMPLES / name)
    assert found.code == 2
    assert found.documents == 0
    first = row[0].replace("`", "").split(" ")[0].removesuffix("'s")
    assert all(first in line or name.endswith("datasets.jsonl") for line in found.problems), found.problems
    for words in [word for word in row[2].split("`")[1::2] if "(" in word or "_" in word] + WAYS_ON[row[0]]:
        assert all(words in line for line in found.problems), (words, found.problems)


#: What the line must say, where the row says it in other words.
WAYS_ON: dict[str, list[str]] = {
    "Argilla": ["keep what was", '{"text"'],
    "LightTag": ["start, end and tag", '{"text"'],
    "tagtog": ["text of each part", '{"text"'],
    "Kili": ["beginOffset plus the length", '{"text"'],
    "Labelbox": ["add 1 to each", '{"text"'],
    "Azure custom NER": ["offset and length", '{"text"'],
    "Vertex AI": ["as numbers", '{"text"'],
    "UBIAI": ["as spaCy or IOB"],
    "`datasets` as JSON lines": ["to_parquet", "keep the names"],
    "doccano's zip of several people": ["unpack it and name the file"],
}


def test_the_tables_name_every_sample_but_those_of_the_edges() -> None:
    named = {name for row in READ + REFUSED for cell in row for name in samples(cell)}
    beside = {"truth.json", "uima-TypeSystem.xml", "datasets-save_to_disk", "brat", "tagtog", "azure", "edge", "second"}
    parts = [f"{a}{n}{b}" for a, b in [("webanno-d", ".tsv"), ("uima-d", ".xmi"), ("uima-cas-d", ".json")] for n in (2, 3)]
    assert {path.name for path in SAMPLES.iterdir()} - beside - set(parts) <= named


@pytest.mark.parametrize("row", [row for row in READ if "brat" not in row[2]], ids=lambda row: row[0])
def test_a_file_is_recognised_by_what_stands_in_it_under_another_name(row: list[str], tmp_path: Path) -> None:
    for name in samples(row[2]):
        other = tmp_path / "renamed.txt"
        shutil.copy(SAMPLES / name, other)
        found, as_named = shown(other), shown(SAMPLES / name)
        assert (found.format, found.documents, len(found.problems)) == (as_named.format, as_named.documents, len(as_named.problems))


BYTES: dict[str, bytes] = {
    "zip": b"PK\x03\x04rest",
    "gzip": b"\x1f\x8b\x08rest",
    "PDF": b"%PDF-1.7\n",
    "pickle": b"\x80\x04\x95rest",
    "SQLite": b"SQLite format 3\x00rest",
    "HTML": b"<!DOCTYPE html><p>Ann</p>",
    "XML that is": b"<?xml version='1.0'?><doc>Ann</doc>",
    "texts with one label each": b'{"text": "Ann", "label": "PER"}',
    "numbers for labels": b'{"text": "Ann", "annotations": [{"label": 1, "start_offset": 0}], "annotation_approver": null}',
}


@pytest.mark.parametrize("name", BYTES)
def test_what_the_page_says_is_refused_by_its_name_too_is(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(BYTES[name])
    found = shown(tmp_path / "a.txt")
    assert found.code == 2
    assert any(name in line and "which is not read; " in line for line in found.problems), found.problems


COLUMNS = rows_of("Columns")


@pytest.mark.parametrize("row", COLUMNS, ids=lambda row: row[0])
def test_a_row_of_columns_says_what_the_line_says_and_the_setting_serves_where_it_is_named(row: list[str], tmp_path: Path) -> None:
    met = [layout for layout in LAYOUTS.values() if layout.refused and row[1].strip("`") in layout.refused]
    assert met, row
    for layout in met:
        assert ("data.columns" in row[2]) == (layout.columns is not None)
        path = tmp_path / layout.name
        path.write_text(layout.content)
        found = shown(path)
        assert found.code == 2
        assert any(row[1].strip("`") in line for line in found.problems)


def test_the_table_of_columns_has_a_row_for_every_layout_that_is_refused() -> None:
    said = [row[1].strip("`") for row in COLUMNS]
    assert [
        layout.refused for layout in LAYOUTS.values() if layout.refused and not any(words in layout.refused for words in said)
    ] == []


OFFSETS = rows_of("Offsets")


def of_spans(*rows: tuple[str, list[list[object]]], key: str = "annotations") -> str:
    return "".join(json.dumps({"text": text, key: spans}) + "\n" for text, spans in rows)


_EMOJI = "\U0001f4c9"
#: A file for each row of the table of offsets, by the words of the row.
COUNTED: dict[str, str] = {
    "that would not in another unit": of_spans((f"{_EMOJI} Ann Lee met Bo", [[3, 10, "PER"], [15, 17, "PER"]])),
    "cut words, as": of_spans(*[("Anna met Bobo", [[1, 3, "PER"], [10, 12, "PER"]])] * 5),
    "and could count as": of_spans(*[(f"{_EMOJI * 3} a b c d e f g h i", [[13, 14, "L"], [17, 18, "L"]])] * 3),
    "are words in one unit and other words in another": of_spans(
        *[(f"{_EMOJI}\u674e\u96f7\u5728\u5317\u4eac\u4e86", [[2, 4, "PER"]])] * 3, key="label"
    ),
    "did not count the blanks before a text": of_spans(*[("  Anna met Bob", [[0, 4, "PER"], [9, 12, "PER"]])] * 3),
    "did not count both characters of a line's end": of_spans(
        *[("x\r\nAnn Lee\r\nin Bonn", [[2, 9, "PER"], [13, 17, "LOC"]])] * 3,
        *[("cafe\u0301\r\nMia in Kiel", [[6, 9, "PER"], [13, 17, "LOC"]])] * 3,
    ),
    "and the words beside its label are": of_spans(("Ann met Bo", [[0, 3, "PER", "Bo"], [8, 10, "PER", "Bo"]])),
}


@pytest.mark.parametrize("row", OFFSETS, ids=lambda row: row[0])
def test_a_row_of_offsets_says_what_the_line_says(row: list[str], tmp_path: Path) -> None:
    words = row[1].strip("`")
    (tmp_path / "a.jsonl").write_text(COUNTED[words])
    found = shown(tmp_path / "a.jsonl")
    assert found.code == 2
    assert any(words in line for line in found.problems), found.problems
