from __future__ import annotations

from holdfast.spread.cluster.patience import Patience, Pulse
from holdfast.spread.cluster.shared import Beat

PATIENCE = Patience(beat=1.0, silence=10.0, start=20.0, probe=5.0, answer=2.0)


def look(pulse: Pulse, begin: int, end: int, beat: Beat | None) -> None:
    for second in range(begin, end):
        pulse.seen(beat, float(second))


def test_a_start_may_take_longer_than_a_silence() -> None:
    pulse = Pulse(PATIENCE, 0.0)
    look(pulse, 0, 21, None)
    assert not pulse.is_over
    look(pulse, 21, 23, None)
    assert pulse.is_over


def test_a_beat_that_stays_the_same_is_silence() -> None:
    pulse = Pulse(PATIENCE, 0.0)
    assert pulse.seen(Beat(1), 1.0)
    look(pulse, 2, 12, Beat(1))
    assert not pulse.is_over
    look(pulse, 12, 14, Beat(1))
    assert pulse.is_over


def test_each_new_beat_ends_a_silence() -> None:
    pulse = Pulse(PATIENCE, 0.0)
    for second in range(100):
        assert pulse.seen(Beat(second), float(second))
    assert not pulse.is_over


def test_time_in_which_nobody_looked_is_no_silence() -> None:
    """The driver's own machine slept for an hour, and so perhaps did the nodes: they get their time from now on."""
    pulse = Pulse(PATIENCE, 0.0)
    pulse.seen(Beat(1), 1.0)
    pulse.seen(Beat(1), 3600.0)
    assert not pulse.is_over
