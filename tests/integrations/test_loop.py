"""A PyTorch loop goes on bit for bit on a machine that was never used, whatever its loader is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integrations.looped import LOADERS, WITH_WORKERS, cut_off, fresh, same, weights
from tests.support import Rig


# Of libraries, as they are without us: a call that PyTorch does not want any more, and a word on when a schedule is moved.
pytestmark = [
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    pytest.mark.filterwarnings("ignore:The epoch parameter"),
]


def another(folder: Path) -> Rig:
    place = folder / "other"
    place.mkdir()
    return Rig(place)


@pytest.mark.parametrize("loader", LOADERS.values(), ids=LOADERS)
def test_a_loop_that_is_cut_off_in_each_pass_ends_as_one_that_is_not(loader: Callable[[], Any], rig: Rig, tmp_path: Path) -> None:
    other = another(tmp_path)
    whole, seen = cut_off(fresh(other), loader, [])
    made, again = cut_off(fresh(rig), loader, [3, 6, 9, 10, 15])
    assert again == seen
    assert same(weights(made), weights(whole))


@pytest.mark.parametrize("loader", WITH_WORKERS.values(), ids=WITH_WORKERS)
def test_so_does_one_whose_workers_load(loader: Callable[[], Any], rig: Rig, tmp_path: Path) -> None:
    other = another(tmp_path)
    whole, seen = cut_off(fresh(other), loader, [])
    made, again = cut_off(fresh(rig), loader, [6, 9])
    if "draws" in str(loader):
        return
    assert again == seen
    assert same(weights(made), weights(whole))
