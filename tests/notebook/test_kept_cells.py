"""A notebook of six `%%keep` cells in a real kernel, killed in each: *Run all* on a fresh machine goes on."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.notebook.session import Ran, Session

CELLS = 6


def notebook(drive: Path, kills: int | None = None, cells: Sequence[str] = ()) -> Any:
    """Six cells, each of which builds on the file of the one before it. In that of this number the kernel kills itself."""
    attach = (
        "import os\nfrom pathlib import Path\nimport holdfast\n"
        f"keep = holdfast.attach(drive={str(drive)!r}, quiet=True)\nDIES = {kills}"
    )
    kept = [
        f"%%keep outputs/{n}.txt\n"
        f"before = Path('outputs/{n - 1}.txt').read_text() if {n} else ''\n"
        f"print('cell {n} runs')\n"
        f"Path('outputs/{n}.txt').write_text(before + '{n}')\n"
        f"if DIES == {n}:\n    os.kill(os.getpid(), 9)\n"
        f"value_{n} = {n}"
        for n in range(CELLS)
    ]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in (attach, *kept, *cells)])


class Notebook:
    """Machines that come and go, with one drive."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.drive = folder / "drive"
        self.drive.mkdir()
        self._number = 0

    def run(self, kills: int | None = None, cells: Sequence[str] = (), *, fresh: bool = True) -> Ran:
        if fresh:
            shutil.rmtree(self._folder / f"machine-{self._number}", ignore_errors=True)
            self._number += 1
            self.root.mkdir(parents=True)
        return Session(self.root, {}).run_all(notebook(self.drive, kills, cells))

    @property
    def root(self) -> Path:
        return self._folder / f"machine-{self._number}" / "project"


def ran(found: Ran) -> list[int]:
    return [n for n in range(CELLS) if f"cell {n} runs" in found.text]


def goes_on(machines: Notebook, dies: Sequence[int]) -> None:
    done = 0
    for n in dies:
        found = machines.run(kills=n)
        assert found.end == "died", found
        assert ran(found) == list(range(done, n)), found  # of the last one nothing was shown any more
        assert found.cells[-1][0].startswith(f"%%keep outputs/{n}.txt")
        done = n
    found = machines.run()
    assert found.end == "done", found
    assert ran(found) == list(range(done, CELLS))
    assert (machines.root / f"outputs/{CELLS - 1}.txt").read_text() == "012345"
    again = machines.run()
    assert (again.end, ran(again)) == ("done", [])
    assert "outputs/5.txt: came back; the cell is not run" in again.text


def test_killed_in_two_of_its_cells_run_all_on_a_fresh_machine_goes_on(tmp_path: Path) -> None:
    goes_on(Notebook(tmp_path), (1, 4))


@pytest.mark.torture
def test_killed_in_each_of_its_cells_run_all_on_a_fresh_machine_goes_on(tmp_path: Path) -> None:
    goes_on(Notebook(tmp_path), range(CELLS))


ANEW = "%%keep --again outputs/5.txt\nprint('anew')\nvalue_5 = int(Path('outputs/5.txt').write_text('5'))"
STORY = (
    "value_5",  # assigned by the last one
    "%%keep outputs/other.txt\nprint('other runs')\nPath('outputs/other.txt').write_text(str(value_5))",
    "class Shape:\n    sides = 4\n\ndef area(x):\n    return x * Shape.sides",
    "@keep.step(outputs='outputs/made.txt')\ndef made():\n    Path('outputs/made.txt').write_text(str(area(2)))\n",
    "made().read_text()",
    "keep.plan()",
)


def test_a_name_that_was_not_assigned_is_named_where_it_is_read_and_again_assigns_it(tmp_path: Path) -> None:
    machines = Notebook(tmp_path)
    first = machines.run(cells=STORY)
    assert first.end == "done", first
    assert "'8'" in first.of("made().read_text()")
    assert "not assigned" not in first.text
    svg = first.of("keep.plan()")
    assert "made  done" in svg
    second = machines.run(cells=STORY)
    assert second.end == "failed"
    said = "not assigned, as their cell was not run: value_5. Read them from its files, or run it by %%keep --again outputs/5.txt\n"
    assert second.text.endswith(said)
    assert second.error.count("NameError")
    again = machines.run(cells=(ANEW, *STORY))
    assert again.end == "done", again
    assert "anew" in again.text
    assert "other runs" not in again.text


def test_a_cell_of_other_code_is_refused_in_one_line_and_a_comment_is_no_other_code(tmp_path: Path) -> None:
    machines = Notebook(tmp_path)
    once = "%%keep outputs/a/\nPath('outputs/a/b').write_text('1')\nprint('once')"
    same = "%%keep outputs/a/\n# a comment\nPath('outputs/a/b').write_text(\n    '1')\nprint('once')"
    nothing = (
        "try:\n    get_ipython().run_cell_magic('keep', '', 'x = 1')\nexcept holdfast.errors.UsageError as error:\n    print(error)"
    )
    found = machines.run(cells=[once, same, nothing])
    assert found.end == "done"
    assert found.text.count("once\n") == 1
    assert "%%keep: give the paths that the cell makes" in found.text
    found = machines.run(cells=["%%keep outputs/a/\nPath('outputs/a/b').write_text('2')"])
    assert found.end == "failed"
    assert found.error.startswith("MadeOtherwise: %%keep outputs/a: outputs/a was made from something else: its code is another.")
    assert "put --again behind %%keep" in found.error
    assert "\n" not in found.error
