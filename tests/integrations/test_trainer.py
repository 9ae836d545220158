"""A Trainer of one's own with the callback and `resume_from`: gone on with after damage, it comes to the same, bit for bit."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import pytest
import torch

from holdfast.errors import ConfigurationError
from holdfast.integrations import checkpoints
from holdfast.integrations.trainer import Checkpointing, resume_from
from holdfast.integrations.watching import Watcher
from holdfast.pipeline.quiet import quiet
from tests.integrations.sealed import Harm, all_of, copied, emptied, gone, truncated
from tests.support import Machine, Rig

SAVES = "outputs/run"


class Model(torch.nn.Module):
    """Three weights and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
        self.dropout = torch.nn.Dropout(0.3)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Squared error."""
        out = self.layer(self.dropout(x)).squeeze(-1)
        return {"loss": ((out - labels) ** 2).mean(), "logits": out}


class Keeping(Watcher):
    """Backs every checkpoint up, and ends the process of thought after one of them."""

    def __init__(self, machine: Machine, until: int | None) -> None:
        self._machine = machine
        self._until = until
        self.steps: list[int] = []

    def stepped(self, step: int, total: int) -> None:
        self.steps.append(step)

    def saved(self, step: int, total: int) -> None:
        assert self._machine.keep.backup(SAVES, progress=float(step))
        if step == self._until:
            raise KeyboardInterrupt


def rows(count: int) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(count, 3, generator=generator)
    return [{"x": row, "labels": row.sum()} for row in x]


def train(machine: Machine, until: int | None = None, **options: Any) -> tuple[dict[str, torch.Tensor], list[int]]:
    """Three epochs of four steps, saved every second; each epoch is a new best. The weights at the end, and the steps done."""
    from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed

    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        set_seed(5)
        settings = {
            "num_train_epochs": 3,
            "per_device_train_batch_size": 4,
            "learning_rate": 0.05,
            "eval_strategy": "epoch",
            "save_strategy": "epoch",
            "load_best_model_at_end": True,
            "metric_for_best_model": "loss",
            "greater_is_better": False,
            "save_total_limit": 1,
            "logging_strategy": "no",
            "report_to": "none",
            "use_cpu": True,
            "disable_tqdm": True,
            "dataloader_pin_memory": False,
        }
        folder = machine.root / SAVES
        watcher = Keeping(machine, until)
        trainer = Trainer(
            Model(),
            TrainingArguments(output_dir=str(folder), **{**settings, **options}),
            train_dataset=rows(16),
            eval_dataset=rows(4),
            callbacks=[Checkpointing(watcher, steps=2)],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=resume_from(folder, machine.keep))
    return trainer.model.state_dict(), watcher.steps


HARMS: dict[str, tuple[Harm, int]] = {
    "the newest, a new best": (emptied(8, "optimizer.pt"), 9),
    "both newest, and the best before": (
        all_of(truncated(8, "model.safetensors"), gone(6, "rng_state.pth"), emptied(4, "model.safetensors")),
        9,
    ),
    "a copy under a higher number": (copied(8, 99), 9),
}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    return train(Rig(tmp_path_factory.mktemp("whole")).machine())[0]


@pytest.mark.parametrize("name", HARMS)
def test_a_damaged_checkpoint_of_a_trainer_of_ones_own_costs_no_step_and_no_bit(
    rig: Rig, uninterrupted: dict[str, torch.Tensor], name: str
) -> None:
    harm, step = HARMS[name]
    machine = rig.machine()
    with pytest.raises(KeyboardInterrupt):
        train(machine, 8)
    assert checkpoints.steps(machine.root / SAVES) == [8, 6, 4], "save_total_limit=1 is not followed"
    harm(machine.root / SAVES)
    weights, steps = train(machine)
    assert steps[0] == step
    assert all(torch.equal(weights[k], uninterrupted[k]) for k in uninterrupted)


def test_without_a_copy_the_one_before_gives_the_same_bits(rig: Rig, uninterrupted: dict[str, torch.Tensor]) -> None:
    machine = rig.machine()
    with pytest.raises(KeyboardInterrupt):
        train(machine, 8)
    folder = machine.root / SAVES
    emptied(8, "optimizer.pt")(folder)
    resume_from(folder)
    weights, steps = train(machine)
    assert steps[0] == 7
    assert all(torch.equal(weights[k], uninterrupted[k]) for k in uninterrupted)


def test_a_finished_training_that_is_started_again_has_its_best_weights(
    rig: Rig, uninterrupted: dict[str, torch.Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    machine = rig.machine()
    train(machine)
    caplog.set_level(logging.WARNING)
    weights, steps = train(machine)
    assert steps == []
    assert all(torch.equal(weights[k], uninterrupted[k]) for k in uninterrupted)


def test_checkpoints_that_nobody_could_go_on_with_are_refused_before_the_first_step(rig: Rig) -> None:
    machine = rig.machine()
    with pytest.raises(ConfigurationError, match="save_only_model"):
        train(machine, save_only_model=True)
    assert train(machine)[1][-1] == 12, "left out, it is trained to the end"
