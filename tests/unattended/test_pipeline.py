"""The tests' smallest experiment, whole, on machines that vanish: the same as an uninterrupted run."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from holdfast.simulator.colab_service import ColabService
from tests.pipeline.project import make_project, settings
from tests.unattended.rig import Run, all_given_back, job, logged, phase

Instant = Callable[[ColabService], object]


def newest(service: ColabService, words: str) -> bool:
    """Whether a process on the newest machine has these words."""
    return any(words in line for m in service.machines()[-1:] for line in m.processes().values())


def written(service: ColabService, pattern: str) -> bool:
    """Whether outputs on the newest machine have such a file."""
    return any(True for m in service.machines()[-1:] for _ in m.content.glob(f"project/outputs/{pattern}"))


INSTANTS: dict[str, Instant] = {
    "in installation": lambda s: phase(s, "install"),
    "in mounting": lambda s: newest(s, "holdfast.simulator"),
    "in a trial": lambda s: logged(s, "trial"),
    "while a checkpoint is written": lambda s: written(s, "**/*checkpoint*"),
    "in upload": lambda s: any(m.colab.drive.pending() for m in s.machines()[-1:] if newest(s, "holdfast run")),
    "in conversion": lambda s: logged(s, "conversion"),
    "right before done": lambda s: phase(s, "safe"),
    "while outputs are fetched": lambda s: any((m.content / "holdfast-job/fetch.tar.gz").exists() for m in s.machines()),
    "in the benchmark": lambda s: logged(s, "benchmark"),
    "in final training": lambda s: logged(s, "final_training"),
    "as the work begins": lambda s: phase(s, "work"),
    "as it is unpacked": lambda s: any(job(m, "spec.json") for m in s.machines()),
}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ColabService]:
    with ColabService(tmp_path / "service", speed=60.0) as service:
        yield service


def project(root: Path) -> Path:
    make_project(root)
    (root / "micro.yaml").write_text(yaml.safe_dump(settings()))
    return root


def content(root: Path) -> dict[str, bytes]:
    """What counts of what was made."""
    found = {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
    return {name: data for name, data in found.items() if name.endswith((".onnx", ".safetensors", "/metrics.json"))}


@pytest.mark.torture
@pytest.mark.parametrize("instant", INSTANTS)
def test_a_machine_vanishes_and_what_is_made_is_that_of_an_uninterrupted_run(
    colab_program: Path, service: ColabService, tmp_path: Path, instant: str
) -> None:
    alone = project(tmp_path / "alone")
    (tmp_path / "drive").mkdir()
    run = [sys.executable, "-m", "holdfast", "run", "micro.yaml", "--root", str(alone), "--drive", str(tmp_path / "drive")]
    subprocess.run(run, cwd=alone, check=True, env={**os.environ}, stdout=subprocess.DEVNULL)
    root = project(tmp_path / "project")
    supervised = Run(service, colab_program, root, "--fetch", "outputs", "micro.yaml")
    supervised.until(lambda: INSTANTS[instant](service))
    service.vanish(random.Random(instant).choice(service.machines()).endpoint)
    assert supervised.end() == 0
    assert content(root / "outputs") == content(alone / "outputs")
    assert content(root / "outputs")
    assert all_given_back(service)
