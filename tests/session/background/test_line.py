"""Where copies wait: first in, first out, each with its own pauses, and one for all where the store cannot be seen."""

from __future__ import annotations

from pathlib import Path

from holdfast.session.background.failures import Failure, Failures, places
from holdfast.session.background.line import Line
from holdfast.store.copies.queued import Queued
from holdfast.store.deciding.requests import Request
from holdfast.store.format.keys import Key

PAUSES = (2.0, 5.0, 10.0)


def copy(name: str, folder: str = "") -> Queued:
    return Queued.about(Request(Key(f"outputs/{name}")), Path(folder or name))


def joined(older: Queued, newer: Queued) -> Queued:
    return Queued(newer.request, newer.snapshot, (*older.folders, *newer.folders), older.since)


def line(*names: str) -> Line:
    made = Line(PAUSES)
    for name in names:
        made.add(copy(name), joined)
    return made


def taken(made: Line, now: float) -> str | None:
    queued = made.next(now)
    return None if queued is None else queued.request.artifact.name


def test_the_first_in_is_the_first_out() -> None:
    made, order = line("a", "b", "c"), []
    while (name := taken(made, 0)) is not None:
        order.append(name)
        made.done()
    assert order == ["a", "b", "c"]
    assert not made
    assert made.due() is None


def test_one_that_fails_waits_longer_each_time_while_the_others_go_on() -> None:
    made = line("a", "b", "c")
    assert taken(made, 0) == "a"
    assert made.failed("why", 0, joined) == 2
    assert taken(made, 0) == "b"
    made.done()
    assert taken(made, 0) == "c"
    made.done()
    assert (taken(made, 1), made.due()) == (None, 2)
    for number, pause in enumerate((5.0, 10.0, 10.0)):
        assert taken(made, 100 * (number + 1)) == "a"
        assert made.failed("why", 0, joined) == pause
    assert made.troubles == ((Key("outputs/a"), "why"),)
    assert made.trouble == ""


def test_one_that_failed_is_behind_those_that_came_meanwhile() -> None:
    made = line("a", "b")
    taken(made, 0)
    made.failed("", 0, joined)
    made.add(copy("c"), joined)
    order = []
    while (name := taken(made, 50)) is not None:
        order.append(name)
        made.done()
    assert order == ["b", "a", "c"]


def test_a_store_that_cannot_be_seen_is_asked_once_for_all_and_blames_nobody() -> None:
    made = line("a", "b", "c")
    assert taken(made, 0) == "a"
    assert made.rest("dead", 0, joined) == 2
    assert (taken(made, 1.9), made.trouble, made.troubles) == (None, "dead", ())
    assert taken(made, 2) == "a", "it is still the first"
    assert made.rest("dead", 2, joined) == 5
    assert taken(made, 7) == "a"
    made.seen()
    assert made.trouble == ""
    made.done()
    assert taken(made, 7) == "b"


def test_what_is_put_again_keeps_its_place_and_its_pause() -> None:
    made = line("a", "b")
    taken(made, 0)
    made.failed("why", 0, joined)
    made.add(copy("a", "newer"), joined)
    assert taken(made, 0) == "b"
    made.done()
    assert taken(made, 1) is None
    queued = made.next(2)
    assert queued is not None
    assert queued.folders == (Path("a"), Path("newer"))


def test_what_came_while_it_was_sent_is_one_with_it_where_that_fails() -> None:
    for fails in (Line.failed, Line.rest):
        made = line("a")
        taken(made, 0)
        made.add(copy("a", "newer"), joined)
        assert len(made.of(Key("outputs/a"))) == 2
        fails(made, "why", 0, joined)
        (one,) = made
        assert one.folders == (Path("a"), Path("newer"))


def test_in_a_hurry_everybody_is_tried_and_it_is_known_when_everybody_was() -> None:
    made = line("a", "b")
    taken(made, 0)
    made.failed("why", 0, joined)
    mark = made.hurry()
    assert not made.tried_since(mark)
    assert taken(made, 0) == "b"
    made.failed("why", 0, joined)
    assert taken(made, 0) == "a"
    assert not made.tried_since(mark)
    made.failed("why", 0, joined)
    assert made.tried_since(mark)
    mark = made.hurry()
    taken(made, 0)
    made.rest("dead", 0, joined)
    assert made.tried_since(mark), "the others would meet the same store"


def test_in_a_hurry_an_attempt_that_was_under_way_does_not_count_and_is_made_again_at_once() -> None:
    made = line("a")
    taken(made, 0)
    mark = made.hurry()
    assert made.rest("dead then", 0, joined) == 0
    assert not made.tried_since(mark)
    assert taken(made, 0) == "a"
    assert made.rest("dead now", 0, joined) > 0
    assert made.tried_since(mark)


def test_in_a_hurry_an_attempt_that_was_under_way_and_succeeds_leaves_the_next_one_to_count() -> None:
    made = line("a", "b")
    taken(made, 0)
    mark = made.hurry()
    made.done()
    assert taken(made, 0) == "b"
    assert made.failed("why", 0, joined) > 0
    assert made.tried_since(mark)


def test_a_failure_stands_until_what_it_was_about_is_held() -> None:
    folder, file = Request(Key("outputs/d")), Request(Key("outputs/d"), ("x",))
    found = Failures()
    found.add(Failure(folder.artifact, places(file), "of x"))
    found.add(Failure(folder.artifact, places(file), "again of x"))
    assert found.texts == ((folder.artifact, "again of x"),)
    found.held(Request(folder.artifact, ("y",)), ())
    found.held(folder, [Key("outputs/d/x")])
    found.held(Request(folder.artifact, inner=("x",)), ())
    assert found.texts
    found.held(folder, [Key("outputs/d/y")])
    assert not found.texts
