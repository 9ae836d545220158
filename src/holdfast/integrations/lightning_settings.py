"""What decides the weights of a Lightning training, read from the library's own objects, as plain data."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any


def model_settings(module: Any) -> dict[str, Any]:
    """Names and shapes of the parameters, and the hyperparameters that are plain."""
    found: dict[str, Any] = {"model": {name: list(p.shape) for name, p in module.named_parameters()}}
    if hyper := _plain(dict(getattr(module, "hparams", None) or {})):
        found["hparams"] = hyper
    return found


def settings(trainer: Any, module: Any) -> dict[str, Any]:
    """All of it, once loaders and optimizers are made. Where a run ends is no part of it."""
    batches = trainer.num_training_batches
    loaders = trainer.fit_loop._combined_loader.flattened
    found = {
        **model_settings(module),
        "batches": None if batches == float("inf") else int(batches),
        "batch_size": [_plain(getattr(one, "batch_size", None)) for one in loaders],
        "optimizers": [{"kind": type(one).__name__, **_plain(dict(one.defaults))} for one in trainer.optimizers],
        "accumulate_grad_batches": trainer.accumulate_grad_batches,
        "gradient_clip_val": _plain(trainer.gradient_clip_val),
        "precision": str(trainer.precision),
    }
    seed = os.environ.get("PL_GLOBAL_SEED")
    return found if seed is None else {**found, "seed": seed}


def _plain(value: Any) -> Any:
    """The value where JSON can hold it; of a mapping what it can; else None."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): plain for key, one in value.items() if (plain := _plain(one)) is not None}
    return None
