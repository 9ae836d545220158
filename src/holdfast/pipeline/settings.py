"""What an experiment file may say: every key with its type, default and unit, and nothing else.

Unknown keys are refused with the nearest valid one. `docs/configuration.md` is made from these classes.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from holdfast.pipeline.training.scores import OBJECTIVES
from holdfast.session.numbers import plain_number, seconds_of

_SLUG = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")

#: What `training.report_to` may name.
TRACKERS = ("tensorboard", "mlflow", "wandb", "trackio")

#: The encoder that needs no hub: made from the training data (see `holdfast.pipeline.training.tiny`).
TINY = "tiny"


def seconds(value: Any) -> Any:
    """A duration as seconds: a number, or text such as `90s`, `30min`, `8h`, `1d`."""
    if isinstance(value, bool):
        raise ValueError("should be a duration such as 90s, 30min or 8h")  # noqa: TRY004 - pydantic collects ValueError
    if isinstance(value, str):
        return seconds_of(value)
    return value


def _no_bool(value: Any) -> Any:
    """Numbers of other libraries as plain ones; true and false are none. What is no number is left to pydantic to name."""
    if isinstance(value, bool):
        raise ValueError("should be a number")  # noqa: TRY004 - as above
    if value is None or isinstance(value, int | float | str | dict | list | tuple):
        return value
    try:
        return plain_number(value)
    except ValueError as error:
        raise ValueError("should be a number") from error


def _plain_value(value: Any) -> Any:
    """A value of a choice; a number of another library as a plain one."""
    return value if isinstance(value, bool) else _no_bool(value)


def _listed(value: Any) -> Any:
    """One name as a list of it, `none` as no name, and each name once."""
    if value is None or value == "none":
        return ()
    names = [value] if isinstance(value, str) else value
    return list(dict.fromkeys(names)) if isinstance(names, list | tuple) and all(isinstance(n, str) for n in names) else value


Count = Annotated[int, BeforeValidator(_no_bool)]
Number = Annotated[float, BeforeValidator(_no_bool), Field(allow_inf_nan=False)]
Duration = Annotated[float, BeforeValidator(seconds), Field(gt=0, allow_inf_nan=False)]
Share = Annotated[Number, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A part of the experiment file. What it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, value: Any) -> Any:
        """A section whose keys are all commented out is nothing in YAML; it means every default."""
        if not isinstance(value, dict):
            return value
        sections = {n for n, f in cls.model_fields.items() if isinstance(f.default_factory, type)}
        return {k: v for k, v in value.items() if v is not None or k not in sections}


class Backbone(Section):
    """A pretrained encoder."""

    name: str = Field(description="its name in paths and tables", pattern=_SLUG.pattern)
    model: str = Field(description="a `transformers` name, a local folder, or `tiny`", min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        last = value.rstrip("/").split("/")[-1] if value.startswith((".", "/", "~")) else value.replace("/", "--")
        return {"name": last, "model": value}


class DataColumns(Section):
    """Which column of the data files is which, counted from 1, where the files do not prove it."""

    token: Annotated[Count, Field(ge=1)] = Field(description="the column of the token")
    tag: Annotated[Count, Field(ge=1)] = Field(description="the column of the tag")


class DataOffsets(Section):
    """How the data files count characters, where the files do not prove it."""

    unit: Literal["code_points", "utf16", "utf8", "graphemes"] = Field("code_points", description="what is counted")
    end: Literal["exclusive", "inclusive"] = Field("exclusive", description="whether the end belongs to the span")
    first: Annotated[Count, Field(ge=0, le=1)] = Field(0, description="the number of the first character")


class Data(Section):
    """Where the documents are. Either `folder`, or `train` and what else there is, or the built-in sample."""

    sample: bool = Field(False, description="use the built-in résumés")
    folder: str | None = Field(
        None, description="folder with `train`, `validation` (or `dev`) and `test` files, or folders of files"
    )
    train: str | None = Field(None, description="training file, or a folder of which every file is read")
    validation: str | None = Field(None, description="the same for validation; without it a share of training is split off")
    test: str | None = Field(None, description="the same for test; without it a share of training is split off")
    labels: tuple[str, ...] | None = Field(
        None, min_length=1, description="entity types that may occur; default: those in the data"
    )
    columns: DataColumns | None = Field(None, description="which column is the token and which the tag; default: proved by content")
    offsets: DataOffsets | None = Field(None, description="how spans count; default: as the tool does, or proved by content")
    annotator: str | None = Field(None, description="whose annotations hold where several people marked one text")
    validation_share: Annotated[Number, Field(gt=0, lt=1)] = Field(0.1, description="share of training that is split off")
    test_share: Annotated[Number, Field(gt=0, lt=1)] = Field(0.1, description="the same, where there is no test data")
    max_length: Annotated[Count, Field(ge=8)] = Field(256, description="longest window, in word pieces")
    stride: Annotated[Count, Field(ge=0)] = Field(64, description="overlap of two windows of a long document, in word pieces")

    @field_validator("annotator", mode="before")
    @classmethod
    def _a_name(cls, value: Any) -> Any:
        """Label Studio numbers people: YAML reads `1` as a number, and here it is a name."""
        return str(value) if type(value) is int else value

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        ways = [self.sample, self.folder is not None, self.train is not None or self.test is not None]
        if sum(ways) != 1:
            raise ValueError("give one of: sample: true; folder: DIR; train: FILE, and test: FILE where there is one")
        if (self.test is not None or self.validation is not None) and self.train is None:
            raise ValueError("validation and test go with train")
        if self.train is not None and self.validation is self.test is None and self.validation_share + self.test_share >= 1:
            raise ValueError("validation_share and test_share should leave something to learn from")
        if self.stride >= self.max_length - 2:
            raise ValueError("stride should be smaller than max_length less two")
        return self


class Checkpoints(Section):
    """When a training run saves a checkpoint, beside the end of each epoch."""

    steps: Annotated[Count, Field(ge=1)] | None = Field(None, description="save every so many optimizer steps")
    every: Duration | None = Field(300.0, description="save when this long has passed since the last one; seconds, or `5min`")


class Training(Section):
    """How a model is trained."""

    epochs: Annotated[Count, Field(ge=1)] = Field(3, description="passes over the training data")
    learning_rate: Annotated[Number, Field(gt=0)] = Field(5e-5, description="peak learning rate of AdamW")
    batch_size: Annotated[Count, Field(ge=1)] = Field(16, description="windows per device and step")
    gradient_accumulation: Annotated[Count, Field(ge=1)] = Field(1, description="batches per optimizer step")
    warmup: Share = Field(0.1, description="share of the steps over which the learning rate rises")
    scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup", "polynomial"] = Field(
        "linear", description="course of the learning rate; `constant` has no warmup"
    )
    weight_decay: Annotated[Number, Field(ge=0)] = Field(0.01, description="weight decay of AdamW")
    max_grad_norm: Annotated[Number, Field(gt=0)] = Field(1.0, description="gradients are clipped to this norm")
    dropout: Share | None = Field(None, description="dropout of the encoder and its head; default: the model's own")
    class_weights: Literal["none", "balanced"] | dict[str, Annotated[Number, Field(gt=0)]] = Field(
        "none", description="weight of each tag in the loss: `none`, `balanced` (inverse frequency), or a weight per entity type"
    )
    early_stopping: Annotated[Count, Field(ge=1)] | None = Field(
        None, description="stop after so many evaluations without improvement of the objective"
    )
    keep: Literal["best", "last"] = Field("best", description="which epoch's weights are kept, by the objective on validation")
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        "auto", description="number format; `auto` is bf16 where the GPU has it, else fp16, and fp32 without a GPU"
    )
    exact: bool = Field(
        True,
        description="deterministic algorithms, so that an interrupted training ends with the same bits also on a GPU; `false` is "
        "faster on some",
    )
    checkpoint: Checkpoints = Field(default_factory=Checkpoints, description="when to save")
    report_to: Annotated[tuple[Literal[TRACKERS], ...], BeforeValidator(_listed)] = Field(  # type: ignore[valid-type]
        (), description="trackers that are given what is logged, one or a list; each training is one run of each"
    )


#: What a search may vary.
SEARCHABLE = (
    "learning_rate",
    "batch_size",
    "epochs",
    "warmup",
    "weight_decay",
    "dropout",
    "gradient_accumulation",
    "max_grad_norm",
    "scheduler",
    "class_weights",
    "early_stopping",
)


class Parameter(Section):
    """One dimension of the search space."""

    type: Literal["uniform", "loguniform", "int", "choice"] = Field(description="how values are drawn")
    low: Number | None = Field(None, description="smallest value (all but `choice`)")
    high: Number | None = Field(None, description="largest value, included (all but `choice`)")
    step: Annotated[Number, Field(gt=0)] | None = Field(None, description="distance of values (`uniform`, `int`)")
    values: tuple[Any, ...] | None = Field(None, description="the values (`choice`)")

    @field_validator("values", mode="before")
    @classmethod
    def _of_any_library(cls, value: Any) -> Any:
        return [_plain_value(v) for v in value] if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _complete(self) -> Parameter:
        if self.type == "choice":
            if not self.values or self.low is not None or self.high is not None or self.step is not None:
                raise ValueError("a choice has values: [...], and nothing else")
            if not all(isinstance(v, bool | int | float | str) or v is None for v in self.values):
                raise ValueError("values should be numbers or words")
            return self
        if self.values is not None:
            raise ValueError(f"{self.type} has low and high, not values")
        if self.low is None or self.high is None:
            raise ValueError(f"{self.type} needs low and high")
        if self.low > self.high:
            raise ValueError(f"low ({self.low:g}) is above high ({self.high:g})")
        if self.type == "loguniform" and (self.low <= 0 or self.step is not None):
            raise ValueError("loguniform needs a low above 0, and has no step")
        if self.type == "int" and not (self.low.is_integer() and self.high.is_integer() and (self.step or 1.0).is_integer()):
            raise ValueError("int needs whole numbers")
        return self


def written_alike(key: str, values: Sequence[Any]) -> tuple[Any, ...]:
    """The values of a choice as `training` takes them, each once: `1e-5`, which YAML reads as text, and `8.0` of a batch size, too.

    Args:
        key: The setting that they are of.
        values: As they were written.

    Raises:
        pydantic.ValidationError: one of them cannot be.
    """
    found: list[Any] = []
    for value in values:
        taken = getattr(Training.model_validate({key: value}), key)
        if taken not in found:
            found.append(taken)
    return tuple(found)


class StudyStorage(Section):
    """Where the study lies, and how it goes on."""

    enabled: bool = Field(True, description="keep the study in a file; `false` only for `run_local_hpo_sweep`, which then forgets")
    storage_path: str = Field("{backbone}/study.db", description="below `hpo/`; `{backbone}` and `{study_name}` are filled in")
    study_name: str | None = Field(None, description="default: the backbone's name")
    auto_resume: bool = Field(True, description="go on with a study that is there; `false` refuses it")
    save_only_best: bool = Field(True, description="keep the weights of the best trial only, here and in the store")
    on_restore_failure: Literal["auto", "continue", "stop"] | None = Field(
        None, description="for `run_local_hpo_sweep` alone; an experiment sets that of `run`"
    )
    restore_patience: Duration | None = Field(None, description="for `run_local_hpo_sweep` alone; an experiment sets that of `run`")


class TrialResources(Section):
    """What a trial, the final training or a benchmark needs of the machine that it runs on, where it has a process of its own."""

    cpus: Annotated[Count, Field(ge=1)] = Field(1, description="cores, and so many threads it computes with")
    gpus: Annotated[Number, Field(ge=0)] = Field(0.0, description="GPUs, or a share of one (`engine: ray`)")


class Hpo(Section):
    """The search for good training settings, one study per backbone."""

    trials: Annotated[Count, Field(ge=1)] = Field(20, description="trials of the whole study, failed and pruned ones included")
    timeout: Duration | None = Field(None, description="start no trial after so much time in trials; seconds, or `8h`")
    sampler: Literal["tpe", "random"] = Field("tpe", description="how parameters are suggested")
    startup_trials: Annotated[Count, Field(ge=1)] = Field(10, description="random trials before `tpe` models, or `median` prunes")
    pruner: Literal["none", "median", "successive_halving", "hyperband"] = Field("none", description="when a trial ends early")
    pruner_warmup: Annotated[Count, Field(ge=0)] = Field(0, description="epochs (or folds) before `median` may end a trial")
    objective: Literal[OBJECTIVES] = Field("f1_micro", description="score on the validation set, after each epoch")  # type: ignore[valid-type]
    folds: Annotated[Count, Field(ge=2)] | None = Field(
        None, description="train each trial so many times, each time scored on another part of the training data (cross-validation)"
    )
    search_space: dict[str, Parameter] = Field(default_factory=dict, description="what varies, by key of `training`")
    training: dict[str, Any] = Field(default_factory=dict, description="changes to `training` for trials")
    failures_in_a_row: Annotated[Count, Field(ge=1)] | None = Field(
        5, description="end the run where so many trials, one after the other, end in an error; `null` goes on to the last trial"
    )
    parallel: Annotated[Count, Field(ge=1)] = Field(
        1, description="trials at a time; each sees those that are so many before it, so it decides what is suggested"
    )
    engine: Literal["local", "ray"] = Field(
        "local",
        description="where trials run, and final training and benchmark: on this machine, or on a Ray cluster; it changes nothing "
        "of the outcome",
    )
    resources: TrialResources = Field(
        default_factory=TrialResources,
        description="what a trial needs, where trials are spread; also the final training, and a benchmark on a cluster",
    )
    checkpoint: StudyStorage = Field(default_factory=StudyStorage, description="where the study lies")

    @model_validator(mode="after")
    def _same_values_are_one(self) -> Hpo:
        """One study has one spelling. What cannot be is named by `experiment.check_space`, which knows the file."""
        for key, parameter in self.search_space.items():
            if parameter.values is not None and key in SEARCHABLE:
                with contextlib.suppress(ValidationError):
                    object.__setattr__(parameter, "values", written_alike(key, parameter.values))
        return self


class BenchmarkSettings(Section):
    """How the best trial of each study is measured."""

    batch_sizes: tuple[Annotated[Count, Field(ge=1)], ...] = Field((1, 8, 16), description="windows per call", min_length=1)
    iterations: Annotated[Count, Field(ge=1)] = Field(20, description="measured calls per batch size")
    warmup_iterations: Annotated[Count, Field(ge=0)] = Field(3, description="calls before measuring")

    @model_validator(mode="after")
    def _once_each(self) -> BenchmarkSettings:
        twice = [size for size in self.batch_sizes if self.batch_sizes.count(size) > 1]
        if twice:
            raise ValueError(f"batch_sizes: {twice[0]} is there twice")
        return self


class Selection(Section):
    """How the best configuration is chosen."""

    by: Literal["quality", "latency"] = Field("quality", description="`latency` lets measured latency decide within the tolerance")
    tolerance: Share = Field(
        0.0, description="scores this close to the best count as equal: the smaller model, then the earlier trial"
    )


class FinalTraining(Section):
    """The training of the model that is kept."""

    data: Literal["train", "train+validation"] = Field(
        "train", description="what it learns from; with validation in it, the last epoch is kept"
    )
    training: dict[str, Any] = Field(default_factory=dict, description="changes to `training`, applied after the best parameters")


class Conversion(Section):
    """The ONNX model."""

    int8: bool = Field(True, description="also make an int8 model (dynamic quantisation)")
    opset: Annotated[Count, Field(ge=18, le=23)] | None = Field(None, description="ONNX opset; default: the exporter's own")
    tolerance: Annotated[Number, Field(gt=0)] = Field(1e-4, description="largest difference of logits, relative to their scale")
    int8_may_lose: Annotated[Number, Field(ge=0, le=1)] | None = Field(
        0.02, description="entity F1 that the int8 model may lose on test; one that loses more is not kept. `null` keeps any"
    )


class Run(Section):
    """How the runner behaves."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where to train")
    on_restore_failure: Literal["auto", "continue", "stop"] = Field(
        "auto",
        description="when the store cannot be read: `auto` tries again for `restore_patience`, then stops before hours are spent "
        "on what may be there, and goes on where it is cheap; `continue` begins anew beside it; `stop` stops at once",
    )
    restore_patience: Duration = Field(600.0, description="how long to try; seconds, or `10min`")


class Experiment(Section):
    """One experiment: a whole pipeline."""

    name: str = Field(description="default: the file's name", pattern=_SLUG.pattern)
    seed: Annotated[Count, Field(ge=0, lt=2**31)] = Field(0, description="of the data split, the study and every training")
    backbones: tuple[Backbone, ...] = Field(
        description="`transformers` names, local folders, `tiny`, or `{name, model}`", min_length=1
    )
    data: Data = Field(description="the documents")
    training: Training = Field(default_factory=Training, description="how a model is trained, unless a later section changes it")
    hpo: Hpo = Field(default_factory=Hpo, description="the search")
    benchmark: BenchmarkSettings = Field(default_factory=BenchmarkSettings, description="the measurement")
    selection: Selection = Field(default_factory=Selection, description="the choice")
    final_training: FinalTraining = Field(default_factory=FinalTraining, description="the model that is kept")
    conversion: Conversion = Field(default_factory=Conversion, description="the ONNX model")
    run: Run = Field(default_factory=Run, description="how the runner behaves")

    def trial_training(self) -> Training:
        """The settings of a trial before its parameters."""
        return changed(self.training, self.hpo.training)

    def final(self, parameters: dict[str, Any]) -> Training:
        """The settings of the final training: the trial's, the parameters that won, then the final section's changes."""
        settings = changed(self.trial_training(), parameters)
        settings = changed(settings, self.final_training.training)
        return changed(settings, {"keep": "last"}) if self.final_training.data == "train+validation" else settings


def changed(settings: Training, changes: dict[str, Any]) -> Training:
    """The same settings with some replaced, checked as a whole.

    Raises:
        pydantic.ValidationError: a key or value that cannot be.
    """
    before = settings.model_dump()
    saving = changes.get("checkpoint")
    if isinstance(saving, dict):  # what is not said again stays
        changes = {**changes, "checkpoint": {**before["checkpoint"], **saving}}
    return Training.model_validate({**before, **changes})
