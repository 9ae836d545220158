"""The engine on a pipeline that trains nothing: killed, restored, refused with the difference, forked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.errors import MadeOtherwise, StageFailed
from holdfast.flow.examination import Examiner, Patient
from holdfast.flow.found import State
from holdfast.session.attach import open_keeper
from tests.flow import toy

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A project folder and a drive."""
    for name in ("project", "drive"):
        (tmp_path / name).mkdir()
    return tmp_path / "project", tmp_path / "drive"


def total(root: Path, folder: str = "sum") -> int:
    value = json.loads((root / "outputs" / folder / "sum.json").read_text())
    assert isinstance(value, int)
    return value


def killed(root: Path, drive: Path, die_at: int) -> int:
    command = [sys.executable, "-m", "tests.flow.toy", str(root), str(drive), "60", str(die_at)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=False).returncode


def test_it_runs_to_its_end_and_does_nothing_twice(places: tuple[Path, Path]) -> None:
    root, drive = places
    assert toy.run(root, drive, toy.Sums()).ran == ("numbers", "squares", "sum")
    again = toy.run(root, drive, toy.Sums())
    assert (again.ran, again.finished, again.safe) == ((), True, "CONFIRMED")


def test_killed_with_its_machine_it_goes_on_where_it_was(places: tuple[Path, Path], tmp_path: Path) -> None:
    root, drive = places
    steps = 0
    for die_at in (25, 47, 58):
        assert killed(root, drive, die_at) == -9
        steps += len((root / "work.log").read_text().splitlines())
        shutil.rmtree(root)
        root.mkdir()
    assert killed(root, drive, 0) == 0
    steps += len((root / "work.log").read_text().splitlines())
    assert steps == 60 + 5 + 7 + 8  # what was done since the last was kept, each time
    other = tmp_path / "another machine" / "project"
    other.mkdir(parents=True)
    assert toy.run(other, drive, toy.Sums()).ran == ()  # all of it came back, as far as anybody wants it
    assert total(other) == total(root)
    assert not (other / "outputs/squares/squares.json").exists()


def test_other_settings_are_refused_with_the_difference_and_forked(places: tuple[Path, Path]) -> None:
    root, drive = places
    toy.run(root, drive, toy.Sums())
    first = total(root)
    with pytest.raises(MadeOtherwise, match=r"outputs/numbers was made under other settings: seed: 1 then, 2 now\. Set them back"):
        toy.run(root, drive, toy.Sums(seed=2))
    assert toy.run(root, drive, toy.Sums(seed=2), fork=True).ran == ("numbers", "squares", "sum")
    assert total(root) == first
    forks = [p.name for p in (root / "outputs").iterdir() if p.name.startswith("sum-")]
    assert len(forks) == 1
    assert total(root, forks[0]) != first
    assert toy.run(root, drive, toy.Sums()).ran == ()


def test_what_is_there_is_told_without_running_anything(places: tuple[Path, Path]) -> None:
    root, drive = places
    keeper = open_keeper(root, drive, mount=False)
    assert [f.state for f in Examiner(keeper, toy.Sums(), Patient()).all()] == [State.TO_DO, State.LATER, State.LATER]
    toy.run(root, drive, toy.Sums())
    (root / "outputs/squares/squares.json").unlink()
    found = Examiner(open_keeper(root, drive, mount=False), toy.Sums(), Patient()).all()
    assert [(f.state, f.here, f.stored) for f in found] == [
        (State.DONE, True, True),
        (State.DONE, False, True),
        (State.DONE, True, True),
    ]


def test_an_error_of_a_stage_is_one_line_and_what_was_made_stays(places: tuple[Path, Path]) -> None:
    root, drive = places
    toy.run(root, drive, toy.Sums())
    shutil.rmtree(root / "outputs" / "sum")
    (root / "outputs" / "squares" / "squares.json").write_text("[")
    open_keeper(root, drive, mount=False).drop("outputs/sum")

    class Broken(toy.Sums):
        def bench(self, bench: object) -> tuple[object, toy.Sums]:  # type: ignore[override]
            raise ValueError("no such bench")

    with pytest.raises(StageFailed, match=r"sum: ValueError: no such bench\. What was made before it is kept; a second run most"):
        toy.run(root, drive, Broken())
    assert toy.run(root, drive, toy.Sums()).ran == ("sum",)
