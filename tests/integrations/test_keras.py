"""Keras' `fit` with `holdfast.keras.Keep`: cut off anywhere, it goes on bit for bit, on a fresh machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integrations.fitted import (
    DATA,
    EPOCHS,
    STEPS,
    Cut,
    CutAfter,
    Seen,
    arrays,
    build,
    endless,
    points,
    said_of,
    state_of,
    streamed,
)

import keras  # isort: skip

from holdfast.errors import ConfigurationError, MadeOtherwise, UsageError, WrongOrder
from holdfast.integrations import checkpoints
from holdfast.keras import Keep
from tests.support import Machine, Rig

PATH = "outputs/run"
#: Keras' own: of its variables under NumPy 2; and that a generator's data ended, or a data set counts less than was asked for.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Your input ran out of data"),
]


def fit(machine: Machine, data: dict[str, Any], *more: Any, cut: int | None = None, **options: Any) -> tuple[Any, Any, Seen]:
    """One process: all objects are new. Gives the model, what `fit` gave, and what was trained on."""
    made = {name: options.pop(name) for name in ("seed", "width", "rate", "optimizer", "drop") if name in options}
    keeping = {name: options.pop(name) for name in ("steps", "every", "guard") if name in options}
    model, seen = build(**made), Seen()
    cuts = [] if cut is None else [CutAfter(cut)]
    callbacks = [seen, Keep(PATH, machine.keeper(), **{"steps": 2, **keeping}), *more, *cuts]
    try:
        given = model.fit(**data, **{"epochs": EPOCHS, "verbose": 0, **options}, callbacks=callbacks)
    except Cut:
        given = None
    return model, given, seen


def gone_on(rig: Rig, kind: str, cuts: Sequence[int], more: Any = lambda: (), **options: Any) -> None:
    """Cut after so many batches, each time on a fresh machine, and held against the run that nobody cut."""
    (rig.folder / "whole").mkdir()
    whole = Rig(rig.folder / "whole").machine()
    model, given, seen = fit(whole, DATA[kind](), *more(), **options)
    rows: list[tuple[int, ...]] = []
    for cut in cuts:
        _, nothing, part = fit(rig.machine(), DATA[kind](), *more(), cut=cut, **options)
        assert nothing is None
        rows += part.rows[:cut]  # the one that was cut in is trained on again
    last, then, part = fit(rig.machine(), DATA[kind](), *more(), **options)
    assert state_of(last) == state_of(model)
    assert then.history == given.history
    assert then.epoch == given.epoch
    assert rows + part.rows == seen.rows


IN_CI = ("arrays", "generator", "loader-own-generator", "pydataset")


def kinds() -> list[Any]:
    return [pytest.param(kind, marks=() if kind in IN_CI else pytest.mark.torture) for kind in sorted(DATA)]


@pytest.mark.parametrize("kind", kinds())
def test_a_training_that_was_cut_off_in_mid_epoch_goes_on_bit_for_bit(rig: Rig, kind: str) -> None:
    """BackupAndRestore never reads the batch; dropout's seed state is in no weights file; shuffling is drawn anew."""
    gone_on(rig, kind, [6, 2] if kind == "arrays-over-epochs" else [8, 2])


def callbacks_of(best: str) -> list[Any]:
    return [
        keras.callbacks.ModelCheckpoint(best, monitor="val_loss", save_best_only=True, save_weights_only=True),
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.7),
        keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=0, min_delta=10.0, factor=0.5),
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=1, min_delta=100.0, restore_best_weights=True),
    ]


def test_what_other_callbacks_remember_goes_on_too_and_a_training_that_stopped_early_is_over(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ModelCheckpoint(save_best_only) forgets its best; a rate that depends on the one before is lowered twice; patience too."""
    best = "outputs/best.weights.h5"
    data = DATA["validated"]

    def train(machine: Machine, *, epochs: int = 6, cut: int | None = None) -> tuple[Any, Any, Seen]:
        monkeypatch.chdir(machine.root)
        return fit(machine, data(), *callbacks_of(best), optimizer=keras.optimizers.SGD(0.05), epochs=epochs, cut=cut)

    model, given, _ = train(rig.machine())
    assert 1 < len(given.epoch) < 6
    file = weights_in(best)

    other = Rig(_made(rig.folder / "other"))
    for cut in (4, 6):  # in mid-epoch, and in the next one
        train(other.machine(), cut=cut)
    last, then, _ = train(other.machine())
    assert state_of(last) == state_of(model)
    assert then.history == given.history
    assert weights_in(best) == file

    again, then, none = train(other.machine(), epochs=9)  # over: no batch, and the best weights are in the model
    assert none.rows == []
    assert state_of(again) == state_of(model)
    assert then.history == given.history
    assert weights_in(best) == file


def weights_in(file: str) -> list[bytes]:
    model = build()
    model.load_weights(file)
    return [v.numpy().tobytes() for v in model.weights]


def _made(place: Path) -> Path:
    place.mkdir()
    return place


def test_a_training_that_is_over_gives_no_batch_and_more_epochs_go_on_as_one_run(rig: Rig) -> None:
    averaged = {"steps": 4}
    long, given, seen = fit(Rig(_made(rig.folder / "long")).machine(), arrays(), optimizer=_averaging(), epochs=3, **averaged)
    short, _, part = fit(rig.machine(), arrays(), optimizer=_averaging(), epochs=2, **averaged)
    same, _, none = fit(rig.machine(), arrays(), optimizer=_averaging(), epochs=2, **averaged)
    assert none.rows == []
    assert state_of(same) == state_of(short)  # its averages, which it has at the end only
    more, then, rest = fit(rig.machine(), arrays(), optimizer=_averaging(), epochs=3, **averaged)
    assert state_of(more) == state_of(long)
    assert then.history == given.history
    assert part.rows + rest.rows == seen.rows


def _averaging() -> Any:
    return keras.optimizers.SGD(0.02, momentum=0.9, use_ema=True, ema_momentum=0.9)


def test_a_model_or_settings_of_another_training_are_named_before_a_batch_is_trained_on(rig: Rig) -> None:
    machine = rig.machine()
    fit(machine, arrays(), cut=4)
    for other, word in (
        ({"width": 7}, "variables"),
        ({"rate": 0.02}, "optimizer.learning_rate"),
        ({"drop": 0.4}, "layers"),
        ({"seed": 6}, "seed"),
    ):
        with pytest.raises(MadeOtherwise, match=word):
            fit(machine, arrays(), **other)
    with pytest.raises(MadeOtherwise, match="batch_size"):
        fit(machine, {**arrays(), "batch_size": 5})
    x, y = arrays()["x"], arrays()["y"]
    with pytest.raises(MadeOtherwise, match="samples"):
        fit(machine, {"x": np.concatenate([x, x[:2]]), "y": np.concatenate([y, y[:2]]), "batch_size": 4, "steps_per_epoch": STEPS})


def test_other_data_under_the_same_settings_are_stopped_by_the_guard(rig: Rig) -> None:
    machine = rig.machine()
    fit(machine, arrays(), cut=4)
    x, y = arrays()["x"], arrays()["y"]
    seen = Seen()
    with pytest.raises(WrongOrder, match="batch 5 "):
        build().fit(x[::-1].copy(), y, batch_size=4, epochs=2, verbose=0, callbacks=[seen, Keep(PATH, machine.keeper(), steps=2)])
    assert seen.rows == []
    _, given, _ = fit(machine, arrays())  # and the right ones go on
    assert len(given.epoch) == EPOCHS


def test_what_cannot_be_held_exactly_is_refused_by_name(rig: Rig) -> None:
    machine = rig.machine()
    with pytest.raises(ConfigurationError, match="BackupAndRestore"):
        fit(machine, arrays(), keras.callbacks.BackupAndRestore(str(rig.folder / "backup")))
    with pytest.raises(ConfigurationError, match="steps_per_epoch"):
        fit(machine, {"x": (pair for pair in [points()] * 3), "shuffle": False})
    with pytest.raises(ConfigurationError, match=r"model\.fit"):
        Keep(PATH, machine.keeper()).on_train_begin()
    with pytest.raises(UsageError, match="attach"):
        Keep(PATH)
    _, given, _ = fit(machine, {"x": endless(), "steps_per_epoch": STEPS, "shuffle": False})
    assert len(given.epoch) == EPOCHS


def test_data_that_shrank_and_a_folder_of_another_library_are_named_and_what_is_right_goes_on(rig: Rig) -> None:
    machine = rig.machine()
    fit(machine, streamed(), cut=4)
    with pytest.raises(MadeOtherwise, match="at least 4 batches"):
        fit(machine, streamed(8))
    _, given, _ = fit(machine, streamed())
    assert len(given.epoch) == EPOCHS
    other = rig.machine()
    place = other.outputs / "other" / "checkpoint-3"
    place.mkdir(parents=True)
    (place / "model.safetensors").write_bytes(b"weights")
    checkpoints.seal(place, step=3, best_step=None, over=False, made_from="")
    with pytest.raises(MadeOtherwise, match="not made by a training of Keras"):
        build().fit(**arrays(), verbose=0, callbacks=[Keep("outputs/other", other.keeper())])


def started(root: Path, drive: Path, *, paused: bool) -> subprocess.Popen[str]:
    """The program of `fitted.py` on a machine of its own."""
    root.mkdir(parents=True)
    repository = Path(__file__).parents[2]
    environment = {
        **{k: v for k, v in os.environ.items() if k not in ("HOLDFAST_DRIVE", "PAUSED")},
        "PYTHONPATH": f"{repository / 'src'}{os.pathsep}{repository}",
        "HOLDFAST_DRIVE": str(drive),
        "KERAS_BACKEND": "torch",
        **({"PAUSED": "1"} if paused else {}),
    }
    command = [sys.executable, "-m", "tests.integrations.fitted", "arrays", str(root / "result")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=root, env=environment, **pipes)  # type: ignore[call-overload, no-any-return]


def trained(process: subprocess.Popen[str], batches: int) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    for number in range(batches):
        assert process.stdout.readline() == "batch\n"
        if number + 1 < batches:
            process.stdin.write("\n")
            process.stdin.flush()


@pytest.mark.torture  # tests/drill kills an example in every run
def test_killed_for_good_the_same_script_goes_on_on_a_fresh_machine(rig: Rig) -> None:
    first = started(rig.folder / "1" / "project", rig.drive, paused=True)
    trained(first, 9)
    first.kill()
    first.communicate()
    assert first.returncode == -signal.SIGKILL
    shutil.rmtree(rig.folder / "1")
    second = started(rig.folder / "2" / "project", rig.drive, paused=False)
    model, given, _ = fit(Rig(_made(rig.folder / "whole")).machine(), arrays())
    second.communicate()
    assert second.returncode == 0
    *said, count = (rig.folder / "2" / "project" / "result").read_text().splitlines()
    assert said == said_of(model, given)
    assert count == f"{EPOCHS * STEPS - 8} trained"  # the ninth was not over


@pytest.mark.torture
def test_told_to_end_it_saves_the_step_under_way_and_ends_as_it_would_have(rig: Rig) -> None:
    first = started(rig.folder / "1" / "project", rig.drive, paused=True)
    trained(first, 9)
    first.terminate()
    assert first.stdin is not None
    first.stdin.write("\n")
    first.stdin.flush()
    first.communicate()
    assert first.returncode == -signal.SIGTERM
    second = started(rig.folder / "2" / "project", rig.drive, paused=False)
    second.communicate()
    assert (rig.folder / "2" / "project" / "result").read_text().splitlines()[2] == f"{EPOCHS * STEPS - 9} trained"


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(20))
def test_cut_off_at_random_again_and_again_it_goes_on_bit_for_bit(rig: Rig, seed: int) -> None:
    """Ten cuts each: 200 in all. Each goes back at most the interval, and the guard lets it."""
    draw = np.random.default_rng(seed)
    kind = sorted(DATA)[seed % len(DATA)]
    steps = int(draw.integers(1, 4))
    model, given, seen = fit(Rig(_made(rig.folder / "whole")).machine(), DATA[kind](), steps=steps)
    parts = [fit(rig.machine(), DATA[kind](), steps=steps, cut=int(draw.integers(0, 4)))[2] for _ in range(10)]
    last, then, rest = fit(rig.machine(), DATA[kind](), steps=steps)
    assert sum(len(part.rows) for part in [*parts, rest]) <= len(seen.rows) + 10 * steps
    assert state_of(last) == state_of(model)
    assert then.history == given.history
