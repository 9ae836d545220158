"""Who waits in the background, and for how long: one that fails by itself holds up no other."""

from __future__ import annotations

from pathlib import Path

from holdfast.session.background.line import Line
from holdfast.store.backup import Request
from holdfast.store.keys import Key
from holdfast.store.queued import Queued


def copy(name: str, folder: str = "/nowhere") -> Queued:
    return Queued.about(Request(Key(f"outputs/{name}")), Path(folder))


def newer(older: Queued, later: Queued) -> Queued:
    return later


def names(line: Line) -> list[str]:
    return [q.request.artifact.name for q in line]


def line_of(*waiting: str) -> Line:
    line = Line((1.0, 10.0))
    for name in waiting:
        line.add(copy(name), newer)
    return line


def test_one_that_fails_goes_to_the_back_and_the_others_go_on() -> None:
    line = line_of("a", "b", "c")
    assert line.next(0.0) is not None
    assert line.failed("it is broken", 0.0, newer) == 1.0
    assert names(line) == ["b", "c", "a"]
    for name in ("b", "c"):
        sent = line.next(0.0)
        assert sent is not None
        assert sent.request.artifact.name == name
        line.done()
    assert line.next(0.5) is None
    assert (line.due(), line.trouble, line.troubles) == (1.0, "", ((Key("outputs/a"), "it is broken"),))
    assert line.next(1.0) is not None


def test_its_pauses_grow_and_those_of_others_do_not() -> None:
    line = line_of("a", "b")
    line.next(0.0)
    line.failed("broken", 0.0, newer)
    line.next(0.0)
    assert line.failed("b is broken, too", 0.0, newer) == 1.0
    line.next(1.0)
    assert line.failed("broken", 1.0, newer) == 10.0
    assert line.next(1.0) is not None


def test_where_the_store_cannot_be_seen_all_wait_and_the_order_stays() -> None:
    line = line_of("a", "b")
    line.next(0.0)
    assert line.rest("the mount is dead", 0.0, newer) == 1.0
    assert (names(line), line.trouble, line.troubles) == (["a", "b"], "the mount is dead", ())
    assert line.next(0.9) is None
    line.seen()
    assert line.trouble == ""
    assert line.next(0.9) is not None


def test_what_is_backed_up_again_waits_as_one_in_its_place_also_while_it_is_sent() -> None:
    line = line_of("a", "b")
    line.add(copy("a", "/later"), newer)
    assert names(line) == ["a", "b"]
    line.next(0.0)
    line.add(copy("a", "/last"), newer)
    line.failed("broken", 0.0, newer)
    assert names(line) == ["b", "a"]
    assert [q.folders for q in line.of(Key("outputs/a"))] == [(Path("/last"),)]


def test_whoever_is_in_a_hurry_is_told_when_all_were_tried() -> None:
    line = line_of("a", "b")
    mark = line.hurry()
    assert not line.tried_since(mark)
    line.next(0.0)
    line.failed("broken", 0.0, newer)
    assert not line.tried_since(mark)
    line.next(0.0)
    line.done()
    assert line.tried_since(mark)
