"""Rot: whatever decays in the store is detected and named, restore falls back a generation, and clean stores raise no alarm."""

from __future__ import annotations

import logging
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.store.reporting.outcomes import Outcome
from tests.support import Machine, Picture, Rig, furnish, make_database, picture, read_tree, rows_in

OLD = {"a": b"old a", "b": b"old b", "large": b"o" * 1_200_000}
NEW = {"a": b"new a", "b": b"new b", "large": b"n" * 1_200_000}
#: What the newer one sends in a tar of small files, of `furnish` too. What the older one has as well is not sent again.
SMALL = {"a", "b", "links/best", "links/step-3"}
NOW = 1_700_000_000_123_456_789


def lay(folder: Path, content: dict[str, bytes]) -> Picture:
    """Put content into a folder, with links, holes, times and modes beside it, always the same of the same content."""
    furnish(folder / "links", 1 if content["a"] == OLD["a"] else 2)
    for name, data in content.items():
        (folder / name).write_bytes(data)
    for place in folder.rglob("*"):
        if place.is_file() and place.stat().st_mtime_ns > NOW:
            os.utime(place, ns=(NOW, NOW - len(place.name)))
    return picture(folder, folder_times=False)


@pytest.fixture
def two(rig: Rig) -> Machine:
    """Two generations of one artifact, every file changed between, and another artifact beside it."""
    machine = rig.machine()
    for content in (OLD, NEW):
        lay(machine.outputs / "d", content)
        assert machine.keeper().backup("outputs/d")
    machine.write("outputs/other", "other")
    assert machine.keeper().backup("outputs/other")
    return machine


def newest(rig: Rig, part: str) -> Path:
    return next(p for p in [*rig.manifests(), *rig.payloads()] if part in p.name and "@000002-" in p.name)


def check_fallback(rig: Rig, expected: dict[str, bytes] = OLD) -> None:
    """A fresh machine gets the generation before, says so, and everything undamaged besides."""
    fresh = rig.machine()
    result = fresh.keep.ensure("outputs/d")
    assert result.outcome is Outcome.RESTORED, result
    came = picture(fresh.root / "outputs/d", folder_times=False)
    assert came == lay(rig.folder / "expected", expected)
    assert fresh.keep.ensure("outputs/other").outcome is Outcome.RESTORED
    shutil.rmtree(fresh.root)


def every_byte_counts(two: Machine, rig: Rig, rng: random.Random, each: int) -> None:
    place = newest(rig, "outputs~d@")
    clean = place.read_bytes()
    for position in range(rng.randrange(each), len(clean), each):
        flipped = bytearray(clean)
        flipped[position] ^= 1 << rng.randrange(8)
        place.write_bytes(flipped)
        (damage,) = two.keeper().verify("outputs/d")
        assert place.name in damage.file
        if position % 40 < each:
            check_fallback(rig)
    place.write_bytes(clean)
    assert not two.keeper().verify()


def test_every_third_byte_of_a_manifest_counts(two: Machine, rig: Rig, seeded: Callable[[int], random.Random]) -> None:
    every_byte_counts(two, rig, seeded(7), 3)


@pytest.mark.torture
def test_every_byte_of_a_manifest_counts(two: Machine, rig: Rig, seeded: Callable[[int], random.Random]) -> None:
    every_byte_counts(two, rig, seeded(7), 1)


def flipped_bits_are_named(two: Machine, rig: Rig, rng: random.Random, bits: int) -> None:
    victims = [newest(rig, "large@"), newest(rig, "small-files@")]
    for number in range(bits):
        place = victims[number % 2]
        offset, bit = rng.randrange(place.stat().st_size), rng.randrange(8)
        flip(place, offset, bit)
        found = two.keeper().verify("outputs/d")
        assert found, (place.name, offset, bit)
        assert {d.file for d in found} == ({"outputs/d/large"} if number % 2 == 0 else {f"outputs/d/{p}" for p in SMALL})
        if number % 25 < 2:
            check_fallback(rig)
        flip(place, offset, bit)
    assert not two.keeper().verify()


def test_flipped_bits_of_payload_are_named_and_fallen_back_from(
    two: Machine, rig: Rig, seeded: Callable[[int], random.Random], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    flipped_bits_are_named(two, rig, seeded(8), 250)


@pytest.mark.torture
def test_a_thousand_flipped_bits_of_payload_are_named_and_fallen_back_from(
    two: Machine, rig: Rig, seeded: Callable[[int], random.Random], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    flipped_bits_are_named(two, rig, seeded(8), 1000)


def flip(place: Path, offset: int, bit: int) -> None:
    with open(place, "r+b") as handle:
        handle.seek(offset)
        byte = handle.read(1)[0]
        handle.seek(offset)
        handle.write(bytes([byte ^ (1 << bit)]))


def test_a_flipped_bit_in_what_a_sparse_file_travels_in_is_named_and_fallen_back_from(
    two: Machine, rig: Rig, seeded: Callable[[int], random.Random]
) -> None:
    rng = seeded(10)
    place = newest(rig, "holes")
    size = place.stat().st_size
    assert size < 1 << 20, "the holes are not in the store"
    for _ in range(40):
        offset, bit = rng.randrange(size), rng.randrange(8)
        flip(place, offset, bit)
        assert {d.file for d in two.keeper().verify("outputs/d")} == {"outputs/d/links/holes"}, (offset, bit)
        flip(place, offset, bit)
    flip(place, size // 2, 0)
    check_fallback(rig)


def test_truncation_at_every_four_kib_is_named_and_fallen_back_from(two: Machine, rig: Rig) -> None:
    for part in ("large@", "small-files@", "outputs~d@"):
        place = newest(rig, part)
        clean = place.read_bytes()
        for length in [*range(0, len(clean), 4096), len(clean) - 1]:
            place.write_bytes(clean[:length])
            assert two.keeper().verify("outputs/d"), (part, length)
            if length % (4096 * 37) == 0:
                check_fallback(rig)
        place.write_bytes(clean)
    assert not two.keeper().verify()


def test_a_deleted_payload_is_named_and_fallen_back_from(two: Machine, rig: Rig) -> None:
    newest(rig, "large@").unlink()
    (damage,) = two.keeper().verify()
    assert damage.file == "outputs/d/large"
    assert "missing" in damage.problem
    check_fallback(rig)


def test_swapped_payloads_are_named_and_fallen_back_from(two: Machine, rig: Rig) -> None:
    new, old = newest(rig, "large@"), next(p for p in rig.payloads() if p.name.startswith("large@000001-"))
    content = new.read_bytes(), old.read_bytes()
    new.write_bytes(content[1])
    old.write_bytes(content[0])
    assert {d.generation[:6] for d in two.keeper().verify()} == {"000001", "000002"}
    fresh = rig.machine()
    result = fresh.keep.ensure("outputs/d")
    assert result.outcome is Outcome.FAILED, "no generation is sound, and none is mixed from two"
    assert "outputs/d" in result.error
    assert not (fresh.root / "outputs/d").exists()
    assert fresh.keep.ensure("outputs/other").outcome is Outcome.RESTORED


def test_a_manifest_under_another_name_is_not_taken(two: Machine, rig: Rig) -> None:
    place = newest(rig, "outputs~d@")
    place.write_bytes(next(p for p in rig.manifests() if "@000001-" in p.name and "outputs~d" in p.name).read_bytes())
    assert two.keeper().verify()
    check_fallback(rig)


def test_falling_back_is_said_once_and_names_the_file(two: Machine, rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    flip(newest(rig, "large@"), 5, 0)
    with caplog.at_level(logging.WARNING):
        result = rig.machine().keep.ensure("outputs/d")
    assert len(result.warnings) == 1
    assert "large@" in result.warnings[0]
    assert [r.getMessage() for r in caplog.records] == list(result.warnings)


def test_after_a_fallback_work_goes_on_above_the_damaged_generation(two: Machine, rig: Rig) -> None:
    flip(newest(rig, "large@"), 5, 0)
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/d")
    lay(fresh.outputs / "d", {**OLD, "a": b"goes on"})
    done = fresh.keeper().backup("outputs/d")
    assert done
    assert done.results[0].sequence == 3
    check_fallback(rig, {**OLD, "a": b"goes on"})


def test_a_missing_file_is_not_taken_from_an_older_generation_than_what_is_here(two: Machine, rig: Rig) -> None:
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/d/a")
    flip(newest(rig, "large@"), 5, 0)
    result = fresh.keeper().ensure("outputs/d/large")
    assert result.outcome is Outcome.FAILED
    assert "another generation" in result.error
    assert fresh.tree("outputs/d") == {"a": b"new a"}


def test_a_lost_or_torn_sentinel_is_named_and_mended_by_the_next_backup(two: Machine, rig: Rig) -> None:
    sentinel = rig.store / "holdfast.json"
    clean = sentinel.read_bytes()
    for spoil in (sentinel.unlink, lambda: sentinel.write_bytes(clean[:20]), lambda: sentinel.write_bytes(b"")):
        spoil()
        assert [d.file for d in two.keeper().verify()] == ["holdfast.json"]
        assert rig.machine().keep.ensure("outputs/other").outcome is Outcome.RESTORED
        two.write("outputs/other", str(spoil))
        assert two.keeper().backup("outputs/other")
        assert sentinel.read_bytes() == clean
        assert not two.keeper().verify()


@pytest.mark.parametrize("runs", [250, pytest.param(1000, marks=pytest.mark.torture)])
def test_many_clean_runs_raise_no_alarm(
    rig: Rig, runs: int, seeded: Callable[[int], random.Random], caplog: pytest.LogCaptureFixture
) -> None:
    rng = seeded(9)
    machine = rig.machine()
    make_database(machine.outputs / "d/study.db", 1)
    assert machine.keep.backup("outputs/d")
    caplog.clear()
    for run in range(runs):
        if rng.random() < 0.3:
            machine.write(f"outputs/d/{rng.randrange(5)}", rng.randbytes(rng.choice((10, 2000, 1_100_000))))
        elif rng.random() < 0.1:
            make_database(machine.outputs / "d/study.db", run)
        keeper = machine.keep if rng.random() < 0.9 else machine.keeper()
        assert keeper.backup("outputs/d")
        if run % 10 == 0:
            assert not keeper.verify(), run
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/d")
    expected, found = read_tree(machine.root / "outputs/d"), fresh.tree("outputs/d")
    assert rows_in(fresh.outputs / "d/study.db") == rows_in(machine.outputs / "d/study.db")
    expected.pop("study.db"), found.pop("study.db")
    assert found == expected
