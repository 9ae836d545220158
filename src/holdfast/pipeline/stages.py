"""The stages, declared: what each makes, what it needs, and what decides its outcome. One declaration serves restore and backup."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.pipeline import layout
from holdfast.pipeline.benchmark import BENCHMARK_FILENAME
from holdfast.pipeline.fingerprint import fingerprint
from holdfast.pipeline.identity import backbone_identity, settings_identity, study_made_from, training_identity
from holdfast.pipeline.layout import Layout, trial_folder
from holdfast.pipeline.record import Record, read_benchmark_record, read_record
from holdfast.pipeline.settings import TINY, Backbone, Experiment
from holdfast.pipeline.sources import describe_source

FORK_DIGITS = 8


@dataclass(frozen=True)
class Made:
    """What a stage came to.

    Args:
        result: Identity of what came out, for the stages that build on it.
        summary: A few numbers for people and for later stages; no clock times.
    """

    result: str
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """A step of the pipeline. Paths are keys.

    Args:
        name: Such as `hpo/tiny`.
        folder: The artifact that it makes, or makes part of.
        record: The file that says what it was made from.
        outputs: What must be there when it is finished.
        inputs: What must be here before it begins.
        made_from: What decides its outcome.
        work: The module and function that makes it, imported when it runs: `work(bench) -> Made`.
        extent: How much is asked for, where more may be asked for later without starting over; None is without limit.
        precious: It carries hours, so nothing begins anew because the store could not be read.
        own: The outputs are the folder's own: the whole folder is restored before it goes on, and backed up as one.
    """

    name: str
    folder: str
    record: str
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]
    made_from: Mapping[str, Any]
    work: str
    extent: Mapping[str, float | None] = field(default_factory=dict)
    precious: bool = False
    own: bool = True

    @property
    def fingerprint(self) -> str:
        """See `fingerprint.fingerprint`."""
        return fingerprint(self.made_from)

    def read(self, place: Path) -> Record | None:
        """Its record in a file, if that is one."""
        return read_record(place) if self.own else read_benchmark_record(place, self.name)

    def more_asked(self, record: Record) -> str:
        """What is asked for beyond that at which a finished stage ended, in words; empty where it is enough."""
        for name, now in self.extent.items():
            then = record.extent.get(name)
            if then is not None and (now is None or now > then):
                return f"{name}: {then:g} then, {'no limit' if now is None else format(now, 'g')} now"
        return ""

    @property
    def artifacts(self) -> tuple[str, ...]:
        """What is handed to the backup, and comes back from it."""
        return (self.folder,) if self.own else self.outputs


@dataclass(frozen=True)
class Finished:
    """A stage that is done: where, and its record."""

    stage: Stage
    record: Record


Build = Callable[[str], Stage]


@dataclass(frozen=True)
class Declared:
    """A stage to come: its name, and how it is declared for a fork (empty: none). None where an earlier stage decides it."""

    name: str
    build: Build | None


class Pipeline:
    """All stages of an experiment in their order.

    Args:
        experiment: The settings.
        root: The project folder; relative paths of data and models start there.
        outputs: Path of the outputs folder below it.
        sources: Where the data files are on this machine, after those on a mount were copied here.
    """

    def __init__(self, experiment: Experiment, root: Path, outputs: str, sources: Mapping[str, Path]) -> None:
        self.experiment = experiment
        self.root = root
        self.layout = Layout(outputs)
        self.sources = sources

    def names(self) -> list[str]:
        """The names of all stages."""
        each = [b.name for b in self.experiment.backbones]
        return [
            "data",
            *(f"hpo/{b}" for b in each),
            *(f"benchmark/{b}" for b in each),
            "selection",
            "final_training",
            "conversion",
            "report",
        ]

    def declare(self, name: str, done: Mapping[str, Finished]) -> Declared:
        """One stage, given those that are done."""
        kind, _, backbone = name.partition("/")
        needs = self._needs(kind, backbone)
        if any(n not in done for n in needs):
            return Declared(name, None)
        build = {
            "data": self._data,
            "hpo": self._hpo,
            "benchmark": self._benchmark,
            "selection": self._selection,
            "final_training": self._final_training,
            "conversion": self._conversion,
            "report": self._report,
        }[kind]
        return Declared(name, functools.partial(build, done, self._backbone(backbone)))

    def _needs(self, kind: str, backbone: str) -> list[str]:
        each = [b.name for b in self.experiment.backbones]
        return {
            "data": [],
            "hpo": ["data"],
            "benchmark": ["data", f"hpo/{backbone}"],
            "selection": [*(f"hpo/{b}" for b in each), *(f"benchmark/{b}" for b in each)],
            "final_training": ["data", "selection"],
            "conversion": ["data", "final_training"],
            "report": [*(f"benchmark/{b}" for b in each), "selection", "final_training", "conversion"],
        }[kind]

    def _backbone(self, name: str) -> Backbone | None:
        return next((b for b in self.experiment.backbones if b.name == name), None)

    def model(self, backbone: Backbone, data: Finished) -> str:
        """What to load for a backbone."""
        if backbone.model == TINY:
            return str(self.root / data.stage.folder / TINY)
        beside = (self.root / Path(backbone.model).expanduser()).absolute()
        return str(beside) if beside.is_dir() else backbone.model

    def _identity(self, backbone: Backbone, data: Finished) -> Any:
        """The encoder `tiny` follows from the data, so that its files need not be here to say what it is."""
        return {"tiny": data.record.result} if backbone.model == TINY else backbone_identity(self.model(backbone, data))

    # -- the stages --------------------------------------------------------------------------------------------------

    def _data(self, done: Mapping[str, Finished], _: Backbone | None, fork: str) -> Stage:
        data = self.experiment.data
        folder = self.layout.folder("data", fork=fork)
        split = (
            {} if data.sample or "validation" in self.sources else {"share": data.validation_share, "seed": self.experiment.seed}
        )
        files = ["train.jsonl", "validation.jsonl", "test.jsonl", layout.DATASET, f"{TINY}/config.json"]
        return Stage(
            name="data",
            folder=folder,
            record=f"{folder}/{layout.RECORD}",
            outputs=tuple(f"{folder}/{f}" for f in files),
            inputs=(),
            made_from={
                "source": describe_source(data, self.sources),
                "labels": data.labels,
                "validation": split,
            },
            work="holdfast.pipeline.steps.data:make_data",
        )

    def _hpo(self, done: Mapping[str, Finished], backbone: Backbone | None, fork: str) -> Stage:
        assert backbone is not None
        data, experiment = done["data"], self.experiment
        folder = self.layout.folder("hpo", backbone.name, fork)
        storage = experiment.hpo.checkpoint
        study = storage.storage_path.removeprefix("{backbone}/").replace("{backbone}", backbone.name)
        study = study.replace("{study_name}", storage.study_name or backbone.name)
        return Stage(
            name=f"hpo/{backbone.name}",
            folder=folder,
            record=f"{folder}/{layout.RECORD}",
            outputs=(f"{folder}/{study}",),
            inputs=(data.stage.folder,),
            made_from=study_made_from(
                experiment.hpo,
                experiment.trial_training(),
                self._identity(backbone, data),
                data.record.result,
                seed=experiment.seed,
                max_length=experiment.data.max_length,
                stride=experiment.data.stride,
            ),
            work="holdfast.pipeline.steps.study:search",
            extent={"trials": experiment.hpo.trials, "timeout": experiment.hpo.timeout},
            precious=True,
        )

    def _benchmark(self, done: Mapping[str, Finished], backbone: Backbone | None, fork: str) -> Stage:
        assert backbone is not None
        study, data = done[f"hpo/{backbone.name}"], done["data"]
        folder = study.stage.folder
        trial = trial_folder(int(study.record.summary["best_trial"]))
        name, dot, suffix = BENCHMARK_FILENAME.partition(".")
        place = f"{folder}/{trial}/{name}{'-' + fork if fork else ''}{dot}{suffix}"
        weights = f"{trial}/{layout.CHECKPOINT}/model.safetensors"
        return Stage(
            name=f"benchmark/{backbone.name}",
            folder=folder,
            record=place,
            outputs=(place,),
            inputs=(f"{folder}/{trial}/{layout.CHECKPOINT}", f"{data.stage.folder}/test.jsonl"),
            made_from={
                "weights": study.record.files.get(weights, ""),
                "data": data.record.result,
                "benchmark": settings_identity(self.experiment.benchmark),
            },
            work="holdfast.pipeline.steps.model:benchmark",
            own=False,
        )

    def _selection(self, done: Mapping[str, Finished], _: Backbone | None, fork: str) -> Stage:
        folder = self.layout.folder("best_configuration", fork=fork)
        studies = {n: f for n, f in done.items() if n.startswith("hpo/")}
        benchmarks = {n: f for n, f in done.items() if n.startswith("benchmark/")}
        return Stage(
            name="selection",
            folder=folder,
            record=f"{folder}/{layout.RECORD}",
            outputs=(f"{folder}/{layout.BEST_CONFIGURATION}",),
            inputs=tuple(o for f in (*studies.values(), *benchmarks.values()) for o in f.stage.outputs),
            made_from={
                "studies": {n: {"trials": f.record.summary.get("trials"), "result": f.record.result} for n, f in studies.items()},
                "benchmarks": {n: f.record.result for n, f in benchmarks.items()},
                "selection": settings_identity(self.experiment.selection),
            },
            work="holdfast.pipeline.steps.selection:select",
        )

    def chosen(self, done: Mapping[str, Finished]) -> Backbone:
        """The backbone that selection chose."""
        backbone = self._backbone(str(done["selection"].record.summary["backbone"]))
        assert backbone is not None
        return backbone

    def _final_training(self, done: Mapping[str, Finished], _: Backbone | None, fork: str) -> Stage:
        backbone, data, selection = self.chosen(done), done["data"], done["selection"]
        folder = self.layout.folder("final_training", backbone.name, fork)
        experiment = self.experiment
        parameters = dict(selection.record.summary["parameters"])
        return Stage(
            name="final_training",
            folder=folder,
            record=f"{folder}/{layout.RECORD}",
            outputs=tuple(
                f"{folder}/{f}" for f in (f"{layout.CHECKPOINT}/model.safetensors", layout.METRICS, layout.TRAINING_CACHE)
            ),
            inputs=(data.stage.folder, f"{selection.stage.folder}/{layout.BEST_CONFIGURATION}"),
            made_from={
                "data": data.record.result,
                "learns_from": experiment.final_training.data,
                "backbone": self._identity(backbone, data),
                "parameters": parameters,
                "training": training_identity(experiment.final(parameters)),
                "objective": experiment.hpo.objective,
                "seed": experiment.seed,
                "max_length": experiment.data.max_length,
                "stride": experiment.data.stride,
            },
            work="holdfast.pipeline.steps.training:train_final",
            precious=True,
        )

    def _conversion(self, done: Mapping[str, Finished], _: Backbone | None, fork: str) -> Stage:
        data, final = done["data"], done["final_training"]
        folder = self.layout.folder("conversion", self.chosen(done).name, fork)
        files = ["model.onnx", "tokenizer.json", "labels.json", layout.CONVERSION]
        files += ["model.int8.onnx"] if self.experiment.conversion.int8 else []
        files = [f"{layout.ONNX}/{f}" for f in files]
        return Stage(
            name="conversion",
            folder=folder,
            record=f"{folder}/{layout.RECORD}",
            outputs=tuple(f"{folder}/{f}" for f in files),
            inputs=(f"{data.stage.folder}/test.jsonl", f"{final.stage.folder}/{layout.TRAINING_CACHE}"),
            made_from={
                "weights": final.record.files.get(f"{layout.CHECKPOINT}/model.safetensors", ""),
                "data": data.record.result,
                "conversion": settings_identity(self.experiment.conversion),
            },
            work="holdfast.pipeline.steps.model:convert_final",
        )

    def _report(self, done: Mapping[str, Finished], _: Backbone | None, fork: str) -> Stage:
        folder = self.layout.folder("report", fork=fork)
        return Stage(
            name="report",
            folder=folder,
            record=f"{folder}/{layout.RECORD}",
            outputs=(f"{folder}/{layout.REPORT}",),
            inputs=(),
            made_from={n: f.record.result for n, f in done.items() if n != "report"},
            work="holdfast.pipeline.steps.report:write_report",
        )


def products(done: Mapping[str, Finished]) -> tuple[str, ...]:
    """What a person wants to have here at the end: the model, its metrics, the report."""
    final, conversion, report = done["final_training"].stage, done["conversion"].stage, done["report"].stage
    return (conversion.folder, f"{final.folder}/{layout.METRICS}", *report.outputs)
