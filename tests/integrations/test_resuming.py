"""The newest checkpoint that serves is gone on with, here or from the store; from the beginning only aloud."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from holdfast.errors import NotRestored, StoreUnreadable
from holdfast.integrations import checkpoints
from holdfast.integrations.resuming import Wanted, clear_the_way, search
from holdfast.integrations.trainer import resume_from
from holdfast.integrations.watching import Copies
from holdfast.store.backends.backend import Backend
from holdfast.store.backends.wrappers import Faulty
from tests.integrations.sealed import (
    MADE_FROM,
    Harm,
    added,
    all_of,
    copied,
    cut_off,
    emptied,
    flipped,
    gone,
    lost,
    save,
    trained,
    truncated,
    write,
)
from tests.support import Machine, Rig, read_tree

LINES = "holdfast.integrations"


def resumed(folder: Path, machine: Machine | None = None) -> int:
    """The step that a Trainer would go on at, which is whole then; 0 for the beginning."""
    place = resume_from(folder, None if machine is None else machine.keep, made_from=MADE_FROM)
    if place is None:
        return 0
    step = int(place.rpartition("-")[2])
    assert json.loads((Path(place) / "trainer_state.json").read_text())["global_step"] == step
    assert torch.equal(load_file(Path(place) / "model.safetensors")["layer"], torch.full((4, 3), float(step)))
    assert torch.load(Path(place) / "rng_state.pth")["cpu"].tolist() == [step]
    return step


WITH_A_STORE = {
    "the newest: optimizer emptied": (emptied(10, "optimizer.pt"), "checkpoint-10 is damaged (optimizer.pt is empty): fetched"),
    "the newest: weights truncated": (truncated(10, "model.safetensors"), "model.safetensors has "),
    "the newest: weights of other content": (flipped(10, "model.safetensors"), "model.safetensors is not what was saved"),
    "the newest: no random state": (gone(10, "rng_state.pth"), "rng_state.pth is missing): fetched"),
    "the newest: no state of the Trainer": (gone(10, "trainer_state.json"), "trainer_state.json is missing): fetched"),
    "the newest: no marker": (gone(10, checkpoints.MARKER), "checkpoint-10 has no marker: fetched"),
    "the newest: a damaged marker": (truncated(10, checkpoints.MARKER), "checkpoint-10 has a damaged marker: fetched"),
    "the newest: marker and optimizer": (
        all_of(emptied(10, checkpoints.MARKER), emptied(10, "optimizer.pt")),
        "checkpoint-10 has a damaged marker: fetched",
    ),
    "both newest": (all_of(emptied(10, "optimizer.pt"), emptied(8, "optimizer.pt")), "checkpoint-10 is damaged"),
    "a file that came later": (added(10, "model.safetensors.index.json"), "came after it was saved and is moved aside"),
    "a copy under a higher number": (
        copied(10, 9999),
        "checkpoint-9999 has the marker of step 10, and the store has none of it. Training goes on at step 10: nothing is to be",
    ),
}


@pytest.mark.parametrize("name", WITH_A_STORE)
def test_what_is_damaged_here_and_whole_in_the_store_is_gone_on_with_and_nothing_is_lost(
    rig: Rig, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    harm, said = WITH_A_STORE[name]
    machine = rig.machine()
    folder = trained(machine)
    harm(folder)
    before = read_tree(folder)
    assert resumed(folder, machine) == 10
    assert said in caplog.text
    aside = read_tree(machine.root / "holdfast-aside").values() if (machine.root / "holdfast-aside").exists() else ()
    after = read_tree(folder)
    assert all(after.get(path) == content or content in aside for path, content in before.items())
    # The Trainer may save again, and all of it may be backed up again.
    save(folder, 12, 10)
    assert machine.keep.backup("outputs/run", progress=12.0)
    assert resumed(folder, machine) == 12


WITHOUT_A_STORE = {
    "the newest, a new best": (emptied(10, "optimizer.pt"), 8, "Training goes on at step 8: 2 steps to be done again (about 2 min"),
    "the newest, and of the best before only the optimizer": (
        all_of(gone(10, "config.json"), emptied(5, "optimizer.pt")),
        8,
        "goes on at step 8",
    ),
    "the newest, and the Trainer's state of the best before": (
        all_of(truncated(10, "scheduler.pt"), gone(5, "trainer_state.json")),
        8,
        "goes on at step 8",
    ),
    "the newest, and the weights of the best before": (
        all_of(emptied(10, "optimizer.pt"), truncated(5, "model.safetensors")),
        0,
        "checkpoint-8 needs the best weights, and checkpoint-5 is damaged (model.safetensors has ",
    ),
    "both newest": (
        all_of(gone(10, "rng_state.pth"), gone(8, "rng_state.pth")),
        5,
        "5 steps to be done again (about 5 min of work)",
    ),
    "all of them": (
        all_of(*(emptied(s, "optimizer.pt") for s in (5, 8, 10))),
        0,
        "FROM THE BEGINNING: 10 steps to be done again (of 20, 2 of 4 epochs, about 10 min of work)",
    ),
    "a kill while the next was saved": (cut_off(12, "model.safetensors"), 10, "checkpoint-12 was cut off while it was saved"),
    "a kill before the next was sealed": (lambda folder: write(folder, 12) and None, 10, "checkpoint-12 has no marker"),
    "a kill while an older one was deleted": (all_of(lost(5), copied(8, 4)), 10, ""),
    "a note beside it": (added(10, "notes.txt"), 10, ""),
}


@pytest.mark.parametrize("name", WITHOUT_A_STORE)
def test_without_a_copy_it_goes_on_at_the_one_before_and_says_what_that_costs(
    rig: Rig, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    harm, step, said = WITHOUT_A_STORE[name]
    machine = rig.machine()
    folder = trained(machine, kept=False)
    assert checkpoints.steps(folder) == [10, 8, 5]
    harm(folder)
    kept = read_tree(folder).values()
    assert resumed(folder) == step
    assert said in caplog.text
    assert set(kept) <= set(read_tree(folder).values()), "it was deleted"
    assert max(checkpoints.steps(folder), default=0) == step
    assert resumed(folder) == step
    assert caplog.text.count("Training ") == (1 if said else 0), "said once, and only where there is something to say"


def head_has_it_damaged(rig: Rig, machine: Machine, folder: Path) -> None:
    emptied(10, "scheduler.pt")(folder)
    assert machine.keep.backup("outputs/run", progress=11.0)


def payload_is_damaged(rig: Rig, machine: Machine, folder: Path) -> None:
    emptied(10, "scheduler.pt")(folder)
    newest = max(rig.payloads(), key=lambda p: p.stat().st_mtime_ns)
    newest.write_bytes(bytes(len(newest.read_bytes())))


def never_backed_up(rig: Rig, machine: Machine, folder: Path) -> None:
    save(folder, 12, 10)
    emptied(12, "scheduler.pt")(folder)


@pytest.mark.parametrize(
    ("harm", "step", "said"),
    [
        (head_has_it_damaged, 10, "checkpoint-10 is damaged (scheduler.pt is empty): fetched from the store"),
        (payload_is_damaged, 8, "and it could not be fetched ("),
        (
            never_backed_up,
            10,
            "checkpoint-12 is damaged (scheduler.pt is empty), and the store has none of it. Training",
        ),
    ],
)
def test_of_the_generations_the_newest_that_has_it_whole_is_taken(
    rig: Rig, caplog: pytest.LogCaptureFixture, harm: object, step: int, said: str
) -> None:
    machine = rig.machine()
    folder = trained(machine)
    assert callable(harm)
    harm(rig, machine, folder)
    assert resumed(folder, machine) == step
    assert said in caplog.text


@pytest.mark.parametrize(
    ("harm", "step"), [(emptied(10, "optimizer.pt"), 8), (all_of(*(emptied(s, "config.json") for s in (5, 8, 10))), None)]
)
def test_where_the_store_cannot_be_read_nothing_begins_from_the_beginning(rig: Rig, harm: Harm, step: int | None) -> None:
    broken = []

    def wrap(backend: Backend) -> Backend:
        def fault(operation: str, path: str) -> None:
            if broken and operation in ("list", "read", "check"):
                raise StoreUnreadable(5, "Input/output error", path)

        return Faulty(backend, fault)

    machine = rig.machine(wrap)
    folder = trained(machine)
    harm(folder)
    broken.append(True)
    if step is not None:
        assert resumed(folder, machine) == step
        return
    before = read_tree(folder)
    with pytest.raises(NotRestored, match="run again when the store can be read"):
        resumed(folder, machine)
    assert read_tree(folder) == before
    broken.clear()
    assert resumed(folder, machine) == 10


def test_what_was_dropped_to_begin_anew_is_not_fetched(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    machine = rig.machine()
    folder = trained(machine)
    assert machine.keep.drop("outputs/run")
    save(folder, 4, None)
    assert machine.keep.backup("outputs/run", progress=4.0)
    write(folder, 10)
    assert resumed(folder, machine) == 4
    assert "checkpoint-10 has no marker, and the store has none of it" in caplog.text


def test_the_two_newest_keep_their_best_at_every_step(tmp_path: Path) -> None:
    best = {4: None, 5: 5, 8: 5, 10: 10, 12: 10, 15: 15, 16: 15, 20: 15}
    left = {}
    for step, its_best in best.items():
        save(tmp_path, step, its_best)
        left[step] = checkpoints.steps(tmp_path)
        for each in left[step][:2]:
            assert best[each] in (None, *left[step])
    assert left[10] == [10, 8, 5]
    assert left[20] == [20, 16, 15]


@pytest.mark.parametrize("kept", ["model.safetensors", checkpoints.MARKER])
def test_a_kill_at_any_moment_of_a_deletion_costs_nothing(tmp_path: Path, kept: str) -> None:
    for step, best in ((5, 5), (8, 8), (10, 10)):
        save(tmp_path, step, best)
    half = write(tmp_path, 5)
    checkpoints.seal(half, step=5, best_step=5, over=False, made_from=MADE_FROM)
    for place in half.iterdir():
        if place.name != kept:
            place.unlink()
    assert resumed(tmp_path) == 10
    save(tmp_path, 12, 12)
    assert resumed(tmp_path) == 12
    emptied(12, "optimizer.pt")(tmp_path)
    assert resumed(tmp_path) == 10


@pytest.mark.parametrize(
    ("harm", "step"),
    [
        (all_of(emptied(20, "optimizer.pt"), gone(20, "rng_state.pth")), 20),
        (emptied(20, "model.safetensors"), 20),  # only the best ones are needed
        (emptied(15, "optimizer.pt"), 20),
        (truncated(15, "model.safetensors"), 18),
    ],
)
def test_of_a_training_that_is_over_only_the_weights_it_was_made_for_are_needed(tmp_path: Path, harm: Harm, step: int) -> None:
    save(tmp_path, 10, 10)
    save(tmp_path, 15, 15)
    save(tmp_path, 18, 10)  # as after other scores: it speaks of another best
    save(tmp_path, 20, 15, over=True)
    save(tmp_path, 10, 10) if not (tmp_path / "checkpoint-10").exists() else None
    harm(tmp_path)
    found = search(tmp_path, Copies(), print, Wanted(MADE_FROM.__eq__, finish=True))
    assert found.start is not None
    assert found.start.step == step


def test_best_weights_that_nobody_asked_for_need_not_be_there(tmp_path: Path) -> None:
    save(tmp_path, 5, 5)
    save(tmp_path, 8, 5)
    lost(5)(tmp_path)
    assert search(tmp_path, Copies(), print, Wanted(MADE_FROM.__eq__, best=False)).start is not None
    assert search(tmp_path, Copies(), print, Wanted(MADE_FROM.__eq__)).start is None


def test_a_checkpoint_of_other_settings_is_neither_taken_nor_deleted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path, 4, None)
    save(tmp_path, 8, None, made_from="other")
    before = read_tree(tmp_path)
    assert resumed(tmp_path) == 4
    assert "checkpoint-8 was saved by a training under other settings" in caplog.text
    assert sorted(read_tree(tmp_path).values()) == sorted(before.values())


def test_in_a_folder_of_our_own_only_what_a_kill_cut_off_is_deleted(tmp_path: Path) -> None:
    save(tmp_path, 4, None)
    cut_off(6, "model.safetensors")(tmp_path)
    wanted = Wanted(MADE_FROM.__eq__, own=True)
    clear_the_way(tmp_path, search(tmp_path, Copies(), print, wanted), Copies(), print, wanted)
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-4"]


def test_a_marker_is_not_trusted_with_paths(tmp_path: Path) -> None:
    place = save(tmp_path, 4, None) / checkpoints.MARKER
    marker = json.loads(place.read_text())
    marker["files"]["../../secret"] = {"size": 1, "blake3": "0"}
    place.write_text(json.dumps(marker))
    assert checkpoints.sealed(place.parent) is None


def test_a_marker_of_the_version_before_this_is_gone_on_with(tmp_path: Path) -> None:
    place = save(tmp_path, 4, None) / checkpoints.MARKER
    marker = json.loads(place.read_text())
    for name in ("total", "epochs", "seconds"):
        del marker[name]
    place.write_text(json.dumps(marker))
    assert resumed(tmp_path) == 4


def test_adapters_in_folders_of_their_own_are_sealed_too(tmp_path: Path) -> None:
    place = write(tmp_path, 4)
    (place / "second").mkdir()
    (place / "second" / "adapter_model.safetensors").write_bytes(b"weights")
    checkpoints.seal(place, step=4, best_step=None, over=False, made_from=MADE_FROM)
    assert resumed(tmp_path) == 4
    (place / "second" / "adapter_model.safetensors").write_bytes(b"weight")
    assert resumed(tmp_path) == 0


@pytest.fixture(autouse=True)
def all_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LINES)
