"""What tells a start that goes on from one that begins anew. Timelines of runs; no process is started."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest

from holdfast.drill.going_on import GoingOn
from holdfast.drill.moments import Tempo
from holdfast.drill.written import Write, Written, lead, new_names, skipped

START = 1.0  #: seconds until work begins


def steps(name: str, numbers: Iterable[int], begin: float = START, every: float = 1.0) -> list[Write]:
    """A step takes a second and writes a file, whose name may have its number in it."""
    return [Write(begin + every * (n + 1), name.format(number)) for n, number in enumerate(numbers)]


def once(path: str, at: float) -> list[Write]:
    return [Write(at, path)]


@dataclass(frozen=True)
class Case:
    whole: list[Write]
    last: list[Write]  #: of the last start, after machines that got to step 6 of 10
    saved: float


CONFIG, LOG = once("outputs/config.json", 0.5), [Write(0.1 * n, "outputs/train.log") for n in range(1, 110)]
FILES, ONE = steps("outputs/step-{}", range(10)), steps("outputs/checkpoint", range(10))
GOES_ON = {
    "step files": Case(FILES, steps("outputs/step-{}", range(6, 10)), 6.0),
    "step files, and a log that is always written": Case(
        sorted(FILES + LOG, key=lambda w: w.at), steps("outputs/step-{}", range(6, 10)) + LOG[:49], 4.2
    ),
    "one file": Case(ONE, steps("outputs/checkpoint", range(6, 10)), 5.0),
    "one file, one write of it overlooked": Case(ONE, steps("outputs/checkpoint", range(5, 10)), 4.0),
    "settings written at each start": Case(CONFIG + FILES, CONFIG + steps("outputs/step-{}", range(6, 10)), 6.0),
    "a log of its own for each start": Case(
        FILES + once("outputs/events.1764", 11.0), steps("outputs/step-{}", range(6, 10)) + once("outputs/events.1799", 5.0), 6.0
    ),
    "nothing left to do": Case(FILES, [], 10.0),
}
ANEW = {
    "step files": Case(FILES, FILES, 0.0),
    "one file": Case(ONE, ONE, 0.0),
    "one file, one write of it overlooked": Case(ONE, ONE[1:], 0.0),
    "settings that are there are not written again": Case(CONFIG + FILES, FILES, 0.0),
    "a folder named by a counter": Case(steps("outputs/run_1/{}", range(10)), steps("outputs/run_2/{}", range(10)), 0.0),
    "a folder named by the clock": Case(
        steps("outputs/runs/2026-11-28_19-00-01/{}", range(10)), steps("outputs/runs/2026-11-28_19-07-13/{}", range(10)), 0.0
    ),
    "a folder named by chance": Case(steps("outputs/happy-fox/{}", range(10)), steps("outputs/sad-owl/{}", range(10)), 0.0),
    "files named by a start": Case(steps("outputs/a1f-{}", range(10)), steps("outputs/9c2-{}", range(10)), 0.0),
    "one result at the end": Case(once("outputs/model", 11.0), once("outputs/model", 11.0), 0.0),
}


def course(case: Case, **values: float) -> GoingOn:
    saved = skipped(case.whole, sorted(case.last, key=lambda w: w.at), START)
    last = max((write.at for write in case.last), default=START) - START
    return replace(GoingOn(work=10.0, worked=8.0, kept=6.0, back=6.0, saved=saved, last=last), **values)


@pytest.mark.parametrize("case", GOES_ON.values(), ids=GOES_ON)
def test_a_start_that_goes_on_does_without_what_was_done(case: Case) -> None:
    assert skipped(case.whole, case.last, START) == pytest.approx(case.saved)
    assert not course(case).anew


@pytest.mark.parametrize("case", ANEW.values(), ids=ANEW)
def test_a_start_that_begins_anew_does_without_nothing_whatever_the_names(case: Case) -> None:
    assert skipped(case.whole, case.last, START) == pytest.approx(case.saved)
    assert course(case).anew
    assert course(case, back=0.0).anew, "what came back need not be what an uninterrupted run makes at last"
    assert course(case, kept=0.5).had_nothing


def test_what_cannot_be_told_is_not_called_anew() -> None:
    told = course(ANEW["step files"])
    assert not replace(told, worked=0.5).anew, "it was killed before it got anywhere"
    assert not replace(told, last=3.0).anew, "it took much less time"
    assert replace(told, last=3.0, back=0.0, empty=True).anew, "whatever it took, there was nothing to go on with"
    assert not replace(told, saved=0.5, back=0.6).anew, "what little came back was gone on with"
    assert not GoingOn(0.0).anew


def test_the_names_that_change_are_those_of_the_highest_folder_or_of_the_file() -> None:
    def named(case: Case) -> tuple[tuple[str, str], ...]:
        return new_names(case.whole, case.last, {write.path for write in case.last} - {write.path for write in case.whole})

    assert named(ANEW["a folder named by a counter"]) == (("outputs/run_1", "outputs/run_2"),)
    assert named(ANEW["a folder named by chance"]) == (("outputs/happy-fox", "outputs/sad-owl"),)
    deep = Case(steps("outputs/a/v0/metrics/{}", range(3)), steps("outputs/a/v1/metrics/{}", range(3)), 0.0)
    assert named(deep) == (("outputs/a/v0", "outputs/a/v1"),)
    assert named(GOES_ON["a log of its own for each start"]) == (("outputs/events.1764", "outputs/events.1799"),)
    assert named(GOES_ON["step files"]) == named(ANEW["step files"]) == ()
    assert new_names(deep.whole, deep.last, set()) == (), "only what is there, and was not before"


# -- how long a start takes before it gets anywhere -----------------------------------------------------------------------------

TEMPOS: dict[str, tuple[float, Written, float]] = {
    "nothing to do": (1.2, [], 1.2),
    "nothing to do, after reading data for long": (9.0, [], 9.0),
    "nothing to do but a summary": (2.5, once("outputs/summary.json", 2.4), 2.5),
    "everything again": (11.0, FILES, 1.0),
    "everything again in one file": (11.0, FILES, 1.0),
    "everything again under another name": (11.0, steps("outputs/step-b{}", range(10)), 1.0),
    "the second half again": (6.0, steps("outputs/step-{}", range(5, 10)), 1.0),
}


@pytest.mark.parametrize(("idle", "again", "startup"), TEMPOS.values(), ids=TEMPOS)
def test_a_start_that_repeats_what_is_there_does_not_pass_for_the_time_of_starting(
    idle: float, again: Written, startup: float
) -> None:
    tempo = Tempo.of(11.0, idle, FILES, again)
    assert tempo.startup == pytest.approx(startup)
    assert (tempo.lead is None) is (startup != START)


def test_work_begins_before_the_first_write_by_what_lies_between_two() -> None:
    assert lead(FILES) == pytest.approx(START)
    assert lead(once("outputs/model", 11.0)) == 0.0
    assert lead([]) == 0.0
