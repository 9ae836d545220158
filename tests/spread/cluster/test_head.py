"""The machine with the head of the cluster is gone: the command ends in one line, and goes on with another cluster."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.project import Project, make_project, trials, write_settings
from tests.spread.cluster.nodes import HERE, Nodes
from tests.support import Machine, Rig

pytestmark = pytest.mark.torture

CHANGES: dict[str, Any] = {
    "hpo__trials": 8,
    "hpo__parallel": 2,
    "hpo__startup_trials": 1,
    "hpo__checkpoint": {"save_only_best": False},
    "training__epochs": 6,
}


def test_where_the_head_is_lost_the_command_ends_in_one_line_and_goes_on_with_another_cluster(tmp_path: Path, turn: None) -> None:
    make_project(tmp_path / "template")
    whole, killed = (_project(tmp_path, name) for name in ("whole", "killed"))
    done = _command(whole, "local", None)
    assert done.wait() == 0

    nodes = _cluster(tmp_path / "first")
    try:
        first = _command(killed, "ray", nodes)
        while not any("attempts" in kept.name for kept in killed.drive.rglob("generations/*.json")):
            assert first.poll() is None
            time.sleep(0.1)
        nodes.kill_head()
        said, errors = first.communicate()
    finally:
        nodes.close()
    print(f"exit code {first.returncode}: {errors}")
    assert first.returncode == 1
    [line] = [line for line in errors.splitlines() if line and not line.startswith("holdfast: note: ")]
    assert "is lost, or its head; what was kept is safe, and goes on when this is run again" in line

    nodes = _cluster(tmp_path / "second")
    try:
        second = _command(killed, "ray", nodes)
        said, errors = second.communicate()
    finally:
        nodes.close()
    assert second.returncode == 0, errors
    assert "goes on" in said
    assert trials(killed) == trials(whole)
    assert _made(killed) == _made(whole)


def _project(folder: Path, name: str) -> Machine:
    (folder / name).mkdir()
    machine = Project(Rig(folder / name), folder / "template").machine()
    write_settings(machine.root, **CHANGES)
    return machine


def _cluster(folder: Path) -> Nodes:
    folder.mkdir()
    nodes = Nodes(folder)
    for _ in range(2):
        nodes.add()
    return nodes


def _command(machine: Machine, engine: str, nodes: Nodes | None) -> subprocess.Popen[str]:
    more = {} if nodes is None else {**nodes.environment, "RAY_ADDRESS": nodes.address}
    path = os.pathsep.join([str(HERE / "src"), str(HERE)])
    command = [sys.executable, "-m", "holdfast", "run", "config/micro.yaml", "--drive", str(machine.drive)]
    return subprocess.Popen(
        [*command, "--set", f"hpo.engine={engine}"],
        stdout=subprocess.PIPE if nodes else subprocess.DEVNULL,
        stderr=subprocess.PIPE if nodes else None,
        text=True,
        cwd=machine.root,
        env={**os.environ, **more, "PYTHONPATH": path},
    )


def _made(machine: Machine) -> dict[str, str]:
    found = machine.tree()
    return {n: hashlib.sha256(c).hexdigest() for n, c in found.items() if n.endswith((".safetensors", ".onnx"))}
