"""The cell that installs, where nothing can be installed: one line that says what to do. Where it can, see tests/colab."""

from __future__ import annotations

from pathlib import Path

from tests.notebook.session import SOURCE, Ran, Session, load

#: Code that has Holdfast missing from a kernel of this Python, as on a fresh machine.
MISSING = "import sys\nsys.modules['holdfast'] = None"


def install(tmp_path: Path, source: str = SOURCE) -> Ran:
    root = tmp_path / "machine"
    root.mkdir()
    ran = Session(root, {}).run_all(load(source=source), through="run_line_magic", before=MISSING)
    assert ran.end == "failed", ran
    assert "Traceback" not in ran.text + ran.error
    return ran


def test_a_wheel_that_is_not_there_is_one_line_that_says_how_to_make_it_and_where_to_put_it(tmp_path: Path) -> None:
    ran = install(tmp_path)
    (said,) = ran.text.splitlines()
    assert said.startswith("UsageError: Holdfast is not installed, and /content/drive/MyDrive/holdfast-")
    assert "`make wheel`" in said
    assert "set `source` in the first cell" in said
    assert ran.error == ""


def test_a_wheel_that_pip_refuses_ends_with_one_line_below_pips_own(tmp_path: Path) -> None:
    wheel = tmp_path / "holdfast-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"torn")
    *pips, said = install(tmp_path, f"{wheel}[pipeline]").text.splitlines()
    assert any("ERROR: " in line for line in pips), pips
    assert said.startswith(f"UsageError: pip could not install {wheel}[pipeline], and says why above. Set `source`")
