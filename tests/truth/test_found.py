"""What random sessions have found, each by the moves that are left of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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

#: What was wrong, whether in the background, and the moves.
_FOUND = {
    "an artifact that waits to be sent is not taken into the one above it": (True, [_RUN, _backup("run"), _write("run/out.txt"), _calm()]),
}


@pytest.mark.parametrize("name", _FOUND)
def test_status_tells_the_truth_of_what_was_found(name: str, crew: Crew) -> None:
    background, moves = _FOUND[name]
    assert replay(moves, crew, background=background) == []
