"""A PyTorch loop goes on bit for bit on a machine that was never used, whatever its loader and its parts are."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

from holdfast.errors import ConfigurationError, MadeOtherwise, UsageError, WrongOrder
from holdfast.integrations import checkpoints
from holdfast.integrations.loop import Training
from tests.integrations.looped import (
    LOADERS,
    WITH_WORKERS,
    Cut,
    Drawing,
    Placed,
    cut_off,
    fresh,
    learn,
    make,
    opened,
    same,
    stateful,
    table,
    weights,
)
from tests.support import Machine, Rig

# Of libraries, as they are without us: a call that PyTorch does not want any more, and a word on when a schedule is moved.
pytestmark = [
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    pytest.mark.filterwarnings("ignore:The epoch parameter"),
]

#: Those that each run looks at; the others are for the long one.
OFTEN = {
    "shuffle",
    "batch sampler that counts",
    "draws in getitem",
    "stateful, generator",
    "datasets, buffer",
    "two workers that last, counts",
}
SHUFFLE = LOADERS["shuffle"]


def loaders(found: dict[str, Callable[[], Any]]) -> list[Any]:
    return [pytest.param(made, id=name, marks=() if name in OFTEN else pytest.mark.torture) for name, made in found.items()]


def another(folder: Path) -> Rig:
    place = folder / "other"
    place.mkdir()
    return Rig(place)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


# -- the order ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loader", loaders(LOADERS))
def test_a_loop_that_is_cut_off_in_each_pass_ends_as_one_that_is_not(loader: Callable[[], Any], rig: Rig, tmp_path: Path) -> None:
    whole, seen = cut_off(fresh(another(tmp_path)), loader, [])
    made, again = cut_off(fresh(rig), loader, [3, 6, 9])
    assert again == seen
    assert same(weights(made), weights(whole))


@pytest.mark.parametrize("loader", loaders(WITH_WORKERS))
def test_so_does_one_whose_workers_load(loader: Callable[[], Any], rig: Rig, tmp_path: Path) -> None:
    whole, seen = cut_off(fresh(another(tmp_path)), loader, [])
    made, again = cut_off(fresh(rig), loader, [6, 9])
    assert again == seen
    assert same(weights(made), weights(whole))


@pytest.mark.torture
def test_the_order_is_the_same_where_workers_draw_at_random_though_what_they_draw_is_not(rig: Rig, tmp_path: Path) -> None:
    def loader() -> Any:
        return DataLoader(Drawing(), 4, shuffle=True, num_workers=2)

    _, seen = cut_off(fresh(another(tmp_path)), loader, [])
    _, again = cut_off(fresh(rig), loader, [6, 9])  # and the guard, which follows the numbers of the samples, does not stop it
    assert {step: ids[::2] for step, ids in again.items()} == {step: ids[::2] for step, ids in seen.items()}
    assert again != seen


@pytest.mark.torture
def test_the_number_of_workers_may_change_where_data_are_looked_up_by_number(rig: Rig, tmp_path: Path) -> None:
    whole, seen = cut_off(fresh(another(tmp_path)), SHUFFLE, [])
    machines, found = fresh(rig), dict(seen)
    for workers, until in ((0, 9), (1, None)):
        made = make(lambda n=workers: DataLoader(table(), 4, shuffle=True, num_workers=n))
        run = opened(next(machines), made).__enter__()
        try:
            learn(run, made, found, until=until)
            run.__exit__(None, None, None)
        except Cut:
            run._termination.leave()
    assert found == seen
    made["model"].eval()
    assert {k for k, v in weights(made).items() if v.shape != weights(whole)[k].shape} == set()


def test_each_pass_has_an_order_of_its_own_where_the_sampler_or_the_data_set_has_to_be_told_its_number(machine: Machine) -> None:
    def sampled() -> Any:
        return DataLoader(table(), 4, sampler=DistributedSampler(table(), 1, 0))

    for number, loader in enumerate((sampled, LOADERS["datasets, buffer"])):
        made, seen = make(loader), dict[int, list[float]]()
        with Training(f"outputs/run-{number}", machine.keep, epochs=3, every=None, **made) as run:
            learn(run, made, seen)
        orders = [[seen[step] for step in range(first, first + 6)] for first in (1, 7, 13)]
        assert orders[0] != orders[1] != orders[2] != orders[0]


@pytest.mark.parametrize("seed", range(200))
@pytest.mark.torture
def test_the_guard_never_stops_a_run_wherever_it_was_cut_off(seed: int, rig: Rig) -> None:
    import random

    draw = random.Random(seed)
    name = draw.choice(sorted(LOADERS))
    cuts = sorted(draw.sample(range(1, 15), 3))
    _, seen = cut_off(fresh(rig), LOADERS[name], cuts, steps=draw.choice([1, 2, 3, None]))
    assert seen


def test_accumulated_gradients_are_kept_between_two_steps(rig: Rig, tmp_path: Path) -> None:
    def loader() -> Any:
        return DataLoader(
            TensorDataset(torch.arange(40).float().reshape(20, 2)), 4, shuffle=True
        )  # 5 batches: the last one is alone

    whole, seen = cut_off(fresh(another(tmp_path)), loader, [], steps=1, accumulate=2)
    made, again = cut_off(fresh(rig), loader, [3, 5, 7, 11], steps=1, accumulate=2)
    assert again == seen
    assert same(weights(made), weights(whole))


def test_a_checkpoint_is_asked_for_by_time_by_number_at_once_and_saved_at_the_end_of_each_pass(machine: Machine) -> None:
    made = make(SHUFFLE)
    with opened(machine.keep, made, steps=4, epochs=2) as run:
        saved = []
        for _ in run:
            if run.step == 2:
                run.save()
            saved.append(max(checkpoints.steps(machine.outputs / "run"), default=0))
    assert saved == [0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 8, 8]
    assert checkpoints.steps(machine.outputs / "run") == [12, 8]
    assert (run.epoch, run.step, run.over) == (2, 12, True)


# -- the end -----------------------------------------------------------------------------------------------------------------


def test_a_training_that_is_over_gives_no_batch_and_leaves_everything_as_it_ended(rig: Rig) -> None:
    made, _ = cut_off(fresh(rig), SHUFFLE, [])
    again = make(SHUFFLE)
    with opened(rig.machine().keep, again) as run:
        assert list(run) == []
        assert run.over
        assert len(run.notes["rates"]) == 3
        at_last = torch.get_rng_state()
    assert same(weights(again), weights(made))
    with opened(rig.machine().keep, make(SHUFFLE)):
        assert torch.equal(torch.get_rng_state(), at_last)


def test_a_training_that_was_stopped_early_stays_so_also_where_more_epochs_are_asked_for(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    made = make(SHUFFLE)
    with opened(rig.machine().keep, made) as run:
        for _ in run:
            assert run.last_of_epoch == (run.step % 6 == 0)
            if run.step == 8:
                run.stop()
    assert run.step == 8
    again = make(SHUFFLE)
    with opened(rig.machine().keep, again, epochs=9) as run:
        assert list(run) == []
    assert same(weights(again), weights(made))
    assert "it was stopped in epoch 1 of 3, and stays so" in caplog.text


def test_more_epochs_go_on_where_the_end_was_as_if_they_had_been_asked_for_at_once(
    rig: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    whole, seen = cut_off(fresh(another(tmp_path)), SHUFFLE, [], epochs=4)
    first, drawn = cut_off(fresh(rig), SHUFFLE, [], epochs=2)
    made = make(SHUFFLE)
    with opened(rig.machine().keep, made, epochs=4) as run:
        learn(run, made, drawn)
    assert drawn == seen
    assert same(weights(made), weights(whole))
    assert not same(weights(made), weights(first))
    assert "was over after 2 epochs, and goes on to 4" in caplog.text
    with opened(rig.machine().keep, make(SHUFFLE), epochs=1) as run:
        assert list(run) == []
    assert "was trained for 4 epochs, and 1 are asked for" in caplog.text


def test_a_block_that_is_left_before_its_end_says_where_the_next_one_goes_on(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(machine.keep, make(SHUFFLE)) as run:
        for _ in run:
            if run.step == 3:
                break
    assert "left after step 3 before its end; the next start goes on from its newest checkpoint, at step 2" in caplog.text
    with pytest.raises(UsageError, match="inside of its `with` block only"):
        list(run)


# -- what is held against what was before ------------------------------------------------------------------------------------


def begun(machine: Machine, **options: Any) -> None:
    made = make(SHUFFLE)
    run = opened(machine.keep, made, **options).__enter__()
    with pytest.raises(Cut):
        learn(run, made, {}, until=3)
    run._termination.leave()


def otherwise(change: str) -> dict[str, Any]:
    made = make(SHUFFLE)
    if change == "model":
        made["model"] = nn.Linear(2, 1)
        made["optimizer"] = torch.optim.AdamW(made["model"].parameters(), 0.05)
        del made["scheduler"]
    elif change == "rate":
        made["optimizer"] = torch.optim.AdamW(made["model"].parameters(), 0.01)
        made["scheduler"] = torch.optim.lr_scheduler.CosineAnnealingLR(made["optimizer"], 9)
    elif change == "schedule":
        made["scheduler"] = torch.optim.lr_scheduler.CosineAnnealingLR(made["optimizer"], 9)
    elif change == "batch":
        made["loader"] = DataLoader(table(), 2, shuffle=True)
    elif change == "data":
        made["loader"] = DataLoader(TensorDataset(torch.zeros(30, 2)), 4, shuffle=True)
    return made


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("model", "model.parameters"),
        ("rate", "optimizer.groups.0."),
        ("schedule", "scheduler.begins"),
        ("batch", "loader.batch_size: 4 then, 2 now"),
        ("data", "loader.samples: 22 then, 30 now"),
    ],
)
def test_another_model_or_setting_is_named_before_anything_is_loaded(change: str, said: str, machine: Machine) -> None:
    begun(machine)
    made = otherwise(change)
    before = weights(made)
    with pytest.raises(MadeOtherwise, match=said), opened(machine.keep, made):
        pass
    assert same(weights(made), before)


def test_another_shuffle_is_stopped_before_it_is_trained_on(machine: Machine) -> None:
    def loader(seed: int) -> Callable[[], Any]:
        return lambda: DataLoader(table(), 4, sampler=torch.randperm(22, generator=torch.Generator().manual_seed(seed)).tolist())

    made = make(loader(1))
    run = opened(machine.keep, made).__enter__()
    with pytest.raises(Cut):
        learn(run, made, {}, until=3)
    run._termination.leave()
    made, seen = make(loader(2)), dict[int, list[float]]()
    with pytest.raises(WrongOrder, match="batch 3 is not the one"), opened(machine.keep, made) as run:
        learn(run, made, seen)
    assert seen == {}


def test_the_place_of_a_loader_with_other_workers_is_refused_in_one_line_that_says_something(machine: Machine) -> None:
    made = make(lambda: stateful(Placed(), 4, num_workers=2))
    run = opened(machine.keep, made).__enter__()
    with pytest.raises(Cut):
        learn(run, made, {}, until=3)
    run._termination.leave()
    made = make(lambda: stateful(Placed(), 4, num_workers=1))
    with pytest.raises(MadeOtherwise, match=r"does not take the place that it was at \(\w+"), opened(machine.keep, made) as run:
        next(iter(run))


def test_what_cannot_be_kept_is_refused_by_name(machine: Machine) -> None:
    made = make(SHUFFLE)
    with pytest.raises(ConfigurationError, match="nothing is to be kept"):
        Training("outputs/run", machine.keep, loader=made["loader"], epochs=1)
    with pytest.raises(ConfigurationError, match=r"ema= \(object\) has no state_dict"):
        opened(machine.keep, made, ema=object())
    for epochs in (0, "3", 2.5, True, None):
        with pytest.raises(ConfigurationError, match=f"outputs/run: epochs={epochs!r}: should be a whole number, at least 1"):
            opened(machine.keep, made, epochs=epochs)
    with pytest.raises(ConfigurationError, match="steps='5min': should be a whole number, at least 1"):
        opened(machine.keep, made, steps="5min")
    with pytest.raises(ConfigurationError, match="gives its batches only once"), opened(machine.keep, {**made, "loader": iter([])}):
        pass
    with (
        pytest.raises(ConfigurationError, match="in_order=False"),
        opened(machine.keep, {**made, "loader": DataLoader(table(), 4, num_workers=2, in_order=False)}),
    ):
        pass
    with pytest.raises(ConfigurationError, match="gave no batch"), opened(machine.keep, {**made, "loader": []}) as run:
        list(run)

    class Odd:
        def state_dict(self) -> dict[str, Any]:
            return {"place": Path()}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            raise AssertionError

    with pytest.raises(ConfigurationError, match="odd=: its state holds a"):
        opened(machine.keep, made, odd=Odd())
    without = {name: part for name, part in make(SHUFFLE).items() if name != "scheduler"}
    with pytest.raises(ConfigurationError, match="has a schedule that was not handed in"), opened(machine.keep, without) as run:
        next(iter(run))
    with opened(machine.keep, make(LOADERS["stream"])) as run, pytest.raises(UsageError, match="the loader has no length"):
        assert [run.last_of_epoch for _ in run]
    (machine.outputs / "run" / "checkpoint-90").mkdir(parents=True)
    (machine.outputs / "run" / "checkpoint-90" / "model.bin").write_bytes(b"1")
    checkpoints.seal(machine.outputs / "run" / "checkpoint-90", step=90, best_step=None, over=False, made_from="")
    with pytest.raises(MadeOtherwise, match=r"was not saved by keep\.training"), opened(machine.keep, make(SHUFFLE)):
        pass


# -- parts -------------------------------------------------------------------------------------------------------------------


def averaged(decay: float = 0.9) -> dict[str, Any]:
    made = make(SHUFFLE)
    made["ema"] = AveragedModel(made["model"], multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    made["scaler"] = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=3)
    return made


def step_with_all(run: Training, made: dict[str, Any], until: int | None = None) -> None:
    model, optimizer, scaler = made["model"], made["optimizer"], made["scaler"]
    for (x,) in run:
        if until is not None and run.step > until:
            raise Cut
        model.train()
        optimizer.zero_grad()
        scaler.scale((model(x / 10) - 1).square().mean()).backward()
        scaler.step(optimizer)
        scaler.update()
        made["scheduler"].step()
        made["ema"].update_parameters(model)
        if run.last_of_epoch:
            model.eval()
            run.notes[f"epoch {run.epoch}"] = model(torch.ones(1, 2)).item()
            torch.rand(3)  # as an evaluation may


def test_schedules_averages_and_scalers_go_on(rig: Rig) -> None:
    whole = averaged()
    with opened(rig.machine().keep, whole, steps=1) as run:
        step_with_all(run, whole)
        notes = dict(run.notes)
    there = another(rig.folder)
    for until in (4, 6, 11, None):
        made = averaged()
        run = opened(there.machine().keep, made, steps=1).__enter__()
        try:
            step_with_all(run, made, until)
        except Cut:
            run._termination.leave()
    assert run.notes == notes
    assert same(weights(made), weights(whole))
    assert same(made["ema"].state_dict(), whole["ema"].state_dict())
    assert made["scaler"].state_dict() == whole["scaler"].state_dict()
    assert made["scheduler"].state_dict() == whole["scheduler"].state_dict()
    assert whole["scaler"].get_scale() > 8
    assert not made["model"].training


def accelerated() -> dict[str, Any]:
    """Prepared by accelerate. A pass has five batches, the last of them partial, and two are accumulated."""
    from accelerate import Accelerator
    from accelerate.state import GradientState

    GradientState._reset_state()
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.3), nn.Linear(3, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    loader = DataLoader(table(), batch_size=5, shuffle=True)
    model, optimizer, scheduler, loader = accelerator.prepare(model, optimizer, scheduler, loader)
    return {"accelerator": accelerator, "model": model, "optimizer": optimizer, "scheduler": scheduler, "loader": loader}


def step_accelerated(run: Training, made: dict[str, Any], until: int | None = None) -> list[list[float]]:
    seen = []
    for (x,) in run:
        if run.step == until:
            raise Cut
        seen.append(x[:, 0].tolist())
        with made["accelerator"].accumulate(made["model"]):
            made["accelerator"].backward((made["model"](x / 10) - 1).square().mean())
            made["optimizer"].step()
            made["scheduler"].step()
            made["optimizer"].zero_grad()
    return seen


def test_what_accelerate_prepared_goes_on_with_its_order_and_amid_an_accumulation(rig: Rig) -> None:
    whole = accelerated()
    with Training("outputs/run", rig.machine().keep, epochs=3, steps=1, every=None, **whole) as run:
        seen = step_accelerated(run, whole)
    there = another(rig.folder)
    for until in (3, 5, 8, 12, None):
        made = accelerated()
        run = Training("outputs/run", there.machine().keep, epochs=3, steps=1, every=None, **made).__enter__()
        try:
            last = step_accelerated(run, made, until)
        except Cut:
            run._termination.leave()
    run.__exit__(None, None, None)
    assert last == seen[-len(last) :]
    assert len(last) < 6
    assert same(weights(made), weights(whole))
    assert made["scheduler"].state_dict() == whole["scheduler"].state_dict()


def test_an_accumulation_that_accelerate_counts_is_kept_with_it_or_refused(machine: Machine) -> None:
    made = accelerated()
    with pytest.raises(ConfigurationError, match=r"accelerate counts the batches of an accumulation, .* give accelerator="):
        Training("outputs/run", machine.keep, epochs=3, **{k: v for k, v in made.items() if k != "accelerator"})
    assert Training("outputs/run", machine.keep, epochs=3, **made)


def test_another_average_or_scaler_is_named(machine: Machine) -> None:
    made = averaged()
    with opened(machine.keep, made, epochs=1) as run:
        step_with_all(run, made)
    with (
        pytest.raises(MadeOtherwise, match=r"ema.multi_avg_fn: .*\(0.9\).* then, .*\(0.5\).* now"),
        opened(machine.keep, averaged(0.5)),
    ):
        pass
    plain = averaged()
    plain["ema"] = AveragedModel(plain["model"])
    with pytest.raises(MadeOtherwise, match=r"ema\.(avg_fn|multi_avg_fn|use_buffers)"), opened(machine.keep, plain):
        pass
    off = {**averaged(), "scaler": torch.amp.GradScaler("cpu", enabled=False)}
    with pytest.raises(MadeOtherwise, match="scaler"), opened(machine.keep, off):
        pass


def test_a_compiled_model_takes_the_checkpoint_of_a_plain_one_and_the_other_way(machine: Machine) -> None:
    made = make(SHUFFLE)
    with opened(machine.keep, made) as run:
        learn(run, made, {})
    again = make(SHUFFLE)
    plain, again["model"] = again["model"], torch.compile(again["model"], backend="eager")
    with opened(machine.keep, again):
        assert same(plain.state_dict(), weights(made))
    inside = make(SHUFFLE)
    inside["model"][0] = torch.compile(inside["model"][0], backend="eager")  # a part of it alone
    with opened(machine.keep, inside):
        assert all(
            torch.equal(one, other) for one, other in zip(inside["model"].parameters(), made["model"].parameters(), strict=True)
        )


def test_what_is_frozen_and_what_is_evaluated_stays_so(machine: Machine) -> None:
    made = make(SHUFFLE)
    with opened(machine.keep, made, epochs=1) as run:
        for _ in run:
            made["model"][0].requires_grad_(False)
            made["model"][2].eval()
    again = make(SHUFFLE)
    with opened(machine.keep, again, epochs=1):
        assert [p.requires_grad for p in again["model"].parameters()] == [False, False, True, True, True, True]
        assert [m.training for m in again["model"]] == [True, True, False, True]


# -- processes ---------------------------------------------------------------------------------------------------------------

SCRIPT = """
import os, signal, sys, time
import torch, holdfast
from tests.integrations.looped import LOADERS, learn, make

keep = holdfast.attach(quiet=True)
made = make(LOADERS["shuffle"])
with keep.training("outputs/run", epochs=3, steps=2, **made) as run:
    for (x,) in run:
        if os.environ.get("STOP_AT") == str(run.step):
            keep.flush()  # steps of a millisecond are faster than what is sent in the background
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))
        made["optimizer"].zero_grad()
        (made["model"](x / 10) - 1).square().mean().backward()
        made["optimizer"].step()
        print(run.step, file=open("steps", "a"))
"""


def start(project: Path, drive: Path, **environment: str) -> int:
    project = project / "proj"  # a store goes by the name of its project's folder
    project.mkdir(parents=True, exist_ok=True)
    drive.mkdir(parents=True, exist_ok=True)
    (project / "train.py").write_text(SCRIPT)
    here = str(Path(__file__).parents[2])
    told = {**os.environ, "PYTHONPATH": f"{here}/src:{here}", "HOLDFAST_DRIVE": str(drive), **environment}
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=project, env=told, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode > 0:
        raise AssertionError(done.stderr)
    return done.returncode


def forked(machine: Machine, step: int, number: int) -> int:
    """Train in a process of its own that ends itself in the body of a step. Gives how it ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        torch.set_num_threads(1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        made = make(SHUFFLE)
        with opened(machine.keep, made) as run:
            for (x,) in run:
                if run.step == step:
                    os.kill(os.getpid(), number)
                one_step(made, x)
    finally:
        os._exit(1)


def one_step(made: dict[str, Any], x: torch.Tensor) -> None:
    made["optimizer"].zero_grad()
    (made["model"](x / 10) - 1).square().mean().backward()
    made["optimizer"].step()


def test_a_process_that_is_killed_goes_on_on_a_fresh_machine_and_one_that_is_told_to_end_saves_before(rig: Rig) -> None:
    there = another(rig.folder)
    assert forked(there.machine(), 9, signal.SIGKILL) == -signal.SIGKILL
    told = there.machine()
    assert forked(told, 13, signal.SIGTERM) == -signal.SIGTERM
    assert max(checkpoints.steps(told.outputs / "run")) == 13  # the step under way was done and saved
    ends: list[dict[str, Any]] = []
    for machine, first in ((there.machine(), 14), (rig.machine(), 1)):
        made = make(SHUFFLE)
        with opened(machine.keep, made) as run:
            steps = []
            for (x,) in run:
                steps.append(run.step)
                one_step(made, x)
        assert steps == list(range(first, 19))
        ends.append(weights(made))
    assert same(*ends)


def test_a_handler_that_was_there_is_called_after_the_step_was_saved_and_may_let_it_live(machine: Machine) -> None:
    called = []
    signal.signal(signal.SIGTERM, lambda number, frame: called.append(max(checkpoints.steps(machine.outputs / "run"))))
    with opened(machine.keep, make(SHUFFLE), steps=None) as run:
        for _ in run:
            if run.step == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            assert called == ([3] if run.step > 3 else [])


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(50))
def test_killed_at_any_instant_a_script_goes_back_no_further_than_its_newest_checkpoint(seed: int, tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    assert start(tmp_path / "a", drive, STOP_AT=str(seed % 18 + 1), SIGNAL=str(int(signal.SIGKILL))) == -signal.SIGKILL
    assert start(tmp_path / "b", drive) == 0
    said = [int(line) for line in (tmp_path / "b" / "proj" / "steps").read_text().split()]
    newest = max(seed % 18 // 2 * 2, seed % 18 // 6 * 6)  # saved every two steps and at the end of each pass
    assert said == list(range(newest + 1, 19))


RANKS = """
import os, signal, sys
import torch, holdfast
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler
from tests.integrations.looped import make, table

distributed.init_process_group("gloo")
rank = distributed.get_rank()
keep = holdfast.attach(quiet=True)
made = make(lambda: DataLoader(table(), 4, sampler=DistributedSampler(table(), seed=4)))
began = 0
torch.manual_seed(rank)  # each with its own dropout
model = DistributedDataParallel(made["model"])
with keep.training("outputs/run", epochs=3, steps=2, **{**made, "model": model}) as run:
    for (x,) in run:
        began = began or run.step
        if os.environ.get("STOP_AT") == str(run.step):
            keep.flush()
            distributed.barrier()
            os.kill(os.getpid(), signal.SIGKILL)
        made["optimizer"].zero_grad()
        (model(x / 10) - 1).square().mean().backward()
        made["optimizer"].step()
torch.save([made["model"].state_dict(), torch.get_rng_state(), began], f"rank-{rank}.pt")
distributed.destroy_process_group()
"""


def two_ranks(project: Path, drive: Path, **environment: str) -> list[int]:
    project = project / "proj"
    project.mkdir(parents=True)
    drive.mkdir(exist_ok=True)
    (project / "train.py").write_text(RANKS)
    here = str(Path(__file__).parents[2])
    told = {**os.environ, "PYTHONPATH": f"{here}/src:{here}", "HOLDFAST_DRIVE": str(drive), "OMP_NUM_THREADS": "1", **environment}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    both = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    children = [
        subprocess.Popen(
            [sys.executable, "train.py"], cwd=project, env={**told, **both, "RANK": str(rank)}, stderr=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    said = [child.communicate(timeout=300)[1] for child in children]
    if not environment:
        assert [child.returncode for child in children] == [0, 0], said
    return [child.returncode for child in children]


@pytest.mark.torture
def test_two_ranks_go_on_each_with_its_own_random_states_and_place(tmp_path: Path) -> None:
    two_ranks(tmp_path / "whole", tmp_path / "drive-1")
    assert two_ranks(tmp_path / "a", tmp_path / "drive-2", STOP_AT="6") == [-signal.SIGKILL] * 2
    two_ranks(tmp_path / "b", tmp_path / "drive-2")
    for rank in range(2):
        whole, again = (torch.load(tmp_path / name / "proj" / f"rank-{rank}.pt", weights_only=True) for name in ("whole", "b"))
        assert same(whole[0], again[0])
        assert torch.equal(whole[1], again[1])
        assert (whole[2], again[2]) == (1, 5)
    saved = sorted((tmp_path / "b" / "proj" / "outputs" / "run").glob("checkpoint-*/rank-1.pt"))
    assert len(saved) == 2
