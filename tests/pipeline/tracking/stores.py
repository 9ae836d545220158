"""What lies in the stores of trackers, read by each tracker's own means: for each run the rows that it has, in their order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from holdfast.pipeline.layout import LOGS, TRACKING
from tests.live.judges import wandb_records

#: For each run the steps and metrics that are in it, one item for each value: one that is there twice is there twice.
Runs = dict[str, list[tuple[int, str, float]]]

_TRACKIO = """
import json, sys
import trackio
from trackio.sqlite_storage import SQLiteStorage
found = {}
for project in SQLiteStorage.get_projects():
    for run in trackio.Api().runs(project):
        rows = SQLiteStorage.get_logs(project, run.name, run_id=run.id)
        found.setdefault(run.name, []).append([[k, v, row["step"]] for row in rows for k, v in row.items()])
print("found", json.dumps(found))
"""


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


def mlflow(folder: Path, experiment: str | None = None) -> Runs:
    """Of the study, or the final training, in a folder."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    client = import_module("mlflow").MlflowClient(f"sqlite:///{folder / TRACKING / 'mlflow.db'}")
    found: Runs = {}
    for known in client.search_experiments():
        for run in client.search_runs([known.experiment_id]):
            assert experiment in (None, known.name)
            assert run.info.run_name not in found, "two runs of one training"
            assert run.info.status != "RUNNING"
            metrics = [m for name in run.data.metrics for m in client.get_metric_history(run.info.run_id, name)]
            found[run.info.run_name] = [(m.step, m.key, m.value) for m in metrics]
    return found


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
    """The same. Where it looks is set once for a process, so it is asked in another."""
    asked = subprocess.run(
        [sys.executable, "-c", _TRACKIO],
        env={**os.environ, "TRACKIO_DIR": str(folder / TRACKING / "trackio")},
        capture_output=True,
        text=True,
        check=True,
    )
    runs = json.loads(asked.stdout.partition("found ")[2])
    assert all(len(rows) == 1 for rows in runs.values()), "two runs of one training"
    return {
        name.rpartition("-")[0]: [(step, key, value) for key, value, step in rows[0] if key not in ("timestamp", "step")]
        for name, rows in runs.items()
    }
