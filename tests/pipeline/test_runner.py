"""What the pipeline declares to the runner: outputs, settings and data that decide, and how a study and a model go on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from holdfast.errors import MadeOtherwise
from holdfast.flow.examination import Examiner
from holdfast.flow.found import State
from holdfast.pipeline.runner import Runner, open_pipeline
from holdfast.spread.cluster import lines
from holdfast.store.format.keys import Key
from tests.pipeline.project import STAGES, Lines, Project, experiment, make_documents, trials
from tests.support import Machine


def test_what_can_be_restored_is_what_is_declared(finished: tuple[Project, Machine]) -> None:
    _, machine = finished
    keeper = machine.keeper()
    found = Examiner(keeper, open_pipeline(keeper, experiment()), experiment().run).all()
    assert {f.state for f in found} == {State.DONE}
    declared, must = set(), set()
    for f in found:
        assert f.stage is not None
        assert f.record is not None
        declared |= {f"{f.stage.folder}/{p}" for p in f.record.files} | {f.stage.record}
        must |= set(f.stage.outputs)
    stored = {key for key in keeper.held("outputs")[0].files if not key.endswith(".tmp")}
    assert must <= declared
    assert stored == declared
    assert set(map("outputs/".__add__, machine.tree())) == declared
    artifacts = {a for f in found if f.stage for a in f.stage.artifacts if f.stage.own}
    assert {row.key.value for row in keeper.status()} == artifacts


def test_the_model_lies_with_a_card_that_says_how_good_it_is(finished: tuple[Project, Machine]) -> None:
    _, machine = finished
    (place,) = (machine.root / "outputs/conversion").glob("*/onnx/README.md")
    (metrics,) = (machine.root / "outputs/final_training").glob("*/metrics.json")
    micro = json.loads(metrics.read_text())["test"]["micro"]
    row = next(line for line in place.read_text().splitlines() if line.startswith("| all, micro |"))
    assert [float(cell.split()[0]) for cell in row.split("|")[2:5]] == pytest.approx(
        [micro[kind] for kind in ("precision", "recall", "f1")], abs=6e-4
    )


def test_records_and_results_hold_no_path_of_this_machine(finished: tuple[Project, Machine]) -> None:
    _, machine = finished
    for path, content in machine.tree().items():
        if not path.endswith((".safetensors", ".db")):
            assert str(machine.root).encode() not in content, path


def test_changed_data_is_refused_on_a_fresh_machine_too(finished: tuple[Project, Machine]) -> None:
    project, _ = finished
    machine = project.machine()
    shutil.rmtree(machine.root / "data")
    make_documents(machine.root / "data", seed=2)
    with pytest.raises(MadeOtherwise, match=r"data: outputs/data was made under other settings: source\.\w+\.blake3"):
        project.run(machine)


def test_more_trials_go_on_with_the_same_study(copied: tuple[Project, Machine]) -> None:
    project, machine = copied
    first = trials(machine)
    told = Lines()
    project.run(machine, told=told, changed={"hpo__trials": 3}, only=["hpo"])
    assert trials(machine)[:2] == first
    assert [t["number"] for t in trials(machine)] == [0, 1, 2]
    with pytest.raises(MadeOtherwise, match=r"selection: .*trials: 2 then, 3 now"):
        project.run(machine, changed={"hpo__trials": 3})


def test_lines_of_attempts_that_were_left_go_once_all_is_done_and_those_of_other_studies_stay(
    copied: tuple[Project, Machine],
) -> None:
    project, machine = copied
    (final,) = (p.relative_to(machine.root).as_posix() for p in (machine.root / "outputs/final_training").iterdir())
    left, others = (lines.of_study("outputs", home).value + "/unit/001-aaaa" for home in (final, "outputs/study"))
    node = machine.keeper()  # it had been given up, and wrote on after the driver was through
    for key in (left, others):
        machine.write(f"{key}/state.txt", "late")
        assert node.backup(key)
        shutil.rmtree(machine.root / key)
    assert not project.run(machine).ran
    here = {p.relative_to(project.rig.store).as_posix() for p in project.rig.store.rglob("*")}
    assert not [name for name in here if left in name]
    assert [name for name in here if others in name]


def test_keys_of_the_layout_are_keys() -> None:
    for stage in STAGES:
        Key.parse(f"outputs/{stage}")


def test_a_final_training_that_is_to_be_longer_says_how_to_train_on(finished: tuple[Project, Machine]) -> None:
    _, machine = finished
    with pytest.raises(MadeOtherwise) as caught:
        Runner(machine.keeper(), experiment(final_training__training={"epochs": 4})).run()
    assert "training.epochs: 2 then, 4 now" in str(caught.value)
    assert "make it the backbone, {name: ..., model: outputs/final_training/micro/checkpoint}, with --fork" in str(caught.value)


@pytest.mark.torture
def test_a_finished_model_is_trained_on_as_the_backbone_of_a_fork(finished: tuple[Project, Machine], tmp_path: Path) -> None:
    project, before = finished
    machine = Machine(Path(shutil.copytree(before.root, tmp_path / "copy")), project.rig.drive)
    longer = {"name": "longer", "model": "outputs/final_training/micro/checkpoint"}
    summary = Runner(machine.keeper(), experiment(backbones=[longer]), fork=True).run()
    assert summary.finished
    assert (machine.outputs / "final_training/longer/checkpoint/model.safetensors").is_file()
    assert machine.read("outputs/final_training/micro/metrics.json") == before.read("outputs/final_training/micro/metrics.json")
