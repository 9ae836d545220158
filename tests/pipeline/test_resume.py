"""Killed in a trial and in the final training, each time on a machine that is then gone: the result is the same, bit for bit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from holdfast.integrations import checkpoints
from tests.pipeline.project import RESULTS, Project, trials
from tests.support import Machine, Rig

REPOSITORY = Path(__file__).parents[2]


def run(machine: Machine, step: int | None = None) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "tests.pipeline.killed_run",
        str(machine.root),
        str(machine.drive),
        *([str(step)] if step else []),
    ]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)


def test_killed_in_a_trial_and_in_the_final_training_the_result_is_the_same(finished: tuple[Project, Machine], rig: Rig) -> None:
    """Each trial takes 8 or 16 steps, and so does the final training; a checkpoint is saved every second step."""
    project = Project(rig, finished[0].template)
    killed = []
    for step in (7, 13, 30):
        machine = project.machine()  # the last one is gone, with everything on its disk
        done = run(machine, step)
        assert done.returncode == -9, done.stdout + done.stderr
        found = trials(machine) if (machine.root / "outputs/hpo/micro/study.db").exists() else []
        killed.append(([t["state"] for t in found], (machine.root / "outputs/final_training").exists()))
    assert killed == [(["RUNNING"], False), (["COMPLETE", "RUNNING"], False), (["COMPLETE", "COMPLETE"], True)]
    machine = project.machine()
    done = run(machine)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"goes on", done.stdout)
    expected = finished[1]
    keeper = machine.keeper()
    for key in (*RESULTS, "outputs/conversion/micro/onnx/conversion.json"):
        assert keeper.require(key).read_bytes() == expected.read(key), key
    shown = keeper.require("outputs/report/report.html").read_text()
    assert "hpo/micro: 3 sessions, 2 disconnects." in shown
    assert "final_training: 2 sessions, 1 disconnect." in shown
    keeper.require("outputs/hpo/micro/study.db")
    assert trials(machine) == trials(expected)


def test_a_sealed_checkpoint_holds_no_path_of_this_machine(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-4"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "trainer_state.json").write_text(json.dumps({"best_model_checkpoint": str(folder), "global_step": 4}))
    checkpoints.seal(folder, step=4, best_step=2, over=False, made_from="abc")
    assert not [p for p in folder.iterdir() if str(tmp_path) in p.read_text()]
    found = checkpoints.sealed(folder)
    assert found is not None
    assert (found.step, found.best_step, found.over, found.made_from) == (4, 2, False, "abc")
