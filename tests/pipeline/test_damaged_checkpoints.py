"""A damaged checkpoint costs what it must: the store's is taken, else the one before it; from the beginning only aloud."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.pipeline.project import Lines, Project
from tests.support import Machine, Rig

#: Three epochs of five steps, a checkpoint at steps 2, 4, 5, 6, 8, 10, 12, 14, 15: the ends of the first two epochs are new bests.
THREE_EPOCHS = {"final_training__training": {"epochs": 3, "batch_size": 8, "learning_rate": 5e-3}}
SAVES = "outputs/final_training/micro/checkpoints"
WEIGHTS = "outputs/final_training/micro/checkpoint/model.safetensors"


class Told(Lines):
    """Remembers the steps of the final training, and ends the process of thought before one of them."""

    def __init__(self, until: int = 10**9) -> None:
        super().__init__()
        self.steps: list[int] = []
        self._until = until

    def work(self, what: str, done: int, total: int, note: str = "") -> None:
        if what == "final training":
            self.steps.append(done)
            if done == self._until:
                raise KeyboardInterrupt


class Training:
    """A final training in a project whose earlier stages are done."""

    def __init__(self, project: Project, done: Machine) -> None:
        self.project = project
        self.machine = project.machine()
        for stage in ("data", "hpo", "best_configuration"):
            shutil.copytree(done.root / "outputs" / stage, self.machine.root / "outputs" / stage)

    def run(self, told: Told) -> Told:
        self.project.run(self.machine, told=told, changed=THREE_EPOCHS, only=["final_training"])
        return told

    def killed(self, step: int) -> None:
        with pytest.raises(KeyboardInterrupt):
            self.run(Told(step))

    def steps(self) -> list[int]:
        return sorted(int(p.name.partition("-")[2]) for p in (self.machine.root / SAVES).iterdir())

    def place(self, step: int, name: str) -> Path:
        return self.machine.root / SAVES / f"checkpoint-{step}" / name


@pytest.fixture(scope="module")
def uninterrupted(finished: tuple[Project, Machine], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    training = Training(Project(Rig(tmp_path_factory.mktemp("whole")), finished[0].template), finished[1])
    training.run(Told())
    return training.machine.read(WEIGHTS)


def test_a_damaged_newest_that_was_a_new_best_is_fetched_from_the_store_and_the_end_is_the_same(
    finished: tuple[Project, Machine], rig: Rig, uninterrupted: bytes
) -> None:
    training = Training(Project(rig, finished[0].template), finished[1])
    training.killed(11)
    training.place(10, "optimizer.pt").write_bytes(b"")
    told = training.run(Told())
    assert told.steps[0] == 11, str(told)
    assert training.machine.read(WEIGHTS) == uninterrupted
