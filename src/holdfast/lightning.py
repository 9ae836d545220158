"""Lightning, under both of its names, killed at any instant, on a fresh machine: it goes on bit for bit.

keep = holdfast.attach()
trainer = L.Trainer(..., callbacks=[holdfast.lightning.Keep("outputs/run")])
trainer.fit(model, data, ckpt_path=keep.checkpoint("outputs/run"))  # None where there is none
"""

from holdfast.integrations.lightning import Keep

__all__ = ["Keep"]
