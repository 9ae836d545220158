"""`transformers.Trainer`, also under TRL and PEFT, killed at any instant, on a fresh machine: it goes on bit for bit.

keep = holdfast.attach()
trainer = Trainer(..., callbacks=[holdfast.hf.Keep("outputs/run")])  # the Trainer's own output_dir
trainer.train(resume_from_checkpoint=keep.checkpoint("outputs/run"))  # None where there is none
"""

from holdfast.integrations.hf import Keep

__all__ = ["Keep"]
