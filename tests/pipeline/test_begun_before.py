"""What an older version began goes on under this one, and what this one begins goes on under one that has more settings."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.errors import MadeOtherwise
from holdfast.flow.examination import Examiner
from holdfast.flow.fingerprint import fingerprint
from holdfast.flow.found import State
from holdfast.flow.record import read_record, write_record
from holdfast.pipeline.data.dataset import open_dataset
from holdfast.pipeline.identity import _FIRST, settings_identity, training_identity
from holdfast.pipeline.runner import Runner, open_pipeline
from holdfast.pipeline.settings import Training, changed
from holdfast.pipeline.training.train import Job
from tests.pipeline.project import Lines, experiment, trials, write_settings
from tests.support import Machine, Rig

BEGUN = Path(__file__).parent / "begun_by_0_1_0" / "micro.tar.xz"
RECORD = "outputs/hpo/micro/stage.json"
STUDY = "outputs/hpo/micro/study.db"


@pytest.fixture
def begun(rig: Rig) -> Machine:
    """The disk of a machine that was killed under version 0.1.0."""
    machine = rig.machine()
    with tarfile.open(BEGUN) as archive:
        archive.extractall(machine.root, filter="data")
    return machine


class Steps(Lines):
    """Remembers the first step that was trained."""

    first: int | None = None

    def work(self, what: str, done: int, total: int, note: str = "") -> None:
        if self.first is None:
            self.first = done


def state(machine: Machine, **changes: Any) -> State:
    chosen = experiment(**changes)
    keeper = machine.keeper()
    examiner = Examiner(keeper, open_pipeline(keeper, chosen), chosen.run)
    (found,) = [f for f in examiner.all() if f.name == "hpo/micro"]
    return found.state


def without(made_from: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    assert name in made_from[section]
    return {**made_from, section: {k: v for k, v in made_from[section].items() if k != name}}


def forget(machine: Machine, section: str, name: str) -> None:
    """As a version before that setting left it: neither record nor study knows of it."""
    record = read_record(machine.root / RECORD)
    assert record is not None
    made_from = without(dict(record.made_from), section, name)
    write_record(machine.root / RECORD, type(record)(record.stage, made_from, extent=record.extent, environment=record.environment))
    with closing(sqlite3.connect(machine.root / STUDY)) as database, database:
        (text,) = database.execute("select value_json from study_user_attributes where key = 'made_from'").fetchone()
        kept = json.dumps(without(json.loads(text), section, name))
        database.execute("update study_user_attributes set value_json = ? where key = 'made_from'", (kept,))


def test_a_study_that_version_0_1_0_began_goes_on_at_its_newest_checkpoint_also_within_a_narrower_space(begun: Machine) -> None:
    """The trial that was cut off has a batch size that is not asked for any more."""
    assert state(begun) is State.BEGUN
    narrower: dict[str, Any] = {"hpo__trials": 1, "hpo__search_space__batch_size": {"type": "choice", "values": [8.0]}}
    assert state(begun, **narrower) is State.BEGUN
    told = Steps()
    assert Runner(begun.keeper(), experiment(**narrower), narration=told).advance("hpo")
    assert told.first == 13
    assert "goes on within a narrower search space" in str(told)
    (trial,) = trials(begun)
    assert (trial["state"], trial["params"]["batch_size"]) == ("COMPLETE", 4)
    assert state(begun, **narrower) is State.DONE
    with pytest.raises(MadeOtherwise, match=r"batch_size.* A search space may only become narrower in a study that goes on"):
        Runner(begun.keeper(), experiment(hpo__trials=1)).advance("hpo")
    with pytest.raises(MadeOtherwise, match=r"epochs: 2 then, 3 now.* Another number of epochs has another learning rate"):
        Runner(begun.keeper(), experiment(**narrower, training__epochs=3)).advance("hpo")


@pytest.mark.parametrize("asked", [{}, {"training__exact": True}, {"training__exact": False}], ids=["unsaid", "on", "off"])
def test_a_setting_that_a_record_does_not_know_counts_as_the_behaviour_of_its_day(begun: Machine, asked: dict[str, Any]) -> None:
    forget(begun, "training", "exact")
    assert state(begun, **asked) is State.BEGUN
    assert state(begun, **asked, training__dropout=0.2) is State.OTHERWISE


#: Settings that might have come later, and what would be another study.
UNKNOWN_THEN = {
    ("training", "keep"): {"training__keep": "last"},
    ("training", "max_grad_norm"): {"training__max_grad_norm": 2.0},
    ("training", "gradient_accumulation"): {"training__gradient_accumulation": 2},
    ("hpo", "startup_trials"): {"hpo__startup_trials": 7},
    ("hpo", "objective"): {"hpo__objective": "f1_macro"},
}


@pytest.mark.parametrize(("key", "other"), UNKNOWN_THEN.items(), ids=[".".join(k) for k in UNKNOWN_THEN])
def test_any_setting_that_a_record_does_not_know_is_its_default(
    begun: Machine, key: tuple[str, str], other: dict[str, Any]
) -> None:
    forget(begun, *key)
    assert state(begun) is State.BEGUN
    assert state(begun, **other) is State.OTHERWISE


def test_checkpoints_from_before_a_setting_are_of_the_same_training(begun: Machine) -> None:
    (place,) = begun.root.glob("outputs/hpo/micro/trials/*/checkpoints/checkpoint-12/holdfast-checkpoint.json")
    made_from = json.loads(place.read_text())["made_from"]
    data, chosen, (trial, *_) = open_dataset(begun.root / "outputs/data"), experiment(), trials(begun)
    job = Job(
        model=str(begun.root / "encoder"),
        labels=data.labels,
        train=data.train,
        validation=data.validation,
        settings=changed(chosen.trial_training(), trial["params"]),
        objective=chosen.hpo.objective,
        seed=chosen.seed,
        folder=begun.root / "outputs/hpo/micro/trials/trial-0000",
        max_length=chosen.data.max_length,
        stride=chosen.data.stride,
        device="cpu",
    )
    assert job.fingerprint == made_from
    before = job._fingerprint({k: v for k, v in training_identity(job.settings).items() if k != "exact"})
    assert before != made_from
    assert job.made(made_from)
    assert job.made(before)
    assert not job.made(fingerprint({}))


#: Settings that a later version may have, and whether what was begun without them goes on.
LATER = {
    "training": ("    exact: bool = Field(", '    label_smoothing: float = Field(0.0, description="x")\n'),
    "hpo": ("    objective: Literal[OBJECTIVES]", '    shuffle: bool = Field(True, description="x")\n'),
    "hpo.search_space": ("    values: tuple[Any, ...] | None", '    log_base: int = Field(10, description="x")\n'),
    "benchmark": ("    warmup_iterations:", '    threads: int | None = Field(None, description="x")\n'),
}


def of_a_later_version(folder: Path) -> Path:
    """This version's source, with one setting more in each section."""
    source = Path(
        shutil.copytree(Path(holdfast.__file__).parent, folder / "src" / "holdfast", ignore=shutil.ignore_patterns("__pycache__"))
    )
    place = source / "pipeline" / "settings.py"
    text = place.read_text()
    for before, line in LATER.values():
        assert text.count(before) == 1
        text = text.replace(before, line + before)
    place.write_text(text)
    return folder / "src"


def later(machine: Machine, source: Path, *command: str) -> list[dict[str, Any]]:
    environment = {**os.environ, "PYTHONPATH": str(source), "HOLDFAST_DRIVE": str(machine.drive)}
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", *command, "--json"],
        cwd=machine.root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def test_a_version_with_more_settings_recognises_what_this_one_and_the_first_one_made(begun: Machine, tmp_path: Path) -> None:
    source = of_a_later_version(tmp_path / "later")
    place = str(write_settings(begun.root))
    rows = {r["stage"]: r["outcome"] for r in later(begun, source, "plan", place)}
    assert rows["hpo/micro"] == "BEGUN"
    other = {r["stage"]: r["outcome"] for r in later(begun, source, "plan", place, "--set", "training.label_smoothing=0.1")}
    assert other["hpo/micro"] == "OTHERWISE"


@pytest.mark.torture
def test_a_version_with_more_settings_goes_on_to_the_end(begun: Machine, tmp_path: Path) -> None:
    source = of_a_later_version(tmp_path / "later")
    later(begun, source, "run", str(write_settings(begun.root)))
    assert [t["state"] for t in trials(begun)] == ["COMPLETE", "COMPLETE"]


def test_a_version_with_more_settings_calls_things_as_this_one_does() -> None:
    class Later(Training):
        label_smoothing: float = 0.0

    known = {**_FIRST, Later: _FIRST[Training]}
    assert all(names <= set(kind.model_fields) for kind, names in known.items())
    assert settings_identity(Later(), first=known) == settings_identity(Training())
    assert settings_identity(Later(label_smoothing=0.1), first=known) == {**settings_identity(Training()), "label_smoothing": 0.1}
