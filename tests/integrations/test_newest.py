"""What picks the newest checkpoint by the time of a file picks the same one before and after a restore."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers.trainer_utils import rotate_checkpoints, sort_checkpoints

from holdfast.store.reporting.outcomes import Outcome
from tests.support import Rig

HOUR_NS = 3_600_000_000_000
BEGAN_NS = 1_700_000_000_123_456_789


def aged(place: Path, hours: int) -> None:
    """Hours after the beginning, to the nanosecond."""
    os.utime(place, ns=(BEGAN_NS + hours * HOUR_NS, BEGAN_NS + hours * HOUR_NS))


def lightning_last(folder: Path) -> str:
    """What `ckpt_path="last"` is for Lightning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lightning.pytorch import LightningModule, Trainer
        from lightning.pytorch.callbacks import ModelCheckpoint
        from lightning.pytorch.trainer.states import TrainerFn

        class Model(LightningModule):
            def __init__(self) -> None:
                super().__init__()
                self.layer = torch.nn.Linear(1, 1)

        keep = ModelCheckpoint(dirpath=folder, save_last=True)
        trainer = Trainer(callbacks=[keep], logger=False, accelerator="cpu", enable_progress_bar=False, enable_model_summary=False)
        trainer.strategy.connect(Model())
        chosen = trainer._checkpoint_connector._select_ckpt_path(TrainerFn.FITTING, "last", True, True)
    assert chosen is not None
    return Path(chosen).name


def newest_file(folder: Path) -> str:
    return max(folder.glob("*.ckpt"), key=os.path.getmtime).name


def trainer_order(folder: Path) -> list[str]:
    return [Path(p).name for p in sort_checkpoints(str(folder), use_mtime=True)]


def left_by_rotation(folder: Path) -> set[str]:
    """What the Trainer leaves of it when it keeps two."""
    rotate_checkpoints(str(folder), save_total_limit=2, use_mtime=True)
    return {p.name for p in folder.glob("checkpoint-*")}


@pytest.mark.parametrize("choose", [lightning_last, newest_file, trainer_order, left_by_rotation])
def test_the_same_checkpoint_is_chosen_before_and_after_a_restore(rig: Rig, choose: Callable[[Path], object]) -> None:
    machine = rig.machine()
    run = machine.outputs / "run"
    # Names say one order, and times another: it was gone on from an older checkpoint, whose successors came later.
    for name, hours in {"last.ckpt": 9, "last-v1.ckpt": 3, "epoch=2.ckpt": 1, "epoch=1.ckpt": 5}.items():
        run.mkdir(parents=True, exist_ok=True)
        torch.save({"hours": hours}, run / name)
        aged(run / name, hours)
    for number, hours in {30: 2, 10: 8, 20: 6, 40: 4}.items():
        folder = run / f"checkpoint-{number}"
        folder.mkdir()
        torch.save({"number": number}, folder / "model.pt")
        aged(folder / "model.pt", hours)
        aged(folder, hours)
    assert machine.keep.backup("outputs/run")
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/run").outcome is Outcome.RESTORED
    assert choose(fresh.outputs / "run") == choose(run)
    if choose is lightning_last:
        assert choose(run) == "last.ckpt"
    elif choose is left_by_rotation:
        assert choose(run) == {"checkpoint-10", "checkpoint-20"}
