"""MLflow: a SQLite database below the outputs, or what `MLFLOW_TRACKING_URI` names.

A run is found by a tag, because its own id is given by the server. All metrics of a row are sent in one request, which is one
transaction: a row is there, or it is not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from holdfast.pipeline.tracking.journal import Journal, Row

_TAG = "holdfast.run"
_DATABASE = "mlflow.db"
#: The server takes so many metrics in one request.
_MOST = 1000
#: And parameters of so many characters.
_LONGEST = 500
#: Stands in every row.
_EVERY = "train/epoch"


class _Mlflow:
    """See `Tracker`."""

    def __init__(self, uri: str) -> None:
        self._client = MlflowClient(tracking_uri=uri)
        self._runs: dict[str, str] = {}

    def last(self, journal: Journal, folder: Path) -> int | None:
        run = self._runs[journal.run.key] = self._run(journal)
        return max((metric.step for metric in self._client.get_metric_history(run, _EVERY)), default=-1)

    def _run(self, journal: Journal) -> str:
        """The id of its run, which is begun where there is none."""
        experiment, run = self._experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or journal.run.experiment), journal.run
        for found in self._client.search_runs([experiment], f"tags.`{_TAG}` = '{run.key}'", max_results=1):
            return str(found.info.run_id)
        tags = {_TAG: run.key, "group": run.group, "mlflow.source.name": "holdfast"}
        begun = journal.rows[0].time if journal.rows else None
        made = self._client.create_run(experiment, None if begun is None else int(begun * 1000), tags, run.name)
        params = [Param(name, str(value)[:_LONGEST]) for name, value in journal.parameters.items()]
        self._client.log_batch(made.info.run_id, params=params)
        return str(made.info.run_id)

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except MlflowException:  # another process was quicker
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)

    def add(self, journal: Journal, folder: Path, rows: Sequence[Row]) -> None:
        run, batch = self._runs[journal.run.key], list[Metric]()
        for row in rows:
            metrics = [Metric(name, value, int(row.time * 1000), row.step) for name, value in row.metrics.items()]
            if len(batch) + len(metrics) > _MOST:
                self._client.log_batch(run, metrics=batch)
                batch = []
            batch += metrics
        if batch:
            self._client.log_batch(run, metrics=batch)
        if journal.ended:
            self._client.log_batch(run, tags=[RunTag("ended", journal.ended)])
            self._client.set_terminated(run, journal.ended, int(journal.rows[-1].time * 1000) if journal.rows else None)

    def close(self) -> None:
        """Every request was whole."""


def open_store(store: Path) -> _Mlflow:
    """The user's, if there is one."""
    return _Mlflow(os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{store / _DATABASE}")
