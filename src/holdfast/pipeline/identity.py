"""What settings, backbones and data files are called in fingerprints: the same on every machine, wherever the project lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from holdfast.pipeline.settings import Hpo, Training
from holdfast.session.files import file_identity

#: Files of a `transformers` folder that decide what it is. Others (a README) do not.
_DECISIVE = ("config.json", "tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json")
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def training_identity(training: Training) -> dict[str, Any]:
    """The settings that decide the weights: not when checkpoints are saved, nor where logs go."""
    return training.model_dump(exclude={"checkpoint", "report_to"})


def backbone_identity(model: str) -> Any:
    """A name on the hub as it is; a local folder by its content."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return model
    places = [folder / n for n in _DECISIVE if (folder / n).is_file()]
    places += [p for pattern in _WEIGHTS for p in sorted(folder.glob(pattern))]
    return {p.name: file_identity(p) for p in places}


def study_made_from(
    hpo: Hpo, training: Training, backbone: Any, data: str, *, seed: int, max_length: int, stride: int
) -> dict[str, Any]:
    """What decides the outcome of a study. Not how long it may go on: a study may be given more trials.

    Args:
        hpo: The search.
        training: Settings of a trial before its parameters.
        backbone: Its identity.
        data: Identity of the documents.
        seed: Of study and trainings.
        max_length: Longest window, in word pieces.
        stride: Overlap of windows, in word pieces.
    """
    search = hpo.model_dump(include={"objective", "sampler", "startup_trials", "pruner", "pruner_warmup"})
    space = {k: p.model_dump(exclude_none=True) for k, p in sorted(hpo.search_space.items())}
    return {
        "data": data,
        "backbone": backbone,
        "seed": seed,
        "max_length": max_length,
        "stride": stride,
        "training": training_identity(training),
        "hpo": {**search, "search_space": space},
    }
