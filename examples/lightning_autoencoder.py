"""Lightning's own tutorial (https://lightning.ai/docs/pytorch/stable/starter/introduction.html), on images of its own.

To be drilled by `holdfast drill --kills 5 --simulate-drive --varies 'run/*' -- python examples/lightning_autoencoder.py`.
"""

import json
import time
from pathlib import Path

import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import holdfast

keep = holdfast.attach()  # ours: 1 of 3

L.seed_everything(7)
torch.set_num_threads(1)  # it is small
strokes = torch.rand(10, 28, 28, generator=torch.Generator().manual_seed(0))  # ten kinds of digits


def images(count, seed):
    """Each is one of ten, and noise."""
    generator = torch.Generator().manual_seed(seed)
    kinds = torch.randint(10, (count,), generator=generator)
    return TensorDataset(strokes[kinds] + 0.3 * torch.randn(count, 28, 28, generator=generator))


class LitAutoEncoder(L.LightningModule):
    """An image in three numbers."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(28 * 28, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 3))
        self.decoder = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 28 * 28))

    def _loss(self, batch):
        x = batch[0].view(batch[0].size(0), -1)
        return nn.functional.mse_loss(self.decoder(self.encoder(x)), x)

    def training_step(self, batch, batch_idx):
        """One batch."""
        time.sleep(0.06)  # as larger models take
        loss = self._loss(batch)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        """One batch."""
        self.log("valid_loss", self._loss(batch))

    def configure_optimizers(self):
        """As in the tutorial."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)


autoencoder = LitAutoEncoder()
trainer = L.Trainer(
    max_epochs=12,
    accelerator="cpu",
    logger=False,
    enable_progress_bar=False,
    callbacks=[holdfast.lightning.Keep("outputs/run", every="1s")],  # ours: 2 of 3
)
train_loader = DataLoader(images(2048, seed=1), batch_size=32, shuffle=True)
valid_loader = DataLoader(images(256, seed=2), batch_size=64)
trainer.fit(autoencoder, train_loader, valid_loader, ckpt_path=keep.checkpoint("outputs/run"))  # ours: 3 of 3

scores = trainer.validate(autoencoder, valid_loader, verbose=False)[0]
Path("outputs/result.json").write_text(json.dumps(scores))
torch.save(autoencoder.state_dict(), "outputs/model.pt")
