"""Files of annotated documents: what is read, what is mended and told, and what is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import BadData
from holdfast.pipeline.data.documents import Document, Span, split_words
from holdfast.pipeline.data.entities import word_tags
from holdfast.pipeline.data.reading import read_documents


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def spans_json(*items: tuple[str, list[Any]]) -> str:
    return json.dumps([{"text": text, "annotations": annotations} for text, annotations in items])


def tokens(document: Document) -> list[str]:
    return [document.text[start:end] for start, end in document.words]


def test_json_gives_text_words_and_entities(tmp_path: Path) -> None:
    path = written(tmp_path, "train.json", spans_json(("Ada Obi, of Oslo.", [[12, 16, "LOC"], [0, 7, "PER"]]), ("none", [])))
    first, second = read_documents(path).documents
    assert tokens(first) == ["Ada", "Obi", ",", "of", "Oslo", "."]
    assert first.spans == (Span(0, 7, "PER"), Span(12, 16, "LOC"))
    assert second == Document("none", ((0, 4),))
    assert read_documents(path).notes == ()


def test_json_lines_give_the_same_and_a_separator_inside_a_text_ends_no_line(tmp_path: Path) -> None:
    one = json.dumps({"text": "Oslo\u2028Rome", "annotations": [[0, 4, "LOC"]]}, ensure_ascii=False)
    path = written(tmp_path, "train.jsonl", f"{one}\r\n\n{one}\n")
    assert [d.spans for d in read_documents(path).documents] == [(Span(0, 4, "LOC"),)] * 2


def test_suffixes_are_read_in_any_case_and_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = written(tmp_path, "train.JSON", b"\xef\xbb\xbf" + spans_json(("x", [])).encode())
    assert read_documents(path).documents[0].text == "x"
    path = written(tmp_path, "train.TXT", b"\xef\xbb\xbfOslo B-LOC\n")
    assert read_documents(path).documents[0].text == "Oslo"


def test_of_overlapping_spans_the_longer_stays_and_then_the_earlier_and_the_rest_is_told(tmp_path: Path) -> None:
    text = "one two three four"
    given = [[0, 7, "A"], [4, 13, "B"], [8, 18, "C"], [8, 18, "C"], [8, 18, "D"]]
    reading = read_documents(written(tmp_path, "a.json", spans_json(("fine", []), (text, given))))
    assert reading.documents[1].spans == (Span(0, 7, "A"), Span(8, 18, "C"))
    overlaps, gone, repeated = sorted(reading.notes, key=lambda note: ("again" in note, "nothing is left" in note))
    assert gone.endswith("labels of which nothing is left: 2, first at document 1; B 1, D 1")
    assert "overlap" in overlaps
    assert ": 2, first at document 2, characters 8 to 18" in overlaps
    assert ": 1, first at document 2, characters 8 to 18" in repeated


def test_spans_are_trimmed_of_whitespace_and_labels_too(tmp_path: Path) -> None:
    reading = read_documents(written(tmp_path, "a.json", spans_json(("in Oslo now", [[2, 8, " LOC "]]))))
    assert reading.documents[0].spans == (Span(3, 7, "LOC"),)
    assert reading.notes[0].endswith("trimmed: 1, first at document 1, annotation 1")


def test_a_span_that_cuts_a_word_is_told_and_tags_all_of_the_word(tmp_path: Path) -> None:
    reading = read_documents(written(tmp_path, "a.json", spans_json(("in Osloers now", [[3, 7, "LOC"]]))))
    assert word_tags(reading.documents[0]) == ["O", "B-LOC", "O"]
    assert reading.notes[0].endswith(": 1, first at document 1, characters 3 to 7")


def test_columns_give_sentences_of_the_tokens_as_they_are(tmp_path: Path) -> None:
    content = (
        "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\nGerman-ish JJ B-NP B-MISC\n\n\n"
        "-DOCSTART-\nPeter NNP B-NP B-PER\r\nBlackburn NNP I-NP I-PER\r\n"
    )
    first, second = read_documents(written(tmp_path, "a.conll", content)).documents
    assert first.text == "EU rejects German-ish"
    assert tokens(first) == ["EU", "rejects", "German-ish"]
    assert first.spans == (Span(0, 2, "ORG"), Span(11, 21, "MISC"))
    assert second.spans == (Span(0, 15, "PER"),)


def test_a_line_with_only_a_tab_ends_a_sentence_as_real_corpora_have_it(tmp_path: Path) -> None:
    content = "Green\tO\nOslo\tB-creative-work\n.\tO\n\t\n#photography\tO\n \t \ntoday\tO\n\u00a0\nend\tO"
    documents = read_documents(written(tmp_path, "a.conll", content)).documents
    assert [d.text for d in documents] == ["Green Oslo .", "#photography", "today", "end"]
    assert documents[0].spans == (Span(6, 10, "creative-work"),)


def test_comments_are_left_out_and_a_token_that_is_a_hash_stays(tmp_path: Path) -> None:
    tabs = "# id 5239d808\tdomain=en\n# about vitamin O\n#\tO\nx\tB-A\n\n# text = I\ny\tO\n"
    assert [d.text for d in read_documents(written(tmp_path, "a.conll", tabs)).documents] == ["# x", "y"]
    spaces = "# sent = 1\n# text = vitamin O\n# O\n1 B-A\n"
    assert [d.text for d in read_documents(written(tmp_path, "b.conll", spaces)).documents] == ["# 1"]


def test_a_token_between_tabs_may_hold_a_space_and_odd_whitespace_is_a_token(tmp_path: Path) -> None:
    (document,) = read_documents(written(tmp_path, "a.tsv", "New York\tB-LOC\n\u00a0\tO\nis\tO\n")).documents
    assert tokens(document) == ["New York", "\u00a0", "is"]
    assert document.spans == (Span(0, 8, "LOC"),)


def test_entities_that_begin_with_i_are_read_as_iob1_and_told(tmp_path: Path) -> None:
    reading = read_documents(written(tmp_path, "a.iob", "x O\na I-A\nb I-A\nc B-A\nd I-B\n"))
    assert [(s.start, s.end, s.label) for s in reading.documents[0].spans] == [(2, 5, "A"), (6, 7, "A"), (8, 9, "B")]
    assert reading.notes[0].endswith(": 2, first at line 2")


REFUSED: dict[str, tuple[str, str | bytes, str, str]] = {
    "not UTF-8": ("a.json", b'[{"text": "caf\xe9"}]', "byte 14", "UTF-8"),
    "UTF-16": ("a.conll", "Oslo B-LOC".encode("utf-16"), "byte 0", "UTF-8"),
    "nothing": ("a.json", "", "a.json", "empty"),
    "whitespace": ("a.conll", " \n\t\n", "a.conll", "empty"),
    "only a byte order mark": ("a.conll", b"\xef\xbb\xbf", "a.conll", "empty"),
    "no documents": ("a.json", "[]", "a.json", "no documents"),
    "only comments": ("a.conll", "# a\n-DOCSTART-\n", "a.conll", "no documents"),
    "not JSON": ("a.json", '[\n  {"text" "x"}\n]', "line 2, column 11", "not JSON"),
    "lines named .json": ("a.json", '{"text": "x", "annotations": []}\n{}', "line 2", "'text'"),
    "two objects on a line": ("a.jsonl", "{} {}", "line 1, column 4", "whole object"),
    "a broken line": ("a.jsonl", '{"text": "x", "annotations": []}\n{"text": ', "line 2, column 10", "not JSON"),
    "an object": ("a.json", '{"text": "x"}', "top level", "an object"),
    "text at the top": ("a.json", '"text"', "top level", "text"),
    "null at the top": ("a.json", "null", "top level", "null"),
    "an item that is text": ("a.json", '["x"]', "document 1", "an object"),
    "no text": ("a.json", '[{"annotations": []}]', "document 1", "'text'"),
    "a text that is a number": ("a.json", '[{"text": 5, "annotations": []}]', "document 1", "a number"),
    "an empty text": ("a.json", spans_json(("x", []), ("", [])), "document 2", "empty"),
    "a text of whitespace": ("a.json", spans_json((" \n", [])), "document 1", "empty"),
    "half a character": ("a.json", '[{"text": "ab\\ud83d", "annotations": []}]', "document 1", "half a character at 2"),
    "half a character in a label": ("a.json", spans_json(("ab", [[0, 1, "\ud83d"]])), "annotation 1", "half a character"),
    "no annotations": ("a.json", '[{"text": "x", "things": []}]', "document 1", '"things"'),
    "annotations as null": ("a.json", '[{"text": "x", "annotations": null}]', "document 1", "null"),
    "annotations as an object": ("a.json", '[{"text": "x", "annotations": {}}]', "document 1", "an object"),
    "an annotation as an object": ("a.json", spans_json(("x", [{"start": 0}])), "document 1, annotation 1", '"start"'),
    "an annotation of two": ("a.json", spans_json(("x", [[0, 1]])), "document 1, annotation 1", "[0, 1]"),
    "an annotation of four": ("a.json", spans_json(("x", [[0, 1, "A", "B"]])), "document 1, annotation 1", "label"),
    "true as an offset": ("a.json", spans_json(("xy", [[0, 1, "A"], [True, 2, "A"]])), "annotation 2", "true"),
    "a fraction as an offset": ("a.json", spans_json(("x", [[0.0, 1, "A"]])), "annotation 1", "0.0"),
    "text as an offset": ("a.json", spans_json(("x", [["0", 1, "A"]])), "annotation 1", '"0"'),
    "the label first": ("a.json", spans_json(("x", [["A", 0, 1]])), "annotation 1", "[start, end, label]"),
    "a number as a label": ("a.json", spans_json(("x", [[0, 1, 2]])), "annotation 1", "[0, 1, 2]"),
    "an empty label": ("a.json", spans_json(("x", [[0, 1, ""]])), "annotation 1", "label is empty"),
    "a label of whitespace": ("a.json", spans_json(("x", [[0, 1, " \n"]])), "annotation 1", "label is empty"),
    "outside": ("a.json", spans_json(("four", [[0, 5, "A"]])), "annotation 1", "which has 4"),
    "before the text": ("a.json", spans_json(("four", [[-2, 2, "A"]])), "annotation 1", "which has 4"),
    "backwards": ("a.json", spans_json(("four", [[3, 1, "A"]])), "annotation 1", "start 3 is not before end 1"),
    "of no length": ("a.json", spans_json(("four", [[2, 2, "A"]])), "annotation 1", "exclusive"),
    "only whitespace": ("a.json", spans_json(("a  b", [[1, 3, "A"]])), "annotation 1", "whitespace"),
    "very deep": ("a.json", "[" * 100_000, "a.json", "deep"),
    "a number without end": ("a.json", "[" + "9" * 5000 + "]", "a.json", "digits"),
    "a long annotation": ("a.json", spans_json(("x", [["y" * 5000]])), "annotation 1", "..."),
    "a line break in a label": ("a.jsonl", '{"text": "x", "annotations": [["\\n\\u2028", 1]]}', "line 1, annotation 1", "label"),
    "one column": ("a.conll", "Oslo\tB-LOC\nRome\n", "line 2", "one column, 'Rome'"),
    "a tag without a token": ("a.conll", "Oslo\tB-LOC\n\tO\n", "line 2", "the token is empty"),
    "a label that is no tag": ("a.conll", "Oslo\tLOC\n", "line 1", "'LOC' is not a tag"),
    "a tag without a label": ("a.bio", "Oslo B-\n", "line 1", "'B-' is not a tag"),
    "a small o": ("a.bio", "Oslo o\n", "line 1", "'o' is not a tag"),
    "sentences of plain text": ("a.txt", "They went to Oslo.\n", "line 1", "'Oslo.' is not a tag"),
    "an unknown suffix": ("a.csv", "x,O", "a.csv", "'.csv'"),
    "no suffix": ("train", "x O", "train", ".conll"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_in_one_line_with_file_and_position(case: str, tmp_path: Path) -> None:
    name, content, position, what = REFUSED[case]
    path = written(tmp_path, name, content)
    with pytest.raises(BadData) as caught:
        read_documents(path)
    line = str(caught.value)
    assert line.isprintable()
    assert len(line) < 400 + len(str(path))
    assert line.startswith(f"{path}: ")
    assert position in line
    assert what in line


def test_a_missing_file_a_folder_and_a_file_that_is_denied_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    (tmp_path / "b.json").symlink_to("b.json")
    expected = {"a.json": "folder", "b.json": "cannot be read", "c.json": "no such file", "a\0.json": "cannot be read"}
    for name, what in expected.items():
        with pytest.raises(BadData, match=what) as caught:
            read_documents(tmp_path / name)
        assert str(caught.value).isprintable()
        assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's 5%, no?", ["It", "'", "s", "5", "%", ",", "no", "?"]),
        ("Zoe\u0308 and cafe\u0301s", ["Zoe\u0308", "and", "cafe\u0301s"]),
        ("\u0939\u093f\u0928\u094d\u0926\u0940 \u0939\u0948", ["\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u0948"]),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", ["\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"]),
        ("I \u2764\ufe0f it", ["I", "\u2764\ufe0f", "it"]),
        ("\u0301a", ["\u0301", "a"]),
        (" \t ", []),
    ],
)
def test_a_word_is_letters_with_their_marks_or_one_other_character(text: str, words: list[str]) -> None:
    assert [text[start:end] for start, end in split_words(text)] == words
