"""At the end of the work all that lies in outputs is made safe, also what the work itself backed up nowhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.session.attach import open_keeper
from holdfast.unattended import job
from holdfast.unattended.shipping import choose, pack


def test_what_the_work_wrote_last_and_backed_up_nowhere_is_safe_in_the_end(tmp_path: Path) -> None:
    drive, root = tmp_path / "drive", tmp_path / "project"
    (root / "outputs").mkdir(parents=True)
    drive.mkdir()
    (root / "outputs" / "model.pth").write_text("weights")
    safe = [sys.executable, "-m", "holdfast.unattended.safe", "10", str(tmp_path / "unsafe.json")]
    subprocess.run(safe, cwd=root, env={**os.environ, "HOLDFAST_DRIVE": str(drive)}, check=True, timeout=300)
    assert json.loads((tmp_path / "unsafe.json").read_text())["missing"] == []
    (tmp_path / "elsewhere" / "project").mkdir(parents=True)
    keeper = open_keeper(tmp_path / "elsewhere" / "project", drive, mount=False)
    assert keeper.ensure("outputs/model.pth")
    assert (tmp_path / "elsewhere" / "project" / "outputs" / "model.pth").read_text() == "weights"


WORK = """
import os, pathlib, sys
made = ("outputs/run/model.bin", "kept/model.bin", "results/model.bin", "results/deep/er.txt", "fetched/a.txt", ".cache/x")
for name in (*made, "sent.txt", os.fsdecode(b"caf\\xe9.txt")):
    place = pathlib.Path(name)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("made")
sys.exit(int(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("outputs", "code", "outside"),
    [
        ("outputs", 0, ["caf\udce9.txt", "kept/model.bin", "results/deep/er.txt", "results/model.bin", "sent.txt"]),
        ("kept", 0, ["caf\udce9.txt", "outputs/run/model.bin", "results/deep/er.txt", "results/model.bin", "sent.txt"]),
        ("outputs", 3, ["caf\udce9.txt", "fetched/a.txt", "kept/model.bin", "results/deep/er.txt", "results/model.bin"]),
    ],
)
def test_what_the_work_writes_outside_of_outputs_is_named_by_the_job(
    tmp_path: Path, outputs: str, code: int, outside: list[str]
) -> None:
    """A real job, of which only the installation was done before. Where the work failed, nothing is fetched either."""
    folder, source = tmp_path / "job", tmp_path / "source"
    for place in (folder, source / "config", tmp_path / "drive"):
        place.mkdir(parents=True)
    for name in ("sent.txt", "same.txt"):
        (source / name).write_text("sent")
    (source / "work.py").write_text(WORK)
    (source / "config" / "paths.yaml").write_text(f"base: {{outputs: {outputs}}}\n")
    pack(choose(source, outputs=outputs), folder / "project.tar.gz")
    project, command = str(tmp_path / "project"), ["python", "work.py", str(code)]
    orders = {"work": "w", "command": command, "project": project, "outputs": outputs, "extras": "", "fetch": ["fetched/"]}
    (folder / "spec.json").write_text(json.dumps({**orders, "wait": 60.0, "by_api": False}))
    (folder / "installed").touch()
    shutil.copy(job.__file__, folder / "job.py")
    environment = {**os.environ, "HOLDFAST_DRIVE": str(tmp_path / "drive")}
    subprocess.run([sys.executable, str(folder / "job.py")], env=environment, check=True, timeout=300)
    result = json.loads((folder / "result.json").read_text())
    assert (result["code"], result["safe"]) == (code, True)
    assert (result["outside"], result["outsides"]) == (outside, len(outside) + (code == 3))
