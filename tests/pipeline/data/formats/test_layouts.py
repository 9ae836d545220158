"""Columns of every layout that is met: read rightly, or refused in words that name it. Nothing is read wrongly in silence."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from holdfast.pipeline.data.formats import source
from holdfast.pipeline.data.formats.shape import Asked, Columns
from holdfast.pipeline.data.looking import marked
from holdfast.pipeline.data.reading import Examined, examine
from tests.pipeline.data.formats.layouts import LAYOUTS


def examined(folder: Path, name: str, content: str, columns: tuple[int, int] | None = None) -> Examined:
    path = folder / name
    path.write_bytes(content.encode())
    return examine(path, Asked(Columns(*columns)) if columns else Asked())


@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if not layout.refused])
def test_a_layout_that_proves_itself_is_read_rightly(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    found = examined(tmp_path, layout.name, layout.content)
    assert found.problems == ()
    assert tuple(map(marked, found.reading.documents)) == layout.right
    assert any(layout.noted in note for note in found.reading.notes) or not layout.noted, found.reading.notes


@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if layout.refused])
def test_a_layout_that_does_not_is_refused_by_what_it_is_and_the_setting_reads_it(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    problems = examined(tmp_path, layout.name, layout.content).problems
    assert any(layout.refused in problem for problem in problems), problems
    if layout.columns is None:
        return
    assert any("data.columns" in problem for problem in problems)
    found = examined(tmp_path, layout.name, layout.content, layout.columns)
    assert found.problems == ()
    assert tuple(map(marked, found.reading.documents)) == layout.right


#: Those whose sentences can be written again and again: nothing counts on over all of them, and no header is in them.
REPEATED = [
    name for name, given in LAYOUTS.items() if not given.refused and given.noted not in {"no blank line ends", "names of columns"}
]
_WHOLE = {
    "WebAnno",
    "WikiNER",
    "Kaggle's table with tabs",
    "CoNLL-2012",
    "carriage returns alone",
    "the index of a table, with its header",
    "simpletransformers",
}


def read_by_looks(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read a layout of which only pieces are looked at before."""
    for constant, small in [("_PIECE", 1 << 12), ("_WHOLE", 1 << 17), ("_SAMPLED", 1 << 10)]:
        monkeypatch.setattr(source, constant, small)
    layout = LAYOUTS[name]
    end = "\u2028" if "\u2028" in layout.content else "\r\n" if "\r\n" in layout.content else "\n"
    once = layout.content.rstrip("\r\n\u2028") + 2 * end
    times = (1 << 17) // len(once.encode()) + 50
    found = examined(folder, layout.name, once * times)
    assert found.problems == ()
    documents = found.reading.documents
    assert len(documents) == times * len(layout.right)
    assert Counter(map(marked, documents)) == Counter(layout.right * times)


@pytest.mark.parametrize("name", [name for name in REPEATED if name not in _WHOLE][::7])
def test_a_large_file_of_which_pieces_are_looked_at_is_read_as_a_small_one(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_by_looks(name, tmp_path, monkeypatch)


@pytest.mark.torture
@pytest.mark.parametrize("name", [name for name in REPEATED if name not in _WHOLE])
def test_every_layout_in_a_large_file_is_read_as_in_a_small_one(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_by_looks(name, tmp_path, monkeypatch)


_TEXT = "Ann Lee met Bo Kim in Rome . The 3 U.S. banks , EU rejects German call IBM NASA 2019 5 said to I A -"
_PARTS = "NNP NNP VBD NNP NNP IN NNP . DT CD NNP NNS , NNP VBZ JJ NN NNP NNP CD CD VBD TO PRP DT :"
_WORDS = _TEXT.split()
_POS = dict(zip(_WORDS, _PARTS.split(), strict=True))
_KINDS = ["num", "num0", "doc", "sentence", "title", "lemma", "stem", "pos", "upos", "own pos", "chunk", "start", "end"]
_KINDS += ["-X-", "_", "*", "inner", "all O", "line", "shape", "link", "score", "by", "head", "features", "prefix"]


def _sentences(r: random.Random) -> list[list[tuple[str, str]]]:
    """Words and tags of IOB2."""
    made = []
    capitals = r.random() < 0.05
    for _ in range(r.choice([1, 1, 2, 3, 6, 20])):
        rows: list[tuple[str, str]] = []
        inside = "O"
        for word in r.choices(_WORDS, k=r.randint(1, 9)):
            if word[0].isupper() and r.random() < 0.7:
                goes_on = inside != "O" and r.random() < 0.4
                inside = inside if goes_on else r.choice(["PER", "LOC", "ORG"])
                rows.append((word.upper() if capitals else word, ("I-" if goes_on else "B-") + inside))
            else:
                inside = "O"
                rows.append((word.upper() if capitals else word, "O"))
        made.append(rows)
    return made


def _in_scheme(tags: list[str], scheme: str) -> list[str]:
    made = []
    for tag, after in zip(tags, [*tags[1:], "O"], strict=True):
        last = not after.startswith("I-")
        if tag == "O" or scheme == "IOB2" or (tag[0] == "B" and not last) or (tag[0] == "I" and not last):
            made.append(tag)
        elif tag[0] == "B":
            made.append(("S" if scheme == "IOBES" else "U") + tag[1:])
        else:
            made.append(("E" if scheme == "IOBES" else "L") + tag[1:])
    return made


def _cells(word: str, tag: str, n: int, at: int, s: int, line: int, r: random.Random) -> dict[str, Any]:
    return {
        "token": word,
        "tag": tag,
        "num": n + 1,
        "num0": n,
        "doc": f"doc_{s // 3}",
        "sentence": s + 1,
        "title": f"Sentence: {s + 1}",
        "lemma": word.lower(),
        "stem": word.lower()[:3],
        "pos": _POS.get(word, "NN"),
        "upos": "PUNCT" if not word[0].isalnum() else "PROPN" if word[0].isupper() else "NOUN",
        "own pos": r.choice(["Npms", "Vm1s", "Z"]) if word[0].isalnum() else "Fp",
        "chunk": r.choice(["B-NP", "I-NP", "B-VP", "O"]),
        "start": at,
        "end": at + len(word),
        "-X-": "-X-",
        "_": "_",
        "*": "*",
        "inner": "O" if r.random() < 0.9 else "B-LOC",
        "all O": "O",
        "line": line,
        "shape": "".join("X" if c.isupper() else "d" if c.isdigit() else "x" for c in word),
        "link": "_" if tag == "O" else f"Q{len(word) * 7}",
        "score": f"0.{r.randint(10, 99)}",
        "by": r.choice(["anna", "bert"]),
        "head": r.randint(0, 5),
        "features": "Case=Nom|Number=Sing" if word[0].isupper() else "_",
        "prefix": word[:2],
    }


def _spans(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for word, tag in rows:
        if tag[0] == "B":
            found.append((word, tag[2:]))
        elif tag[0] == "I":
            found[-1] = (f"{found[-1][0]} {word}", tag[2:])
    return found


def _is_read(seed: int, path: Path) -> str:
    """Whether columns drawn by the seed are read rightly, refused or asked about, or read wrongly in silence."""
    r = random.Random(seed)
    sentences = _sentences(r)
    columns = ["token", "tag", *r.sample(_KINDS, r.choice([0, 1, 1, 2, 2, 3, 5]))]
    r.shuffle(columns)
    between, scheme = r.choice(["\t", "\t", " "]), r.choice(["IOB2", "IOB2", "IOBES", "BILOU"])
    if "title" in columns:
        between = "\t"
    blank_lines = r.random() > 0.1
    lines: list[str] = []
    if r.random() < 0.1:
        lines.append(between.join("".join(c if c.isalpha() else "_" for c in name) for name in columns))
    count = 0
    for s, rows in enumerate(sentences):
        if r.random() < 0.1:
            lines.append(f"# text = {rows[0][0]}")
        at = 0
        for n, ((word, _), tag) in enumerate(zip(rows, _in_scheme([tag for _, tag in rows], scheme), strict=True)):
            cells = _cells(word, tag, n, at, s, count, r)
            lines.append(between.join(str(cells[name]) for name in columns))
            count += 1
            at += len(word) + 1
        if blank_lines:
            lines.append("")
    path.write_text("\n".join(lines))
    found = examine(path)
    if found.problems:
        return "asked" if any("data.columns" in p for p in found.problems) else "refused"
    read = [
        ([d.text[a:b] for a, b in d.words], [(d.text[s.start : s.end], s.label) for s in d.spans]) for d in found.reading.documents
    ]
    right = [([word for word, _ in rows], _spans(rows)) for rows in sentences]
    if not blank_lines:  # where nothing tells that a sentence ends, the words and their entities are what must be right
        read = [([w for words, _ in read for w in words], [s for _, spans in read for s in spans])]
        right = [([w for words, _ in right for w in words], [s for _, spans in right for s in spans])]
    return "right" if read == right else f"WRONG in silence: {seed} {columns} {found.reading.format}"


def _counts(seeds: range, path: Path) -> Counter[str]:
    counts = Counter(_is_read(seed, path) for seed in seeds)
    wrong = [what for what in counts if what.startswith("WRONG")]
    assert not wrong, (len(wrong), wrong[:5])
    return counts


def test_columns_in_any_order_are_never_read_wrongly_in_silence(tmp_path: Path) -> None:
    counts = _counts(range(400), tmp_path / "a.tsv")
    assert counts["right"] > 100


@pytest.mark.torture
def test_six_thousand_layouts_are_never_read_wrongly_in_silence(tmp_path: Path) -> None:
    print(_counts(range(6000), tmp_path / "a.tsv"))
