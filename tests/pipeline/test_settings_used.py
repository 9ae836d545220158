"""Every setting does what it says: for each there is a test here that fails where it is ignored."""

from __future__ import annotations

import copy
import itertools
import json
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import optuna
import pytest
import torch

from holdfast.errors import ConfigurationError, NotRestored, StageFailed, UsageError
from holdfast.integrations.account import ATTEMPTS
from holdfast.integrations.watching import Copies, Watcher
from holdfast.pipeline import elsewhere
from holdfast.pipeline import settings as declared
from holdfast.pipeline.data.dataset import open_dataset
from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.data.encode import encode
from holdfast.pipeline.data.entities import spans_of
from holdfast.pipeline.hpo import run_local_hpo_sweep
from holdfast.pipeline.layout import CHECKPOINT, CHECKPOINTS, JOURNAL, LOGS, TRACKING
from holdfast.pipeline.runner import Runner
from holdfast.pipeline.settings import Hpo, Section, Training
from holdfast.pipeline.steps.model import convert_final
from holdfast.pipeline.study.folds import choose_folds
from holdfast.pipeline.study.search import make_pruner, make_sampler, most_epochs, most_reports, suggest
from holdfast.pipeline.study.selection import Candidate, choose
from holdfast.pipeline.study.spread import ground_of, is_spread
from holdfast.pipeline.study.storage import setup_checkpoint_storage
from holdfast.pipeline.study.trials import refuse_more_failures
from holdfast.pipeline.tracking.journal import TrackedRun, read_journal
from holdfast.pipeline.tracking.publishing import Publisher
from holdfast.pipeline.training.checkpoint import load_tokenizer, weights_identity
from holdfast.pipeline.training.evaluation import predict_tags
from holdfast.pipeline.training.loss import tag_weights, weighted_loss
from holdfast.pipeline.training.train import Job, Trained, resolve_arguments, train
from tests.pipeline.conftest import sentence, write_documents
from tests.pipeline.project import Lines, experiment, make_documents, make_encoder
from tests.support import Machine, Rig

LABELS = ("PERSON", "PLACE")
RUN = TrackedRun("key", "name", "experiment", "group")

SECTIONS: dict[str, type[Section]] = {
    "data": declared.Data,
    "training": declared.Training,
    "training.checkpoint": declared.Checkpoints,
    "hpo": declared.Hpo,
    "hpo.checkpoint": declared.StudyStorage,
    "hpo.search_space.*": declared.Parameter,
    "benchmark": declared.BenchmarkSettings,
    "selection": declared.Selection,
    "final_training": declared.FinalTraining,
    "conversion": declared.Conversion,
}

COVERED: set[str] = set()

Test = TypeVar("Test", bound=Callable[..., None])


def covers(*keys: str) -> Callable[[Test], Test]:
    """Says of a test which settings it would miss."""
    COVERED.update(keys)
    return lambda test: test


def test_every_setting_has_a_test_that_would_miss_it() -> None:
    keys = {f"{section}.{key}" for section, model in SECTIONS.items() for key in model.model_fields}
    assert keys == COVERED


# -- one training ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and encoder; read only."""
    root = tmp_path_factory.mktemp("used")
    make_documents(root / "data")
    make_encoder(root / "encoder", root / "data")
    return root


@pytest.fixture(scope="module")
def documents(project: Path) -> Mapping[str, tuple[Document, ...]]:
    dataset = open_dataset(project / "data")
    return {"train": dataset.train, "validation": dataset.validation}


@dataclass
class Recorder(Watcher):
    """Remembers what a training told."""

    steps: list[int] = field(default_factory=list)
    saves: list[int] = field(default_factory=list)
    scores: list[Mapping[str, float]] = field(default_factory=list)

    def stepped(self, step: int, total: int) -> None:
        self.steps.append(step)

    def saved(self, step: int, total: int) -> None:
        self.saves.append(step)

    def scored(self, epoch: int, scores: Mapping[str, float]) -> None:
        self.scores.append(scores)


@dataclass(frozen=True)
class Bench:
    """Makes jobs on the micro data, and runs them."""

    project: Path
    documents: Mapping[str, tuple[Document, ...]]
    folder: Path
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def job(self, device: str = "cpu", **settings: Any) -> Job:
        quick = {"epochs": 1, "learning_rate": 5e-3, "batch_size": 8, "checkpoint": {"steps": None, "every": None}}
        return Job(
            model=str(self.project / "encoder"),
            labels=LABELS,
            train=self.documents["train"],
            validation=self.documents["validation"],
            settings=Training.model_validate({**quick, **settings}),
            objective="f1_micro",
            seed=1,
            folder=self.folder / f"run-{next(self.numbers)}",
            max_length=64,  # so that each document is one window
            stride=8,
            device=device,
        )

    def train(self, clock: Callable[[], float] = lambda: 0.0, **settings: Any) -> tuple[Trained, Recorder]:
        recorder = Recorder()
        return train(self.job(**settings), recorder, clock), recorder

    def weights(self, **settings: Any) -> bytes:
        return (self.train(**settings)[0].folder / "model.safetensors").read_bytes()


@pytest.fixture
def bench(project: Path, documents: Mapping[str, tuple[Document, ...]], tmp_path: Path) -> Bench:
    return Bench(project, documents, tmp_path)


@covers(
    "training.epochs",
    "training.learning_rate",
    "training.batch_size",
    "training.gradient_accumulation",
    "training.warmup",
    "training.scheduler",
    "training.weight_decay",
    "training.max_grad_norm",
    "training.precision",
)
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"epochs": 7}, {"num_train_epochs": 7}),
        ({"learning_rate": 3e-4}, {"learning_rate": 3e-4}),
        ({"batch_size": 5}, {"per_device_train_batch_size": 5}),
        ({"gradient_accumulation": 3}, {"gradient_accumulation_steps": 3}),
        ({"epochs": 5, "warmup": 0.25}, {"warmup_steps": 5}),  # a quarter of 5 epochs of 32 windows by eight
        ({"epochs": 5, "warmup": 0}, {"warmup_steps": 0}),
        ({"epochs": 5, "warmup": 0.25, "gradient_accumulation": 2}, {"warmup_steps": 2}),  # 2.5 goes to the even number
        ({"scheduler": "cosine"}, {"lr_scheduler_type": "cosine"}),
        ({"weight_decay": 0.2}, {"weight_decay": 0.2}),
        ({"max_grad_norm": 0.3}, {"max_grad_norm": 0.3}),
        ({"precision": "fp32"}, {"fp16": False, "bf16": False}),
        ({"precision": "bf16"}, {"fp16": False, "bf16": True}),
        ({"precision": "auto"}, {"fp16": False, "bf16": False}),  # there is no GPU
    ],
)
def test_what_the_trainer_is_given_is_what_is_configured(bench: Bench, settings: dict[str, Any], expected: dict[str, Any]) -> None:
    arguments = resolve_arguments(bench.job(**settings), 32)
    assert {name: getattr(arguments, name) for name in expected} == expected


def test_fp16_is_given_to_the_trainer_for_a_gpu_and_refused_without_one(bench: Bench) -> None:
    assert resolve_arguments(bench.job(device="cuda", precision="fp16"), 32).fp16
    with pytest.raises(ConfigurationError, match="fp16 needs a GPU"):
        resolve_arguments(bench.job(precision="fp16"), 32)


def test_epochs_batches_and_accumulation_make_the_optimizer_steps(bench: Bench) -> None:
    assert bench.train(epochs=2, batch_size=5)[1].steps == list(range(1, 15))  # 32 windows: seven batches of five
    assert bench.train(epochs=2, batch_size=5, gradient_accumulation=3)[1].steps == list(range(1, 7))  # 3 + 3 + 1 batches


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 1e-3},
        {"batch_size": 16},
        {"warmup": 0.5},
        {"scheduler": "constant"},
        {"weight_decay": 0.5},
        {"max_grad_norm": 0.01},
        {"dropout": 0.0},
        {"class_weights": "balanced"},
        {"class_weights": {"PERSON": 4.0}},
        {"precision": "bf16"},
    ],
    ids=str,
)
def test_what_decides_the_weights_changes_them(bench: Bench, unchanged: bytes, settings: dict[str, Any]) -> None:
    assert bench.weights(**settings) != unchanged


@pytest.fixture(scope="module")
def unchanged(project: Path, documents: Mapping[str, tuple[Document, ...]], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return Bench(project, documents, tmp_path_factory.mktemp("unchanged")).weights()


@covers("training.exact")
@pytest.mark.parametrize("exact", [True, False])
def test_an_exact_training_takes_deterministic_algorithms_and_leaves_the_switch_as_it_was(bench: Bench, exact: bool) -> None:
    seen = []

    class Looks(Watcher):
        def stepped(self, step: int, total: int) -> None:
            seen.append((torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic))

    train(bench.job(exact=exact), Looks(), lambda: 0.0)
    assert set(seen) == {(exact, exact)}
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.deterministic


@covers("training.dropout")
def test_dropout_is_that_of_encoder_and_head(bench: Bench) -> None:
    trained, _ = bench.train(dropout=0.37)
    config = json.loads((trained.folder / "config.json").read_bytes())
    found = [config[key] for key in ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")]
    assert found == [0.37, 0.37, 0.37]


@covers("training.class_weights")
def test_class_weights_are_in_the_loss_as_computed_by_hand() -> None:
    tags = ("O", "B-PERSON", "I-PERSON", "B-PLACE", "I-PLACE")
    labels = [0, 0, 0, 1, 2, -100]
    weights = tag_weights("balanced", tags, labels)
    assert weights == pytest.approx([5 / (3 * 3), 5 / 3, 5 / 3, 1, 1])
    assert tag_weights({"PERSON": 4.0}, tags, labels) == [1, 4, 4, 1, 1]
    assert tag_weights("none", tags, labels) is None
    logits = torch.tensor([[[0.0, 1.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0, 0.0], [9.0, 0.0, 0.0, 0.0, 0.0]]])
    first = -math.log(math.e / (math.e + 4))  # the word is a person, and has this much of the softmax
    second = -math.log(math.e**2 / (math.e**2 + 4))
    given = torch.tensor([[1, 0, -100]])
    plain = weighted_loss(None)({"logits": logits}, given)
    weighted = weighted_loss([1.0, 4.0, 4.0, 1.0, 1.0])({"logits": logits}, given)
    assert float(plain) == pytest.approx((first + second) / 2)
    assert float(weighted) == pytest.approx((4 * first + second) / 2)
    assert float(weighted_loss(None)({"logits": logits}, given, 8)) == pytest.approx((first + second) / 8)


@covers("training.early_stopping")
def test_early_stopping_ends_a_training_that_does_not_improve(bench: Bench) -> None:
    hopeless = {"learning_rate": 1e-12, "epochs": 5, "batch_size": 32}
    assert len(bench.train(**hopeless)[1].scores) == 5
    assert len(bench.train(**hopeless, early_stopping=1)[1].scores) == 2
    assert len(bench.train(**hopeless, early_stopping=3)[1].scores) == 4


@covers("training.keep")
def test_the_epoch_that_is_kept_is_the_best_or_the_last(bench: Bench) -> None:
    hopeless = {"learning_rate": 1e-12, "epochs": 3, "batch_size": 32}  # so the first epoch is as good as any
    assert bench.train(**hopeless, keep="best")[0].best_step == 1
    trained, _ = bench.train(**hopeless, keep="last")
    assert (trained.best_step, trained.steps) == (3, 3)


@covers("training.checkpoint", "training.checkpoint.steps")
def test_checkpoints_are_saved_every_so_many_steps(bench: Bench) -> None:
    settings = {"epochs": 2, "batch_size": 4}  # eight steps an epoch
    assert bench.train(**settings)[1].saves == [8, 16]
    assert bench.train(**settings, checkpoint={"steps": 3, "every": None})[1].saves == [3, 6, 8, 9, 12, 15, 16]


@covers("training.checkpoint.every")
def test_checkpoints_are_saved_when_so_long_has_passed(bench: Bench) -> None:
    reads = itertools.count()  # a clock that moves by a second whenever it is read
    _, recorder = bench.train(lambda: float(next(reads)), epochs=1, batch_size=4, checkpoint={"every": "2s"})
    assert recorder.saves == [2, 4, 6, 8]
    reads = itertools.count()
    _, recorder = bench.train(lambda: float(next(reads)), epochs=1, batch_size=4, checkpoint={"every": 300})
    assert recorder.saves == [8]


class Tracked(Recorder):
    """Has trackers brought up, as the pipeline does."""

    def __init__(self, publisher: Publisher) -> None:
        super().__init__()
        self.publisher = publisher

    def logged(self, journal: Path) -> None:
        self.publisher.publish(journal)


@covers("training.report_to")
def test_tensorboard_is_written_below_the_training_and_only_where_asked_for(bench: Bench) -> None:
    from tensorboard.backend.event_processing import event_accumulator as accumulator

    job = replace(bench.job(epochs=3), run=RUN)
    with Publisher(["tensorboard"], job.folder / TRACKING, pytest.fail) as publisher:
        trained = train(job, Tracked(publisher), lambda: 0.0)
    logs = trained.folder.parent / LOGS
    assert [p.name.startswith("events.out.tfevents") for p in logs.iterdir()] == [True]
    events = accumulator.EventAccumulator(str(logs)).Reload()
    assert {"train/loss", "eval/f1_micro"} <= set(events.Tags()["scalars"])
    assert [e.step for e in events.Scalars("eval/f1_micro")] == [4, 8, 12]
    trained, _ = bench.train()
    assert sorted(p.name for p in trained.folder.parent.iterdir()) == [CHECKPOINT, CHECKPOINTS]


@dataclass(frozen=True)
class CutOff:
    """After how many steps a training saves, and the steps at which its runs are cut off. It logs at every tenth."""

    steps: int | None
    at: tuple[int, ...]


CUT_OFF = {
    "before its newest log": CutOff(4, (22,)),
    "after it": CutOff(8, (22,)),
    "before its first checkpoint": CutOff(None, (22,)),
    "at a step that is logged": CutOff(None, (20,)),
    "twice, the second time earlier": CutOff(None, (31, 12)),
}


@pytest.mark.parametrize("case", CUT_OFF.values(), ids=CUT_OFF)
def test_what_is_logged_is_each_step_once_with_the_figures_of_a_training_that_was_never_cut_off(bench: Bench, case: CutOff) -> None:
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 1, "checkpoint": {"steps": case.steps, "every": None}}
    job, whole = (replace(bench.job(**settings), run=RUN) for _ in range(2))
    train(whole, Watcher(), lambda: 0.0)

    class Killed(Watcher):
        def __init__(self, at: int) -> None:
            self.at = at

        def stepped(self, step: int, total: int) -> None:
            if step == self.at:
                raise KeyboardInterrupt

    for at in case.at:
        with pytest.raises(KeyboardInterrupt):
            train(job, Killed(at), lambda: 0.0)
    train(job, Watcher(), lambda: 0.0)
    found, expected = (read_journal(j.folder / JOURNAL) for j in (job, whole))
    assert found is not None
    assert expected is not None
    assert [(r.step, r.metrics) for r in found.rows] == [(r.step, r.metrics) for r in expected.rows]
    assert [row.step for row in found.rows] == [10, 20, 30, 32]
    assert (found.ended, expected.ended) == ("FINISHED", "FINISHED")


# -- the study -------------------------------------------------------------------------------------------------------------


@covers("hpo.parallel", "hpo.engine", "hpo.resources")
def test_trials_are_spread_where_asked_with_the_threads_and_the_window_that_are_asked_for(tmp_path: Path) -> None:
    study = optuna.create_study()
    assert [is_spread(Hpo(**h), study) for h in ({}, {"parallel": 2}, {"engine": "ray"})] == [False, True, True]
    study.add_trial(optuna.trial.create_trial(value=0.0, system_attrs={ATTEMPTS: 1}))
    assert is_spread(Hpo(), study), "what is left of it goes on with the threads of the trials before it"
    hpo = Hpo(parallel=3, resources={"cpus": 2, "gpus": 0.5})
    ground = ground_of(hpo, tmp_path, "outputs/hpo/b", None, Lines())
    assert (ground.parallel, ground.resources.cpus, ground.resources.gpus) == (3, 2, 0.5)
    assert ground.environment["OMP_NUM_THREADS"] == "2"
    finals = [({}, {}), ({}, {"threads": 1}), ({"parallel": 2}, {}), ({"engine": "ray"}, {})]
    assert [elsewhere.is_spread(Hpo(**h), begun) for h, begun in finals] == [False, True, True, True]
    on_cluster = [experiment(hpo__engine="ray", hpo__resources={"gpus": gpus}, run__device="auto") for gpus in (0, 0.5)]
    assert [elsewhere.device_for(e) for e in on_cluster] == ["cpu", "cuda"], "by the rule of trials: a GPU or none is given"


@covers("hpo.folds")
def test_each_fold_learns_from_all_documents_that_it_is_not_scored_on_and_the_pruner_counts_folds(project: Path) -> None:
    data = open_dataset(project / "data")
    folds = choose_folds(4, None, None, data.train, 1, print)
    assert folds is not None
    for fold in range(1, 5):
        learnt, scored = folds.split(data.train, fold)
        assert not {d.text for d in learnt} & {d.text for d in scored}
        assert {d.text for d in learnt} | {d.text for d in scored} == {d.text for d in data.train}
    assert (most_reports(Hpo(folds=4), 9), most_reports(Hpo(), 9)) == (4, 9)


@covers("hpo.failures_in_a_row")
def test_so_many_failures_in_a_row_end_the_run_and_fewer_do_not() -> None:
    from optuna.trial import TrialState, create_trial

    good = create_trial(value=0.5)
    diverged = create_trial(state=TrialState.FAIL, user_attrs={"failed": "loss is nan"})
    raised = create_trial(state=TrialState.FAIL, user_attrs={"raised": "ValueError", "failed": "ValueError: no"})
    for row in ([raised, raised, good], [raised, good, raised], [raised, diverged, raised], [raised, raised]):
        trials = [copy.copy(t) for t in row]
        for number, trial in enumerate(trials):
            trial.number = number
        refuse_more_failures("b", 3, trials)
        refuse_more_failures("b", None, [*trials, *trials])
    with pytest.raises(StageFailed, match=r"b: 2 trials in a row failed, the last with ValueError: no"):
        refuse_more_failures("b", 2, trials)


RATES = {"learning_rate": {"type": "uniform", "low": 1e-3, "high": 1e-2}}


@dataclass(frozen=True)
class Studies:
    """Runs studies of the micro encoder."""

    project: Path
    folder: Path

    def run(self, training: Mapping[str, Any] | None = None, seed: int = 1, **hpo: Any) -> Any:
        quick = {"epochs": 1, "learning_rate": 5e-3, "batch_size": 16, "checkpoint": {"every": None}}
        return run_local_hpo_sweep(
            dataset_path=self.project / "data",
            config_dir=self.folder / "config",
            backbone="micro",
            hpo_config={"search_space": RATES, "trials": 1, **hpo},
            train_config={**quick, **(training or {})},
            output_dir=self.folder,
            model=str(self.project / "encoder"),
            seed=seed,
            max_length=64,
            stride=8,
            device="cpu",
        )

    def metrics(self, trial: int = 0) -> Any:
        return json.loads((self.folder / f"micro/trials/trial-{trial:04d}/metrics.json").read_bytes())


@pytest.fixture
def studies(project: Path, tmp_path: Path) -> Studies:
    return Studies(project, tmp_path)


@covers("hpo.trials", "hpo.search_space", "hpo.training", "hpo.checkpoint.save_only_best")
@pytest.mark.parametrize("only_best", [True, False])
def test_a_study_has_its_trials_its_space_its_training_and_keeps_the_weights_asked_for(studies: Studies, only_best: bool) -> None:
    study = studies.run(trials=3, training={"epochs": 2}, checkpoint={"save_only_best": only_best})
    assert [set(t.params) for t in study.trials] == [{"learning_rate"}] * 3
    assert len({t.params["learning_rate"] for t in study.trials}) == 3
    assert studies.metrics()["steps"] == 4  # two epochs of two batches
    kept = sorted(p.parent.name for p in (studies.folder / "micro/trials").glob(f"*/{CHECKPOINT}"))
    assert kept == ([f"trial-{study.best_trial.number:04d}"] if only_best else ["trial-0000", "trial-0001", "trial-0002"])


@covers("hpo.timeout")
def test_no_trial_begins_once_trials_have_taken_the_time(studies: Studies) -> None:
    assert len(studies.run(trials=3, timeout=0.001).trials) == 1


@covers("hpo.objective")
@pytest.mark.parametrize(("metric", "average"), [("precision", "macro"), ("precision", "micro")])
def test_the_objective_is_the_score_of_a_trial(studies: Studies, metric: str, average: str) -> None:
    study = studies.run(objective=f"{metric}_{average}", training={"epochs": 2, "batch_size": 4})
    scores = studies.metrics()["validation"]
    assert study.trials[0].value == scores[average][metric] == max(study.trials[0].intermediate_values.values())
    others = {scores[a][m] for a in ("micro", "macro") for m in ("f1", "precision", "recall") if (m, a) != (metric, average)}
    assert study.trials[0].value not in others


def suggested(trials: int = 12, **hpo: Any) -> list[float]:
    """What a study without trainings would try, where a large rate is good."""
    settings = Hpo.model_validate({"search_space": RATES, **hpo})
    study = optuna.create_study(direction="maximize", sampler=make_sampler(settings, 1))
    for _ in range(trials):
        trial = study.ask()
        study.tell(trial, suggest(trial, settings.search_space)["learning_rate"])
    return [t.params["learning_rate"] for t in study.trials]


@covers("hpo.sampler", "hpo.startup_trials")
def test_tpe_learns_once_it_has_begun_and_random_never_does() -> None:
    random, late, early = (suggested(sampler=s, startup_trials=n) for s, n in (("random", 2), ("tpe", 8), ("tpe", 2)))
    assert random[:8] == late[:8] != early[:8]
    assert random[8:] != late[8:]
    assert random[:2] == early[:2]
    assert sum(early) > sum(late) > sum(random)


def test_the_pruner_is_the_one_that_is_named() -> None:
    made = {name: make_pruner(Hpo(pruner=name), 4) for name in ("none", "median", "successive_halving", "hyperband")}
    expected = ("NopPruner", "MedianPruner", "SuccessiveHalvingPruner", "HyperbandPruner")
    assert tuple(type(p).__name__ for p in made.values()) == expected
    assert most_epochs(Hpo.model_validate({"search_space": {"epochs": {"type": "int", "low": 2, "high": 9}}}), 4) == 9


def ended_at(second: list[float], **hpo: Any) -> int | None:
    """The epoch at which a trial is ended that scores so after each, where the first scored 0.9 throughout."""
    study = optuna.create_study(direction="maximize", pruner=make_pruner(Hpo(pruner="median", **hpo), len(second)))
    first = study.ask()
    for epoch in range(1, len(second) + 1):
        first.report(0.9, epoch)
    study.tell(first, 0.9)
    trial = study.ask()
    for epoch, value in enumerate(second, start=1):
        trial.report(value, epoch)
        if trial.should_prune():
            return epoch
    return None


@covers("hpo.pruner_warmup")
def test_the_median_pruner_waits_for_trials_and_epochs() -> None:
    bad = [0.1, 0.2, 0.3, 0.4]
    assert ended_at(bad, startup_trials=1) == 1
    assert ended_at(bad, startup_trials=2) is None
    assert ended_at(bad, startup_trials=1, pruner_warmup=3) in (3, 4)


def test_a_warm_up_of_one_epoch_saves_the_first() -> None:
    assert ended_at([0.1, 0.2, 0.3], startup_trials=1, pruner_warmup=1) == 2


@covers("hpo.pruner")
def test_a_trial_that_is_worse_is_pruned_and_without_a_pruner_none_is(project: Path, tmp_path: Path) -> None:
    space = {"learning_rate": {"type": "choice", "values": [1e-2, 1e-12]}}
    training = {"epochs": 4, "batch_size": 4}
    states = {}
    for pruner in ("median", "none"):
        study = Studies(project, tmp_path / pruner).run(
            trials=2,
            search_space=space,
            training=training,
            sampler="random",
            pruner=pruner,
            startup_trials=1,
            pruner_warmup=3,
            seed=0,
        )
        assert [t.params["learning_rate"] for t in study.trials] == [1e-2, 1e-12], "another seed is needed"
        states[pruner] = [t.state.name for t in study.trials]
    assert states == {"median": ["COMPLETE", "PRUNED"], "none": ["COMPLETE", "COMPLETE"]}


@covers("hpo.checkpoint", "hpo.checkpoint.storage_path", "hpo.checkpoint.study_name", "hpo.checkpoint.auto_resume")
def test_a_study_lies_where_it_is_said_under_its_name_and_goes_on_only_where_it_may(studies: Studies) -> None:
    storage = {"storage_path": "{backbone}/of-{study_name}.db", "study_name": "other"}
    assert studies.run(checkpoint=storage).study_name == "other"
    assert (studies.folder / "micro/of-other.db").is_file()
    with pytest.raises(UsageError, match="a study is there, and auto_resume is false"):
        studies.run(trials=2, checkpoint={**storage, "auto_resume": False})
    assert len(studies.run(trials=2, checkpoint={**storage, "auto_resume": True}).trials) == 2


@covers("hpo.checkpoint.enabled")
def test_a_study_that_is_not_kept_leaves_no_file(studies: Studies) -> None:
    studies.run(checkpoint={"enabled": False})
    assert not list(studies.folder.rglob("*.db"))
    assert setup_checkpoint_storage(studies.folder, {"enabled": False}, "micro") == (None, None, False)


@covers("hpo.checkpoint.on_restore_failure", "hpo.checkpoint.restore_patience")
def test_a_store_that_cannot_be_read_is_asked_as_often_as_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    asked: list[Path] = []
    most: list[int] = []

    class Enough(BaseException):
        """It was asked so often as was to be seen."""

    def unreadable(path: Path) -> bool:
        asked.append(path)
        if len(asked) == most[-1]:
            raise Enough
        raise OSError(5, "Input/output error")

    def attempts(enough: int = 99, **storage: Any) -> int:
        asked.clear()
        most.append(enough)
        try:
            setup_checkpoint_storage(tmp_path, storage, "micro", None, unreadable)
        except NotRestored:
            return -len(asked)
        return len(asked)

    assert attempts(on_restore_failure="stop", restore_patience=9) == -1
    assert attempts(on_restore_failure="continue", restore_patience=9) == 1
    assert attempts(on_restore_failure="auto", restore_patience=0.001) == -2
    with pytest.raises(Enough):
        attempts(on_restore_failure="auto", restore_patience=600, enough=3)
    assert "going on without it" in caplog.text


@covers(*(f"hpo.search_space.*.{key}" for key in declared.Parameter.model_fields))
def test_a_parameter_is_drawn_as_it_is_declared() -> None:
    space = {
        "dropout": {"type": "uniform", "low": 0.2, "high": 0.4, "step": 0.1},
        "learning_rate": {"type": "loguniform", "low": 1e-6, "high": 1e-2},
        "epochs": {"type": "int", "low": 3, "high": 9, "step": 3},
        "scheduler": {"type": "choice", "values": ["linear", "cosine"]},
        "warmup": {"type": "uniform", "low": 0.5, "high": 0.75},
    }
    settings = Hpo.model_validate({"search_space": space, "sampler": "random"})
    study = optuna.create_study(sampler=make_sampler(settings, 1))
    drawn = [suggest(study.ask(), settings.search_space) for _ in range(60)]
    seen = {key: [row[key] for row in drawn] for key in space}
    assert {round(value, 6) for value in seen["dropout"]} == {0.2, 0.3, 0.4}
    assert {(value, type(value)) for value in seen["epochs"]} == {(3, int), (6, int), (9, int)}
    assert set(seen["scheduler"]) == {"linear", "cosine"}
    assert all(0.5 <= value <= 0.75 for value in seen["warmup"])
    assert all(1e-6 <= value <= 1e-2 for value in seen["learning_rate"])
    assert 15 < sum(value < 1e-4 for value in seen["learning_rate"]) < 45, "half of the decades, not a hundredth of the range"


# -- the pipeline ----------------------------------------------------------------------------------------------------------


def settle(root: Path, project: Path) -> Path:
    """A machine's copy of the project."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("data", "encoder"):
        (root / name).symlink_to(project / name)
    return root


def make_data(machine: Machine, **data: Any) -> Any:
    """Run the data stage alone. Gives what it wrote."""
    Runner(machine.keeper(), experiment(data=data), only=["data"], narration=Lines()).run()
    return json.loads((machine.root / "outputs/data/dataset.json").read_bytes())


@covers("data.sample")
def test_the_sample_is_the_built_in_one(machine: Machine) -> None:
    assert "SKILL" in make_data(machine, sample=True)["labels"]


@covers("data.folder", "data.train", "data.validation", "data.test", "data.labels")
def test_documents_come_from_where_is_said(rig: Rig, project: Path) -> None:
    found = {}
    wanted: dict[str, dict[str, Any]] = {
        "folder": {"folder": "data"},
        "labels": {"folder": "data", "labels": ["PERSON", "PLACE", "THING"]},
        "files": {"train": "data/train.jsonl", "test": "data/test.jsonl", "validation": "data/validation.jsonl"},
        "other train": {"train": "data/test.jsonl", "test": "data/test.jsonl", "validation": "data/validation.jsonl"},
        "other test": {"train": "data/train.jsonl", "test": "data/train.jsonl", "validation": "data/validation.jsonl"},
        "other validation": {"train": "data/train.jsonl", "test": "data/test.jsonl", "validation": "data/train.jsonl"},
    }
    for what, data in wanted.items():
        machine = rig.machine()
        settle(machine.root, project)
        (rig.folder / what).mkdir()
        told = make_data(Machine(machine.root, rig.folder / what), **data)
        found[what] = (told["documents"]["train"], told["documents"]["validation"], told["documents"]["test"], len(told["labels"]))
    assert found == {
        "folder": (32, 8, 8, 2),
        "labels": (32, 8, 8, 3),
        "files": (32, 8, 8, 2),
        "other train": (8, 8, 8, 2),
        "other test": (32, 8, 32, 2),
        "other validation": (32, 32, 8, 2),
    }


@covers("data.validation_share")
def test_the_share_decides_how_many_documents_are_split_off(machine: Machine, project: Path) -> None:
    settle(machine.root, project)
    told = make_data(machine, train="data/train.jsonl", test="data/test.jsonl", validation_share=0.25)
    assert told["documents"] == {"train": 24, "validation": 8, "test": 8}


@covers("data.test_share")
def test_where_there_is_no_test_data_its_share_is_split_off_too(machine: Machine, project: Path) -> None:
    settle(machine.root, project)
    told = make_data(machine, train="data/train.jsonl", test_share=0.25)
    assert told["documents"] == {"train": 21, "validation": 3, "test": 8}
    assert "no test data: 8 of 32 training documents serve for it, chosen by seed 3" in told["notes"][0]


@covers("data.columns", "data.offsets", "data.annotator")
def test_what_is_said_of_the_files_decides_how_they_are_read(rig: Rig) -> None:
    result = {"type": "labels", "from_name": "label", "to_name": "text"}
    texts = [f"Oslo {n}" for n in range(4)]
    tasks = [
        {
            "data": {"text": text},
            "annotations": [
                {"completed_by": person, "result": [{**result, "value": {"start": 0, "end": 4, "labels": [label]}}]}
                for person, label in ((1, "A"), (2, "B"))
            ],
        }
        for text in texts
    ]
    files = {
        "columns.tsv": "\n".join(f"Oslo\tB-A\tB-B\n{n}\tO\tO\n" for n in range(4)),
        "offsets.json": json.dumps([{"text": text, "annotations": [[1, 4, "B"]]} for text in texts]),
        "annotator.json": json.dumps(tasks),
    }
    said: dict[str, Any] = {
        "columns": {"token": 1, "tag": 3},
        "offsets": {"unit": "code_points", "end": "inclusive", "first": 1},
        "annotator": "2",
    }
    for name, text in files.items():
        machine = rig.machine()
        machine.root.mkdir(parents=True, exist_ok=True)
        (machine.root / name).write_text(text)
        key = name.partition(".")[0]
        (rig.folder / key).mkdir()
        told = make_data(Machine(machine.root, rig.folder / key), train=name, **{key: said[key]})
        assert told["labels"] == ["B"], key
        rows = [json.loads(line) for line in (machine.root / "outputs/data/train.jsonl").read_text().splitlines()]
        assert [row["annotations"] for row in rows] == [[[0, 4, "B"]]] * 2, key


WHOLE = {
    "data__max_length": 12,
    "data__stride": 3,
    "training__checkpoint": {"every": None},
    "training__batch_size": 16,
    "hpo__trials": 1,
    "hpo__search_space": RATES,
    "hpo__training": {"epochs": 1},
    "hpo__checkpoint": {"study_name": "other", "storage_path": "{backbone}/{backbone}-{study_name}.db"},
    "benchmark": {"batch_sizes": [3, 5], "iterations": 6, "warmup_iterations": 2},
    "selection": {"by": "latency", "tolerance": 0.125},
    "final_training": {"data": "train+validation", "training": {"epochs": 4, "batch_size": 40}},
    "conversion": {"int8": False, "opset": 21, "tolerance": 0.0078125},
}


@dataclass(frozen=True)
class Whole:
    """A whole run under settings of which none is the default."""

    outputs: Path
    calls: Counter[int]

    def read(self, path: str) -> Any:
        return json.loads((self.outputs / path).read_bytes())


@pytest.fixture(scope="module")
def whole(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    (folder / "drive").mkdir()
    machine = Machine(settle(folder / "machine", project), folder / "drive")
    calls: Counter[int] = Counter()

    def count(module: Any, _: Any, output: Any) -> None:
        if type(module).__name__ == "BertForTokenClassification" and not module.training:
            calls[int(output.logits.shape[0])] += 1

    Runner(machine.keeper(), experiment(**WHOLE), only=["data", "hpo"], narration=Lines()).run()
    hook = torch.nn.modules.module.register_module_forward_hook(count)
    try:
        Runner(machine.keeper(), experiment(**WHOLE), only=["benchmark"], narration=Lines()).run()
    finally:
        hook.remove()
    assert Runner(machine.keeper(), experiment(**WHOLE), narration=Lines()).run().finished
    return Whole(machine.outputs, calls)


@covers("data.max_length", "data.stride")
def test_windows_are_as_long_as_is_said_and_overlap_as_is_said(whole: Whole, bench: Bench) -> None:
    for folder in ("hpo/micro/trials/trial-0000", "final_training/micro"):
        info = whole.read(f"{folder}/checkpoint/holdfast.json")
        assert (info["max_length"], info["stride"]) == (12, 3)
    numbers = whole.read("final_training/micro/metrics.json")["steps"], bench.train(epochs=4, batch_size=40)[1].steps[-1]
    assert numbers[0] > numbers[1], "short windows are more"


@covers("benchmark.batch_sizes", "benchmark.iterations", "benchmark.warmup_iterations")
def test_the_benchmark_makes_the_calls_that_are_asked_for(whole: Whole) -> None:
    assert whole.calls == {3: 8, 5: 8}
    (place,) = whole.outputs.glob("hpo/micro/trials/*/benchmark.json")
    assert [row["batch_size"] for row in json.loads(place.read_bytes())["results"]] == [3, 5]


@covers("selection.by", "selection.tolerance")
def test_the_selection_follows_its_rule(whole: Whole) -> None:
    assert whole.read("best_configuration/best_configuration.json")["rule"] == {"by": "latency", "tolerance": 0.125}
    best = Candidate("large", 0, 0.90, 1000, {}, 9.0)
    near = Candidate("small", 0, 0.85, 100, {}, 5.0)
    quick = Candidate("quick", 0, 0.86, 500, {}, 1.0)

    def chosen(by: str, tolerance: float) -> Any:
        return choose([best, near, quick], by=by, tolerance=tolerance)["best"]["backbone"]

    assert [chosen("quality", 0.0), chosen("quality", 0.125), chosen("latency", 0.125)] == ["large", "small", "quick"]


@covers("final_training.data", "final_training.training")
def test_the_final_training_learns_from_what_is_said_for_as_long_as_is_said(whole: Whole) -> None:
    metrics = whole.read("final_training/micro/metrics.json")
    assert metrics["learnt_from"] == "train+validation"
    windows = whole.read("final_training/micro/checkpoint/holdfast.json")
    dataset = open_dataset(whole.outputs / "data")
    tokenizer = load_tokenizer(whole.outputs / "final_training/micro/checkpoint")
    counts = [
        len(encode(d, tokenizer, max_length=windows["max_length"], stride=windows["stride"], tag_ids=None))
        for d in (dataset.train, dataset.train + dataset.validation)
    ]
    steps = [4 * math.ceil(count / 40) for count in counts]
    assert steps[0] < metrics["steps"] == steps[1]
    assert metrics["best_step"] == metrics["steps"], "nothing is held out to choose by, so the last is kept"


@covers("conversion.int8", "conversion.opset", "conversion.tolerance")
def test_the_conversion_is_the_one_that_is_asked_for(whole: Whole) -> None:
    report = whole.read("conversion/micro/onnx/conversion.json")
    assert (report["opset"], report["tolerance"]) == (21, 0.0078125)
    assert report["agreement"]["allowed"] == pytest.approx(0.0078125 * max(report["agreement"]["scale"], 1))
    assert not list(whole.outputs.rglob("*int8*"))


@covers("conversion.int8_may_lose")
@pytest.mark.parametrize(("may_lose", "kept"), [(0.0, False), (1.0, True), (None, True)])
def test_an_int8_model_may_lose_as_much_as_is_said(made_once: Path, tmp_path: Path, may_lose: float | None, kept: bool) -> None:
    """What the checkpoint finds is taken for the truth, so that its own F1 is 1, and the int8 model's is below."""
    dice = random.Random(11)
    plain = [sentence(dice, 10) for _ in range(40)]
    found = [spans_of(d, tags) for d, tags in zip(plain, predict_tags(made_once, plain, "cpu"), strict=True)]
    write_documents(tmp_path / "test.jsonl", [replace(d, spans=spans) for d, spans in zip(plain, found, strict=True)])
    cache = {"weights": weights_identity(made_once), "checkpoint": str(made_once), "output_dir": str(made_once)}
    (tmp_path / "cache.json").write_text(json.dumps(cache))
    told = Lines()
    stage: Any = SimpleNamespace(
        stage=SimpleNamespace(inputs=("test.jsonl", "cache.json")),
        path=lambda key: tmp_path / key,
        folder=tmp_path / "conversion",
        keeper=SimpleNamespace(root=tmp_path),
        restore=lambda place: place.exists(),
        copies=Copies(),
        experiment=experiment(conversion={"int8_may_lose": may_lose}),
        narration=told,
    )
    assert convert_final(stage).summary["f1"]["int8"] < 1.0
    assert (tmp_path / "conversion/onnx/model.int8.onnx").exists() is kept
    assert ("the int8 model is NOT kept" in str(told)) is not kept


def test_the_pipelines_study_lies_where_it_is_said(whole: Whole) -> None:
    assert (whole.outputs / "hpo/micro/micro-other.db").is_file()
    assert whole.read("hpo/micro/trials/trial-0000/metrics.json")["steps"] < 10
