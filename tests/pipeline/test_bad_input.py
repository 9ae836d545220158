"""Settings and data that cannot be: refused with 2, in one line that says where, what, and what to do; and nothing is written."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from holdfast.cli.entry import main
from tests.bad_input.support import Done, everything_in, refused
from tests.pipeline.project import make_project, write_settings

EXPERIMENT = "config/micro.yaml"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and encoder of the project; read only."""
    root = tmp_path_factory.mktemp("template")
    make_project(root)
    return root


class Desk:
    """A project with a drive, and the command as somebody would type it there, in this process."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = folder / "proj"
        self.drive = folder / "drive"
        self.drive.mkdir()
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def run(self, *words: str) -> Done:
        self._capsys.readouterr()
        self._monkeypatch.chdir(self.root)
        self._monkeypatch.setenv("HOLDFAST_DRIVE", str(self.drive))
        self._monkeypatch.setattr("sys.argv", ["holdfast", *words])
        with pytest.raises(SystemExit) as stopped:
            main()
        told = self._capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return Done(stopped.value.code, told.out, told.err)

    def everything(self) -> dict[str, tuple[int, int, int]]:
        return everything_in(self.root.parent)


@pytest.fixture
def desk(template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    shutil.copytree(template, tmp_path / "proj")
    log = logging.getLogger("holdfast")
    before, propagate = list(log.handlers), log.propagate
    yield Desk(tmp_path, capsys, monkeypatch)
    log.handlers, log.propagate = before, propagate


@dataclass(frozen=True)
class Case:
    """Something wrong, and what the line must say.

    Args:
        says: Parts of the line, in their order.
        settings: Changes to the experiment, by dotted key.
        text: The experiment file as a whole, instead.
        words: More words on the command line.
        change: What else is wrong in the project.
    """

    says: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    text: str | None = None
    words: tuple[str, ...] = ()
    change: Callable[[Path], Any] = lambda root: None

    def settle(self, root: Path) -> None:
        place = write_settings(root, **self.settings)
        if self.text is not None:
            place.write_text(self.text)
        self.change(root)


def said(message: str, **settings: Any) -> Case:
    """A setting that is wrong: the whole line but for `holdfast: ` and the name of the file."""
    return Case((f"holdfast: {EXPERIMENT}: {message}\n",), settings)


def typed(message: str, *words: str) -> Case:
    """An option that is wrong: the whole line."""
    return Case((f"holdfast: {message}\n",), words=words)


def search(**parameters: dict[str, Any]) -> dict[str, Any]:
    return {"hpo__search_space": parameters}


RATE = {"type": "uniform", "low": 0.1, "high": 0.2}
ONE_SOURCE = "data: give one of: sample: true; folder: DIR; train: FILE, and test: FILE where there is one"
STAGES = "data, hpo/micro, benchmark/micro, selection, final_training, conversion, report"

SETTINGS: dict[str, Case] = {
    # -- the file
    "no file": Case(
        (f"holdfast: {EXPERIMENT}: there is no such file; give the path of an experiment, or a built-in one: sample\n",),
        change=lambda root: (root / EXPERIMENT).unlink(),
    ),
    "no YAML": Case((f"{EXPERIMENT}: cannot be read as YAML: ", "line 2, column "), text="seed: 1\ndata: [unclosed"),
    "a list": Case((f"{EXPERIMENT}: expected keys and values, got list\n",), text="- seed\n- data\n"),
    "nothing": Case((f"{EXPERIMENT}: expected keys and values, got NoneType\n",), text="# later\n"),
    # -- keys
    "an unknown key": said("trainig is not a setting; did you mean training?", trainig={}),
    "a key like no other": said(
        "zzz is not a setting; known are name, seed, backbones, data, training, hpo, benchmark, selection, final_training, "
        "conversion, run",
        zzz=1,
    ),
    "an unknown nested key": said(
        "training.learning_rte is not a setting; did you mean training.learning_rate?", training__learning_rte=1
    ),
    "an unknown key two sections deep": said(
        "hpo.checkpoint.autoresume is not a setting; did you mean hpo.checkpoint.auto_resume?", hpo__checkpoint={"autoresume": True}
    ),
    "an unknown key of a parameter": said(
        "hpo.search_space.dropout.hi is not a setting; did you mean hpo.search_space.dropout.high?",
        **search(dropout={**RATE, "hi": 1}),
    ),
    "an unknown key in changes for trials": said(
        "hpo.training.epoch is not a setting; did you mean hpo.training.epochs?", hpo__training={"epoch": 1}
    ),
    "an unknown key in changes for the final training": said(
        "final_training.training.checkpoint.step is not a setting; did you mean final_training.training.checkpoint.steps?",
        final_training__training={"checkpoint": {"step": 1}},
    ),
    # -- values
    "a label that YAML reads as false": said(
        "data.labels.0: False: should be text; YAML reads NO, OFF, YES and ON as false and true, so write it in quotes: 'NO'",
        data__labels=[False, "PERSON"],
    ),
    "a label that is a number": said("data.labels.0: 1: should be text; write it in quotes", data__labels=[1, "PERSON"]),
    "half a character": said(
        "data.labels.0: 'a\\ud800': has half a character in it ('\\ud800'); write it without", data__labels=["a\ud800"]
    ),
    "NUL in a path": said("data.folder: 'da\\x00ta': has NUL in it ('\\x00'); write it without", data__folder="da\0ta"),
    "half a character in a key": said(
        "hpo.search_space: 'warm\\udfffup': has half a character in it ('\\udfff'); write it without",
        **search(**{"warm\udfffup": RATE}),
    ),
    "text for a number": said("training.batch_size: 'many': should be a whole number", training__batch_size="many"),
    "half a batch": said("training.batch_size: 2.5: should be a whole number", training__batch_size=2.5),
    "a number for a section": said("training: 5: should be a section of keys and values", training=5),
    "text for a list": said("data.labels: 'PERSON': should be a list", data__labels="PERSON"),
    "a learning rate below nothing": said("training.learning_rate: -1: should be greater than 0", training__learning_rate=-1),
    "a learning rate that is no number": said(
        "training.learning_rate: nan: should be a finite number", training__learning_rate=float("nan")
    ),
    "epochs as a truth": said("training.epochs: True: should be a number", training__epochs=True),
    "no epochs": said("training.epochs: 0: should be greater than or equal to 1", training__epochs=0),
    "no duration": said(
        "training.checkpoint.every: 'soon': should be a duration such as 90s, 30min or 8h", training__checkpoint={"every": "soon"}
    ),
    "an unknown sampler": said("hpo.sampler: 'grid': should be 'tpe' or 'random'", hpo__sampler="grid"),
    "an unknown objective": said(
        "hpo.objective: 'accuracy': should be 'f1_micro', 'f1_macro', 'precision_micro', 'precision_macro', 'recall_micro' or "
        "'recall_macro'",
        hpo__objective="accuracy",
    ),
    # -- the search space
    "low above high": said(
        "hpo.search_space.dropout: low (0.3) is above high (0.1)", **search(dropout={"type": "uniform", "low": 0.3, "high": 0.1})
    ),
    "loguniform from nothing": said(
        "hpo.search_space.weight_decay: loguniform needs a low above 0, and has no step",
        **search(weight_decay={"type": "loguniform", "low": 0, "high": 0.1}),
    ),
    "a choice of nothing": said(
        "hpo.search_space.dropout: a choice has values: [...], and nothing else", **search(dropout={"type": "choice"})
    ),
    "halves of whole numbers": said(
        "hpo.search_space.epochs: int needs whole numbers", **search(epochs={"type": "int", "low": 1.5, "high": 3})
    ),
    "a parameter that cannot be searched": said(
        "hpo.search_space.learning_rat cannot be searched; did you mean learning_rate?", **search(learning_rat=RATE)
    ),
    "a parameter out of its range": said(
        "hpo.search_space.dropout: 1.5: should be less than 1", **search(dropout={"type": "uniform", "low": 0, "high": 1.5})
    ),
    "a choice that cannot be": said(
        "hpo.search_space.class_weights: 'balnced': should be 'none' or 'balanced'",
        **search(class_weights={"type": "choice", "values": ["none", "balnced"]}),
    ),
    # -- what does not go together
    "a weight of no label": said(
        "training.class_weights.PERSN is not a label; did you mean PERSON?",
        data__labels=["PERSON", "PLACE"],
        training__class_weights={"PERSN": 2},
    ),
    "a weight below nothing": said(
        "training.class_weights.PERSON: -2: should be greater than 0", training__class_weights={"PERSON": -2}
    ),
    "no source of data": said(ONE_SOURCE, data={}),
    "two sources of data": said(ONE_SOURCE, data={"sample": True, "folder": "data"}),
    "test data without training data": said("data: validation and test go with train", data={"test": "data/test.jsonl"}),
    "a stride of a whole window": said("data: stride should be smaller than max_length less two", data__stride=46),
    "two backbones of one name": said(
        "backbones: two are called 'a'; give each a name: {name: ..., model: ...}",
        backbones=[{"name": "a", "model": "encoder"}, {"name": "a", "model": "tiny"}],
    ),
    "no backbones": said("backbones: []: should have at least one item", backbones=[]),
    "a backbone without a name": said("backbones.0.name is missing; every experiment has one", backbones=[{"model": "tiny"}]),
    "a study that is not kept": said(
        "hpo.checkpoint.enabled: false keeps no study, so nothing could be selected from it or resumed; leave it true",
        hpo__checkpoint={"enabled": False},
    ),
    "a setting that an experiment does not read": said(
        "hpo.checkpoint.restore_patience is for run_local_hpo_sweep alone; in an experiment set run.restore_patience",
        hpo__checkpoint={"restore_patience": "5min"},
    ),
    "studies that share a file": said(
        "hpo.checkpoint.storage_path: 'study.db' should be '{backbone}/' and a file name, so that a study and its trials "
        "are kept together",
        hpo__checkpoint={"storage_path": "study.db"},
    ),
    "a study outside its folder": said(
        "hpo.checkpoint.storage_path: '{backbone}/../study.db' should be '{backbone}/' and a file name, so that a study and its "
        "trials are kept together",
        hpo__checkpoint={"storage_path": "{backbone}/../study.db"},
    ),
    "stopping early by nothing": said(
        "final_training.data: train+validation leaves nothing to stop early by; set final_training.training.early_stopping: null, "
        "or data: train",
        final_training__data="train+validation",
        training__early_stopping=2,
    ),
    "an operator set that is too old": said(
        "conversion.opset: 11: should be greater than or equal to 18", conversion={"opset": 11}
    ),
}

OPTIONS: dict[str, Case] = {
    "--set without =": typed("--set training.epochs: give key=value, such as training.epochs=5", "--set", "training.epochs"),
    "--set of no YAML": typed("--set training.epochs=[: the value is not YAML", "--set", "training.epochs=["),
    "--set below a value": typed("--set seed.x=3: seed is not a section", "--set", "seed.x=3"),
    "--set of an unknown key": typed(
        f"{EXPERIMENT}: training.epoch is not a setting; did you mean training.epochs?", "--set", "training.epoch=3"
    ),
}

RUN_OPTIONS: dict[str, Case] = {
    "--only of no stage": typed(f"--only train: there is no such stage; the stages are {STAGES}", "--only", "train"),
    "--stop-after of no time": typed("--stop-after soon: give a time such as 5h, 90min or 300s", "--stop-after", "soon"),
    "--stop-after nothing": typed("--stop-after 0: give a time above zero", "--stop-after", "0"),
}

FILES: dict[str, Case] = {
    "no data folder": Case(
        ("/proj/nodata: the data folder cannot be read: No such file or directory; check the path\n",), {"data__folder": "nodata"}
    ),
    "no training file in the folder": Case(
        ("/proj/data: no train data; looked for train.* with suffix .json .jsonl",),
        change=lambda root: (root / "data/train.jsonl").unlink(),
    ),
    "no test file where it is said": Case(
        ("/proj/data/tset.jsonl: data.test: there is no such file; paths start at the project folder ", "/proj\n"),
        {"data": {"train": "data/train.jsonl", "test": "data/tset.jsonl"}},
    ),
}


def told_once(done: Done, *parts: str) -> None:
    """The command ended with 2 and one line that holds these parts in their order."""
    line = refused(done, 2).errors[0] + "\n"
    at = 0
    for part in parts:
        assert part in line[at:], (part, line)
        at = line.index(part, at) + len(part)


@pytest.mark.parametrize("verb", ["run", "plan"])
@pytest.mark.parametrize("what", [*SETTINGS, *OPTIONS, *FILES])
def test_what_cannot_be_is_refused_in_one_line_before_anything_is_written(desk: Desk, what: str, verb: str) -> None:
    case = {**SETTINGS, **OPTIONS, **FILES}[what]
    case.settle(desk.root)
    before = desk.everything()
    told_once(desk.run(verb, EXPERIMENT, *case.words), *case.says)
    assert desk.everything() == before


def test_a_setting_or_option_that_is_corrected_is_taken_as_if_nothing_had_been_wrong(desk: Desk, template: Path) -> None:
    for case in {**SETTINGS, **OPTIONS, **RUN_OPTIONS, **FILES}.values():
        case.settle(desk.root)
        told_once(desk.run("run", EXPERIMENT, *case.words), *case.says)
        shutil.rmtree(desk.root / "data")
        shutil.copytree(template / "data", desk.root / "data")
        write_settings(desk.root)
    assert desk.run("run", EXPERIMENT, "--only", "data").code == 0


@pytest.mark.parametrize("what", RUN_OPTIONS)
def test_an_option_of_run_that_cannot_be_is_refused_in_one_line_before_anything_is_written(desk: Desk, what: str) -> None:
    case = RUN_OPTIONS[what]
    case.settle(desk.root)
    before = desk.everything()
    told_once(desk.run("run", EXPERIMENT, *case.words), *case.says)
    assert desk.everything() == before


# -- what shows only once a stage reads it ---------------------------------------------------------------------------------


def conll(root: Path) -> None:
    (root / "data/train.jsonl").unlink()
    (root / "data/train.conll").write_text("Ada\tB-PERSON\nLovelace\tPERSON\n")


def train_file(text: str) -> Callable[[Path], Any]:
    return lambda root: (root / "data/train.jsonl").write_text(text)


SPAN = json.dumps({"text": "Ada", "annotations": [[0, 30, "PERSON"]]})
LINE = "/proj/data/train.jsonl: line 1"

DATA: dict[str, Case] = {
    "no JSON": Case(
        (f"{LINE}, column 10: not JSON (", "; each line should hold one whole object\n"), change=train_file('{"text": ')
    ),
    "a span outside its text": Case(
        (f"{LINE}, annotation 1: characters 0 to 30 are outside the text, which has 3; offsets count characters from 0, ",),
        change=train_file(SPAN),
    ),
    "a label that is not configured": Case(
        ("/proj/data/train.jsonl: document 1, characters ", ": label 'PLACE' is not in the configuration; did you mean 'PLAC'\n"),
        {"data__labels": ["PERSON", "PLAC"]},
    ),
    "a tag without B- or I-": Case(
        ("/proj/data/train.conll: line 2: 'PERSON' is not a tag; a tag is O, B-LABEL or I-LABEL, in the last column\n",),
        change=conll,
    ),
    "an empty file": Case(("/proj/data/train.jsonl: it is empty; it should hold annotated documents\n",), change=train_file("")),
    "no entity to learn from": Case(
        ("/proj/data/train.jsonl: no document has an entity; there is nothing to learn\n",),
        change=train_file('{"text": "Ada", "annotations": []}'),
    ),
}

MODELS: dict[str, Case] = {
    "a folder that is no model": Case(
        (
            "holdfast: backbone ",
            "/proj/data: cannot be loaded (",
            "); give a name that the hub has, a local `transformers` folder, ",
        ),
        {"backbones": [{"name": "micro", "model": "data"}]},
    ),
    "windows longer than the model reads": Case(
        ("holdfast: data.max_length: 100 is longer than ", "/proj/encoder reads (64); make it smaller\n"), {"data__max_length": 100}
    ),
    "fp16 without a GPU": Case(
        ("holdfast: training.precision: fp16 needs a GPU; use auto, fp32 or bf16\n",), {"training__precision": "fp16"}
    ),
    "a GPU where there is none": Case(
        ("holdfast: run.device: cuda is asked for, and this machine has no GPU; in Colab: Runtime, Change runtime type\n",),
        {"run__device": "cuda"},
    ),
    "a weight of no label of the data": Case(
        ("holdfast: training.class_weights.PERSN is not a label of the data; did you mean PERSON?\n",),
        {"training__class_weights": {"PERSN": 2}},
    ),
}


@pytest.mark.parametrize("what", [*DATA, *MODELS])
def test_what_a_stage_cannot_use_is_refused_in_one_line(desk: Desk, what: str) -> None:
    case = {**DATA, **MODELS}[what]
    case.settle(desk.root)
    told_once(desk.run("run", EXPERIMENT), *case.says)
    made = {p.parts[1] for p in (q.relative_to(desk.root) for q in desk.root.glob("outputs/**/*") if q.is_file())}
    assert made <= ({"data"} if what in DATA else {"data", "hpo"})


@pytest.mark.parametrize("what", [*DATA, *MODELS])
def test_what_is_mended_goes_on_as_if_it_had_never_been_wrong(desk: Desk, template: Path, what: str) -> None:
    case = {**DATA, **MODELS}[what]
    case.settle(desk.root)
    refused(desk.run("run", EXPERIMENT), 2)
    shutil.rmtree(desk.root / "data")
    shutil.copytree(template / "data", desk.root / "data")
    write_settings(desk.root)
    done = desk.run("run", EXPERIMENT, "--only", "data" if what in DATA else "hpo")
    # What was wrong was found before anything was made: the data's store is only made now, and that is said.
    said_of_store = ("nothing was backed up here yet; the first backup makes a new store", "a new store was created at")
    assert (done.code, [line for line in done.lines if not any(text in line for text in said_of_store)]) == (0, [])


LATE: dict[str, Case] = {
    "a name with a slash": said("name: 'a/b': should ", name="a/b"),
    "a backbone's name that leads outside": said(
        "backbones.0.name: '../../x': should ", backbones=[{"name": "../../x", "model": "a"}]
    ),
    "no labels": said("data.labels: []: should have at least one item", data__labels=[]),
    "a batch size twice": said("benchmark", benchmark__batch_sizes=[2, 2]),
    "an operator set that is not made yet": said("conversion.opset: 99: should ", conversion={"opset": 99}),
    "a weight of no label in the final training": said(
        "final_training.training.class_weights.PERSN is not a label; did you mean PERSON?",
        data__labels=["PERSON", "PLACE"],
        final_training__training={"class_weights": {"PERSN": 2}},
    ),
    "searching when to stop early by nothing": said(
        "final_training.data: train+validation leaves nothing to stop early by",
        final_training__data="train+validation",
        **search(early_stopping={"type": "int", "low": 1, "high": 3}),
    ),
    "a path that is no folder": Case(
        ("./encodr", "there is no such folder"), {"backbones": [{"name": "micro", "model": "./encodr"}]}
    ),
}


@pytest.mark.parametrize("what", LATE)
def test_what_would_be_found_wrong_only_after_hours_is_refused_at_once(desk: Desk, what: str) -> None:
    case = LATE[what]
    case.settle(desk.root)
    before = desk.everything()
    told_once(desk.run("plan", EXPERIMENT), *(part.rstrip("\n") for part in case.says))
    assert desk.everything() == before
