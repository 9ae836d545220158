"""How much space a run will need, here and in the store, against what is free. An estimate, and on the high side."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.flow.found import Found, State
from holdfast.pipeline.settings import TINY, Backbone, Experiment
from holdfast.session.keeper import Keeper

#: Bytes of `tiny`: 0.8 M weights of four bytes.
_TINY_BYTES = 4 * 800_000
#: Bytes of weights of backbones that many use; another name on the hub counts as the largest of them.
_KNOWN = {"distilbert": 268_000_000, "MiniLM": 91_000_000, "bert-base": 440_000_000, "roberta-base": 500_000_000}
#: A checkpoint of an unfinished training holds the weights and the two moments of AdamW (Loshchilov and Hutter, 2019).
_CHECKPOINT_WEIGHTS = 3
#: At most so many checkpoints lie here at once: the newest two and the best of each.
_CHECKPOINTS = 4
#: While a generation is being sent, the store holds the two before it too.
_GENERATIONS = 3


@dataclass(frozen=True)
class Space:
    """Bytes: what a run will still need at most, and what is free. `None` where it cannot be told."""

    needed_here: int
    free_here: int
    needed_in_store: int
    free_in_store: int | None
    guessed: tuple[str, ...] = ()


def estimate(keeper: Keeper, experiment: Experiment, found: Sequence[Found]) -> Space:
    """What is still to be done needs so much more."""
    states = {f.name: f.state for f in found}
    here = 0
    guessed = []
    sizes = {}
    for backbone in experiment.backbones:
        sizes[backbone.name], known = _weights(keeper.root, backbone)
        if not known:
            guessed.append(backbone.name)
        if states.get(f"hpo/{backbone.name}") is not State.DONE:
            kept = 1 if experiment.hpo.checkpoint.save_only_best else experiment.hpo.trials * (experiment.hpo.folds or 1)
            here += sizes[backbone.name] * (kept + _CHECKPOINTS * _CHECKPOINT_WEIGHTS)
    largest = max(sizes.values())
    if states.get("final_training") is not State.DONE:
        here += largest * (1 + _CHECKPOINTS * _CHECKPOINT_WEIGHTS)
    if states.get("conversion") is not State.DONE:
        here += largest + (largest // 4 if experiment.conversion.int8 else 0)
    store = here + (_GENERATIONS - 1) * largest * _CHECKPOINT_WEIGHTS if here else 0
    space = keeper.store.backend.space() if keeper.store is not None else None
    return Space(here, shutil.disk_usage(keeper.root).free, store, None if space is None else space.free, tuple(guessed))


def _weights(root: Path, backbone: Backbone) -> tuple[int, bool]:
    if backbone.model == TINY:
        return _TINY_BYTES, True
    folder = root / Path(backbone.model).expanduser()
    if folder.is_dir():
        return sum(p.stat().st_size for pattern in ("*.safetensors", "pytorch_model*.bin") for p in folder.glob(pattern)), True
    for part, size in _KNOWN.items():
        if part in backbone.model:
            return size, True
    return max(_KNOWN.values()), False
