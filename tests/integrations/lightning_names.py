"""A tiny training of Lightning under one of its two names."""

from __future__ import annotations

import contextlib
import importlib
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import torch

from holdfast.integrations.kept import newest
from tests.support import Machine

RUN = "outputs/run"


class Gone(BaseException):
    """The machine is."""


def tiny(name: str, machine: Machine, until: int = 0) -> list[int]:
    """The steps that it trained: from where it was left on, to its end or until this step is under way."""
    library = importlib.import_module(name)
    from holdfast.lightning import Keep

    class Model(library.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Linear(2, 1)
            self.seen: list[int] = []

        def training_step(self, batch: Any, number: int) -> torch.Tensor:
            if self.global_step + 1 == until:
                raise Gone
            self.seen.append(self.global_step + 1)
            loss: torch.Tensor = self.net(batch[0]).pow(2).mean()
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.suppress(Gone):
        warnings.simplefilter("ignore")
        library.seed_everything(3, verbose=False)
        data = torch.utils.data.TensorDataset(torch.randn(12, 2))
        model, keep = Model(), Keep(RUN, machine.keep)
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
        trainer = library.Trainer(max_epochs=3, callbacks=[keep], default_root_dir=machine.root, **quiet)
        found = newest(machine.keep, RUN)
        loader = torch.utils.data.DataLoader(data, batch_size=2, shuffle=True)
        trainer.fit(model, loader, ckpt_path=None if found is None else str(found.place))
    return model.seen


if __name__ == "__main__":
    others = {"lightning.pytorch", "pytorch_lightning"} - {sys.argv[1]}
    seen = tiny(sys.argv[1], Machine(Path(sys.argv[2]), Path(sys.argv[3])), int(sys.argv[4]))
    assert not others & sys.modules.keys()
    print(len(seen), "batches from", seen[0])
