"""What lies in the stores of trackers, read by each tracker's own means: for each run the rows that it has, in their order."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from holdfast.pipeline.layout import LOGS, TRACKING
from tests.live.judges import wandb_records

#: For each run the steps and metrics that are in it, one item for each value: one that is there twice is there twice.
Runs = dict[str, list[tuple[int, str, float]]]

_MLFLOW = """
import json, sys
from mlflow import MlflowClient
client, found = MlflowClient(sys.argv[1]), {}
for experiment in client.search_experiments():
    for run in client.search_runs([experiment.experiment_id]):
        metrics = [m for name in run.data.metrics for m in client.get_metric_history(run.info.run_id, name)]
        items = [[m.step, m.key, m.value] for m in metrics]
        found.setdefault(run.info.run_name, []).append([experiment.name, run.info.status, items])
print("found", json.dumps(found))
"""
_TRACKIO = """
import json
import trackio
from trackio.sqlite_storage import SQLiteStorage
found = {}
for project in SQLiteStorage.get_projects():
    for run in trackio.Api().runs(project):
        rows = SQLiteStorage.get_logs(project, run.name, run_id=run.id)
        items = [[row["step"], k, v] for row in rows for k, v in row.items() if k not in ("step", "timestamp")]
        found.setdefault(run.name, []).append([project, "FINISHED", items])
print("found", json.dumps(found))
"""


def _asked(code: str, *arguments: str, **environment: str) -> dict[str, tuple[str, str, list[tuple[int, str, float]]]]:
    """For each run its project, status and metrics; asked in a process of its own, because these libraries read settings once."""
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-c", code, *arguments]
    asked = subprocess.run(command, env={**os.environ, **quiet, **environment}, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr
    runs = json.loads(asked.stdout.partition("found ")[2])
    assert all(len(found) == 1 for found in runs.values()), "two runs of one training"
    return {name: (project, status, [tuple(item) for item in items]) for name, [(project, status, items)] in runs.items()}


def tensorboard(folder: Path) -> Runs:
    """Of each training below a folder."""
    files = import_module("tensorboard.backend.event_processing.event_file_loader")
    found: Runs = defaultdict(list)
    for place in sorted(folder.rglob(f"{LOGS}/events.out.tfevents.*")):
        for event in files.LegacyEventFileLoader(str(place)).Load():
            for value in event.summary.value:
                if value.WhichOneof("value") == "simple_value":
                    found[place.parents[1].name].append((event.step, value.tag, value.simple_value))
    return found


def mlflow_runs(folder: Path) -> dict[str, tuple[str, str, list[tuple[int, str, float]]]]:
    """Of the study, or the final training, in a folder: experiment, status and metrics of each run."""
    return _asked(_MLFLOW, f"sqlite:///{folder / TRACKING / 'mlflow.db'}")


def mlflow(folder: Path) -> Runs:
    """The metrics alone."""
    return {name: items for name, (_, _, items) in mlflow_runs(folder).items()}


def wandb(folder: Path) -> Runs:
    """The same, of offline runs."""
    record_type = import_module("wandb.proto.wandb_internal_pb2").Record
    found: Runs = {}
    for place in sorted((folder / TRACKING / "wandb").glob("offline-run-*/*.wandb")):
        records = [record_type.FromString(data) for data in wandb_records(place.read_bytes())]
        (name,) = [record.run.display_name for record in records if record.HasField("run")]
        assert name not in found, "two runs of one training"
        assert [r.exit.exit_code for r in records if r.HasField("exit")] == [0], "it was finished"
        found[name] = [item for record in records if record.HasField("history") for item in _history(record.history)]
    return found


def _history(history: object) -> Iterator[tuple[int, str, float]]:
    items = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in history.item}  # type: ignore[attr-defined]
    for name, value in items.items():
        if not name.startswith("_"):
            yield int(items["_step"]), name, value


def trackio(folder: Path) -> Runs:
    """The same. A run is called by its name and its key."""
    runs = _asked(_TRACKIO, TRACKIO_DIR=str(folder / TRACKING / "trackio"))
    return {_named(name): items for name, (_, _, items) in runs.items()}


def _named(name: str) -> str:
    return re.sub(r"-([0-9a-f]{16}(-\d+)*|key)$", "", name)


READERS: dict[str, Callable[[Path], Runs]] = {"tensorboard": tensorboard, "mlflow": mlflow, "wandb": wandb, "trackio": trackio}
