"""Point 8: cold and warm reads, rates and bandwidth. Measured in virtual seconds, by the counter of what was waited."""

from __future__ import annotations

import threading

import pytest

from holdfast.simulator import Latency, Pace, SimulatedDrive, Weather
from holdfast.simulator.clock import Clock
from tests.simulator.conftest import Mount
from tests.simulator.support import write


def test_a_cold_read_costs_much_and_a_warm_one_little(mount: Mount) -> None:
    first = mount("first")
    for number in range(10):
        write(first, f"{number}.txt")
    first.drain()
    first.disconnect()

    drive = mount("second")
    places = [drive.my_drive / f"{number}.txt" for number in range(10)]
    for place in places:
        place.read_bytes()
    cold = drive.counters(reset=True)
    for place in places:
        place.read_bytes()
    warm = drive.counters(reset=True)
    assert (cold["cold_reads"], cold["warm_reads"], cold["bytes_down"]) == (10, 0, 70)
    assert (warm["cold_reads"], warm["warm_reads"], warm["bytes_down"]) == (0, 10, 0)
    assert 4000 <= cold["milliseconds_waited"] <= 10_000
    assert warm["milliseconds_waited"] <= 40


def test_what_this_machine_wrote_is_warm(drive: SimulatedDrive) -> None:
    place = write(drive, "a.txt")
    drive.drain()
    place.read_bytes()
    assert drive.counters()["cold_reads"] == 0


def test_a_large_file_is_limited_by_the_bandwidth(mount: Mount) -> None:
    drive = mount(weather=Weather(latency=Latency(bytes_per_second=100_000), foreign_delay=(0, 0)))
    drive.elsewhere.put("large.bin", bytes(1_000_000))
    drive.advance(1)
    (drive.my_drive / "large.bin").read_bytes()
    assert 10_000 <= drive.counters()["milliseconds_waited"] <= 11_500


def test_latency_can_be_off(mount: Mount) -> None:
    drive = mount(weather=Weather(latency=Latency(on=False), foreign_delay=(0, 0)))
    drive.elsewhere.put("a.bin", b"a")
    drive.advance(1)
    (drive.my_drive / "a.bin").read_bytes()
    found = drive.counters()
    assert (found["cold_reads"], found["milliseconds_waited"]) == (1, 0)


def test_creates_reach_the_cloud_at_their_rate(mount: Mount) -> None:
    drive = mount(pace=Pace(creates_per_second=2, lag=(0, 0)))
    for number in range(100):
        write(drive, f"{number}.txt")
    drive.advance(25)
    assert 49 <= len(drive.elsewhere.files()) <= 52
    drive.advance(26)
    assert len(drive.elsewhere.files()) == 100


def test_a_large_upload_takes_its_time(mount: Mount) -> None:
    drive = mount(pace=Pace(bytes_per_second=1000, lag=(0, 0)))
    write(drive, "large.bin", bytes(100_000))
    drive.advance(99)
    assert drive.pending() == ["large.bin"]
    drive.advance(2)
    assert drive.pending() == []


def test_with_a_running_clock_calls_wait(mount: Mount) -> None:
    first = mount("first")
    write(first, "a.txt")
    first.drain()
    first.disconnect()
    drive = mount("second", speed=100)
    before = drive.advance(0)
    (drive.my_drive / "a.txt").read_bytes()
    assert drive.advance(0) - before >= 0.4


def test_a_running_clock_runs_and_can_be_moved() -> None:
    real = [0.0]
    clock = Clock(10, lambda: real[0])
    real[0] = 2
    assert clock.now() == 20
    clock.advance(5)
    assert clock.now() == 25
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="speed"):
        Clock(-1)


def test_advancing_a_clock_ends_the_waits_that_are_over() -> None:
    clock = Clock(1, lambda: 0.0)
    waiting = threading.Thread(target=clock.wait, args=(100,))
    waiting.start()
    clock.advance(50)
    assert waiting.is_alive()
    clock.advance(51)
    waiting.join(30)
    assert not waiting.is_alive()


def test_a_clock_that_stands_still_never_makes_a_call_wait() -> None:
    Clock(0).wait(1e9)
