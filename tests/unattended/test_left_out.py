"""At the end of the work all that lies in outputs is made safe, also what the work itself backed up nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from holdfast.session.attach import open_keeper
from holdfast.unattended.safe import main


def test_what_the_work_wrote_last_and_backed_up_nowhere_is_safe_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drive, root = tmp_path / "drive", tmp_path / "project"
    (root / "outputs").mkdir(parents=True)
    drive.mkdir()
    (root / "outputs" / "model.pth").write_text("weights")
    monkeypatch.chdir(root)
    monkeypatch.setenv("HOLDFAST_DRIVE", str(drive))
    assert main(10.0, tmp_path / "unsafe.json") == 0
    assert json.loads((tmp_path / "unsafe.json").read_text())["missing"] == []
    (tmp_path / "elsewhere" / "project").mkdir(parents=True)
    keeper = open_keeper(tmp_path / "elsewhere" / "project", drive, mount=False)
    assert keeper.ensure("outputs/model.pth")
    assert (tmp_path / "elsewhere" / "project" / "outputs" / "model.pth").read_text() == "weights"
