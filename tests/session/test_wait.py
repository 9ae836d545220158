"""Confirmation that comes after the fact, as it does on a mount that uploads later."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.store.backends.backend import Backend
from holdfast.store.backends.wrappers import Counting
from holdfast.store.format.names import SENTINEL
from holdfast.store.reporting.durability import Durability
from tests.support import Rig


class Uploading(Counting):
    """A place that confirms only when it was asked a few times."""

    def __init__(self, inner: Backend, asks: int) -> None:
        super().__init__(inner)
        self.asks = asks

    def durability(self, paths: Sequence[str], reference: str | None = None) -> Durability:
        if list(paths) == [SENTINEL]:
            return Durability.CONFIRMED
        assert any(p.startswith("generations/") for p in paths)
        self.asks -= 1
        return Durability.CONFIRMED if self.asks < 0 else Durability.WRITTEN


def test_waiting_ends_when_it_is_confirmed(rig: Rig) -> None:
    machine = rig.machine(lambda b: Uploading(b, 2))
    machine.write("outputs/a", "a")
    assert not machine.keeper().backup("outputs/a").confirmed
    machine.write("outputs/a", "b")
    done = machine.keeper().backup("outputs/a", wait=60)
    assert done.confirmed


def test_waiting_ends_when_the_time_is_over(rig: Rig) -> None:
    machine = rig.machine(lambda b: Uploading(b, 10**9))
    machine.write("outputs/a", "a")
    done = machine.keep.backup("outputs/a", wait=0.01)
    assert done, "it is written"
    assert not done.confirmed
    assert done.results[0].durability is Durability.WRITTEN
