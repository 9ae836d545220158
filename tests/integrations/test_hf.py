"""`holdfast.hf.Keep`: cut off at a step and gone on with on a fresh machine, a Trainer comes to the same, bit for bit."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers.trainer
from transformers import TrainerControl, TrainerState

from holdfast.errors import ConfigurationError, HoldfastError, MadeOtherwise, UsageError, WrongOrder
from holdfast.flow.fingerprint import differences
from holdfast.hf import Keep
from holdfast.integrations import checkpoints
from holdfast.integrations.hf_settings import _model as of_model
from holdfast.integrations.kept import newest
from tests.integrations.hf_cases import CASES, MANY, RUN, WORKERS, Case, Gone, Model, Outcome, Rows, Stream, train
from tests.support import Machine, Rig

ALL = {**CASES, **MANY, **WORKERS}


def same(one: Outcome, other: Outcome) -> bool:
    return all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outcome]:
    known: dict[str, Outcome] = {}

    def find(name: str) -> Outcome:
        if name not in known:
            known[name] = train(Rig(tmp_path_factory.mktemp("whole")).machine(), ALL[name])
        return known[name]

    return find


def goes_on(rig: Rig, name: str, whole: Outcome, *until: int) -> Outcome:
    """Cut off at these steps, each time on a fresh machine. What the last one came to is what the whole one came to."""
    case = ALL[name]
    for step in until:
        train(rig.machine(), case, step)
    last = train(rig.machine(), case)
    assert same(last, whole)
    assert last.seen == whole.seen[len(whole.seen) - len(last.seen) :]
    assert last.evaluated == whole.evaluated[len(whole.evaluated) - len(last.evaluated) :]
    assert (last.reached, last.best) == (whole.reached, whole.best)
    return last


@pytest.mark.parametrize("name", MANY)
def test_a_training_that_was_cut_off_comes_to_the_same_weights_by_the_same_samples(
    name: str, rig: Rig, uninterrupted: Callable[[str], Outcome]
) -> None:
    whole = uninterrupted(name)
    middle = whole.reached // 2 + 2
    last = goes_on(rig, name, whole, middle)
    assert middle - 3 <= last.started < middle
    again = train(rig.machine(), ALL[name])
    assert (again.seen, again.evaluated) == ([], []), "it is over"
    assert same(again, whole)


@pytest.mark.torture
@pytest.mark.parametrize("name", [*CASES, *WORKERS])
def test_each_case_comes_to_the_same_wherever_it_is_cut_off(
    name: str, tmp_path: Path, uninterrupted: Callable[[str], Outcome]
) -> None:
    whole, draw = uninterrupted(name), random.Random(name)
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        rig = Rig(tmp_path / str(number))
        first = draw.randint(2, whole.reached)
        goes_on(rig, name, whole, first, draw.randint(first, whole.reached))
        again = train(rig.machine(), ALL[name])
        assert again.seen == []
        assert same(again, whole)


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(10))
def test_a_correct_run_is_never_stopped_and_goes_back_by_the_interval_at_most(
    seed: int, tmp_path: Path, uninterrupted: Callable[[str], Outcome]
) -> None:
    """20 kill points each."""
    draw = random.Random(seed)
    name = draw.choice(list(CASES))
    whole = uninterrupted(name)
    for number in range(5):
        (tmp_path / str(number)).mkdir()
        rig, reached = Rig(tmp_path / str(number)), 0
        for _ in range(4):
            before, reached = reached, draw.randint(max(reached, 1), whole.reached)
            assert train(rig.machine(), ALL[name], reached).started >= before - 3, "two steps between checkpoints, three at most"
        goes_on(rig, name, whole)


@pytest.mark.torture  # tests/drill kills an example in every run
def test_killed_by_the_system_on_a_machine_that_is_gone_it_goes_on_by_the_interval_at_most(
    rig: Rig, uninterrupted: Callable[[str], Outcome]
) -> None:
    name = next(iter(MANY))
    whole = uninterrupted(name)
    words = [sys.executable, "-m", "tests.integrations.hf_cases", str(rig.folder / "gone"), str(rig.drive), name]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for step in process.stdout:
            if int(step) == 6:
                process.kill()
                break
            process.stdin.write("\n")
            process.stdin.flush()
    shutil.rmtree(rig.folder / "gone")
    assert goes_on(rig, name, whole).started == 4


@pytest.mark.torture
@pytest.mark.parametrize("name", ["shuffled", "drawn with a sample"])
def test_two_ranks_go_on_together_as_if_nothing_had_been(name: str, tmp_path: Path) -> None:
    def launch(root: str, drive: str, until: int) -> list[Any]:
        (tmp_path / drive).mkdir(exist_ok=True)
        words = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc_per_node=2",
            "-m",
            "tests.integrations.hf_cases",
        ]
        done = subprocess.run(
            [*words, str(tmp_path / root), str(tmp_path / drive), name, str(until)],
            stdin=subprocess.DEVNULL,
            check=False,
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return [torch.load(tmp_path / root / f"rank-{rank}.pt", weights_only=True) for rank in range(2)]

    whole = launch("whole", "drive-1", 0)
    launch("cut", "drive-2", 6)
    last = launch("fresh", "drive-2", 0)
    for rank in range(2):
        (weights, seen), (expected, all_seen) = last[rank], whole[rank]
        assert all(torch.equal(weights[n], expected[n]) for n in expected)
        assert 0 < len(seen) < len(all_seen)
        assert seen == all_seen[-len(seen) :]


def test_a_sigterm_saves_at_the_end_of_the_step_and_then_does_what_it_would_have_done(rig: Rig) -> None:
    def ends(number: int, frame: object) -> None:
        raise Gone

    case, before = Case(steps=None), signal.signal(signal.SIGTERM, ends)
    try:
        machine = rig.machine()
        train(machine, case, terminated=4)
        assert signal.getsignal(signal.SIGTERM) is ends
    finally:
        signal.signal(signal.SIGTERM, before)
    fresh = rig.machine()
    found = newest(fresh.keep, RUN)
    assert found is not None
    assert (found.step, found.over) == (4, False)


# -- adapters ------------------------------------------------------------------------------------------------------------------


def adapted(base_seed: int = 1, **options: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(base_seed)
    base = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 1))
    return get_peft_model(base, LoraConfig(**{"r": 2, "target_modules": ["0"], **options}))


def test_another_base_model_or_another_scale_of_the_adapter_is_another_training() -> None:
    said = of_model(adapted())
    assert said == of_model(adapted())
    assert differences(said, of_model(adapted(2)))[0].startswith("base model: ")
    assert differences(said, of_model(adapted(lora_alpha=16))) == ["adapters.default.lora_alpha: 8 then, 16 now"]


def test_weights_that_no_checkpoint_of_an_adapter_holds_are_named() -> None:
    model = adapted()
    model.base_model.model[1].weight.requires_grad_(True)
    with pytest.raises(ConfigurationError, match=r"^base_model.model.1.weight: trained beside the adapter.*modules_to_save"):
        of_model(model)
    of_model(adapted(modules_to_save=["2"]))
    of_model(adapted(bias="lora_only", use_dora=True))


def test_two_adapters_at_once_are_refused() -> None:
    from peft import LoraConfig

    model = adapted()
    model.add_adapter("second", LoraConfig(r=2, target_modules=["0"]))
    of_model(model)
    model.base_model.set_adapter(["default", "second"])
    with pytest.raises(ConfigurationError, match="adapters default, second are trained at once"):
        of_model(model)


# -- what is refused -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Rig]:
    """A drive with a shuffled training that was cut off in its 10th step; a copy for each test."""
    kept = Rig(tmp_path_factory.mktemp("cut"))
    train(kept.machine(), CASES["shuffled"], 10)

    def copy(folder: Path) -> Rig:
        shutil.copytree(kept.drive, folder / "copy" / "drive")
        rig = Rig.__new__(Rig)
        rig.__dict__.update({**kept.__dict__, "folder": folder / "copy", "drive": folder / "copy" / "drive"})
        return rig

    return copy


class Wider(Model):
    """One more weight."""

    def __init__(self) -> None:
        super().__init__()
        self.more = torch.nn.Parameter(torch.zeros(3))


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "another folder": ({"path": "outputs/other"}, ConfigurationError, "output_dir is .*give both the same folder"),
    "weights only": ({"save_only_model": True}, ConfigurationError, "^save_only_model"),
    "no skipping": ({"ignore_data_skip": True}, ConfigurationError, "^ignore_data_skip"),
    "a batch size that is looked for": ({"auto_find_batch_size": True}, ConfigurationError, "^auto_find_batch_size"),
    "another rate": ({"learning_rate": 0.01}, MadeOtherwise, "optimizer.lr: 0.05 then, 0.01 now"),
    "another batch size": ({"per_device_train_batch_size": 2}, MadeOtherwise, "per_device_train_batch_size: 4 then, 2 now"),
    "another seed": ({"seed": 7}, MadeOtherwise, "arguments.seed: 42 then, 7 now"),
    "a longer one": ({"num_train_epochs": 4}, MadeOtherwise, "steps the learning rate is planned over: 18 then, 24 now"),
    "more data": ({"data": lambda: Rows(23)}, MadeOtherwise, "samples: 22 then, 23 now"),
    "another model": ({"model": Wider}, MadeOtherwise, 'model.weights: "4 in 2 tensors, .*" then, "7 in 3 tensors, '),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_the_checkpoints_is_refused_before_a_step(name: str, cut_off: Callable[[Path], Rig], tmp_path: Path) -> None:
    changed, kind, line = REFUSED[name]
    with pytest.raises(kind, match=line) as refused:
        train(cut_off(tmp_path).machine(), CASES["shuffled"], **changed)
    assert "\n" not in str(refused.value)


def test_a_training_that_was_refused_goes_on_once_that_is_set_back(cut_off: Callable[[Path], Rig], tmp_path: Path) -> None:
    machine = cut_off(tmp_path).machine()
    for changed in ({"ignore_data_skip": True}, {"learning_rate": 0.01}, {"data": lambda: Rows(22, lambda: 1.0)}):
        with pytest.raises(HoldfastError):
            train(machine, CASES["shuffled"], **changed)
    assert train(machine, CASES["shuffled"], 11).started == 8


def test_what_changes_no_weight_is_not_refused(cut_off: Callable[[Path], Rig], tmp_path: Path) -> None:
    said = {"logging_strategy": "steps", "logging_steps": 1, "save_total_limit": 1, "run_name": "another"}
    assert train(cut_off(tmp_path).machine(), CASES["shuffled"], 11, **said).started == 8


@pytest.mark.filterwarnings("ignore")
def test_a_callback_that_comes_too_late_is_refused(machine: Machine) -> None:
    from transformers import TrainingArguments

    keep = Keep(RUN, machine.keep)
    with pytest.raises(ConfigurationError, match="add_callback comes too late"):
        keep.on_train_begin(TrainingArguments(str(machine.root / RUN), use_cpu=True), TrainerState(), TrainerControl())


def test_other_samples_are_stopped_before_one_is_trained_on(cut_off: Callable[[Path], Rig], tmp_path: Path) -> None:
    machine = cut_off(tmp_path).machine()
    found = newest(machine.keep, RUN)
    assert found is not None
    assert found.step == 8
    with pytest.raises(WrongOrder, match=r"^outputs/run: batch 9 is not the one"):
        train(machine, CASES["shuffled"], data=lambda: Rows(22, lambda: 1.0))


def test_beginning_anew_beside_a_checkpoint_is_refused(cut_off: Callable[[Path], Rig], tmp_path: Path) -> None:
    machine = cut_off(tmp_path).machine()
    keep = Keep(RUN, machine.keep)
    with pytest.raises(
        ConfigurationError, match=r"step 8, and training begins at 0. Go on with it: trainer.train\(resume_from_checkpoint="
    ):
        keep._gone_on_with(0)
    newest(machine.keep, RUN)
    with pytest.raises(ConfigurationError, match="a checkpoint of step 6, and there is a newer one, of step 8"):
        keep._gone_on_with(6)


def test_without_a_keeper_it_says_what_to_call() -> None:
    with pytest.raises(UsageError, match="nothing is attached"):
        Keep(RUN)


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"every": 0}, "every=0: should be above 0"),
        ({"every": "soon"}, "every='soon': should be a number of seconds, or a duration such as"),
        ({"every": []}, r"every=\[\]: should be a number of seconds"),
        ({"steps": 0}, "steps=0: should be a whole number, at least 1"),
        ({"steps": "5min"}, "steps='5min': should be a whole number, at least 1"),
        ({"steps": True}, "steps=True: "),
        ({"steps": 2.5}, "steps=2.5: "),
    ],
)
def test_an_interval_that_is_none_is_refused(machine: Machine, asked: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigurationError, match=line):
        Keep(RUN, machine.keep, **asked)


def test_a_checkpoint_of_a_passs_last_batch_has_its_evaluation_after_the_resume(rig: Rig) -> None:
    """The stream has no length, so that the checkpoint is saved before it is known that the pass is over."""
    case = Case({"max_steps": 15, "eval_strategy": "epoch"}, data=lambda: Stream(22), steps=3)
    (rig.folder / "whole").mkdir()
    whole = train(Rig(rig.folder / "whole").machine(), case)
    assert [step for step, _ in whole.evaluated] == [6, 12, 15]
    machine = rig.machine()
    train(machine, case, 8)
    assert checkpoints.steps(machine.root / RUN)[0] == 6
    place = machine.root / RUN / "checkpoint-6" / "holdfast-random.pt"
    assert torch.load(place, weights_only=True)["done"] in (0, 6)
    last = train(rig.machine(), case)
    assert same(last, whole)
    assert last.evaluated == whole.evaluated[-len(last.evaluated) :]


def test_a_checkpoint_of_an_epochs_last_step_knows_its_evaluation(rig: Rig) -> None:
    """The Trainer saves it before it evaluates, so that a training that goes on there has missed one."""
    early = CASES["early stopping"]
    case = Case({**early.options, "num_train_epochs": 3, "save_strategy": "steps", "save_steps": 3}, steps=None)
    train(rig.machine(), case, 8)
    last = train(rig.machine(), case)
    assert last.started == 6
    assert last.best == 6, "the first evaluation is the best"


def test_the_newest_two_stay_whatever_the_trainers_own_limit_is(machine: Machine) -> None:
    """Its rotation goes by the times of files."""
    train(machine, CASES["shuffled"], 9, save_total_limit=1)
    assert checkpoints.steps(machine.root / RUN) == [8, 6]


@pytest.mark.parametrize("by", [-1, 1], ids=["one batch too few", "one batch too many"])
def test_an_accelerate_that_skips_wrongly_is_stopped_before_a_batch_is_trained_on(
    by: int, cut_off: Callable[[Path], Rig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = transformers.trainer.skip_first_batches
    monkeypatch.setattr(transformers.trainer, "skip_first_batches", lambda loader, count: right(loader, count + by))
    with pytest.raises(WrongOrder, match=r"^outputs/run: batch 9 is not the one"):
        train(cut_off(tmp_path).machine(), CASES["shuffled"])
