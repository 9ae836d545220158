"""What a real notebook kernel shows, as it stands in the saved notebook."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.support import Rig

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import nbclient
    import nbformat

pytestmark = pytest.mark.filterwarnings("ignore")  # of jupyter's own libraries, which change their minds often

BAR = """
import threading, time
from holdfast.session.progress import Bar
bar = Bar()
def transfer(what, steps=15):
    bar.begin("backing up", what, 3, 100_000 * steps)
    for step in range(steps):
        time.sleep(0.1)
        bar.advance(100_000)
        if step % 5 == 4:
            bar.file_done()
    bar.end()
"""


def run(folder: Path, *cells: str) -> list[list[dict[str, Any]]]:
    """The outputs of each cell, after all of them were run in a kernel of this Python."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    client = nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute()
    return [list(c.outputs) for c in notebook.cells]


def html(output: dict[str, Any]) -> str:
    return str(output["data"]["text/html"])


def test_a_bar_leaves_one_output_in_a_cell_however_many_transfers(tmp_path: Path) -> None:
    _, one, many = run(
        tmp_path,
        BAR,
        "transfer('outputs/one')",
        "for n in range(3):\n    t = threading.Thread(target=transfer, args=(f'outputs/{n}',)); t.start(); t.join()",
    )
    (shown,) = one
    assert "backing up outputs/one" in html(shown)
    assert "3/3 files" in html(shown)
    assert "width:100.0%" in html(shown)
    (shown,) = many
    assert "backing up outputs/2" in html(shown), "the last one is what stays"


def test_quick_transfers_show_nothing(tmp_path: Path) -> None:
    assert run(tmp_path, BAR, "transfer('outputs/quick', steps=3)")[1] == []


def test_attaching_shows_what_is_found_and_status_what_is_safe(rig: Rig) -> None:
    first, fresh = rig.machine(), rig.machine()
    first.write("outputs/a.txt", "a")
    assert first.keep.backup("outputs/a.txt")
    where = f"root={str(fresh.root)!r}, drive={str(rig.drive)!r}"
    (fresh.root / "config").mkdir()
    (fresh.root / "config/paths.yaml").write_text("drive: {backup_base_dir: proj}\n")
    greeting, quiet, status, plain = run(
        fresh.root,
        f"import holdfast\nkeep = holdfast.attach({where})",
        f"keep = holdfast.attach({where}, quiet=True)",
        "keep.ensure('outputs/a.txt')\nkeep.status()",
        "import sys\nprint(keep.status())\nprint('rich' in sys.modules)",
    )
    (shown,) = greeting
    assert "WELCOME BACK" in html(shown)
    assert "1 artifact will come back when needed (1 B)" in html(shown)
    assert "WELCOME BACK" in shown["data"]["text/plain"]
    assert quiet == []
    (shown,) = status
    assert "SAFE" in html(shown)
    assert shown["data"]["text/plain"].startswith("✔ SAFE: everything is backed up")
    (shown,) = plain
    assert shown["text"].startswith("✔ SAFE")
    assert shown["text"].rstrip().endswith("False"), "a notebook is shown things without the library rich"
