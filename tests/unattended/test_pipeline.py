"""The tests' smallest experiment, whole, on machines that vanish, under supervisors that are killed: as an uninterrupted run."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from holdfast.simulator.colab_service import ColabService
from tests.once import once
from tests.pipeline.project import make_project, settings, trials_below
from tests.unattended.rig import Run, Watched, all_given_back, each_line_once, job, logged, phase

Instant = Callable[[ColabService], object]


def newest(service: ColabService, words: str) -> bool:
    """Whether a process on the newest machine has these words."""
    return any(words in line for m in service.machines()[-1:] for line in m.processes().values())


def written(service: ColabService, pattern: str) -> bool:
    """Whether outputs on the newest machine have such a file."""
    return any(True for m in service.machines()[-1:] for _ in m.content.glob(f"project/outputs/{pattern}"))


def fetching(service: ColabService) -> bool:
    return any((m.content / "holdfast-job/fetch.tar.gz").exists() for m in service.machines()[-1:])


INSTANTS: dict[str, Instant] = {
    "while it is taken": lambda s: s.machines(),
    "in mounting": lambda s: newest(s, "holdfast.simulator"),
    "as it is unpacked": lambda s: any(job(m, "spec.json") for m in s.machines()[-1:]),
    "in installation": lambda s: phase(s, "install"),
    "as the work begins": lambda s: phase(s, "work"),
    "in a trial": lambda s: logged(s, "trial"),
    "while a checkpoint is written": lambda s: written(s, "**/*checkpoint*"),
    "in upload": lambda s: any(m.colab.drive.pending() for m in s.machines()[-1:] if newest(s, "holdfast run")),
    "in the benchmark": lambda s: logged(s, "benchmark"),
    "in final training": lambda s: logged(s, "final_training"),
    "in conversion": lambda s: logged(s, "conversion"),
    "right before done": lambda s: phase(s, "safe") or logged(s, "Everything is safe"),  # the phase can fall between two looks
    "while outputs are fetched": fetching,
    "while it is given back": lambda s: s.book.machines()[-1:] and s.book.machines()[-1].how == "given back",
}
VANISHES, KILLED = "the machine vanishes", "the supervisor is killed"
#: Twelve vanishings and six kills, in the order in which each run meets them.
RUNS = [
    [(VANISHES, "in installation"), (KILLED, "in a trial"), (VANISHES, "in conversion")],
    [(KILLED, "while it is taken"), (VANISHES, "in mounting"), (VANISHES, "in a trial")],
    [(KILLED, "in installation"), (VANISHES, "while a checkpoint is written"), (VANISHES, "right before done")],
    [(VANISHES, "as it is unpacked"), (VANISHES, "in the benchmark"), (KILLED, "right before done")],
    [(VANISHES, "as the work begins"), (VANISHES, "in final training"), (KILLED, "while outputs are fetched")],
    [(VANISHES, "in upload"), (VANISHES, "while outputs are fetched"), (KILLED, "while it is given back")],
]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Watched]:
    with Watched(tmp_path / "service", speed=60.0) as service:
        yield service


def project(root: Path) -> Path:
    make_project(root)
    (root / "micro.yaml").write_text(yaml.safe_dump(settings()))
    return root


def uninterrupted(folder: Path) -> None:
    alone = project(folder / "alone")
    (folder / "drive").mkdir()
    run = [sys.executable, "-m", "holdfast", "run", "micro.yaml", "--root", str(alone), "--drive", str(folder / "drive")]
    subprocess.run(run, cwd=alone, check=True, env={**os.environ}, stdout=subprocess.DEVNULL)


def content(outputs: Path) -> dict[str, object]:
    """What counts of what was made: weights, ONNX, metrics, and the study."""
    found = {p.relative_to(outputs).as_posix(): p.read_bytes() for p in sorted(outputs.rglob("*")) if p.is_file()}
    kept = {name: data for name, data in found.items() if name.endswith((".onnx", ".safetensors", "/metrics.json"))}
    assert {name.rpartition(".")[2] for name in kept} == {"onnx", "safetensors", "json"}
    return {**kept, "study": trials_below(outputs)}


@pytest.mark.torture
@pytest.mark.parametrize("steps", RUNS, ids=[", ".join(f"{what} {when}" for what, when in steps) for steps in RUNS])
def test_what_is_made_is_that_of_an_uninterrupted_run(
    colab_program: Path, service: Watched, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]]
) -> None:
    alone = once(tmp_path_factory, "uninterrupted", uninterrupted) / "alone" / "outputs"
    root = project(tmp_path / "project")

    def start() -> Run:
        return Run(service, colab_program, root, "--fetch", "outputs", "micro.yaml")

    begun, run = time.monotonic(), start()
    runs = [run]
    for what, when in steps:
        run.until(lambda when=when: INSTANTS[when](service))
        time.sleep(random.Random(when).uniform(0.0, 0.5))
        print(f"### {time.monotonic() - begun:.0f} s: {what} {when}", flush=True)
        if what == VANISHES:
            service.vanish(service.machines()[-1].endpoint)
        else:
            run.kill()
            runs.append(run := start())
    assert run.end() == 0
    held = service.book.machines()
    print(
        f"### {time.monotonic() - begun:.0f} s: done; {[(m.endpoint, m.how) for m in held]}, at once {service.book.most_at_once()}"
    )
    assert content(root / "outputs") == content(alone)
    assert all_given_back(service)
    assert [m.how for m in held] == ["vanished"] * sum(what == VANISHES for what, _ in steps) + ["given back"]
    assert each_line_once(service, root, *(runs if run is runs[0] else ()))


def test_every_instant_of_the_table_is_used_and_there_are_twelve_and_six() -> None:
    steps = [step for steps in RUNS for step in steps]
    assert {when for _, when in steps} == set(INSTANTS)
    assert len({when for what, when in steps if what == VANISHES}) == 12
    assert len({when for what, when in steps if what == KILLED}) == 6
