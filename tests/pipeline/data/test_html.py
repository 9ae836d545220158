"""What a notebook shows of data: entities coloured with their labels beside, counts, notes, and no markup of a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import nbformat

from holdfast.pipeline.data.dataset import open_dataset
from holdfast.pipeline.data.html import _COLOURS
from holdfast.pipeline.data.looking import look
from tests.docs.pages import REPOSITORY

SAMPLES = Path(__file__).parent / "samples"
VOID = {"br", "hr", "img", "input", "meta", "link"}


class Page(HTMLParser):
    """The elements of a page; every one that is opened has to be closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in VOID
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes += attrs
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.texts[tag][-1] += data


def test_entities_are_marked_with_their_labels_and_counted() -> None:
    page = Page(look(SAMPLES / "brat")._repr_html_())
    assert page.texts["mark"][:3] == ["Ann Lee NAME", "Data engineer ROLE", "Acme GmbH ORG"]
    assert len(page.texts["mark"]) == 14
    assert page.texts["b"][0] == "3 files, 3 documents: brat standoff (lines that begin with T1 and a tab)"
    assert page.texts["tr"][1:] == ["CITY3", "MAIL1", "NAME3", "ORG1", "ROLE2", "SKILL4"]
    assert page.texts["p"][-1].startswith("Skills: Python SKILL SQL SKILL")
    assert ("dir", "auto") in page.attributes


def test_nothing_of_a_file_becomes_markup_and_right_to_left_text_stays_in_its_place(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script> \u05d3\u05d5\u05d3 \u202e& \"q\" <img src=x onerror='y'>\x00\x1b[31m"
    label = '<b onclick=z>&\u05e9\u05dd"'
    rows = [{"text": evil, "annotations": [[0, 8, label], [26, 29, "</mark>"]]}, {"text": "none </div>", "annotations": []}]
    path = tmp_path / "<i>evil.json"
    path.write_text(json.dumps(rows))
    (tmp_path / "<u>.json").write_text(json.dumps([*rows, rows[0], {"text": "x", "annotations": [[0, 9, "<s>"]]}]))
    for found in (look(path), look(tmp_path)):
        page = Page(found._repr_html_())
        assert page.tags <= {"div", "p", "b", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "mark", "bdi", "small"}
        assert {name for name, _ in page.attributes} <= {"style", "dir"}
        assert page.texts["mark"][:2] == [f"<script> {label}", "\u05d3\u05d5\u05d3 </mark>"]
        assert "none </div>" not in "".join(page.texts["p"]), "documents with entities are shown"
        assert "\x1b" not in "".join(page.texts["div"])
    assert any("<u>.json" in line and "outside the text" in line for line in page.texts["li"])


def test_long_texts_are_cut_and_twenty_documents_are_shown(tmp_path: Path) -> None:
    rows = [
        {
            "text": "Oslo " + "x" * 990 + " Bergen " + "y" * 5000 + " Rome",
            "annotations": [[0, 4, "A"], [996, 1002, "A"], [6004, 6008, "A"]],
        }
    ]
    rows += [{"text": f"Oslo {n}", "annotations": [[0, 4, f"L{n}"]]} for n in range(40)]
    (tmp_path / "many.json").write_text(json.dumps(rows))
    page = Page(look(tmp_path / "many.json")._repr_html_())
    shown = page.texts["p"][1:]
    assert len(shown) == 20
    assert shown[0].startswith("Oslo A ")
    assert shown[0].endswith(" Berg A\u2026")
    assert len(shown[0]) < 1020
    assert len(page.texts["tr"]) == 42, "every label is counted"


def test_a_dataset_shows_the_counts_of_its_splits_and_its_notes(tmp_path: Path) -> None:
    rows = [{"text": f"Oslo {n}", "annotations": [[0, 4, "PLACE"]]} for n in range(30)]
    (tmp_path / "export.json").write_text(json.dumps(rows))
    page = Page(open_dataset(tmp_path)._repr_html_())
    assert page.texts["tr"] == ["labeltrainvalidationtest", "PLACE2433"]
    assert page.texts["b"][0].endswith(": 24 train documents, 3 validation documents, 3 test documents")
    assert "no test data: 3 of 30 training documents serve for it, chosen by seed 0" in page.texts["li"]


def test_black_letters_can_be_read_on_every_colour() -> None:
    """WCAG 2.1, 1.4.6: a contrast of 7 to 1."""
    for colour in _COLOURS:
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in (int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
        ]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        assert (luminance + 0.05) / 0.05 >= 7


def test_a_kernel_shows_it_as_html(tmp_path: Path) -> None:
    """A real one, of this Python: what the last line of a cell gives."""
    cell = nbformat.v4.new_code_cell(f"from holdfast.pipeline.data.looking import look\nlook({str(SAMPLES / 'brat')!r})")
    place = tmp_path / "look.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), place)
    command = [sys.executable, "-m", "tests.notebook.execute", str(place), str(tmp_path), sys.executable]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(command, capture_output=True, check=False, encoding="utf-8", cwd=REPOSITORY, env=environment)
    assert done.stdout.endswith("done\n"), done.stderr
    shown = nbformat.read(place, as_version=4).cells[0].outputs[0]["data"]["text/html"]
    assert "Ann Lee NAME" in Page(shown).texts["mark"]
