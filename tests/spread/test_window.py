"""What a trial may see, and what of it decides the outcome of a study."""

from __future__ import annotations

from typing import Any

from holdfast.pipeline.identity import study_made_from
from holdfast.pipeline.settings import Hpo, Training
from holdfast.spread.window import Pieces, sees


def test_a_trial_sees_those_that_are_so_many_below_it() -> None:
    assert [sees(k, 1) for k in range(5)] == [0, 1, 2, 3, 4]
    assert [sees(k, 4) for k in range(7)] == [0, 0, 0, 0, 1, 2, 3]


def test_pieces_are_written_once_and_handed_on_as_they_are() -> None:
    written: list[tuple[int, int]] = []

    def piece(begin: int, end: int) -> bytes:
        written.append((begin, end))
        return b"".join(bytes([n]) for n in range(begin, end))

    pieces = Pieces(size=4)
    shown = [pieces.of(count, piece) for count in range(12)]
    assert [b"".join(s) for s in shown] == [bytes(range(n)) for n in range(12)]
    assert shown[11][0] is shown[4][0]
    assert sum(end - begin == 4 for begin, end in written) == 2
    assert max(end - begin for begin, end in written) == 4, "what a trial costs does not grow with the study"


def made_from(**hpo: Any) -> dict[str, Any]:
    return study_made_from(Hpo(**hpo), Training(), "b", "d", seed=1, max_length=8, stride=2)


def test_only_what_decides_the_outcome_is_in_the_fingerprint() -> None:
    assert made_from(parallel=1, engine="ray", resources={"gpus": 0.5}) == made_from()
    assert made_from(parallel=4)["hpo"]["parallel"] == 4
    assert made_from(resources={"cpus": 2})["hpo"]["threads"] == 2
