"""Trackers that are missing, fail, or are ahead; and what is taken for a tracker."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from holdfast.errors import ConfigurationError
from holdfast.pipeline.layout import JOURNAL, TRACKING
from holdfast.pipeline.runner import open_pipeline
from holdfast.pipeline.settings import TRACKERS, Training
from holdfast.pipeline.tracking.journal import (
    Journal,
    TrackedRun,
    from_history,
    metrics_of,
    read_journal,
    rows_after,
    write_journal,
)
from holdfast.pipeline.tracking.publishing import Publisher
from tests.pipeline.project import experiment
from tests.pipeline.tracking import stores
from tests.pipeline.tracking.stores import READERS
from tests.support import Machine

RUN = TrackedRun("key", "name", "experiment", "group")


def journal(last: int, ended: str = "") -> Journal:
    found = Journal(RUN, {"epochs": 1}, ended=ended)
    for step in range(1, last + 1):
        found = found.with_logged(step, 1e9 + step, {"train/loss": 1 / step, "train/epoch": step / 10})
    return found


@pytest.mark.parametrize("name", TRACKERS)
def test_a_missing_package_is_one_line_with_the_command_before_any_work(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError) as refused:
        open_pipeline(machine.keep, experiment(hpo__training={"report_to": ["tensorboard", name]}))
    assert str(refused.value) == f"training.report_to: {name} is not installed; pip install 'holdfast[{name}]'"
    assert not machine.outputs.exists()


def test_one_tracker_or_a_list_each_once_and_nothing_that_is_none() -> None:
    given = ["none", None, [], "mlflow", ["mlflow", "wandb", "mlflow"]]
    assert [Training(report_to=g).report_to for g in given] == [(), (), (), ("mlflow",), ("mlflow", "wandb")]
    for wrong in ("neptune", ["mlflow", "none"], {"mlflow": 1}, 3):
        with pytest.raises(ValidationError):
            Training(report_to=wrong)


def test_a_row_for_each_step_without_what_a_clock_says_and_infinity_comes_back(tmp_path: Path) -> None:
    history = [
        {"loss": 0.5, "grad_norm": float("inf"), "epoch": 0.5, "step": 10},
        {"loss": 0.25, "epoch": 1.0, "step": 20},
        {"eval_f1_micro": 0.75, "eval_runtime": 3.0, "eval_steps_per_second": 4.0, "epoch": 1.0, "step": 20},
        {"train_runtime": 9.0, "train_loss": 0.3, "epoch": 1.0, "step": 20},
    ]
    found = from_history(RUN, {}, history, 7.0)
    assert [(r.step, dict(r.metrics)) for r in found.rows] == [
        (10, {"train/loss": 0.5, "train/grad_norm": float("inf"), "train/epoch": 0.5}),
        (20, {"train/loss": 0.25, "train/epoch": 1.0, "eval/f1_micro": 0.75}),
    ]
    assert found.window.since == 20
    assert [r.step for r in rows_after(found, 10)] == [20]
    assert metrics_of({"train_runtime": 1.0, "epoch": 1.0}) == {}
    write_journal(tmp_path / JOURNAL, found)
    assert read_journal(tmp_path / JOURNAL) == found
    (tmp_path / JOURNAL).write_text("{}")
    assert read_journal(tmp_path / JOURNAL) is None


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("trackio", marks=pytest.mark.long),
        *(pytest.param(n, marks=pytest.mark.torture) for n in ("tensorboard", "mlflow")),
    ],
)
def test_a_store_that_is_ahead_of_the_checkpoint_or_behind_it_or_lost_has_every_step_once(tmp_path: Path, name: str) -> None:
    place, store = tmp_path / JOURNAL, tmp_path / TRACKING

    def expect(last: int, shown: str = "name") -> None:
        found = READERS[name](tmp_path)[tmp_path.name if name == "tensorboard" else shown]
        assert sorted(step for step, metric, _ in found if metric == "train/loss") == list(range(1, last + 1))

    for last in (5, 3):  # cut off, and gone on with at an older checkpoint
        write_journal(place, journal(last))
        with Publisher([name], store, pytest.fail) as publisher:
            publisher.publish(place)
        expect(5)
    with Publisher([name], store, pytest.fail) as publisher:
        for last in (4, 7, 9):
            write_journal(place, journal(last))
            publisher.publish(place)
        expect(9)
        write_journal(place, journal(9, "FINISHED"))
        publisher.publish(place)
    expect(9)
    store.rename(tmp_path / "lost")
    with Publisher([name], store, pytest.fail) as publisher:
        publisher.publish_the_rest(tmp_path)
    expect(9)


def test_a_tracker_that_fails_is_said_once_and_given_the_rest_when_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, store = tmp_path / JOURNAL, tmp_path / TRACKING
    write_journal(place, journal(5, "FINISHED"))
    (tmp_path / "logs").write_text("a file where TensorBoard wants its folder")
    said: list[str] = []
    with Publisher(["tensorboard"], store, said.append) as publisher:
        publisher.publish(place)
        publisher.publish(place)
        assert len(said) == 1
        assert said[0].startswith("tensorboard: ")
        assert "; what was logged is in tracking.json of the training" in said[0]
        (tmp_path / "logs").unlink()
        publisher.publish_the_rest(tmp_path)
    assert len(said) == 1
    assert [step for step, name, _ in stores.tensorboard(tmp_path)[tmp_path.name] if name == "train/loss"] == [1, 2, 3, 4, 5]
