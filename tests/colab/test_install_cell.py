"""The notebook's installing cell, for real: a kernel with Colab's versions, a wheel of this checkout, and no Holdfast.

Needs the network, and what `make colab-lane` makes: COLAB_IMAGE, a virtual environment with Colab's versions, and COLAB_WHEEL.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.notebook.session import Ran, Session, load

pytestmark = pytest.mark.colab

INSTALL = "run_line_magic"
IMPORT = "from holdfast.pipeline import libraries\nlibraries.need(*libraries.WORKING)\nimport holdfast\nprint(holdfast.__file__)"

#: In place of google.colab: mounting asks, and then Drive's files are there.
DRIVE = """\
import pathlib, shutil
def mount(place):
    print("asked for", place)
    if {refused}:
        raise RuntimeError("credential propagation was unsuccessful")
    shutil.copytree({account!r}, pathlib.Path(place) / "MyDrive")
"""


class Machine:
    """A fresh one: everything that Colab's image has, nothing else, and a Drive with the wheel on it that is not mounted yet."""

    def __init__(self, folder: Path, *, refused: bool = False) -> None:
        image, wheel = Path(os.environ["COLAB_IMAGE"]), Path(os.environ["COLAB_WHEEL"])
        subprocess.run([image / "bin" / "python", "-m", "venv", folder / "venv"], check=True)
        (self.packages,) = (folder / "venv").glob("lib/python*/site-packages")
        (beneath,) = image.glob("lib/python*/site-packages")
        (self.packages / "image.pth").write_text(f"{beneath}\n")
        self.image = {place.name for place in beneath.glob("*.dist-info")}
        account, package = folder / "account", folder / "fake" / "google" / "colab"
        account.mkdir()
        shutil.copy(wheel, account)
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "drive.py").write_text(DRIVE.format(refused=refused, account=str(account)))
        (folder / "root").mkdir()
        self.source = f"{folder}/content/drive/MyDrive/{wheel.name}[pipeline]"
        self._session = Session(folder / "root", {"PYTHONPATH": str(folder / "fake")}, python=folder / "venv" / "bin" / "python")

    def run(self, *after: str) -> Ran:
        return self._session.run_all(load(source=self.source), through=INSTALL, after=after)


def test_run_all_mounts_drive_installs_from_it_and_changes_nothing_that_was_there(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    before = {place.name for place in machine.packages.glob("*.dist-info")}
    ran = machine.run(IMPORT)
    assert ran.end == "done", ran
    assert ran.of(INSTALL).splitlines()[0] == f"asked for {tmp_path}/content/drive"
    assert "ERROR" not in ran.text
    assert ran.cells[-1][1] == f"{machine.packages}/holdfast/__init__.py\n"
    names = {name.partition("-")[0] for name in machine.image - before}
    added = {place.name for place in machine.packages.glob("*.dist-info")} - before
    assert [name for name in added if name.partition("-")[0] in names] == []
    assert any(name.startswith("onnx-") for name in added)

    shutil.rmtree(tmp_path / "content")
    again = machine.run(IMPORT)  # installed already: nobody is asked, and the wheel is not looked for
    assert again.end == "done", again
    assert again.of(INSTALL) == ""


def test_where_nobody_consents_one_line_says_what_to_do(tmp_path: Path) -> None:
    ran = Machine(tmp_path, refused=True).run(IMPORT)
    assert ran.end == "failed", ran
    asked, said = ran.text.splitlines()
    assert asked.startswith("asked for ")
    assert said.startswith(f"UsageError: Holdfast is not installed, and {tmp_path}/content/drive/MyDrive/holdfast-")
    assert "allow access to Drive" in said
    assert ran.error == ""
