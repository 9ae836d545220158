"""What is done next, for each thing that can be seen."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.store.backends.backend import Space
from holdfast.unattended.asking import Seen
from holdfast.unattended.deciding import Do, Reach, Situation, decide, hopeless, over, pause, point_of
from holdfast.unattended.safe import no_room

DONE = {"code": 0, "safe": True, "stopped": False}
FAILED = {"code": 1, "safe": True, "stopped": False}
UNSAFE = {"code": 0, "safe": False, "stopped": False}


def seen(**fields: Any) -> Seen:
    return Seen(**{"work": "w", "mounted": True, "begun": True, **fields})


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        ({"reach": Reach.NONE}, Do.TAKE),
        ({"reach": Reach.NONE, "spare": False}, Do.END),
        ({"reach": Reach.NONE, "over": "budget"}, Do.END),
        ({"reach": Reach.GONE}, Do.FORGET),
        ({"reach": Reach.UNKNOWN}, Do.WAIT),
        ({"reach": Reach.SILENT}, Do.WAIT),
        ({"reach": Reach.SILENT, "over": "time"}, Do.WAIT),
        ({"reach": Reach.SILENT, "over": "time", "abandon": True}, Do.GIVE_BACK),
        ({"seen": seen(work="", mounted=False, begun=False)}, Do.MOUNT),
        ({"seen": seen(work="", begun=False)}, Do.SHIP),
        ({"seen": seen(work="another", begun=True, result=DONE)}, Do.SHIP),
        ({"seen": seen(begun=False)}, Do.START),
        ({"seen": seen(running=True)}, Do.WAIT),
        ({"seen": seen(running=True), "over": "budget"}, Do.STOP_WORK),
        ({"seen": seen(running=True), "over": "budget", "asked_to_stop": True}, Do.WAIT),
        ({"seen": seen()}, Do.START),
        ({"seen": seen(work="", mounted=False, begun=False), "by_api": True}, Do.SHIP),
        ({"seen": seen(running=True, wanted="soon over"), "by_api": True}, Do.HAND),
        ({"seen": seen(running=True, wanted="none yet"), "by_api": True, "over": "stop"}, Do.STOP_WORK),
        ({"seen": seen(running=True, wanted="none yet"), "by_api": True, "over": "stop", "asked_to_stop": True}, Do.HAND),
        ({"seen": seen(running=True), "by_api": True}, Do.WAIT),
        ({"seen": seen(), "failures": ("a", "a")}, Do.SAVE),
        ({"seen": seen(), "over": "time"}, Do.SAVE),
        ({"seen": seen(), "over": "time", "abandon": True}, Do.GIVE_BACK),
        ({"seen": seen(work="", begun=False), "over": "time"}, Do.GIVE_BACK),
        ({"seen": seen(result=DONE)}, Do.FETCH),
        ({"seen": seen(result=DONE), "settled": True}, Do.GIVE_BACK),
        ({"reach": Reach.SILENT, "settled": True}, Do.GIVE_BACK),
        ({"reach": Reach.UNKNOWN, "settled": True}, Do.WAIT),
        ({"reach": Reach.GONE, "settled": True}, Do.FORGET),
        ({"seen": seen(result=UNSAFE), "waited_again": False}, Do.START),
        ({"seen": seen(result=UNSAFE), "waited_again": True}, Do.LEAVE),
        ({"seen": seen(result=UNSAFE), "abandon": True}, Do.FETCH),
        ({"seen": seen(result={**UNSAFE, "full": "Drive is full"}), "waited_again": False}, Do.LEAVE),
        ({"seen": seen(result=FAILED), "failures": ("a",)}, Do.START),
        ({"seen": seen(result=FAILED), "failures": ("a", "a")}, Do.GIVE_BACK),
        ({"seen": seen(result=FAILED), "failures": ("a", "b")}, Do.START),
        ({"seen": seen(result={**FAILED, "code": 2}), "failures": ("a",)}, Do.GIVE_BACK),
        ({"seen": seen(result={**FAILED, "safe": False}), "failures": ("a", "a"), "waited_again": True}, Do.LEAVE),
        ({"seen": seen(result={**DONE, "stopped": True}), "over": "stop"}, Do.GIVE_BACK),
    ],
)
def test_each_situation_has_its_step(situation: dict[str, Any], expected: Do) -> None:
    assert decide(Situation(**{"reach": Reach.ANSWERS, "work": "w", **situation})).do is expected


def test_work_without_a_sign_of_life_is_named() -> None:
    assert "no sign of life" in decide(Situation(Reach.ANSWERS, "w", seen(running=True, silent=1000.0))).why


def test_what_is_not_safe_is_named_with_the_reason_for_which_no_wait_helps() -> None:
    result = {
        "code": 1,
        "safe": False,
        "full": "Drive is full: empty its trash",
        "missing": ["outputs/run is still being uploaded"],
    }
    why = decide(Situation(Reach.ANSWERS, "w", seen(result=result), failures=("x", "x"))).why
    assert why == (
        "it failed twice at the same point: x; Drive is full: empty its trash; "
        "not everything is known to be safe (outputs/run is still being uploaded)"
    )


def test_only_a_drive_that_tells_so_is_full() -> None:
    assert no_room(Space(total=10, free=5)).startswith("Drive is full")
    assert no_room(Space(total=1 << 40, free=1 << 30)) == ""
    assert no_room(None) == ""


def test_waits_grow_to_a_limit() -> None:
    assert [pause(n, 30, 900) for n in range(7)] == [30, 60, 120, 240, 480, 900, 900]


def test_a_limit_that_is_reached_is_named() -> None:
    def said(*, spent: float = 0.0, hours: float = 0.0, stop: bool = False) -> str:
        return over(spent=spent, budget=20, hours=hours, most_hours=12, stop=stop)

    assert said() == ""
    assert said(spent=20.5) == "the budget is used up: 20.50 of 20 compute units"
    assert said(hours=12) == "the time is over: 12.0 of 12 hours"
    assert said(stop=True) == "somebody said stop"


def test_the_same_point_is_the_same_whatever_the_numbers_in_it() -> None:
    assert point_of(["loss 0.31 at step 17", ""], 1) == point_of(["loss 0.44 at step 19"], 1)
    assert hopeless(1, tuple(str(n) for n in range(5))) == "it failed 5 times"
