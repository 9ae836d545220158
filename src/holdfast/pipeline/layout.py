"""Every path below outputs, in one place. Paths here are keys: relative to the project folder, with slashes."""

from __future__ import annotations

import shutil
from pathlib import Path

METRICS = "metrics.json"
CHECKPOINT = "checkpoint"  #: the folder of finished weights, a complete `transformers` folder
CHECKPOINTS = "checkpoints"  #: the folder of what an unfinished training has saved
TRIALS = "trials"
DATASET = "dataset.json"
FOLDS = "folds.json"  #: which documents each fold of a study is scored on
BEST_CONFIGURATION = "best_configuration.json"
TRAINING_CACHE = "training_cache.json"
ONNX = "onnx"  #: the folder of the converted model
CONVERSION = "conversion.json"
PREDICTIONS = "test_predictions.jsonl"  #: what the trained model finds in the test documents, a line for each
REPORT = "report.md"
PAGE = "report.html"
LOGS = "logs"
JOURNAL = "tracking.json"  #: what a training logged, for its trackers
TRACKING = "tracking"  #: the folder of the stores of trackers, of a study or of the final training


class Layout:
    """The folders of the stages.

    Args:
        outputs: Path of the outputs folder below the project folder.
    """

    def __init__(self, outputs: str) -> None:
        self.outputs = outputs

    def folder(self, stage: str, backbone: str = "", fork: str = "") -> str:
        """The folder of a stage.

        Args:
            stage: Such as `hpo`.
            backbone: Name of the backbone where a stage has a folder for each.
            fork: First digits of the fingerprint, for outputs kept beside others of the same stage.
        """
        return "/".join(p for p in (self.outputs, stage, backbone) if p) + (f"-{fork}" if fork else "")


def trial_folder(number: int) -> str:
    """The folder of a trial, below that of its study."""
    return f"{TRIALS}/trial-{number:04d}"


def fold_folder(fold: int) -> str:
    """The folder of a fold, below that of its trial."""
    return f"fold-{fold:02d}"


def weights_folder(number: int, folds: int | None) -> str:
    """Where the weights of a trial lie that later stages use: with folds those of its first. Below the folder of its study."""
    return f"{trial_folder(number)}/{fold_folder(1)}" if folds else trial_folder(number)


def drop_checkpoints(folder: Path) -> bool:
    """Delete what an unfinished training had saved, once nothing needs it. True where there was something."""
    place = folder / CHECKPOINTS
    there = place.exists()
    shutil.rmtree(place, ignore_errors=True)
    return there
