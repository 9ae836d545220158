"""What random sessions have found, each by the moves that are left of it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.session.background.machine import Background
from tests.support import Rig
from tests.truth.running import replay
from tests.truth.session import KEEPER, Crew, Move


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    """The processes, once for all of these."""
    crew = Crew()
    yield crew
    crew.end()


def _write(path: str, size: int = 60) -> Move:
    return Move(0, "write", {"path": path, "kind": "bytes", "seed": 1, "size": size})


def _backup(*paths: str) -> Move:
    return Move(KEEPER, "backup", {"paths": list(paths)})


def _calm(*, whole: bool = True, news: bool = False) -> Move:
    return Move(KEEPER, "calm", {"whole": whole, "news": news})


_RUN = Move(0, "make_folder", {"path": "run"})
_CHECK = Move(KEEPER, "check", {"flush": True})

_MODEL = "run/Model.bin"

#: What was wrong, whether in the background, and the moves.
_FOUND = {
    "an artifact that waits to be sent is not taken into the one above it": (
        True,
        [_RUN, _backup("run"), _write("run/out.txt"), _calm()],
    ),
    "names of one file that are backed up one by one come back as one file": (
        True,
        [
            _RUN,
            _write(_MODEL),
            _backup(""),
            Move(1, "hard_link", {"path": _MODEL, "to": "same.bin"}),
            _CHECK,
            Move(1, "rename", {"path": "same.bin", "to": "other.bin"}),
            _calm(whole=False, news=True),
        ],
    ),
    "a new name of a file that is backed up by itself comes back as that file": (
        False,
        [_RUN, _write(_MODEL), _backup(""), Move(1, "hard_link", {"path": _MODEL, "to": "same.bin"}), _calm(whole=False)],
    ),
    "names of one file that were backed up together stay one file when one of them is backed up by itself": (
        False,
        [
            _RUN,
            _write(_MODEL),
            Move(1, "hard_link", {"path": _MODEL, "to": "same.bin"}),
            _backup(""),
            _write("x.bin"),
            _calm(whole=False),
        ],
    ),
    "a new name of a large file that is backed up by itself comes back as that file": (
        False,
        [
            _write("large.bin", 1_300_000),
            _backup(""),
            Move(0, "hard_link", {"path": "large.bin", "to": "w.bin"}),
            _calm(whole=False),
        ],
    ),
    "three names of one file that are backed up one by one come back as one file": (
        False,
        [
            _write("large.bin", 1_300_000),
            _backup(""),
            Move(0, "hard_link", {"path": "large.bin", "to": "w.bin"}),
            Move(0, "hard_link", {"path": "w.bin", "to": "Model.bin"}),
            _calm(whole=False),
        ],
    ),
    "three names of one small file that are backed up one by one come back as one file": (
        False,
        [
            _write("small.bin"),
            _backup(""),
            Move(0, "hard_link", {"path": "small.bin", "to": "w.bin"}),
            Move(0, "hard_link", {"path": "w.bin", "to": "Model.bin"}),
            _calm(whole=False),
        ],
    ),
    "a torn file that is gone is not carried on by backups of other parts": (
        True,
        [
            _backup(""),
            Move(1, "write_half", {"path": "best.npz", "kind": "zip", "seed": 1, "size": 900}),
            _backup(""),
            Move(2, "delete", {"path": "best.npz"}),
            Move(1, "write_aside", {"path": "arrays.npz", "kind": "zip", "seed": 1, "size": 100}),
            _calm(whole=False),
        ],
    ),
    "a torn file that was moved is not carried on under its old name": (
        False,
        [
            _RUN,
            _backup(""),
            Move(1, "write_half", {"path": "arrays.npz", "kind": "zip", "seed": 1, "size": 900}),
            _backup("arrays.npz"),
            Move(2, "rename", {"path": "arrays.npz", "to": "run/arrays.npz"}),
            _calm(whole=False, news=True),
        ],
    ),
    "names of one sparse file are both known to be as they were": (
        False,
        [
            _RUN,
            _write("run/w.bin"),
            _backup("run"),
            Move(1, "sparse", {"path": "s.bin", "seed": 1, "size": 9_000_001, "pieces": 3}),
            Move(1, "hard_link", {"path": "s.bin", "to": "run/s.bin"}),
            _calm(),
        ],
    ),
    "beside a torn file, what a fresh machine passes over with it counts as not safe": (
        False,
        [
            _RUN,
            _write("run/old.bin"),
            _backup(""),
            Move(0, "write_half", {"path": "run/arrays.npz", "kind": "zip", "seed": 1, "size": 900}),
            _write("run/new.bin"),
            Move(0, "mode", {"path": "run/old.bin", "mode": 0o600}),
            _backup(""),
            _CHECK,
        ],
    ),
    "once a torn file is gone, what a fresh machine passes over with it is still not safe": (
        False,
        [
            _RUN,
            _write("run/old.bin"),
            _backup(""),
            Move(0, "write_half", {"path": "run/arrays.npz", "kind": "zip", "seed": 1, "size": 900}),
            _write("run/new.bin"),
            _backup(""),
            Move(0, "delete", {"path": "run/arrays.npz"}),
            _CHECK,
        ],
    ),
    "a mode that changed under one name of a file is seen": (
        True,
        [
            _RUN,
            _write(_MODEL),
            _backup(""),
            Move(2, "hard_link", {"path": _MODEL, "to": "run/same.bin"}),
            Move(2, "mode", {"path": _MODEL, "mode": 0o640}),
            _CHECK,
        ],
    ),
    "a time that changed while a large file waits to be sent is seen, also once its copy is gone": (
        True,
        [
            _RUN,
            Move(2, "sparse", {"path": "run/sparse.bin", "seed": 1, "size": 4_000_000, "pieces": 2}),
            Move(1, "rewrite_unseen", {"path": "run/sparse.bin", "seed": 2}),
            _backup("run/ckpt", "run"),
            Move(2, "put_back", {"path": "run/sparse.bin", "mtime_ns": 1_755_440_000_123_456_789}),
            _calm(whole=False),
        ],
    ),
    "a mode that changed while a large file waits to be sent is seen": (
        True,
        [
            _RUN,
            Move(1, "sparse", {"path": "run/sparse.bin", "seed": 1, "size": 4_000_000, "pieces": 0}),
            _backup("run"),
            Move(1, "mode", {"path": "run/sparse.bin", "mode": 0o600}),
            _CHECK,
        ],
    ),
}


@pytest.mark.parametrize("name", _FOUND)
def test_status_tells_the_truth_of_what_was_found(name: str, crew: Crew) -> None:
    background, moves = _FOUND[name]
    assert replay(moves, crew, background=background) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda place: place.chmod(0o600),
        lambda place: os.utime(place, ns=(0, 1_000_000_001)),
        lambda place: os.link(place, place.with_name("other.bin")),
        lambda place: (os.link(place, place.with_name("other.bin")), place.with_name("other.bin").unlink()),
    ],
    ids=["mode", "time", "name", "name that went"],
)
@pytest.mark.parametrize("size", [60, 1_300_000])
def test_what_changed_of_a_file_but_its_content_while_it_waits_goes_with_it(
    rig: Rig, size: int, change: Callable[[Path], object]
) -> None:
    background = Background(rig)
    place = background.machine.write("outputs/run/w.bin", bytes(size))
    background.machine.write("outputs/other.txt", "other")
    background.hold()
    background.keeper.backup("outputs/other.txt")
    assert background.drive.reached.wait(30)  # it is being sent, and what comes now waits
    background.keeper.backup("outputs/run")
    change(place)
    background.keeper.backup("outputs/run")
    background.drive.going.set()
    background.keeper.flush(30)
    assert background.keeper.status().sight.verdict.title == "SAFE"
    fresh = rig.machine()
    assert fresh.keeper().ensure("outputs")
    came, was = (fresh.root / "outputs/run/w.bin").stat(), place.stat()
    assert (came.st_mode, came.st_mtime_ns, came.st_nlink) == (was.st_mode, was.st_mtime_ns, was.st_nlink)


@pytest.fixture
def removed(rig: Rig) -> tuple[Background, Path]:
    """Of two files one is removed, and a copy that knows of it waits for a drive that takes nothing."""
    background = Background(rig)
    gone = background.machine.write("outputs/run/gone.bin", "gone")
    background.machine.write("outputs/run/kept.bin", "kept")
    background.keeper.backup("outputs/run")
    background.keeper.flush(30)
    background.drive.refuses["generations/"] = errno.EIO
    gone.unlink()
    background.machine.write("outputs/run/new.bin", "new")
    background.keeper.backup("outputs/run")
    return background, gone


def test_what_came_back_while_a_copy_waits_in_which_it_is_gone_counts_as_not_safe(removed: tuple[Background, Path]) -> None:
    background, gone = removed
    assert background.keeper.ensure("outputs/run")  # from the generation that is there so far
    assert gone.exists()
    assert [(str(row.key), row.unsaved) for row in background.keeper.status()] == [("outputs/run", 2)]
    background.drive.refuses.clear()
    background.keeper.flush(30)
    assert [(str(row.key), row.unsaved) for row in background.keeper.status()] == [("outputs/run", 1)]


def test_what_was_removed_before_a_backup_that_waits_does_not_come_back(removed: tuple[Background, Path]) -> None:
    background, gone = removed
    background.drive.refuses.clear()
    assert background.keeper.ensure("outputs/run")
    assert not gone.exists()
    assert background.keeper.status().safe
