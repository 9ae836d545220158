"""A project small enough to run a whole pipeline in seconds: 48 sentences, an encoder of one layer, two trials."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import yaml

from holdfast.flow.runner import Summary
from holdfast.pipeline.experiment import check
from holdfast.pipeline.runner import Runner
from holdfast.pipeline.settings import Experiment
from holdfast.pipeline.training.tiny import make_tiny
from tests.pipeline.conftest import sentence, write_documents
from tests.support import Machine, Rig

SETTINGS: dict[str, Any] = {
    "name": "micro",
    "seed": 3,
    "backbones": [{"name": "micro", "model": "encoder"}],
    "data": {"folder": "data", "max_length": 48, "stride": 8},
    "training": {"epochs": 2, "learning_rate": 5e-3, "batch_size": 8, "checkpoint": {"steps": 2, "every": None}},
    "hpo": {
        "trials": 2,
        "search_space": {
            "learning_rate": {"type": "loguniform", "low": 1e-3, "high": 1e-2},
            "batch_size": {"type": "choice", "values": [4, 8]},
        },
    },
    "benchmark": {"batch_sizes": [1, 2], "iterations": 2, "warmup_iterations": 1},
    "run": {"device": "cpu", "restore_patience": 1},
}

#: Weights, ONNX, metrics, and what was chosen by them.
RESULTS = (
    "outputs/final_training/micro/checkpoint/model.safetensors",
    "outputs/final_training/micro/metrics.json",
    "outputs/final_training/micro/test_predictions.jsonl",
    "outputs/best_configuration/best_configuration.json",
    "outputs/conversion/micro/onnx/model.onnx",
    "outputs/conversion/micro/onnx/model.int8.onnx",
    "outputs/report/report.md",
)
STAGES = ["data", "hpo/micro", "benchmark/micro", "selection", "final_training", "conversion", "report"]


def make_project(root: Path) -> None:
    """Data and encoder, as a user's repository would hold them."""
    make_documents(root / "data")
    make_encoder(root / "encoder", root / "data")


def make_documents(folder: Path, seed: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    generator = random.Random(seed)
    for name, count in (("train", 32), ("validation", 8), ("test", 8)):
        write_documents(folder / f"{name}.jsonl", [sentence(generator, generator.randint(3, 9)) for _ in range(count)])


def make_encoder(folder: Path, data: Path) -> None:
    """One layer of width 16, without weights."""
    from holdfast.pipeline.data.reading import read_documents

    make_tiny(folder, read_documents(data / "train.jsonl").documents, vocabulary_size=200, max_length=64)
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": len(vocabulary),
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps(config))


def experiment(**changes: Any) -> Experiment:
    """The settings, with some replaced by dotted key (`hpo__trials=3`)."""
    return check(settings(**changes), "micro.yaml")


def settings(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(SETTINGS))
    for key, value in changes.items():
        *path, last = key.split("__")
        section = document
        for part in path:
            section = section.setdefault(part, {})
        section[last] = value
    return document


def write_settings(root: Path, **changes: Any) -> Path:
    place = root / "config" / "micro.yaml"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(yaml.safe_dump(settings(**changes)))
    return place


class Lines:
    """Remembers what was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.lines.append(text)

    def work(self, what: str, done: int, total: int, note: str = "") -> None:
        pass

    def end(self) -> None:
        pass

    def __str__(self) -> str:
        return "\n".join(self.lines)


class Project:
    """A rig with one project that every machine has a copy of, as a clone of a repository."""

    def __init__(self, rig: Rig, template: Path) -> None:
        self.rig = rig
        self.template = template

    def machine(self) -> Machine:
        """A fresh machine: the repository is there, outputs are not."""
        machine = self.rig.machine()
        for name in ("data", "encoder"):
            shutil.copytree(self.template / name, machine.root / name, dirs_exist_ok=True)
        return machine

    def run(self, machine: Machine, *, told: Lines | None = None, changed: dict[str, Any] | None = None, **options: Any) -> Summary:
        return Runner(machine.keeper(), experiment(**(changed or {})), narration=told or Lines(), **options).run()


def lose(machine: Machine) -> None:
    """Everything on the machine's disk but the repository."""
    for name in ("outputs", ".holdfast"):
        shutil.rmtree(machine.root / name, ignore_errors=True)


def trials(machine: Machine, backbone: str = "micro") -> list[dict[str, Any]]:
    """What a study found, without its clock times."""
    return trials_below(machine.root / "outputs", backbone)


def trials_below(outputs: Path, backbone: str = "micro") -> list[dict[str, Any]]:
    """The same of outputs that lie anywhere."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{outputs}/hpo/{backbone}/study.db")
    try:
        study = optuna.load_study(study_name=backbone, storage=storage)
        return [
            {"number": t.number, "state": t.state.name, "params": t.params, "value": t.value, "reports": t.intermediate_values}
            for t in study.get_trials()
        ]
    finally:
        storage.remove_session()
        storage.engine.dispose()
