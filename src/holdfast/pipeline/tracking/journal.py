"""What a training logged, as its trackers are to have it: a row for each step. A copy lies in every checkpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from holdfast.pipeline.layout import JOURNAL
from holdfast.session.files import write_json

#: Of what the Trainer logs, this says how fast a machine was: another figure after every interruption.
_OF_THE_CLOCK = ("_runtime", "_per_second")
#: Stands in the row that the Trainer logs once it is at its end, of which the rest is of the clock as well.
_SUMMARY = "train_runtime"


@dataclass(frozen=True)
class TrackedRun:
    """What a training is called by its trackers.

    Args:
        key: By this it is known on every machine, so a training that goes on does so in its run.
        name: For people.
        experiment: What trackers call experiment or project.
        group: What it belongs to: a study, or the final training.
    """

    key: str
    name: str
    experiment: str
    group: str


@dataclass(frozen=True)
class Row:
    """What was logged at one step.

    Args:
        step: Optimizer steps done.
        time: When, in seconds since 1970. For people.
        metrics: Names as trackers show them, such as `train/loss`.
    """

    step: int
    time: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Window:
    """The steps since the loss was logged last.

    Args:
        since: The step at which it was.
        loss: The sum of their losses.
    """

    since: int = 0
    loss: float = 0.0


@dataclass(frozen=True)
class Journal:
    """Everything that trackers are to have of a training.

    Args:
        run: What it is called.
        parameters: How it is trained, by setting.
        rows: In the order of their steps, one for each.
        window: What the next row's loss counts already.
        ended: How it came to its end: `FINISHED`, `FAILED`, or `KILLED` where it was pruned; empty while it goes on.
    """

    run: TrackedRun
    parameters: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()
    window: Window = Window()
    ended: str = ""

    @property
    def last(self) -> int:
        """The step of its last row; -1 where there is none."""
        return self.rows[-1].step if self.rows else -1

    def with_logged(self, step: int, time: float, metrics: Mapping[str, float]) -> Journal:
        """With what was logged at a step; one row for it, also where it is logged twice, as training and as evaluation."""
        if not metrics:
            return self
        if self.last == step:
            row = replace(self.rows[-1], metrics={**self.rows[-1].metrics, **metrics})
            return replace(self, rows=(*self.rows[:-1], row))
        return replace(self, rows=(*self.rows, Row(step, time, dict(metrics))))


def rows_after(journal: Journal, last: int) -> Sequence[Row]:
    """What a run still lacks that has the rows up to a step."""
    return [row for row in journal.rows if row.step > last]


def metrics_of(logs: Mapping[str, Any]) -> dict[str, float]:
    """What the Trainer logged, by the names that its own callbacks give to trackers, and without what depends on the clock."""
    if _SUMMARY in logs:
        return {}
    found = {}
    for name, value in logs.items():
        if name == "step" or name.endswith(_OF_THE_CLOCK) or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        found[f"eval/{name.removeprefix('eval_')}" if name.startswith("eval_") else f"train/{name}"] = float(value)
    return found


def from_history(run: TrackedRun, parameters: Mapping[str, Any], history: Sequence[Mapping[str, Any]], time: float) -> Journal:
    """The journal of a training that was begun without one, from the log in the Trainer's state.

    Args:
        run: What it is called.
        parameters: How it is trained.
        history: The Trainer's `log_history`.
        time: What stands for the times, which that does not have.
    """
    journal, since = Journal(run, parameters), 0
    for logs in history:
        journal = journal.with_logged(int(logs["step"]), time, metrics_of(logs))
        since = int(logs["step"]) if "loss" in logs else since
    return replace(journal, window=Window(since))


def read_journal(place: Path) -> Journal | None:
    """The journal in a file; None where there is none, or none that can be read."""
    try:
        document = json.loads(place.read_bytes())
        rows = tuple(
            Row(int(r["step"]), float(r["time"]), {k: float(v) for k, v in r["metrics"].items()}) for r in document["rows"]
        )
        window = Window(int(document["window"]["since"]), float(document["window"]["loss"]))
        run = TrackedRun(**{name: str(document["run"][name]) for name in TrackedRun.__dataclass_fields__})
        return Journal(run, dict(document["parameters"]), rows, window, str(document["ended"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_journal(place: Path, journal: Journal) -> None:
    """Write it whole or not at all."""
    write_json(
        place,
        {
            "run": vars(journal.run),
            "parameters": dict(journal.parameters),
            "rows": [
                {"step": r.step, "time": r.time, "metrics": {k: _number(v) for k, v in r.metrics.items()}} for r in journal.rows
            ],
            "window": {"since": journal.window.since, "loss": _number(journal.window.loss)},
            "ended": journal.ended,
        },
    )


def end_run(folder: Path, how: str, logged: Callable[[Path], None]) -> None:
    """End the run of a training that will not go on. Nothing where none was tracked.

    Args:
        folder: Of the training.
        how: See `Journal.ended`.
        logged: Told where the journal lies.
    """
    journal = read_journal(folder / JOURNAL)
    if journal is not None and not journal.ended:
        write_journal(folder / JOURNAL, replace(journal, ended=how))
        logged(folder / JOURNAL)


def _number(value: float) -> float | str:
    """JSON has no infinity, and a gradient may."""
    return value if math.isfinite(value) else str(value)
