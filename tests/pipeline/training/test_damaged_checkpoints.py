"""A damaged checkpoint costs what it must: the store's is taken, else the one before it; from the beginning only aloud."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.errors import NotRestored
from holdfast.flow.record import read_record, write_record
from holdfast.flow.stage import RECORD
from holdfast.pipeline.steps.model import find_checkpoint
from tests.pipeline.project import Lines, Project, trials
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

    def killed(self, step: int) -> Told:
        told = Told(step)
        with pytest.raises(KeyboardInterrupt):
            self.run(told)
        return told

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
    assert training.steps() == [5, 8, 10]
    training.place(10, "optimizer.pt").write_bytes(b"")
    told = training.killed(12)
    assert told.steps[0] == 11, str(told)
    assert "final_training: checkpoint-10 is damaged (optimizer.pt is empty): fetched from the store" in str(told)
    # Nothing is remembered here, so what differs could be anybody's work. By its marker it is damaged.
    shutil.rmtree(training.machine.root / ".holdfast")
    weights = training.place(10, "model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    told = training.run(Told())
    assert told.steps[0] == 11, str(told)
    assert training.machine.read(WEIGHTS) == uninterrupted


def test_damaged_everywhere_it_says_what_is_done_again_before_it_is_and_the_end_is_the_same(
    finished: tuple[Project, Machine], rig: Rig, uninterrupted: bytes
) -> None:
    training = Training(Project(rig, finished[0].template), finished[1])
    training.killed(11)
    shutil.rmtree(rig.store)
    shutil.rmtree(training.machine.root / ".holdfast")
    training.place(10, "optimizer.pt").write_bytes(b"")
    # The optimizer of the best before is not needed for going on at the one after it.
    training.place(5, "optimizer.pt").write_bytes(b"")
    told = training.killed(13)
    assert told.steps[0] == 9
    (line,) = [x for x in told.lines if "to be done again" in x]
    assert line.startswith(
        "final_training: checkpoint-10 is damaged (optimizer.pt is empty), and the store has none of it. Training"
    )
    assert "goes on at step 8: 2 steps to be done again (about " in line
    assert list((training.machine.root / "holdfast-aside").rglob("checkpoint-10"))
    shutil.rmtree(rig.store)
    shutil.rmtree(training.machine.root / ".holdfast")
    for step in training.steps():
        training.place(step, "scheduler.pt").unlink()
    told = training.run(Told())
    assert told.steps[0] == 1
    (line,) = [x for x in told.lines if "FROM THE BEGINNING" in x]
    assert "12 steps to be done again (of 15, 2.4 of 3 epochs, about " in line
    assert told.lines.index(line) < told.lines.index(next(x for x in told.lines if "test entity F1" in x))
    assert training.machine.read(WEIGHTS) == uninterrupted


def test_a_trial_goes_on_at_its_damaged_checkpoint_from_the_store(finished: tuple[Project, Machine], rig: Rig) -> None:
    project = Project(rig, finished[0].template)
    machine = project.machine()

    class Killed(Lines):
        step = 0

        def work(self, what: str, done: int, total: int, note: str = "") -> None:
            self.step = done
            if done == 6:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        project.run(machine, told=Killed())
    saves = machine.root / "outputs/hpo/micro/trials/trial-0000/checkpoints"
    newest = max(saves.iterdir(), key=lambda p: int(p.name.partition("-")[2]))
    (newest / "rng_state.pth").write_bytes(b"")
    told = Told()
    project.run(machine, told=told, only=["data", "hpo"])
    assert f"micro: trial 0: {newest.name} is damaged (rng_state.pth is empty): fetched from the store" in str(told)
    assert trials(machine) == trials(finished[1])


@pytest.mark.parametrize(("size", "kept"), [(0, True), (100, True), (100, False)])
def test_best_weights_of_a_study_that_are_damaged_come_back_or_are_trained_again(
    finished: tuple[Project, Machine], rig: Rig, size: int, kept: bool
) -> None:
    project = Project(rig, finished[0].template)
    machine = project.machine()
    shutil.copytree(finished[1].root / "outputs/data", machine.root / "outputs/data")
    shutil.copytree(finished[1].root / "outputs/hpo", machine.root / "outputs/hpo")
    weights = next((machine.root / "outputs/hpo").rglob("checkpoint/model.safetensors"))
    whole = weights.read_bytes()
    place = machine.root / "outputs/hpo/micro" / RECORD
    record = read_record(place)
    assert record is not None
    write_record(place, replace(record, finished=False, files={}))  # its last trial is told, and then its machine was gone
    assert machine.keep.backup("outputs/hpo/micro", "outputs/data")
    if not kept:
        shutil.rmtree(rig.store)
        shutil.rmtree(machine.root / ".holdfast")
    weights.write_bytes(whole[:size])
    told = Told()
    project.run(machine, told=told, only=["hpo"])
    assert weights.read_bytes() == whole
    assert ("training them again" in str(told)) is not kept


def test_finished_weights_that_are_damaged_here_come_back_where_they_are_needed(
    finished: tuple[Project, Machine], rig: Rig
) -> None:
    shutil.copytree(finished[0].rig.drive, rig.drive, dirs_exist_ok=True)
    machine = Project(rig, finished[0].template).machine()
    keep = machine.keep
    cache = machine.root / "outputs/final_training/micro/training_cache.json"
    folder = find_checkpoint(cache, machine.root, keep.ensure)
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for damaged in (whole[:100], b"", whole[:-1] + bytes([whole[-1] ^ 1])):
        weights.write_bytes(damaged)
        assert find_checkpoint(cache, machine.root, keep.ensure) == folder
        assert weights.read_bytes() == whole
    shutil.rmtree(rig.store)
    weights.write_bytes(whole[:100])
    with pytest.raises(NotRestored, match=r"header is cut short|bytes of"):
        find_checkpoint(cache, machine.root, lambda path: path.exists())
    assert weights.read_bytes() == whole[:100], "what cannot be replaced stays where it is"
