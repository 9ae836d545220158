"""Files that are larger than what is looked at of them: read piece by piece, and wrong nowhere for it."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from holdfast.pipeline.data.documents import Document, Span, Words
from holdfast.pipeline.data.formats import source
from holdfast.pipeline.data.formats.shape import Problems
from holdfast.pipeline.data.formats.source import Source
from holdfast.pipeline.data.reading import Examined, examine


@pytest.fixture
def small_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of 128 KiB is large, and 29 pieces of 1 KiB are looked at."""
    monkeypatch.setattr(source, "_PIECE", 1 << 12)
    monkeypatch.setattr(source, "_WHOLE", 1 << 17)
    monkeypatch.setattr(source, "_SAMPLED", 1 << 10)


class Followed:
    """How far a reading said that it is."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.moved = 0

    def begin(self, verb: str, what: str, files: int, size: int) -> None:
        self.said.append(f"{verb} {what} {files} {size}")
        self.moved = 0

    def advance(self, size: int) -> None:
        self.moved += size

    def file_done(self) -> None:
        self.said.append("done")

    def end(self) -> None:
        self.said.append("end")


def sentences(count: int, tag_of: str = "B-PER") -> list[str]:
    return [f"Ann{n}\tNNP\tB-NP\t{tag_of}\nlives\tVBZ\tB-VP\tO\nhére\tRB\tB-ADVP\tO\n\n" for n in range(count)]


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.usefixtures("small_looks")
def test_columns_of_a_large_file_are_those_of_a_sample_and_every_row_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.conll", "".join(sentences(5000)))
    read = examine(path)
    assert read.problems == ()
    assert len(read.reading.documents) == 5000
    assert read.reading.documents[4999] == Document("Ann4999 lives hére", ((0, 7), (8, 13), (14, 18)), (Span(0, 7, "PER"),))
    assert read.reading.places[4999] == "line 19997"


@pytest.mark.usefixtures("small_looks")
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028"])
def test_a_slip_that_no_look_fell_on_is_told_with_its_line(end: str, tmp_path: Path) -> None:
    rows = sentences(5000)
    rows[1234] = "Ann\tNNP\tB-NP\tB-PER\textra\nlives\tVBZ\tB-VP\tO\n\n"
    rows[4321] = "Ann\tNNP\tB-NP\twrong\n\n"
    path = written(tmp_path / "a.conll", "".join(rows).replace("\n", end))
    read = examine(path)
    told = [problem.removeprefix(f"{path}: ").split(";")[0] for problem in read.problems]
    assert told[0].startswith("line 4937: 5 columns where the others have 4")
    assert told[1].startswith("line 17284: 'wrong' is not a tag")
    assert len(told) == 2


@pytest.mark.usefixtures("small_looks")
def test_a_second_layer_that_begins_behind_every_look_is_asked_about(tmp_path: Path) -> None:
    rows = [f"Ann{n}\tO\tO\nlives\tO\tO\n\n" for n in range(9000)]
    rows[4444] = "Ann\tB-LOC\tO\nlives\tO\tO\n\n"
    path = written(tmp_path / "a.conll", "".join(rows))
    (told,) = examine(path).problems
    assert "line 13333: columns 3 and 2 ('B-LOC') each hold tags" in told


@pytest.mark.usefixtures("small_looks")
def test_what_is_looked_at_has_the_numbers_of_its_lines(tmp_path: Path) -> None:
    lines = [f"{n} {'x' * (n % 50)}" if n % 7 else "" for n in range(1, 12_000)]
    path = written(tmp_path / "a.txt", "\n".join(lines))
    with Source(path) as opened:
        pieces = list(opened.sample())
    assert len(pieces) == 29
    assert 20_000 < sum(len(text) for _, text in pieces) < path.stat().st_size / 4
    for first, text in pieces:
        for number, line in enumerate(text.removesuffix("\n").split("\n"), start=first):
            assert line == lines[number - 1]


@pytest.mark.usefixtures("small_looks")
def test_half_a_character_far_in_a_large_file_is_told_with_byte_and_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    row = json.dumps({"text": "Ann lives here.", "annotations": [[0, 3, "PER"]]}).encode() + b"\n"
    path.write_bytes(row * 3000 + row.replace(b"lives", b"liv\xe9s") + row)
    with pytest.raises(Exception, match=rf"byte {3000 * len(row) + 17}: not UTF-8 \(0xe9, on line 3001\)"):
        examine(path)


@pytest.mark.usefixtures("small_looks")
def test_bytes_are_followed_to_the_last_and_a_file_that_counts_otherwise_is_read_twice(tmp_path: Path) -> None:
    def read(offset: int) -> tuple[Examined, Followed]:
        rows = [{"text": "Bo \U0001f600 Ann lives.", "annotations": [[0, 2, "PER"], [offset, offset + 3, "PER"]]}] * 3000
        path = written(tmp_path / "a.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        followed = Followed()
        read = examine(path, progress=followed)
        assert followed.moved == path.stat().st_size
        assert {d.spans for d in read.reading.documents} == {(Span(0, 2, "PER"), Span(5, 8, "PER"))}
        return read, followed

    once, followed = read(5)
    assert once.reading.noted == ()
    assert followed.said.count("done") == 1
    twice, followed = read(6)
    (note,) = twice.reading.noted
    assert note.kind.startswith("offsets count {unit: utf16, end: exclusive, first: 0}, proved by the edges of words at ")
    assert followed.said.count("done") == 2


def test_reading_a_large_file_needs_little_more_than_its_documents(tmp_path: Path) -> None:
    text = "Ann lives in Bonn and works for Acme. " * 12
    rows = [{"text": f"{n} {text}", "annotations": [[n, n + 3, "PER"] for n in range(38, 400, 38)]} for n in range(4000)]
    path = written(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    del rows
    examine(path)  # what is imported and remembered on the way
    tracemalloc.start()
    try:
        read = examine(path)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(read.reading.documents) == 4000
    assert peak < 2 * kept


def test_words_of_a_text_compare_as_the_tuple_of_their_places() -> None:
    words = Words.plain("Ann lives hére.")
    assert words == ((0, 3), (4, 9), (10, 14), (14, 15))
    assert ((0, 3), (4, 9), (10, 14), (14, 15)) == words  # noqa: SIM300 - from the other side too
    assert words == Words([(0, 3), (4, 9), (10, 14), (14, 15)])
    assert hash(words) == hash(Words([(0, 3), (4, 9), (10, 14), (14, 15)]))
    assert words != Words.plain("Ann lives here")
    assert words[-1] == (14, 15)
    assert words[1:3] == ((4, 9), (10, 14))
    with pytest.raises(IndexError):
        words[4]


def test_of_a_file_in_which_every_line_is_wrong_the_first_are_told_and_the_rest_is_counted(tmp_path: Path) -> None:
    rows = "".join('{"text": "Ann", "annotations": [[0, 9, "PER"]]}\n' for _ in range(Problems.MOST + 5))
    problems = examine(written(tmp_path / "a.jsonl", rows)).problems
    assert len(problems) == Problems.MOST + 1
    assert "and 6 more of the kinds above" in problems[-1]  # with the question how it counts
