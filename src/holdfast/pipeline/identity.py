"""What settings, backbones and data files are called in fingerprints: the same on every machine, wherever the project lies."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from holdfast.pipeline.settings import BenchmarkSettings, Conversion, Hpo, Parameter, Section, Selection, Training
from holdfast.session.files import file_identity

#: Files of a `transformers` folder that decide what it is. Others (a README) do not.
_DECISIVE = ("config.json", "tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json")
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def training_identity(training: Training) -> dict[str, Any]:
    """The settings that decide the weights: not when checkpoints are saved, nor where logs go."""
    return settings_identity(training, exclude={"checkpoint", "report_to"})


#: The settings that the records of version 0.1.0 hold. One that came later stands in no older record, so it is left out while it
#: has its default: what was begun before there was such a setting goes on under the version that has it.
_FIRST: Mapping[type[Section], frozenset[str]] = {
    Training: frozenset(
        (
            "epochs",
            "learning_rate",
            "batch_size",
            "gradient_accumulation",
            "warmup",
            "scheduler",
            "weight_decay",
            "max_grad_norm",
            "dropout",
            "class_weights",
            "early_stopping",
            "keep",
            "precision",
            "exact",
        )
    ),
    Hpo: frozenset(("objective", "sampler", "startup_trials", "pruner", "pruner_warmup")),
    Parameter: frozenset(("type", "low", "high", "step", "values")),
    BenchmarkSettings: frozenset(("batch_sizes", "iterations", "warmup_iterations")),
    Selection: frozenset(("by", "tolerance")),
    Conversion: frozenset(("int8", "opset", "tolerance")),
}


def settings_identity(
    section: Section, *, exclude: Collection[str] = (), first: Mapping[type[Section], frozenset[str]] = _FIRST
) -> dict[str, Any]:
    """A section as it stands in what something was made from: equal wherever it would have been equal in an older version.

    Args:
        section: The settings.
        exclude: Not these: they decide nothing.
        first: The settings that are there in any case.
    """
    kind = type(section)
    dumped = section.model_dump()
    names = [n for n in dumped if n not in exclude]
    return {n: dumped[n] for n in names if n in first[kind] or dumped[n] != default_of(kind, n)}


def default_of(kind: type[Section], name: str) -> Any:
    """The default of a setting, as it is dumped; a marker that equals nothing where it has none."""
    default = kind.model_fields[name].get_default(call_default_factory=True)
    return default.model_dump() if isinstance(default, Section) else default


def space_identity(space: Mapping[str, Parameter]) -> dict[str, Any]:
    """A search space: what is not said does not stand there, nor the step of whole numbers where it is 1 in any case."""
    found = {}
    for name, parameter in sorted(space.items()):
        row = {k: v for k, v in settings_identity(parameter).items() if v is not None}
        if row["type"] == "int" and row.get("step") == 1:
            del row["step"]
        found[name] = row
    return found


def backbone_identity(model: str) -> Any:
    """A name on the hub as it is; a local folder by its content."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return model
    places = [folder / n for n in _DECISIVE if (folder / n).is_file()]
    places += [p for pattern in _WEIGHTS for p in sorted(folder.glob(pattern))]
    return {p.name: file_identity(p) for p in places}


def study_made_from(
    hpo: Hpo, training: Training, backbone: Any, data: str, *, seed: int, max_length: int, stride: int, folds: str | None = None
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
        folds: Identity of the folds, where there are any and they are known.
    """
    nothing = {"trials", "timeout", "search_space", "training", "failures_in_a_row", "engine", "resources", "checkpoint"}
    search = settings_identity(hpo, exclude=nothing)
    if hpo.resources.cpus != 1:  # two threads give other bits than one
        search["threads"] = hpo.resources.cpus
    return {
        "data": data,
        "backbone": backbone,
        "seed": seed,
        "max_length": max_length,
        "stride": stride,
        **({} if folds is None else {"folds": folds}),
        "training": training_identity(training),
        "hpo": {**search, "search_space": space_identity(hpo.search_space)},
    }
