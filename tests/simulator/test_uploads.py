"""Point 2: the upload queue, and what a disconnect leaves of it."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from holdfast.simulator import Change, Fate, Pace, SimulatedDrive
from holdfast.simulator.fates import Lost
from holdfast.simulator.uploads import Queue
from tests.simulator.conftest import Mount
from tests.simulator.support import write

EVEN = Pace(slots=10, creates_per_second=2, bytes_per_second=1000, lag=(0, 0))


def test_creates_are_limited_by_their_rate() -> None:
    queue: Queue[str] = Queue(EVEN)
    for name in "abcdefgh":
        queue.put(name, ready=0, size=0, creates=True)
    assert [len(queue.run(at)) for at in (0, 0.4, 0.5, 1.9, 10)] == [1, 0, 1, 2, 4]


def test_updates_do_not_wait_for_creates() -> None:
    queue: Queue[str] = Queue(EVEN)
    for name in "abc":
        queue.put(name, ready=0, size=0, creates=True)
    queue.put("update", ready=0.1, size=0, creates=False)
    assert queue.run(0.1) == ["a", "update"]


def test_bandwidth_is_shared_by_what_is_under_way() -> None:
    queue: Queue[str] = Queue(EVEN)
    queue.put("small", ready=0, size=500, creates=False)
    queue.put("large", ready=0, size=2000, creates=False)
    assert queue.run(0.99) == []
    assert queue.run(1.01) == ["small"]
    assert queue.run(2.49) == []
    assert queue.run(2.51) == ["large"]


def test_no_more_than_the_slots_are_under_way() -> None:
    queue: Queue[int] = Queue(Pace(slots=2, creates_per_second=1e9, bytes_per_second=100, lag=(0, 0)))
    for number in range(6):
        queue.put(number, ready=0, size=100, creates=True)
    assert [len(queue.run(at)) for at in (1.99, 2.01, 4.01, 6.01)] == [0, 2, 2, 2]


def test_a_job_put_again_begins_anew_and_one_dropped_never_ends() -> None:
    queue: Queue[str] = Queue(EVEN)
    queue.put("a", ready=0, size=1000, creates=False)
    queue.put("b", ready=0, size=1000, creates=False)
    assert queue.run(0.9) == []
    queue.put("a", ready=0.9, size=1000, creates=False)
    queue.drop("b")
    assert queue.run(1.8) == []
    assert queue.run(1.91) == ["a"]
    assert queue.run(100) == []
    assert len(queue) == 0


@pytest.mark.parametrize("seed", range(20))
def test_however_time_is_cut_the_same_uploads_happen_in_the_same_order(seed: int) -> None:
    rng = random.Random(seed)
    jobs = [(rng.uniform(0, 30), rng.randrange(5000), rng.random() < 0.5) for _ in range(40)]

    def order(steps: list[float]) -> list[int]:
        queue: Queue[int] = Queue(EVEN)
        for number, (ready, size, creates) in enumerate(jobs):
            queue.put(number, ready=ready, size=size, creates=creates)
        return [name for at in steps for name in queue.run(at)]

    assert order([1000.0]) == order([*sorted(rng.uniform(0, 200) for _ in range(50)), 1000.0])


def test_a_mount_shares_its_bandwidth_between_the_uploads_under_way(mount: Mount) -> None:
    drive = mount(pace=Pace(creates_per_second=1e6, bytes_per_second=1000, lag=(0, 0)))
    write(drive, "small.bin", bytes(500))
    write(drive, "large.bin", bytes(2000))
    drive.advance(0.99)
    assert drive.pending() == ["large.bin", "small.bin"]
    drive.advance(0.02)
    assert drive.pending() == ["large.bin"]
    drive.advance(1.48)
    assert drive.pending() == ["large.bin"]
    drive.advance(0.02)
    assert drive.pending() == []


def test_a_mount_uploads_no_more_files_at_a_time_than_it_has_slots(mount: Mount) -> None:
    drive = mount(pace=Pace(slots=2, creates_per_second=1e9, bytes_per_second=100, lag=(0, 0)))
    for number in range(6):
        write(drive, f"{number}.bin", bytes(100))
    left = []
    for step in (1.9, 0.2, 1.8, 0.2, 1.8, 0.2):
        drive.advance(step)
        left.append(len(drive.pending()))
    assert left == [6, 4, 4, 2, 2, 0]


def test_an_upload_begins_after_a_lag_that_is_drawn_for_each_file(mount: Mount) -> None:
    drive = mount(pace=Pace(creates_per_second=1e9, lag=(5, 10)))
    for number in range(40):
        write(drive, f"{number}.txt")
    drive.advance(4.9)
    assert drive.elsewhere.files() == {}
    drive.advance(2.6)
    assert 5 < len(drive.elsewhere.files()) < 35
    drive.advance(2.6)
    assert len(drive.elsewhere.files()) == 40


def test_a_file_that_is_rewritten_again_and_again_is_never_uploaded(mount: Mount) -> None:
    drive = mount(pace=Pace(lag=(10, 10)))
    for second in range(20):
        write(drive, "log.txt", b"line\n" * second)
        drive.advance(9)
    assert drive.elsewhere.files() == {}
    drive.advance(20)
    assert list(drive.elsewhere.files()) == ["log.txt"]


def test_a_file_that_is_open_for_writing_is_not_uploaded(drive: SimulatedDrive) -> None:
    with open(drive.my_drive / "log.txt", "wb", buffering=0) as file:
        file.write(b"one")
        drive.advance(10_000)
        assert drive.elsewhere.files() == {}
    drive.advance(100)
    assert drive.elsewhere.files() == {"log.txt": b"one"}


def test_files_arrive_in_another_order_than_they_were_written(mount: Mount) -> None:
    drive = mount(seed=3)
    names = [f"{number:02}.txt" for number in range(12)]
    for name in names:
        write(drive, name)
    arrived: list[str] = []
    while drive.pending():
        drive.advance(0.5)
        arrived += sorted(set(drive.elsewhere.files()) - set(arrived))
    assert sorted(arrived) == names
    assert arrived != names


def story(drive: SimulatedDrive) -> list[Lost]:
    """Uploaded files, then pending changes of every kind."""
    for number in range(8):
        write(drive, f"old/{number}", b"old" * 100)
    drive.drain()
    for number in range(40):
        write(drive, f"new/{number:02}.bin", bytes([number]) * 1000)
    for number in range(3):
        write(drive, f"old/{number}", b"rewritten" * 100)
    (drive.my_drive / "old/3").unlink()
    (drive.my_drive / "old/4").write_bytes(b"")
    (drive.my_drive / "old/4").unlink()
    (drive.my_drive / "old/5").rename(drive.my_drive / "moved")
    (drive.my_drive / "folder").mkdir()
    return drive.disconnect()


@pytest.mark.parametrize("seed", range(8))
def test_after_a_disconnect_each_pending_file_is_as_its_fate_says(seed: int, mount: Mount) -> None:
    print(f"seed {seed}")
    drive = mount(seed=seed)
    lost = {(entry.change, entry.path): entry for entry in story(drive)}
    files = drive.elsewhere.files()
    kinds = Counter(change for change, _ in lost)
    folders = {"folder"} | ({"new"} if (Change.FOLDER, "new") in lost else set())
    assert kinds == {Change.NEW: 40, Change.UPDATE: 3, Change.REMOVE: 2, Change.MOVE: 1, Change.FOLDER: len(folders)}
    for (change, path), entry in lost.items():
        content = files.get(path)
        if change is Change.NEW:
            written = bytes([int(path[4:6])]) * 1000
            assert (
                content
                == {
                    Fate.WHOLE: written,
                    Fate.TORN: written[: entry.size],
                    Fate.EMPTY: b"",
                    Fate.MISSING: None,
                }[entry.fate]
            )
            assert entry.fate is not Fate.TORN or 0 < entry.size < 1000
        elif change is Change.UPDATE:
            written = b"rewritten" * 100
            assert (
                content
                == {
                    Fate.WHOLE: written,
                    Fate.TORN: written[: entry.size],
                    Fate.EMPTY: b"",
                    Fate.MISSING: b"old" * 100,
                }[entry.fate]
            )
        elif change is Change.REMOVE:
            assert content == {Fate.WHOLE: None, Fate.EMPTY: b"", Fate.MISSING: b"old" * 100}[entry.fate]
        elif change is Change.MOVE:
            assert ("moved" in files, "old/5" in files) == ((True, False) if entry.fate is Fate.WHOLE else (False, True))
        else:
            assert (path in drive.elsewhere.folders()) == (entry.fate is Fate.WHOLE)
    seen = {entry.fate for (change, _), entry in lost.items() if change is Change.NEW}
    assert seen == {Fate.WHOLE, Fate.TORN, Fate.EMPTY, Fate.MISSING}


def test_the_same_seed_has_the_same_fates_and_another_seed_others(mount: Mount, tmp_path: Path) -> None:
    first, again, other = (
        story(mount(name, seed=seed, cloud=tmp_path / f"cloud-{name}")) for name, seed in (("a", 5), ("b", 5), ("c", 6))
    )
    assert first == again
    assert first != other


def test_a_test_can_choose_the_fate_of_a_path(drive: SimulatedDrive) -> None:
    for name in ("payload.bin", "manifest.json"):
        write(drive, f"proj/{name}", b"0123456789")
    drive.disconnect({"*.json": Fate.WHOLE, "*.bin": Fate.EMPTY})
    assert drive.elsewhere.files() == {"proj/payload.bin": b"", "proj/manifest.json": b"0123456789"}


@pytest.mark.parametrize(
    ("moved", "removed", "left"),
    [
        (Fate.WHOLE, Fate.WHOLE, {"b": b"a"}),
        (Fate.WHOLE, Fate.MISSING, {"b": b"b", "b (1)": b"a"}),
        (Fate.MISSING, Fate.WHOLE, {"a": b"a"}),
        (Fate.MISSING, Fate.MISSING, {"a": b"a", "b": b"b"}),
    ],
)
def test_a_replacing_rename_is_two_changes_and_each_can_happen_alone(
    drive: SimulatedDrive, moved: Fate, removed: Fate, left: dict[str, bytes]
) -> None:
    for name in ("b", "a"):
        write(drive, name, name.encode())
        drive.drain()
    (drive.my_drive / "a").rename(drive.my_drive / "b")
    drive.disconnect({"move:*": moved, "remove:*": removed})
    assert drive.elsewhere.files() == left


def test_what_was_never_uploaded_and_is_removed_leaves_nothing(drive: SimulatedDrive) -> None:
    write(drive, "a.txt").unlink()
    assert drive.pending() == []
    assert drive.disconnect() == []
    assert drive.elsewhere.files() == {}
