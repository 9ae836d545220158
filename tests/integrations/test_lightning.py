"""`holdfast.lightning.Keep`: cut off at a step and gone on with on a fresh machine, a fit comes to the same, bit for bit."""

from __future__ import annotations

import logging
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from holdfast.errors import ConfigurationError, HoldfastError, MadeOtherwise, UsageError, WrongOrder
from holdfast.integrations import checkpoints
from holdfast.integrations.kept import newest
from holdfast.lightning import Keep
from tests.integrations.lightning_cases import CASES, MANY, RUN, WORKERS, Model, Outcome, Rows, quiet, shuffled, train
from tests.integrations.lightning_names import tiny
from tests.support import Machine, Rig

ALL = {**CASES, **WORKERS}
FIRST = "shuffled"


def same(one: Outcome, other: Outcome) -> bool:
    return all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outcome]:
    known: dict[str, Outcome] = {}

    def find(name: str) -> Outcome:
        if name not in known:
            known[name] = train(Rig(tmp_path_factory.mktemp("whole")).machine(), ALL[name])
        return known[name]

    return find


def goes_on(rig: Rig, name: str, whole: Outcome, *until: int) -> Outcome:
    """Cut off at these steps, each time on a fresh machine. What the last one came to is what the whole one came to."""
    for step in until:
        train(rig.machine(), ALL[name], step)
    last = train(rig.machine(), ALL[name])
    assert same(last, whole)
    assert last.seen == whole.seen[len(whole.seen) - len(last.seen) :]
    assert (last.reached, last.metrics) == (whole.reached, whole.metrics)
    return last


@pytest.mark.parametrize("name", MANY)
def test_a_training_that_was_cut_off_comes_to_the_same_weights_by_the_same_samples(
    name: str, rig: Rig, uninterrupted: Callable[[str], Outcome]
) -> None:
    """In its second half; where a pass has six batches, right after it or inside of it."""
    whole = uninterrupted(name)
    middle = whole.reached // 2 + 2
    last = goes_on(rig, name, whole, middle)
    assert middle - 3 <= last.started < middle
    again = train(rig.machine(), ALL[name])
    assert again.seen == [], "it is over"
    assert same(again, whole)


@pytest.mark.parametrize(
    ("name", "until"),
    [
        ("drawn with a sample", 7),  # at the end of a pass
        ("drawn with a sample", 14),
        ("shuffled", 18),  # what was logged in the last pass is a mean over all of it
        ("stopped by a validation of the pass before", 14),  # what was measured then is not measured again
    ],
)
def test_it_goes_on_from_the_end_of_a_pass_and_from_inside_one(
    name: str, until: int, rig: Rig, uninterrupted: Callable[[str], Outcome]
) -> None:
    goes_on(rig, name, uninterrupted(name), until)


@pytest.mark.torture
@pytest.mark.parametrize("name", ALL)
def test_each_case_comes_to_the_same_wherever_it_is_cut_off(
    name: str, tmp_path: Path, uninterrupted: Callable[[str], Outcome]
) -> None:
    whole, draw = uninterrupted(name), random.Random(name)
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        rig = Rig(tmp_path / str(number))
        first = draw.randint(2, whole.reached)
        goes_on(rig, name, whole, first, draw.randint(first, whole.reached))
        again = train(rig.machine(), ALL[name])
        assert again.seen == []
        assert same(again, whole)


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(10))
def test_a_correct_run_is_never_stopped_and_goes_back_by_the_interval_at_most(
    seed: int, tmp_path: Path, uninterrupted: Callable[[str], Outcome]
) -> None:
    """20 kill points each."""
    draw = random.Random(seed)
    name = draw.choice(list(CASES))
    whole = uninterrupted(name)
    for number in range(5):
        (tmp_path / str(number)).mkdir()
        rig, reached = Rig(tmp_path / str(number)), 0
        for _ in range(4):
            before, reached = reached, draw.randint(max(reached, 1), whole.reached)
            assert train(rig.machine(), ALL[name], reached).started >= before - 3, "two steps between checkpoints, three at most"
        goes_on(rig, name, whole)


def killed(rig: Rig, name: str, at: int) -> None:
    """A process that is killed by the system when it is about to train this step; then its machine is gone."""
    words = [sys.executable, "-m", "tests.integrations.lightning_cases", str(rig.folder / "gone"), str(rig.drive), name]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for step in process.stdout:
            if int(step) == at:
                process.kill()
                break
            process.stdin.write("\n")
            process.stdin.flush()
    shutil.rmtree(rig.folder / "gone")


@pytest.mark.torture  # tests/drill kills an example in every run
def test_killed_by_the_system_on_a_machine_that_is_gone_it_goes_on_by_the_interval_at_most(
    rig: Rig, uninterrupted: Callable[[str], Outcome]
) -> None:
    killed(rig, FIRST, 10)
    assert goes_on(rig, FIRST, uninterrupted(FIRST)).started == 8


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(5))
def test_ten_kills_by_the_system_never_go_back_to_the_beginning(
    seed: int, rig: Rig, uninterrupted: Callable[[str], Outcome]
) -> None:
    draw, at = random.Random(seed), 3
    for _ in range(10):
        killed(rig, FIRST, at)
        found = newest(rig.machine().keep, RUN)
        assert found is not None
        assert at - 3 <= found.step < at, "two steps between checkpoints, three at most"
        at = min(max(at, 3) + draw.randint(0, 3), 18)
    goes_on(rig, FIRST, uninterrupted(FIRST))


@pytest.mark.parametrize("name", [FIRST, "accumulated, with a partial last batch"])
def test_a_sigterm_saves_at_the_end_of_the_batch_and_then_ends_the_process(
    name: str, rig: Rig, uninterrupted: Callable[[str], Outcome]
) -> None:
    batches = 0

    def terminate(step: int) -> None:
        nonlocal batches
        batches += 1
        if batches == 9:
            signal.raise_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with pytest.raises(SystemExit):
            train(rig.machine(), ALL[name], tell=terminate)
    finally:
        signal.signal(signal.SIGTERM, before)
    whole = uninterrupted(name)
    last = goes_on(rig, name, whole)
    assert len(whole.seen) - len(last.seen) == 9, "the batch under way was done, none more"


# -- what is not the checkpoint's ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Rig]:
    """A rig with a training that was cut off at step 10; each gets a copy."""
    made = Rig(tmp_path_factory.mktemp("cut"))
    train(made.machine(), ALL[FIRST], 10)

    def copy(place: Path) -> Rig:
        (place / "rig").mkdir()
        rig = Rig(place / "rig")
        shutil.copytree(made.drive, rig.drive, dirs_exist_ok=True)
        return rig

    return copy


OTHERWISE: dict[str, tuple[dict[str, Any], type[HoldfastError], str]] = {
    "model": ({"model": {"width": 9}}, MadeOtherwise, "width: 8 then, 9 now"),
    "rate": ({"model": {"lr": 0.1}}, MadeOtherwise, "lr: 0.05 then, 0.1 now"),
    "batch size": (
        {"loader": lambda: DataLoader(Rows(), batch_size=5, shuffle=True)},
        MadeOtherwise,
        "batch_size",
    ),
    "data": ({"loader": lambda: shuffled(rows=Rows(60))}, MadeOtherwise, "batches: 6 then, 15 now"),
    "accumulation": ({"options": {"accumulate_grad_batches": 2}}, MadeOtherwise, "accumulate_grad_batches: 1 then, 2 now"),
    "precision": ({"options": {"precision": "bf16-mixed"}}, MadeOtherwise, "precision"),
    "no checkpoint given": ({"ckpt_path": None}, ConfigurationError, "begin anew beside it"),
    "another path": ({"path": "outputs/other"}, ConfigurationError, "is no checkpoint of it"),
    "data that grew": ({"loader": lambda: shuffled(rows=Rows(24))}, WrongOrder, "batch 9 is not the one"),
    "another order": ({"loader": lambda: DataLoader(Rows(), batch_size=4)}, WrongOrder, "batch 9 is not the one"),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_is_not_the_checkpoints_is_refused_in_one_line_before_a_batch(
    name: str, cut_off: Callable[[Path], Rig], tmp_path: Path
) -> None:
    asked, kind, line = OTHERWISE[name]
    module = Model(**asked.pop("model")) if "model" in asked else Model()
    with pytest.raises(kind, match=line) as caught:
        train(cut_off(tmp_path).machine(), ALL[FIRST], module=module, **asked)
    assert "\n" not in str(caught.value)
    assert module.seen == []


def test_a_training_that_was_refused_goes_on_once_that_is_set_back(
    cut_off: Callable[[Path], Rig], tmp_path: Path, uninterrupted: Callable[[str], Outcome]
) -> None:
    rig = cut_off(tmp_path)
    with pytest.raises(ConfigurationError, match="begin anew beside it"):
        train(rig.machine(), ALL[FIRST], ckpt_path=None)
    goes_on(rig, FIRST, uninterrupted(FIRST))


def test_what_changes_no_weight_is_not_refused(
    cut_off: Callable[[Path], Rig], tmp_path: Path, uninterrupted: Callable[[str], Outcome]
) -> None:
    more = {"options": {"log_every_n_steps": 1, "enable_model_summary": True}}
    assert same(train(cut_off(tmp_path).machine(), ALL[FIRST], **more), uninterrupted(FIRST))


@pytest.mark.parametrize("end", [{}, {"max_steps": 18, "max_epochs": -1}])
def test_a_longer_run_goes_on_from_the_end_of_a_shorter_one(end: dict[str, Any], rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = train(Rig(tmp_path / "whole").machine(), ALL[FIRST], options={"max_epochs": 5})
    train(rig.machine(), ALL[FIRST], options=end)
    last = train(rig.machine(), ALL[FIRST], options={"max_epochs": 5})
    assert last.started == 18
    assert same(last, whole)


def test_a_longer_run_from_amid_an_epoch_is_said_to_be_another(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    train(rig.machine(), ALL["ended by steps"])
    with caplog.at_level(logging.WARNING, logger="holdfast"):
        last = train(rig.machine(), ALL["ended by steps"], options={"max_steps": 15})
    assert (last.started, last.reached) == (9, 15)
    assert "goes on with the next one" in caplog.text


# -- the library's two names, and its own checkpoints -------------------------------------------------------------------------


def test_the_trainer_adds_no_checkpoints_of_its_own_and_leaves_yours(rig: Rig) -> None:
    machine = rig.machine()
    with quiet():
        alone = pl.Trainer(callbacks=[Keep(RUN, machine.keep)], logger=False, accelerator="cpu")
        assert not any(isinstance(one, ModelCheckpoint) for one in alone.callbacks)
    yours = ModelCheckpoint(machine.root / "mine", monitor="train", save_top_k=1)
    train(machine, ALL[FIRST], callbacks=[yours])
    assert Path(yours.best_model_path).is_file()


@pytest.mark.parametrize("name", ["lightning.pytorch", "pytorch_lightning"])
def test_it_works_under_each_name_of_the_library(name: str, rig: Rig) -> None:
    assert len(tiny(name, rig.machine(), 8)) == 7
    assert tiny(name, rig.machine())[0] == 7
    assert tiny(name, rig.machine()) == []


@pytest.mark.torture
@pytest.mark.parametrize("name", ["lightning.pytorch", "pytorch_lightning"])
def test_it_does_so_where_the_other_name_is_not_loaded(name: str, rig: Rig) -> None:
    told = []
    for until in ("8", "0"):
        root = rig.folder / f"machine-of-its-own-{until}"
        words = [sys.executable, "-m", "tests.integrations.lightning_names", name, str(root), str(rig.drive), until]
        done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=240)
        told.append(done.stdout.strip().splitlines()[-1])
    assert told == ["7 batches from 1", "12 batches from 7"]


def test_a_trial_run_of_the_library_leaves_nothing(machine: Machine) -> None:
    train(machine, ALL[FIRST], options={"fast_dev_run": True})
    assert checkpoints.steps(machine.root / RUN) == []


def test_several_processes_are_refused_by_name(machine: Machine) -> None:
    class Two:
        fast_dev_run, world_size = False, 2

    with pytest.raises(ConfigurationError, match="2 processes train"):
        Keep(RUN, machine.keep).setup(Two(), None, "fit")


def test_without_a_keeper_it_says_what_to_call() -> None:
    with pytest.raises(UsageError, match=r"holdfast\.attach"):
        Keep(RUN)


def test_the_sealed_checkpoint_is_a_file_of_the_library(rig: Rig) -> None:
    machine = rig.machine()
    train(machine, ALL[FIRST], 8)
    found = newest(machine.keep, RUN)
    assert found is not None
    assert found.place.name == "lightning.ckpt"
    assert torch.load(found.place, weights_only=True)["global_step"] == found.step
