"""Keras' `fit` with `holdfast.keras.Keep`: cut off anywhere, it goes on bit for bit, on a fresh machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.integrations.fitted import DATA, EPOCHS, STEPS, Cut, CutAfter, Seen, arrays, build, state_of

import keras  # isort: skip

from holdfast.errors import ConfigurationError, HoldfastError, MadeOtherwise, UsageError, WrongOrder
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
    callbacks = [seen, Keep(PATH, machine.keeper(), **{"steps": 1, **keeping}), *more, *cuts]
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
        rows += part.rows[: cut]  # the one that was cut in is trained on again
    last, then, part = fit(rig.machine(), DATA[kind](), *more(), **options)
    assert state_of(last) == state_of(model)
    assert then.history == given.history
    assert then.epoch == given.epoch
    assert rows + part.rows == seen.rows


@pytest.mark.parametrize("kind", sorted(DATA))
def test_a_training_that_was_cut_off_in_mid_epoch_goes_on_bit_for_bit(rig: Rig, kind: str) -> None:
    gone_on(rig, kind, [8, 3])
