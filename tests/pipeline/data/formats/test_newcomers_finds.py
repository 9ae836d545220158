"""What somebody new to it made it read wrongly, or left without a way on: each with the right value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast.pipeline.data.formats.shape import Asked
from holdfast.pipeline.data.reading import Examined, examine


def read(folder: Path, name: str, content: str, asked: Asked = Asked()) -> Examined:  # noqa: B008 - it is frozen
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return examine(path, asked)


def marked(found: Examined) -> list[list[tuple[str, str]]]:
    return [[(d.text[s.start : s.end], s.label) for s in d.spans] for d in found.reading.documents]


PAIR = '("Piet went", {"entities": [(0, 4, "PER")]})'


@pytest.mark.parametrize(
    "content",
    [
        f"TEST_DATA = [{PAIR}]\nTRAIN_DATA = [{PAIR}]\n",
        f"TRAIN_DATA = [{PAIR}]\nTRAIN_DATA += [{PAIR}]\n",
        f"TRAIN_DATA = [{PAIR}]\nTRAIN_DATA.extend([{PAIR}])\n",
        f"TRAIN_DATA = [{PAIR}] + [{PAIR}]\n",
    ],
)
def test_of_several_lists_in_python_none_is_taken_for_all(content: str, tmp_path: Path) -> None:
    (problem,) = read(tmp_path, "data.py", content).problems
    assert "it holds 2 lists" in problem


def label_studio(*tasks: tuple[dict[str, str], list[tuple[int, int, str, str]]]) -> str:
    return json.dumps(
        [
            {
                "id": n,
                "data": data,
                "annotations": [
                    {
                        "result": [
                            {"type": "labels", "to_name": to, "from_name": "l", "value": {"start": a, "end": b, "labels": [label]}}
                            for a, b, label, to in spans
                        ]
                    }
                ],
            }
            for n, (data, spans) in enumerate(tasks)
        ]
    )


def test_what_marks_another_field_than_the_text_is_left_out_and_said(tmp_path: Path) -> None:
    data = {"text": "Piet was home.", "title": "Our new clerk"}
    found = read(tmp_path, "a.json", label_studio((data, [(0, 4, "PER", "text"), (8, 13, "JOB", "title")])))
    assert marked(found) == [[("Piet", "PER")]]
    assert any("another field than the text that is read, 'title', dropped" in note for note in found.reading.notes)


def test_a_sentence_of_a_table_that_goes_on_after_others_is_a_problem(tmp_path: Path) -> None:
    rows = "Sentence #,Word,Tag\nSentence: 1,Piet,B-PER\nSentence: 2,It,O\nSentence: 1,Braun,I-PER\n"
    (problem,) = read(tmp_path, "a.csv", rows).problems
    assert "line 4: sentence 'Sentence: 1' goes on after others; put the rows of a sentence together" in problem


def test_an_entity_that_begins_with_i_in_a_table_is_said(tmp_path: Path) -> None:
    rows = "Sentence #,Word,Tag\nSentence: 1,Piet,B-PER\n,Lee,I-PRE\n,went,O\n"
    found = read(tmp_path, "a.csv", rows)
    assert marked(found) == [[("Piet", "PER"), ("Lee", "PRE")]]
    assert any("begin with I- and not B-" in note for note in found.reading.notes)


def test_two_keys_with_spans_are_a_problem(tmp_path: Path) -> None:
    row = {"text": "Jon sat", "label": [[0, 3, "PER"]], "labels": [[4, 7, "VERB"]]}
    (problem,) = read(tmp_path, "a.jsonl", json.dumps(row)).problems
    assert "it has both 'label' and 'labels'; leave the one that holds" in problem


def test_no_advice_throws_spans_away_where_two_lines_name_them_differently(tmp_path: Path) -> None:
    rows = [{"text": "Jon sat", "labels": [[0, 3, "PER"]]}, {"text": "Ana sat", "annotations": [[0, 3, "PER"]], "id": 2}]
    problems = read(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows)).problems
    assert problems
    assert not any("give []" in problem for problem in problems)


def test_a_unit_is_named_only_where_spans_fit_it(tmp_path: Path) -> None:
    one_short = [{"text": f"Piet Braun {n} went", "annotations": [[0, 9 if n % 4 else 10, "PER"]]} for n in range(40)]
    (problem,) = read(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in one_short)).problems
    assert "utf16" not in problem
    assert "end: inclusive" in problem or "in no way of counting do they fit" in problem


def test_where_nobody_says_who_marked_a_text_no_setting_is_named(tmp_path: Path) -> None:
    rows = [
        {
            "text": "Jon sat",
            "_input_hash": 1,
            "_task_hash": n,
            "spans": [{"start": 0, "end": e, "label": "PER"}],
            "answer": "accept",
        }
        for n, e in enumerate((3, 7))
    ]
    (problem,) = read(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows)).problems
    assert "it stands 2 times, marked differently, and by nobody knows whom; leave the one that holds" in problem
    assert "data.annotator" not in problem


@pytest.mark.parametrize(
    "rows",
    [
        [{"data": {"text": "Jon sat"}, "annotations": [{"result": []}]}, {"data": "Jon stayed", "annotations": []}],
        [{"text": "Jon sat", "_task_hash": 1, "spans": [], "answer": ["accept"]}],
        [{"text": "Jon sat", "annotation_id": [1], "annotator": 1, "lead_time": 1}],
        [{"id": 0, "paragraphs": [{"raw": "Jon", "sentences": [{"tokens": [None]}]}]}],
        [{"id": 0, "paragraphs": [{"raw": "Jon", "sentences": None}]}],
    ],
)
def test_an_object_that_is_not_as_its_tool_writes_it_is_a_problem_or_read(rows: list[object], tmp_path: Path) -> None:
    found = read(tmp_path, "a.json", json.dumps(rows))
    assert found.problems or found.reading.documents
    assert all(len(problem.splitlines()) == 1 for problem in found.problems)


def test_a_table_without_a_header_is_told_what_a_table_needs(tmp_path: Path) -> None:
    (problem,) = read(tmp_path, "a.csv", "Jon;B-PER\nsat;O\n").problems
    assert "it has no header of a table that is read; a table to read has columns Word and Tag" in problem


@pytest.mark.parametrize(
    "text", ["Ann Lee lives in Bonn.\nShe works there for a small firm.\n", "A note: batch 3 was marked by Bo.\n"]
)
def test_prose_is_called_prose_and_not_columns(text: str, tmp_path: Path) -> None:
    (problem,) = read(tmp_path, "notes.txt", text).problems
    assert "this is plain text without annotations" in problem
    assert ".ann" in problem
