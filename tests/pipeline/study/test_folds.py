"""The folds of a study: who may give them, what they decide, and what comes of them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from holdfast.errors import BadData, ConfigurationError, HoldfastError, UsageError
from holdfast.pipeline.experiment import check
from holdfast.pipeline.identity import study_made_from
from holdfast.pipeline.settings import Hpo, Training
from holdfast.pipeline.study.folds import choose_folds, digest, folds_of, read_folds, write_folds
from holdfast.pipeline.training.train import Job
from holdfast.session.files import file_identity
from tests.pipeline.cheap import STUDY, run, trials_of
from tests.pipeline.project import Lines, Project, make_project, settings, trials
from tests.pipeline.study.folded import documents
from tests.support import Machine, Rig

DOCUMENTS = documents(6)
NAMES = [digest(d) for d in DOCUMENTS]


# -- the file ------------------------------------------------------------------------------------------------------------


def test_the_file_says_which_documents_each_fold_is_scored_on_and_is_read_as_it_was_written(tmp_path: Path) -> None:
    twice = (*DOCUMENTS, DOCUMENTS[1])
    folds = folds_of([[0, 3], [1, 2, 6], [4, 5]], twice)
    write_folds(tmp_path / "folds.json", folds, twice)
    assert read_folds(tmp_path / "folds.json", twice) == folds
    assert folds.split(twice, 2) == ((*DOCUMENTS[:1], *DOCUMENTS[3:]), (DOCUMENTS[1], DOCUMENTS[2], DOCUMENTS[1]))
    assert hashlib.sha256(DOCUMENTS[0].text.encode()).hexdigest() in (tmp_path / "folds.json").read_text()


@pytest.mark.parametrize(
    ("folds", "said"),
    [
        ([NAMES[:3], ["f" * 64, *NAMES[3:]]], "fold 2: f+: no training document has this SHA-256"),
        ([NAMES[:3], NAMES[2:]], f"{NAMES[2]} is in fold 1 and in fold 2; each document is in one fold, once"),
        ([[*NAMES[:3], NAMES[0]], NAMES[3:]], f"{NAMES[0]} is in fold 1 and in fold 1"),
        ([NAMES[:3], NAMES[3:5]], "1 of 6 training documents are in no fold, the first '"),
        ([NAMES, []], "fold 2 is empty"),
        ([NAMES], "is no file of folds; expected .*, 2 folds or more"),
        ([NAMES[:3], [1, 2]], "is no file of folds"),
        ("folds", "is no file of folds"),
        ([NAMES[:2], NAMES[2:4], NAMES[4:]], "has 3 folds, and 2 are asked for; make them agree"),
    ],
)
def test_what_a_given_file_says_that_cannot_be_is_one_line(tmp_path: Path, folds: Any, said: str) -> None:
    place = tmp_path / "mine.json"
    place.write_text(json.dumps({"format": 1, "folds": folds}))
    with pytest.raises(BadData, match=said) as error:
        choose_folds(2, place, None, DOCUMENTS, 0, print)
    assert str(error.value).startswith(f"{place}: ")
    assert "\n" not in str(error.value)
    place.write_text(json.dumps({"format": 1, "folds": [NAMES[:3], NAMES[3:]]}))
    mended = choose_folds(2, place, None, DOCUMENTS, 0, print)
    assert mended is not None
    assert mended.scored == ((0, 1, 2), (3, 4, 5))


def test_a_fold_that_would_have_no_entity_to_learn_from_is_refused(tmp_path: Path) -> None:
    bare = [type(d)(d.text, d.words) for d in DOCUMENTS[1:]]
    place = tmp_path / "mine.json"
    write_folds(place, folds_of([[0], [1, 2, 3, 4, 5]], DOCUMENTS), DOCUMENTS)
    with pytest.raises(BadData, match="fold 1 leaves no document with an entity to learn from"):
        choose_folds(None, place, None, (DOCUMENTS[0], *bare), 0, print)
    assert choose_folds(None, place, None, DOCUMENTS, 0, print) is not None


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff\xfe"])
def test_a_given_file_that_is_none_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    place = tmp_path / "mine.json"
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(BadData, match=r"mine\.json: (there is no such file|cannot be read as JSON|is no file of folds)"):
        choose_folds(None, place, None, DOCUMENTS, 0, print)


def test_a_damaged_file_of_the_study_is_moved_aside_and_the_same_folds_are_found_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "folds.json"
    first = choose_folds(3, None, place, DOCUMENTS, 5, print)
    assert first is not None
    place.write_text("{")
    assert choose_folds(3, None, place, DOCUMENTS, 5, print) == first
    assert "moved to folds.json.damaged-1" in caplog.text


# -- what is asked for ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "arguments", "kind", "said"),
    [
        ({}, {"k_folds": 1}, ConfigurationError, "k_folds: folds: 1: should be greater than or equal to 2"),
        ({"folds": 7}, {}, BadData, r"hpo\.folds: 7 folds are more than there are different training documents \(6\)"),
        ({"folds": 3}, {"k_folds": 2}, UsageError, "k_folds: 2, and hpo_config has folds: 3"),
        ({}, {"fold_splits_file": 5}, UsageError, "fold_splits_file: 5: give the path of a file"),
    ],
)
def test_folds_that_cannot_be_are_one_line_and_others_are_taken_as_if_nothing_had_been_wrong(
    machine: Machine, changes: dict[str, Any], arguments: dict[str, Any], kind: type[HoldfastError], said: str
) -> None:
    with pytest.raises(kind, match=said) as error:
        run(machine, 1, "none", train=DOCUMENTS, arguments=arguments, **changes)
    assert "\n" not in str(error.value)
    run(machine, 1, "none", train=DOCUMENTS, folds=2)
    assert [len(t["attributes"]["folds"]) for t in trials_of(machine.root)] == [2]


def test_one_fold_in_an_experiment_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"micro\.yaml: hpo\.folds: 1: should be greater than or equal to 2"):
        check(settings(hpo__folds=1), "micro.yaml")


def test_number_and_splits_are_part_of_what_a_study_was_made_from_and_without_folds_nothing_of_them_is() -> None:
    def made_from(folds: str | None = None, asked: int | None = None) -> dict[str, Any]:
        return study_made_from(Hpo(folds=asked), Training(), "b", "d", seed=1, max_length=8, stride=2, folds=folds)

    assert "folds" not in json.dumps(made_from())
    one, other = (folds_of(f, DOCUMENTS).identity for f in ([[0, 1], [2, 3, 4, 5]], [[0, 2], [1, 3, 4, 5]]))
    assert made_from(one, asked=2)["hpo"]["folds"] == 2
    assert made_from(one, asked=2) != made_from(other, asked=2)


def test_a_fold_that_fails_fails_its_trial_alone_and_says_which(machine: Machine) -> None:
    begun: list[str] = []

    def fails(job: Job) -> None:
        place = "/".join(job.folder.parts[-2:])
        begun.append(place)
        if place == "trial-0000/fold-02":
            raise ValueError("no luck")

    run(machine, 2, "none", train=DOCUMENTS, folds=3, fails=fails)
    first, second = trials_of(machine.root)
    assert (first["state"], first["attributes"]["failed"]) == ("FAIL", "fold 2 of 3: ValueError: no luck")
    assert second["state"] == "COMPLETE"
    assert begun == ["trial-0000/fold-01", "trial-0000/fold-02", *(f"trial-0001/fold-0{n}" for n in (1, 2, 3))]
    assert not list((machine.root / STUDY).rglob("checkpoints"))


# -- the whole pipeline, with real trainings -----------------------------------------------------------------------------

CHANGES = {"hpo__folds": 2}


@pytest.fixture
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Begun(Lines):
    """Remembers the first step that was trained."""

    first: tuple[str, int] | None = None

    def work(self, what: str, done: int, total: int, note: str = "") -> None:
        self.first = self.first or (what, done)


@pytest.mark.long
def test_killed_in_a_second_fold_and_its_disk_lost_all_that_follows_is_as_if_nobody_had(
    tmp_path: Path, one_thread: Callable[[], None]
) -> None:
    make_project(tmp_path / "template")
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole, killed = (Project(Rig(tmp_path / name), tmp_path / "template") for name in ("whole", "killed"))
    uninterrupted = whole.machine()
    whole.run(uninterrupted, changed=CHANGES, only=("data", "hpo/micro"))
    gone = killed.machine()
    command = [sys.executable, "-m", "tests.pipeline.killed_run", str(gone.root), str(gone.drive), "13", json.dumps(CHANGES)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -9
    assert [len(t["reports"]) for t in trials(gone)] == [1], "its first fold is done"
    machine, told = killed.machine(), Begun()
    killed.run(machine, told=told, changed=CHANGES, only=("data", "hpo/micro", "benchmark/micro", "selection"))
    assert told.first == ("micro: trial 0, fold 2 of 2 (1 of 2)", 3), "the first is not trained again, nor two steps of the second"
    assert trials(machine) == trials(uninterrupted)
    assert results(machine) == results(uninterrupted)
    _selection_knows_the_folds_and_the_first_one_was_measured(machine)


def results(machine: Machine) -> dict[str, bytes]:
    return {n: c for n, c in machine.tree(STUDY_HERE).items() if n.endswith((".safetensors", "/metrics.json", "folds.json"))}


STUDY_HERE = "outputs/hpo/micro"


def _selection_knows_the_folds_and_the_first_one_was_measured(machine: Machine) -> None:
    best = json.loads(machine.read("outputs/best_configuration/best_configuration.json"))["best"]
    folder = f"{STUDY_HERE}/trials/trial-{best['trial']:04d}"
    found = json.loads(machine.read(f"{folder}/metrics.json"))
    scores = [row["score"] for row in found["folds"]]
    assert best["value"] == found["mean"] == sum(scores) / 2
    assert best["folds"] == scores
    assert best["deviation"] == found["deviation"] == pytest.approx(abs(scores[0] - scores[1]) / 2**0.5)
    (kept,) = [n for n in machine.tree(STUDY_HERE) if n.endswith(".safetensors")]
    assert kept == f"trials/trial-{best['trial']:04d}/fold-01/checkpoint/model.safetensors"
    assert json.loads(machine.read(f"{folder}/benchmark.json"))["checkpoint"] == file_identity(machine.root / STUDY_HERE / kept)
