"""The pipeline's trials in processes of their own: the same study, and the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from holdfast.pipeline import hpo
from tests.pipeline.project import Lines, Project, make_project, trials
from tests.support import Machine, Rig

CHANGES = {"hpo__trials": 3, "hpo__startup_trials": 1, "hpo__pruner": "successive_halving"}


@pytest.mark.torture
def test_one_at_a_time_in_processes_makes_the_weights_and_the_onnx_that_one_process_makes(tmp_path: Path) -> None:
    make_project(tmp_path / "template")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as `hpo.resources.cpus` says for those processes
    try:
        here, spread = (made(tmp_path, name) for name in ("here", "spread"))
    finally:
        torch.set_num_threads(threads)
    assert trials(here) == trials(spread)
    assert any(name.endswith(".onnx") for name in results(here))
    assert results(here) == results(spread)


def made(folder: Path, name: str) -> Machine:
    (folder / name).mkdir()
    project = Project(Rig(folder / name), folder / "template")
    machine = project.machine()
    with mock.patch.object(hpo, "is_spread", return_value=name == "spread"):
        project.run(machine, told=Lines(), changed=CHANGES)
    return machine


def results(machine: Machine) -> dict[str, Any]:
    return {n: content for n, content in machine.tree().items() if n.endswith((".safetensors", ".onnx"))}
