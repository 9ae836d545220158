"""The session dies in the middle of a cell; a fresh machine, *Run all*: finished, and the result is the same, bit for bit."""

from __future__ import annotations

import pytest

from tests.notebook.conftest import RESULTS, Colab, the_same
from tests.notebook.session import Ran, killing
from tests.pipeline.project import STAGES
from tests.support import Machine

#: Where each cell is killed: at the n-th opening of a file whose path matches.
INSIDE = {
    "pipeline.hpo()": (r"machine-\d+/outputs/hpo/micro/trials/trial-0001/checkpoints/checkpoint-6/", 1),
    "pipeline.benchmark()": (r"machine-\d+/outputs/hpo/micro/trials/trial-0001/\.benchmark\.json", 1),
    "pipeline.select()": (r"machine-\d+/outputs/best_configuration/\.best_configuration\.json", 1),
    "pipeline.train()": (r"machine-\d+/outputs/final_training/micro/checkpoints/checkpoint-6/", 1),
    "pipeline.convert()": (r"machine-\d+/outputs/conversion/micro/\.onnx\.making/", 1),
}


def begun(ran: Ran) -> list[str]:
    return [line.partition(":")[0] for line in ran.text.splitlines() if line.endswith((": begins", ": goes on"))]


def finish(machines: Colab, reference: Machine) -> Ran:
    one = machines.machine()
    ran = one.run_all()
    assert ran.end == "done", ran
    assert ran.error == ""
    machines.fetch(one.root, *RESULTS, "hpo/micro/study.db")  # a run fetches what it needs, and the products
    the_same(one.root, reference)
    return ran


def test_killed_in_every_cell_run_all_goes_on_to_the_same_result(machines: Colab, reference: Machine) -> None:
    """One story: each session dies one cell further, with everything on its disk and whatever was not uploaded."""
    ran = []
    for cell, (pattern, nth) in INSIDE.items():
        one = machines.machine()
        found = one.run_all(before=killing(pattern, nth), meanwhile=machines.kill_with)
        assert found.end == "died", (cell, found)
        assert cell in found.cells[-1][0], (cell, found.cells[-1])
        ran.append(begun(found))
        print(cell, begun(found), "lost:", machines.lost)
    ran.append(begun(finish(machines, reference)))
    for name in STAGES:
        print(name, sum(names.count(name) for names in ran))


@pytest.mark.torture
@pytest.mark.parametrize("cell", INSIDE)
def test_killed_in_one_cell_run_all_finishes_with_the_same_result(machines: Colab, reference: Machine, cell: str) -> None:
    one = machines.machine()
    found = one.run_all(before=killing(*INSIDE[cell]), meanwhile=machines.kill_with)
    assert found.end == "died", found
    assert cell in found.cells[-1][0], found.cells[-1]
    print("lost:", machines.lost)
    finish(machines, reference)
