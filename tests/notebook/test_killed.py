"""The session dies in the middle of a cell; a fresh machine, *Run all*: finished, and the result is the same, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.notebook.conftest import RESULTS, Colab, the_same
from tests.notebook.session import Ran, killing
from tests.pipeline.project import STAGES
from tests.support import Machine


@dataclass(frozen=True)
class Instant:
    """When a session dies: at the n-th time that something happens to a file whose path matches.

    Args:
        cell: The cell that runs then.
        pattern: Of the path.
        nth: How many of them.
        event: What happens, by the name of Python's audit event.
        code: Kills the kernel otherwise.
    """

    cell: str
    pattern: str = ""
    nth: int = 1
    event: str = "open"
    code: str = ""


#: The trial is told, and its backup would come next.
AFTER_TELL = """\
import os, optuna
_tell = optuna.Study.tell
def _and_die(*given, **named):
    _tell(*given, **named)
    os.kill(os.getpid(), 9)
optuna.Study.tell = _and_die"""

QUEUE, STORE = r"machine-\d+/\.holdfast/queue/", r"MyDrive/proj/"
TRIAL = r"machine-\d+/outputs/hpo/micro/trials/trial-000"

#: In the order in which one after the other dies. A trial saves a checkpoint every second step, and has 8 or 16.
INSTANTS = {
    "while a checkpoint is written": Instant("pipeline.hpo()", TRIAL + r"0/checkpoints/checkpoint-2/"),
    "between a checkpoint and its backup": Instant("pipeline.hpo()", QUEUE + ".*/spool.tar$", 2),
    "while payload is sent": Instant("pipeline.hpo()", STORE + r"outputs/hpo/.*small-files@", 2),
    "before a manifest is written": Instant("pipeline.hpo()", STORE + r"generations/outputs~hpo.*@", 3),
    "between Optuna's tell and the commit": Instant("pipeline.hpo()", code=AFTER_TELL),
    "while a study is restored": Instant("pipeline.hpo()", r"machine-\d+/\.holdfast/tmp/.*/tree/"),
    "while something is pruned": Instant("pipeline.hpo()", STORE + "generations/", 1, "os.remove"),
    "in a later trial": Instant("pipeline.hpo()", TRIAL + r"1/checkpoints/checkpoint-6/"),
    "while a benchmark is written": Instant("pipeline.benchmark()", TRIAL + r"1/\.benchmark\.json"),
    "during the selection": Instant("pipeline.select()", r"machine-\d+/outputs/best_configuration/\.best_configuration\.json"),
    "in the final training": Instant("pipeline.train()", r"machine-\d+/outputs/final_training/micro/checkpoints/checkpoint-6/"),
    "during the ONNX export": Instant("pipeline.convert()", r"machine-\d+/outputs/conversion/micro/\.onnx\.making/"),
}
#: What a story of one machine after the other cannot skip: each of these is dear, or is where another one begins.
STORY = (
    "while a checkpoint is written",
    "between Optuna's tell and the commit",
    "while a study is restored",
    "while a benchmark is written",
    "during the selection",
    "in the final training",
    "during the ONNX export",
)
#: What only happens on a machine that goes on with something.
RETURNING = ("while a study is restored",)


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


def dies(machines: Colab, instant: Instant) -> Ran:
    """A session on a fresh machine dies at this instant, with everything on its disk and what was not uploaded."""
    before = instant.code or killing(instant.pattern, instant.nth, instant.event)
    found = machines.machine().run_all(before=before, meanwhile=machines.kill_with)
    assert found.end == "died", found
    assert instant.cell in found.cells[-1][0], found.cells[-1]
    print(instant.cell, begun(found), "lost:", machines.lost)
    return found


def test_killed_in_every_cell_run_all_goes_on_to_the_same_result(machines: Colab, reference: Machine) -> None:
    """One story: each session dies a little further."""
    ran = [begun(dies(machines, INSTANTS[name])) for name in STORY]
    ran.append(begun(finish(machines, reference)))
    for name in STAGES:
        print(name, sum(names.count(name) for names in ran))


@pytest.mark.torture
@pytest.mark.parametrize("name", INSTANTS)
def test_killed_once_run_all_finishes_with_the_same_result(machines: Colab, reference: Machine, name: str) -> None:
    if name in RETURNING:
        dies(machines, INSTANTS["in a later trial"])
    dies(machines, INSTANTS[name])
    finish(machines, reference)
