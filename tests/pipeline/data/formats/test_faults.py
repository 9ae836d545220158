"""What was read wrongly in silence before: each example, and neighbours of its kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import BadData
from holdfast.pipeline.data.baseline import DictionaryBaseline, micro_f1
from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.data.entities import spans_of, word_tags
from holdfast.pipeline.data.formats.shape import Asked, Columns, Offsets
from holdfast.pipeline.data.looking import look
from holdfast.pipeline.data.reading import Examined, examine, read_documents


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def found(document: Document) -> list[tuple[str, str]]:
    return [(document.text[s.start : s.end], s.label) for s in document.spans]


def of_columns(folder: Path, content: str, asked: Asked | None = None) -> Examined:
    return examine(written(folder, "a.tsv", content), asked or Asked())


READ: dict[str, tuple[str, list[list[tuple[str, str]]]]] = {
    "the number first": (
        "1\tAnn\tB-PER\n2\tlebt\tO\n\n1\tRom\tB-LOC\n2\tliegt\tO\n",
        [[("Ann", "PER")], [("Rom", "LOC")]],
    ),
    "the index of a table first": ("0\tAnn\tB-PER\n1\tin\tO\n2\tRom\tB-LOC\n", [[("Ann", "PER"), ("Rom", "LOC")]]),
    "the document first": (
        "bc/cctv/00 Ann NNP B-PERSON\nbc/cctv/00 spoke VBD O\nbc/cctv/00 today NN O\nbc/cctv/00 . . O\n",
        [[("Ann", "PERSON")]],
    ),
    "the tag first": ("B-PER\tAnn\nO\tmet\nB-PER\tBo\n", [[("Ann", "PER"), ("Bo", "PER")]]),
    "offsets second": ("Ann\t0\t3\tB-PER\nmet\t4\t7\tO\nBo\t8\t10\tB-PER\n.\t10\t11\tO\n", [[("Ann", "PER"), ("Bo", "PER")]]),
    "names before chunks": ("EU NNP B-ORG B-NP\nrejects VBZ O B-VP\ncalls NNS O B-NP\n", [[("EU", "ORG")]]),
    "constants between": ("Ann\t_\t-\tB-PER\nmet\t_\t-\tO\nBo\t_\t-\tB-PER\n.\t_\t-\tO\n", [[("Ann", "PER"), ("Bo", "PER")]]),
    "a header": ("word\ttag\nAnn\tB-PER\nspoke\tO\n", [[("Ann", "PER")]]),
    "words with several ids": (
        "1-2\tzum\t_\t_\t_\t_\t_\t_\t_\t_\n1\tzu\t_\t_\t_\t_\t_\t_\t_\t_\n2\tdem\t_\t_\t_\t_\t_\t_\t_\t_\n3\tRom\t_\t_\t_\t_\t_\t_\t_\tNER=B-LOC\n",
        [[("Rom", "LOC")]],
    ),
    "IOBES": ("x\tO\nOslo\tS-LOC\nAnn\tB-PER\nLee\tE-PER\n", [[("Oslo", "LOC"), ("Ann Lee", "PER")]]),
    "BMES": ("Ann\tB-PER\nMay\tM-PER\nLee\tE-PER\nOslo\tS-LOC\n", [[("Ann May Lee", "PER"), ("Oslo", "LOC")]]),
    "carriage returns alone": ("Ann\tB-PER\rmet\tO\r\rBo\tB-PER\rsat\tO\r", [[("Ann", "PER")], [("Bo", "PER")]]),
    "both kinds of line ends": ("Ann\tB-PER\r\nmet\tO\r\rBo\tB-PER\nsat\tO\n", [[("Ann", "PER")], [("Bo", "PER")]]),
    "separators of lines": ("Ann\tB-PER\u2028met\tO\u2028\u2028Bo\tB-PER\u2028", [[("Ann", "PER")], [("Bo", "PER")]]),
    "two files joined": ("Ann\tB-PER\nmet\tO\n\n\ufeffBo\tB-PER\nsat\tO\n", [[("Ann", "PER")], [("Bo", "PER")]]),
    "a token without width": ("Ann\tB-PER\n\u200b\tO\nmet\tO\n", [[("Ann", "PER")]]),
}


@pytest.mark.parametrize("case", READ)
def test_columns_are_told_by_what_stands_in_them(case: str, tmp_path: Path) -> None:
    content, right = READ[case]
    examined = of_columns(tmp_path, content)
    assert examined.problems == ()
    assert [found(d) for d in examined.reading.documents] == right


ASKED: dict[str, tuple[str, str]] = {
    "two layers": ("Helsingin\tB-ORG\tB-LOC\nSanomat\tI-ORG\tO\nsaid\tO\tO\n", "each hold tags"),
    "the lemma first": ("ann\tAnn\tB-PER\nspeak\tspoke\tO\nslow\tslowly\tO\n", "could each be the token"),
    "chunks alone": ("EU\tNNP\tB-NP\nrejects\tVBZ\tB-VP\ncalls\tNNS\tB-NP\n", "holds chunks"),
    "a row of another length": ("Ann\tNNP\tB-PER\nin\tIN\tO\nRome\tNNP\tB-LOC\textra\tO\n", "5 columns where the others have 3"),
    "an empty token": ("EU\tNNP\tB-ORG\n\tNNP\tI-ORG\nsaid\tVBD\tO\n", "the token is empty"),
    "a sentence a line": ("Ann B-PER spoke O in O Rome B-LOC\n", "tokens and tags in turn"),
    "labels alone": ("Ann\tPER\nspoke\tO\nto\tO\n", "labels alone do not tell"),
    "the prefix last": ("Ann\tPER-B\nspoke\tO\n", "the prefix first and a dash"),
    "numbers of tags": ("Ann\t1\nspoke\t0\n", "is not a tag"),
    "O as a label": ("Ann\tB-O\nspoke\tO\nBo\tB-PER\n", "'O' is no label"),
    "a blank in a token": ("New York NNP B-LOC\nis VBZ O\nbig JJ O\n", "4 columns where the others have 3"),
}


@pytest.mark.parametrize("case", ASKED)
def test_columns_that_could_be_read_in_two_ways_are_not_chosen(case: str, tmp_path: Path) -> None:
    content, what = ASKED[case]
    problems = of_columns(tmp_path, content).problems
    assert any(what in problem for problem in problems), problems


def test_a_setting_says_which_columns_hold(tmp_path: Path) -> None:
    examined = of_columns(tmp_path, ASKED["two layers"][0], Asked(Columns(1, 3)))
    assert [found(d) for d in examined.reading.documents] == [[("Helsingin", "LOC")]]
    assert "there are 3" in of_columns(tmp_path, ASKED["two layers"][0], Asked(Columns(1, 9))).problems[0]


TEXTS = [
    "\U0001f4c9\U0001f4c9 Ann Lee works in Rome",
    "caf\u00e9 of Bo Kim \U0001f680 in Lima",
    "Mia Roth, \U0001f468\u200d\U0001f469\u200d\U0001f467 Kiel",
    "x\r\nAnn Lee\r\nin Bonn",
]
WORDS = [["Ann Lee", "Rome"], ["Bo Kim", "Lima"], ["Mia Roth", "Kiel"], ["Ann Lee", "Bonn"]]
LENGTHS: dict[str, Any] = {
    "code_points": len,
    "utf16": lambda text: len(text.encode("utf-16-le")) // 2,
    "utf8": lambda text: len(text.encode()),
}


@pytest.mark.parametrize("unit", LENGTHS)
@pytest.mark.parametrize("end", ["exclusive", "inclusive"])
@pytest.mark.parametrize("first", [0, 1])
def test_no_span_in_another_unit_is_wrong_in_silence(unit: str, end: str, first: int, tmp_path: Path) -> None:
    rows = []
    for text, words in zip(TEXTS, WORDS, strict=True):
        places = [(text.index(word), text.index(word) + len(word)) for word in words]
        length = LENGTHS[unit]
        rows.append(
            {
                "text": text,
                "annotations": [
                    [length(text[:a]) + first, length(text[:b]) + first - (end == "inclusive"), "A"] for a, b in places
                ],
            }
        )
    path = written(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    examined = examine(path)
    right = [[(word, "A") for word in words] for words in WORDS]
    if not examined.problems:
        assert [found(d) for d in examined.reading.documents] == right
    asked = examine(path, Asked(offsets=Offsets(unit, end, first)))  # type: ignore[arg-type]
    assert asked.problems == ()
    assert [found(d) for d in asked.reading.documents] == right


def test_the_words_beside_a_span_prove_the_unit_and_are_compared(tmp_path: Path) -> None:
    rows = [("\U0001f4c9 Ann Lee works", 3, 10), ("Ann Lee works", 0, 7)]
    lines = [json.dumps({"text": text, "annotations": [[a, b, "PER", "Ann Lee"]]}) for text, a, b in rows]
    path = written(tmp_path, "a.jsonl", "\n".join(lines))
    reading = read_documents(path)
    assert found(reading.documents[0]) == [("Ann Lee", "PER")]
    assert "utf16" in reading.notes[0]
    path = written(tmp_path, "b.jsonl", json.dumps({"text": "Ann Lee works", "annotations": [[0, 3, "PER", "Lee"]]}))
    with pytest.raises(BadData, match="the words beside its label are 'Lee'"):
        read_documents(path)


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("\u674e\u96f7\u4f4f\u5728\u5317\u4eac", [[0, 2, "PER"], [4, 6, "LOC"]]),
        ("\u6771\u4eac\u30bf\u30ef\u30fc\u3078\u884c\u304f", [[0, 2, "LOC"], [2, 5, "FAC"]]),
        (
            "\u0e2a\u0e21\u0e0a\u0e32\u0e22\u0e2d\u0e22\u0e39\u0e48\u0e01\u0e23\u0e38\u0e07\u0e40\u0e17\u0e1e",
            [[0, 5, "PER"], [9, 15, "LOC"]],
        ),
        ("IBM\u5728\u5317\u4eac", [[0, 3, "ORG"], [4, 6, "LOC"]]),
        ("\u179b\u17c4\u1780\u1797\u17d2\u1793\u17c6\u1796\u17c1\u1789", [[0, 3, "T"], [3, 10, "LOC"]]),
    ],
)
def test_the_tags_of_a_script_without_blanks_give_back_the_spans(text: str, spans: list[Any], tmp_path: Path) -> None:
    path = written(tmp_path, "a.json", json.dumps([{"text": text, "annotations": spans}]))
    (document,) = read_documents(path).documents
    assert [[s.start, s.end, s.label] for s in document.spans] == spans
    assert spans_of(document, word_tags(document)) == document.spans


def test_of_two_entities_in_one_word_the_second_is_dropped_by_name(tmp_path: Path) -> None:
    given = [{"text": "NodeJS5years here", "annotations": [[0, 6, "SKILL"], [6, 12, "EXP"]]}]
    reading = read_documents(written(tmp_path, "a.json", json.dumps(given)))
    assert [s.label for s in reading.documents[0].spans] == ["SKILL"]
    assert any("share their only word" in note and "EXP 1" in note for note in reading.notes)
    assert any("nothing is left" in note and "EXP" in note for note in reading.notes)


def test_labels_that_are_none_are_refused_and_twins_are_named(tmp_path: Path) -> None:
    def of(*labels: Any) -> Examined:
        rows = [{"text": "Ann met", "annotations": [[0, 3, label]]} for label in labels]
        return examine(written(tmp_path, "a.json", json.dumps(rows)))

    assert "'O' is no label" in of("O", "PER").problems[0]
    assert "the prefix of a tag" in of("B-PER", "I-PER").problems[0]
    assert "got [0, 3, null]" in of(None).problems[0]
    for one, other in [
        ("Email Address", "Email address"),
        ("Email  Address", "Email_Address"),
        ("Caf\u00e9", "Cafe\u0301"),
        ("A\u00a0B", "A B"),
    ]:
        assert any("by case, blanks, marks or accents" in note for note in of(one, other).reading.notes)
    assert any("stand for nothing" in note for note in of("null", "PER").reading.notes)


@pytest.mark.parametrize("key", ["labels", "spans", "entities", "annotatoins", "ner"])
@pytest.mark.parametrize("spans", [[[0, 3, "PER"]], [{"start": 0, "end": 3, "label": "PER"}]])
def test_what_would_throw_every_label_away_is_refused(key: str, spans: list[Any], tmp_path: Path) -> None:
    def of(**keys: Any) -> Examined:
        return examine(written(tmp_path, "a.jsonl", json.dumps({"text": "Ann met Bo", **keys})))

    assert f"{key!r} beside it is not" in of(annotations=[], **{key: spans}).problems[0]
    read = of(annotations=[[8, 10, "PER"]], **{key: spans}).reading
    assert any(f"under {key!r}, beside 'annotations' and not read" in note for note in read.notes)
    assert found(read.documents[0]) == [("Bo", "PER")]


def test_no_message_says_to_give_nothing_where_something_is(tmp_path: Path) -> None:
    cluener = {"text": "Ann in Rome", "label": {"name": {"Ann": [[0, 2]]}}}
    (problem,) = examine(written(tmp_path, "a.json", json.dumps([cluener]))).problems
    assert "write what is in 'label'" in problem
    assert "give []" not in problem


def test_a_key_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    twice = '{"text": "Ann", "annotations": [], "annotations": [[0, 3, "PER"]]}'
    assert "given twice" in examine(written(tmp_path, "a.jsonl", twice)).problems[0]


PRODIGY = {"_input_hash": 1, "_task_hash": 2, "spans": [{"start": 0, "end": 3, "label": "PER"}], "tokens": []}
STUDIO = [{"from_name": "label", "to_name": "text", "type": "labels", "value": {"start": 0, "end": 3, "labels": ["PER"]}}]
NOT_LEARNT: dict[str, dict[str, Any]] = {
    "Prodigy, rejected": {"text": "Ann met", **PRODIGY, "answer": "reject"},
    "Prodigy, ignored": {"text": "Ann met", **PRODIGY, "answer": "ignore"},
    "Label Studio, cancelled": {"data": {"text": "Ann met"}, "annotations": [{"result": STUDIO, "was_cancelled": True}]},
    "Label Studio of before, skipped": {"data": {"text": "Ann met"}, "completions": [{"result": STUDIO, "skipped": True}]},
    "Label Studio, only predicted": {"data": {"text": "Ann met"}, "annotations": [], "predictions": [{"result": STUDIO}]},
    "our own shape with a tool's answer": {"text": "Ann met", "annotations": [[0, 3, "PER"]], "answer": "reject"},
}


@pytest.mark.parametrize("case", NOT_LEARNT)
def test_what_somebody_rejected_or_never_looked_at_is_not_learnt(case: str, tmp_path: Path) -> None:
    examined = examine(written(tmp_path, "a.json", json.dumps([NOT_LEARNT[case]])))
    assert examined.reading.documents == ()
    assert any("left out" in note.kind for note in examined.reading.noted)
    assert "holds no documents to learn from" in examined.problems[0]


def test_one_wide_span_over_many_is_told_with_the_labels_that_vanish(tmp_path: Path) -> None:
    text = "one two three four five six seven"
    spans = [[0, len(text), "Skills"]] + [[m, m + 3, "S"] for m in (0, 4, 24)] + [[8, 13, "N"], [14, 18, "N"], [19, 23, "N"]]
    notes = read_documents(written(tmp_path, "a.json", json.dumps([{"text": text, "annotations": spans}]))).notes
    assert any("overlap" in note and "N 3, S 3" in note for note in notes)
    assert any("over five or more" in note and "Skills" in note for note in notes)
    assert any("nothing is left" in note and "N 1, S 1" in note for note in notes)


OVERLAPS: dict[str, tuple[list[list[Any]], list[str], str]] = {
    "one within another": ([[0, 7, "A"], [4, 7, "B"]], ["A"], "B 1"),
    "two that cross": ([[0, 7, "A"], [4, 13, "B"]], ["B"], "A 1"),
    "two labels on one": ([[0, 3, "A"], [0, 3, "B"]], ["A"], "B 1"),
    "three, one in the other": ([[0, 13, "A"], [0, 7, "B"], [0, 3, "C"]], ["A"], "B 1, C 1"),
    "two of the same length": ([[0, 7, "A"], [4, 11, "B"]], ["A"], "B 1"),
}


@pytest.mark.parametrize("case", OVERLAPS)
def test_what_overlaps_is_dropped_by_label_and_a_label_that_vanishes_is_named(case: str, tmp_path: Path) -> None:
    spans, kept, dropped = OVERLAPS[case]
    row = {"text": "one two three four", "annotations": spans}
    reading = examine(written(tmp_path, "a.json", json.dumps([row]))).reading
    assert [s.label for s in reading.documents[0].spans] == kept
    assert any("overlap" in note and note.endswith(dropped) for note in reading.notes)
    assert any("nothing is left" in note and note.endswith(dropped) for note in reading.notes)


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("NewYork", [[0, 3, "A"], [3, 7, "B"]]),
        ("500USD", [[0, 3, "NUM"], [3, 6, "CUR"]]),
        ("C3PO", [[0, 2, "A"], [2, 4, "B"]]),
        ("Donaudampfschiff", [[0, 5, "RIVER"], [5, 16, "SHIP"]]),
    ],
)
def test_of_two_entities_in_a_word_what_is_learnt_is_what_is_counted(text: str, spans: list[Any], tmp_path: Path) -> None:
    reading = read_documents(written(tmp_path, "a.json", json.dumps([{"text": f"{text} here", "annotations": spans}])))
    (document,) = reading.documents
    assert [s.label for s in spans_of(document, word_tags(document))] == [s.label for s in document.spans] == [spans[0][2]]
    assert any("share their only word" in note and f"{spans[1][2]} 1" in note for note in reading.notes)


def test_a_dictionary_is_measured_on_what_a_model_is_trained_on(tmp_path: Path) -> None:
    rows = [{"text": "Osloers met Ann there", "annotations": [[0, 4, "LOC"], [12, 15, "PER"]]}] * 4
    documents = read_documents(written(tmp_path, "a.json", json.dumps(rows))).documents
    baseline = DictionaryBaseline(documents)
    assert micro_f1(documents, map(baseline.predict, documents)) == 1.0


SLIPS: dict[str, list[Any]] = {
    "only whitespace": [[3, 4, "PER"]],
    "outside the text": [[0, 30, "PER"]],
    "start 3 is not before end 3": [[3, 3, "PER"]],
    "the label is empty": [[0, 3, " "]],
    "'O' is no label": [[0, 3, "O"]],
    "expected [start, end, label]": [["0", "3", "PER"]],
}


def test_sixty_slips_of_all_kinds_in_a_thousand_documents_are_one_list(tmp_path: Path) -> None:
    rows = [{"text": "Ann met Bo", "annotations": [[0, 3, "PER"]]} for _ in range(1000)]
    for n in range(60):
        rows[n * 16]["annotations"] = list(SLIPS.values())[n % 6]
    path = written(tmp_path, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(BadData) as caught:
        read_documents(path)
    lines = str(caught.value).split("\n")
    assert lines[0] == "60 problems in the data:"
    assert len(lines) == 61
    assert all(sum(what in line for line in lines) == 10 for what in SLIPS)


def test_a_folder_with_sixty_slips_in_files_of_several_formats_is_one_list(tmp_path: Path) -> None:
    rows = [{"text": "Ann met Bo", "annotations": [[0, 3, "PER"]]} for _ in range(400)]
    for n in range(20):
        rows[n * 16]["annotations"] = [[3, 4, "PER"]]
    written(tmp_path, "train.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    sentences = ["Ann\tB-PER\nmet\tO\n\tO\n" if n < 20 else "Ann\tB-PER\nmet\tO\n" for n in range(300)]
    written(tmp_path, "test.tsv", "\n".join(sentences))
    doccano = [{"id": n, "text": "Ann met Bo", "label": [[0, 3, "PER"] if n >= 20 else [8, 99, "PER"]]} for n in range(300)]
    written(tmp_path, "validation.json", json.dumps(doccano))
    problems = look(tmp_path, Asked()).problems
    assert len(problems) == 60
    assert {problem.split(": ")[0].rpartition("/")[2] for problem in problems} == {"train.jsonl", "test.tsv", "validation.json"}


def test_objects_one_after_the_other_with_line_breaks_in_them_are_read(tmp_path: Path) -> None:
    rows = [{"text": "Ann met", "annotations": [[0, 3, "PER"]]}, {"text": "Bo", "annotations": []}]
    for name in ("a.json", "a.jsonl"):
        path = written(tmp_path, name, "\n".join(json.dumps(row, indent=1) for row in rows))
        assert [d.text for d in read_documents(path).documents] == ["Ann met", "Bo"]
