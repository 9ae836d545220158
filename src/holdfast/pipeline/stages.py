"""The stages, declared: what each makes, what it needs, and what decides its outcome. One declaration serves restore and backup."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from holdfast.flow.bench import Bench
from holdfast.flow.flow import Flow
from holdfast.flow.found import Found
from holdfast.flow.record import Record
from holdfast.flow.stage import RECORD, Declared, Finished, Stage
from holdfast.integrations.watching import Copies
from holdfast.pipeline import copies, failing, layout, sameness
from holdfast.pipeline.benchmark import BENCHMARK_FILENAME, read_benchmark_record
from holdfast.pipeline.copies import PatientCopies
from holdfast.pipeline.data.sources import describe_asked, describe_draw, describe_source
from holdfast.pipeline.identity import backbone_identity, settings_identity, study_made_from, training_identity
from holdfast.pipeline.layout import Layout, trial_folder, weights_folder
from holdfast.pipeline.settings import TINY, Backbone, Experiment
from holdfast.session.keeper import Keeper
from holdfast.spread.cluster.lines import let_go_of_rest
from holdfast.spread.printing import OUTPUT

#: What decides, beside settings and data, whether two trainings are equal bit for bit.
COMPARABLE = ("device", "precision", "torch", "transformers", "threads")


class Pipeline(Flow):
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
        files = ["train.jsonl", "validation.jsonl", "test.jsonl", layout.DATASET, f"{TINY}/config.json"]
        return Stage(
            name="data",
            folder=folder,
            record=f"{folder}/{RECORD}",
            outputs=tuple(f"{folder}/{f}" for f in files),
            inputs=(),
            made_from={
                "source": describe_source(data, self.sources),
                "labels": data.labels,
                **describe_draw(data, self.sources, self.experiment.seed),
                **describe_asked(data),
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
            record=f"{folder}/{RECORD}",
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
        checkpoint = f"{weights_folder(int(study.record.summary['best_trial']), self.experiment.hpo.folds)}/{layout.CHECKPOINT}"
        return Stage(
            name=f"benchmark/{backbone.name}",
            folder=folder,
            record=place,
            outputs=(place,),
            inputs=(f"{folder}/{checkpoint}", f"{data.stage.folder}/test.jsonl"),
            made_from={
                "weights": study.record.files.get(f"{checkpoint}/model.safetensors", ""),
                "data": data.record.result,
                "benchmark": settings_identity(self.experiment.benchmark),
            },
            work="holdfast.pipeline.steps.benchmark:benchmark",
            own=False,
            reads=read_benchmark_record,
        )

    def _selection(self, done: Mapping[str, Finished], _: Backbone | None, fork: str) -> Stage:
        folder = self.layout.folder("best_configuration", fork=fork)
        studies = {n: f for n, f in done.items() if n.startswith("hpo/")}
        benchmarks = {n: f for n, f in done.items() if n.startswith("benchmark/")}
        return Stage(
            name="selection",
            folder=folder,
            record=f"{folder}/{RECORD}",
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
            record=f"{folder}/{RECORD}",
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
        # An int8 model may be refused, so it is none of what must be there; where it was kept, the record has it.
        files = [f"{layout.ONNX}/{f}" for f in ("model.onnx", "tokenizer.json", "labels.json", layout.CONVERSION)]
        return Stage(
            name="conversion",
            folder=folder,
            record=f"{folder}/{RECORD}",
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
            record=f"{folder}/{RECORD}",
            outputs=(f"{folder}/{layout.REPORT}", f"{folder}/{layout.PAGE}"),
            inputs=(),
            made_from={n: f.record.result for n, f in done.items() if n != "report"},
            work="holdfast.pipeline.steps.report:write_report",
        )

    # -- what only this pipeline knows of its stages -----------------------------------------------------------------

    comparable = COMPARABLE
    unfinished = layout.CHECKPOINTS
    varying = (layout.PAGE, layout.TRACKING, OUTPUT)

    def products(self, done: Mapping[str, Finished]) -> tuple[str, ...]:
        """What a person wants to have here at the end: the model, its metrics, the report."""
        final, conversion, report = done["final_training"].stage, done["conversion"].stage, done["report"]
        made = {f"{report.stage.folder}/{name}" for name in report.record.files}  # an older version made no page
        return (conversion.folder, f"{final.folder}/{layout.METRICS}", *(o for o in report.stage.outputs if o in made))

    def bench(self, bench: Bench) -> Any:
        """The engine's bench, with all stages, and with checkpoints from the store."""
        given = {f.name: getattr(bench, f.name) for f in fields(bench)}
        return Workbench(**given, pipeline=self, copies=PatientCopies(bench.keeper, bench.patiently))

    def same(self, then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
        """Whether nothing else is asked for, also across versions and spellings."""
        return sameness.same(then, now)

    def differing(self, then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
        """One line for each value that differs; none for what is only written in another way."""
        return sameness.differing(then, now)

    def narrowed(self, then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
        """A search space may become narrower in a study that goes on."""
        return "within a narrower search space" if sameness.narrowed(then, now) else ""

    def may_pass(self, error: Exception) -> bool:
        """Whether the same may go well another time, also of torch and its libraries."""
        return failing.may_pass(error)

    def clear(self, keeper: Keeper, done: Mapping[str, Finished]) -> None:
        """Lines of attempts that a kill left, or a node wrote that had been given up."""
        if keeper.store is not None:
            homes = {finished.stage.folder for finished in done.values()}
            let_go_of_rest(keeper, homes, look=self.experiment.hpo.engine != "local")

    def mended(self, keeper: Keeper, place: Path) -> bool:
        """Checkpoints tell by their own marker that they are damaged."""
        return copies.mended(keeper, place)

    def how_far(self, found: Found) -> str:
        """How far a stage is that was begun, in trials or steps."""
        progress = found.held.progress if found.held is not None else None
        if found.record is not None and found.record.finished:
            progress = found.record.summary.get("trials")
        if found.name.startswith("hpo/") and progress is not None:
            return f"{int(progress)} of {self.experiment.hpo.trials} trials"
        if found.name == "final_training" and progress:
            return f"at step {int(progress)}"
        return "begun"

    def final_progress(self, stage: Stage, record: Record) -> float | None:
        """Half a trial or step above the last that was counted."""
        if not stage.precious:
            return None
        return float(record.summary.get("trials") or record.summary.get("steps") or 0) + 0.5

    def road_on(self, found: Found) -> str:
        """What else leads on, by what differs: who asks for more does not want to hear of another beside it."""
        keys = {line.partition(":")[0] for line in found.differences}
        finished = found.record is not None and found.record.finished
        if keys == {"training.epochs"} and found.name == "final_training" and finished and found.stage is not None:
            return (
                ". Another number of epochs has another learning rate at every step, so it is trained from its beginning; to train "
                "on the finished one, make it the backbone, "
                f"{{name: ..., model: {found.stage.folder}/{layout.CHECKPOINT}}}, with --fork"
            )
        if keys == {"training.epochs"}:
            return ". Another number of epochs has another learning rate at every step, so it begins from its beginning"
        if keys and all(k.startswith("hpo.search_space.") for k in keys):
            asked = "; give it more trials as well (hpo.trials)" if finished else ""
            return f". A search space may only become narrower in a study that goes on{asked}"
        return ""


@dataclass(frozen=True)
class Workbench(Bench):
    """A stage about to run, as `Bench` has it, and beside that what this pipeline needs.

    Args:
        pipeline: All stages.
        copies: Where checkpoints that are damaged here come back from.
    """

    pipeline: Pipeline
    copies: Copies

    @property
    def experiment(self) -> Experiment:
        """The settings."""
        return self.pipeline.experiment
