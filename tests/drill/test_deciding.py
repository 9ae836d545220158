"""What a drill decides: when to kill, what a kill cost, how outputs differ, what it says. No process is started."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from holdfast.drill.comparing import Difference, File, compare, left_out, without
from holdfast.drill.going_on import GoingOn
from holdfast.drill.judging import Loss, Shown, bound, is_within, loss
from holdfast.drill.moments import Course, Tempo, Until, after, moment, reached, repeated
from holdfast.drill.report import Kill, Outcome, Report, Traffic, as_json, lines
from holdfast.drill.telling import telling
from holdfast.drill.written import Write
from holdfast.session.finding.status import ArtifactStatus
from holdfast.store.format.keys import Key

TEMPO = Tempo(whole=12.0, idle=2.0)


# -- when ------------------------------------------------------------------------------------------------------------------


def test_every_kill_lies_after_the_start_and_before_the_end_that_is_to_be_expected(seeded: Callable[[int], Random]) -> None:
    for seed in range(200):
        lot, course = seeded(seed), Course(TEMPO.work, stretch=float(seed % 4 + 1))
        for kills in (5, 4, 3, 2, 1):
            at = moment(lot, TEMPO, course, kills)
            assert TEMPO.startup <= at < TEMPO.startup + course.left
            course = after(TEMPO, course, moved=True, reached=0.0, lasted=at, lost=0.0)
        assert course.left > 0


def test_on_average_a_first_kill_leaves_an_equal_share_to_every_run(seeded: Callable[[int], Random]) -> None:
    lot = seeded(1)
    drawn = [moment(lot, TEMPO, Course(TEMPO.work), 4) - TEMPO.startup for _ in range(4000)]
    assert sum(drawn) / len(drawn) == pytest.approx(TEMPO.work / 5, rel=0.05)
    assert max(drawn) > 1.9 * TEMPO.work / 5


def test_the_same_seed_kills_at_the_same_moments() -> None:
    one, other = ([moment(Random(7), TEMPO, Course(left), 3) for left in (10.0, 5.0)] for _ in range(2))
    assert one == other


def left_after(left: float, lasted: float, lost: float) -> float:
    return after(TEMPO, Course(left), moved=True, reached=0.0, lasted=lasted, lost=lost).left


def test_what_was_lost_is_left_again_and_never_more_than_all() -> None:
    assert left_after(10.0, 5.0, 0.0) == 7.0
    assert left_after(10.0, 5.0, 2.0) == 9.0
    assert left_after(10.0, 5.0, 1000.0) == 10.0
    assert left_after(10.0, 1.0, 0.0) == 10.0
    assert left_after(1.0, 50.0, 0.0) == 0.0


def test_a_run_that_got_nowhere_leaves_all_that_was_left_and_the_next_ones_get_more(seeded: Callable[[int], Random]) -> None:
    course = after(TEMPO, Course(8.0, reached=4.0), moved=False, reached=4.0, lasted=5.0, lost=0.0)
    assert course == Course(8.0, 2.0, 4.0)
    assert moment(Random(3), TEMPO, course, 9) - 2 == 2 * (moment(Random(3), TEMPO, Course(8.0), 9) - 2)
    for _ in range(5):
        course = after(TEMPO, course, moved=False, reached=4.0, lasted=5.0, lost=0.0)
    assert course.stretch == 4.0, "a command that saves nothing is not let run to its end each time"
    assert after(TEMPO, course, moved=True, reached=4.0, lasted=5.0, lost=0.0) == Course(5.0, 4.0, 4.0, kept=3.0)


def test_what_comes_back_tells_how_far_it_is() -> None:
    reference = {"outputs/a": File("a", 103.0), "outputs/b": File("b", 105.0), "outputs/c": File("c", 111.0)}
    back = {"outputs/a": File("a", 900.0), "outputs/b": File("b", 900.0), "outputs/c": File("an earlier c", 900.0)}
    assert reached(reference, back, 100.0) == 5.0
    assert reached(reference, {}, 100.0) == 0.0
    assert after(TEMPO, Course(10.0), moved=True, reached=5.0, lasted=11.0, lost=0.0) == Course(7.0, reached=5.0, kept=9.0)
    assert after(TEMPO, Course(6.0, reached=5.0), moved=True, reached=5.0, lasted=4.0, lost=1.0) == Course(
        5.0, reached=5.0, kept=1.0
    )


def test_a_last_kill_lies_late_where_next_to_nothing_came_back(seeded: Callable[[int], Random]) -> None:
    lot = seeded(3)
    for _ in range(200):
        assert moment(lot, TEMPO, Course(TEMPO.work), 1) - TEMPO.startup >= 0.375 * TEMPO.work
    early = [moment(lot, TEMPO, Course(TEMPO.work, kept=0.5 * TEMPO.work), 1) - TEMPO.startup for _ in range(200)]
    assert min(early) < 0.1 * TEMPO.work


def test_work_is_repeated_only_beyond_one_run_and_its_further_starts() -> None:
    assert repeated(TEMPO, [12.0]) == 0.0
    assert repeated(TEMPO, [6.0, 8.0]) == 0.0
    assert repeated(TEMPO, [6.0, 8.0, 5.0]) == 3.0


def test_a_start_that_takes_longer_than_a_whole_run_leaves_no_negative_work() -> None:
    assert Tempo(whole=1.0, idle=1.5).work == 0.0
    assert moment(Random(1), Tempo(whole=1.0, idle=1.5), Course(0.0), 1) == 1.0


def test_a_run_is_killed_where_it_is_as_far_as_the_moment_says_however_fast_it_starts() -> None:
    written = [Write(3.0 + n, "outputs/step") for n in range(10)]
    until = Until.of(7.0, TEMPO, written)
    assert (until.seconds, until.writes, until.first, until.grace) == (7.0, 5, 3.0, 12.0)
    assert until.end(None, None) == 19.0, "nothing is written yet"
    assert until.end(3.0, None) == 7.0, "as fast"
    assert until.end(5.0, None) == 9.0, "it started later"
    assert until.end(1.0, 4.0) == 4.0 + until.then, "it started sooner"
    assert Until.of(2.5, TEMPO, written).end(None, None) == 2.5, "nothing is expected to be written by then"
    assert Until.of(7.0, TEMPO, written[:3]).end(None, None) == 7.0, "it writes too little to tell"


# -- what it cost ----------------------------------------------------------------------------------------------------------


def test_lost_is_what_does_not_come_back_as_it_was_since_the_oldest_of_it() -> None:
    there = {"outputs/a": File("a", 10.0), "outputs/b": File("b2", 14.0), "outputs/c": File("c", 12.0)}
    back = {"outputs/a": File("a", 99.0), "outputs/b": File("b1", 99.0)}
    assert loss(there, back, 15.0) == Loss(("outputs/b", "outputs/c"), 3.0, 3.0)
    assert not loss(there, there, 15.0)
    assert loss({"outputs/a": File("a", 20.0)}, {}, 15.0) == Loss(("outputs/a",), 0.0)


def test_what_comes_back_with_another_mode_or_as_a_file_in_place_of_a_link_is_lost() -> None:
    there = {"outputs/a": File("a", 1.0, 0o755), "outputs/l": File("link:a", 1.0), "outputs/b": File("b", 1.0, 0o644)}
    back = {"outputs/a": File("a", 1.0, 0o644), "outputs/l": File("a", 1.0, 0o755), "outputs/b": File("b", 9.0, 0o644)}
    assert loss(there, back, 2.0).files == ("outputs/a", "outputs/l")
    assert compare(there, back).differ == ("outputs/a", "outputs/l")


def test_what_status_named_as_not_kept_is_no_more_than_it_had_said() -> None:
    there = {"outputs/link/a": File("a", 1.0), "outputs/link-b": File("b", 9.5)}
    assert loss(there, {}, 10.0, ["outputs/link"]) == Loss(("outputs/link-b", "outputs/link/a"), 9.0, 0.5)
    told = Shown(0.0, False, "NOT SAFE", apart=("outputs/link",))
    assert not is_within(loss(there, {}, 10.0, told.apart), told)
    assert is_within(loss(there, {}, 10.0, told.apart), replace(told, seconds=0.6))
    assert is_within(loss({"outputs/link/a": File("a", 1.0)}, {}, 10.0, told.apart), told)
    assert not is_within(loss({"outputs/link/a": File("a", 1.0)}, {}, 10.0, told.apart), replace(told, safe=True))


def test_a_loss_is_within_only_what_was_said() -> None:
    lost = Loss(("outputs/a",), 3.0, 3.0)
    assert is_within(Loss(), Shown(0.0, True, "SAFE"))
    assert is_within(lost, Shown(3.0, False, "NOT SAFE"))
    assert not is_within(lost, Shown(2.9, False, "NOT SAFE"))
    assert not is_within(replace(lost, seconds=0.0, unnamed=0.0), Shown(0.0, True, "SAFE"))
    assert not is_within(lost, Shown(None, False, "it could not be told"))


def test_the_bound_is_the_worst_of_all_artifacts() -> None:
    def row(**values: float) -> ArtifactStatus:
        return ArtifactStatus(Key("outputs/a"), "yes", **values)  # type: ignore[arg-type]

    assert bound([]) == 0.0
    assert bound([row(unsaved=1, unsaved_seconds=4.0), row(loss_seconds=7.0)]) == 7.0
    assert bound([row(unsaved=1, unsaved_seconds=4.0, loss_seconds=1.0)]) == 4.0
    assert bound([row(unsaved=0, unsaved_seconds=4.0)]) == 0.0


# -- how it differs --------------------------------------------------------------------------------------------------------


def test_a_difference_names_what_differs_is_missing_and_is_extra_and_times_do_not_count() -> None:
    wanted = {"outputs/a": File("1", 1.0), "outputs/b": File("2", 1.0), "outputs/c": File("3", 1.0)}
    got = {"outputs/a": File("1", 2.0), "outputs/b": File("0", 1.0), "outputs/d": File("4", 1.0)}
    assert compare(wanted, got) == Difference(("outputs/b",), ("outputs/c",), ("outputs/d",))
    assert not compare(wanted, wanted)


@pytest.mark.parametrize(
    ("glob", "named"),
    [
        ("outputs/logs/*", True),
        ("logs/*", True),
        ("*.log", True),
        ("train.log", True),
        ("outputs/*", True),
        ("log", False),
        ("*.LOG", False),
        ("data/*", False),
    ],
)
def test_a_glob_leaves_out_by_whole_path_by_path_below_outputs_or_by_name(glob: str, named: bool) -> None:
    assert left_out("outputs/logs/first/train.log", (glob,)) is named
    assert ("outputs/logs/first/train.log" in without({"outputs/logs/first/train.log": File("1", 1.0)}, (glob,))) is not named


# -- what it says ----------------------------------------------------------------------------------------------------------

NOTHING = Kill(1.5, Loss(), Shown(0.0, True, "SAFE: all of it"))
SAID = Kill(2.5, Loss(("outputs/a",), 0.4, 0.4), Shown(0.5, False, "NOT SAFE: 1 file"), dropped=2)
BEYOND = Kill(3.5, Loss(("outputs/a",), 9.0, 9.0), Shown(0.0, True, "SAFE: all of it"))
REPORT = Report(
    asked=2,
    kills=(NOTHING, SAID),
    tempo=TEMPO,
    runs=(6.0, 8.0, 5.0),
    failures=(),
    traffic=Traffic(2048, None),
    files=3,
    difference=Difference(),
    left_in_store=2,
    restless=(),
    ending=Shown(0.0, True, "SAFE: all of it"),
    seed=7,
)


def test_a_drill_held_only_with_kills_within_what_was_said_and_equal_outputs() -> None:
    assert REPORT.held
    assert not replace(REPORT, kills=()).held
    assert not replace(REPORT, kills=(NOTHING, BEYOND)).held
    assert not replace(REPORT, difference=Difference(extra=("outputs/x",))).held


def test_the_first_line_says_what_did_not_hold() -> None:
    assert lines(REPORT)[0].startswith("HELD: killed 2 times, 1 lost work, no more than status had said")
    told = lines(replace(REPORT, kills=(NOTHING, BEYOND), difference=Difference(("outputs/a",), (), ("outputs/x", "outputs/y"))))
    assert told[0] == (
        "NOT HELD: 1 of 2 kills lost more than status had said, and "
        "the outputs differ from those of an uninterrupted run: 1 differ, 2 extra"
    )
    assert any("MORE THAN STATUS HAD SAID: outputs/a" in line for line in told)
    assert any(line.split(maxsplit=1) == ["extra", "outputs/x, outputs/y"] for line in told)
    assert lines(replace(REPORT, kills=()))[0].startswith("NOT REHEARSED: ")
    assert lines(replace(REPORT, files=0))[0].startswith("NOT REHEARSED: nothing was compared, for --varies")


ANEW = GoingOn(work=10.0, worked=11.0, kept=9.0, back=6.0, saved=0.0, last=10.0)
STUCK = replace(
    REPORT, stuck="after 1 kill 3 starts in a row failed by themselves", local=("outputs/s.json",), tail="it printed nothing"
)


def test_that_every_start_begins_anew_is_said_first_and_what_else_did_not_hold_behind_it() -> None:
    report = replace(REPORT, going_on=ANEW, names=(("outputs/run_1", "outputs/run_2"),), restless=("outputs/run_2/x", "outputs/y"))
    assert not report.held
    told = lines(report)
    assert told[0] == (
        "EVERY START BEGINS ANEW: 9.0 s of 11.0 s of work in 2 killed runs came back, and the last start did it all again, "
        "in outputs/run_1 once and then in outputs/run_2"
    )
    assert any(line.split(maxsplit=1) == ["names", "outputs/run_1, and at another start outputs/run_2"] for line in told)
    assert any(line.strip().startswith("restless outputs/y: ") for line in told)
    assert lines(replace(report, difference=Difference(extra=("outputs/x",))))[0].endswith("uninterrupted run: 1 extra")
    assert as_json(report, "/p")["outcome"] == "EVERY START BEGINS ANEW"
    assert as_json(report, "/p")["begins_anew"] is True


def test_where_nothing_came_back_that_is_the_reason_and_a_broken_promise_comes_before_it() -> None:
    lost = replace(REPORT, going_on=replace(ANEW, kept=0.0, back=0.0))
    assert lines(lost)[0] == (
        "EVERY START BEGINS ANEW: next to nothing of 11.0 s of work in 2 killed runs came back that it could go on with"
    )
    broken = lines(replace(lost, kills=(BEYOND, SAID)))[0]
    assert broken == "NOT HELD: 1 of 2 kills lost more than status had said, and every start began anew"


def test_what_gets_no_further_is_a_verdict_with_the_files_that_name_a_machine_and_its_last_words() -> None:
    assert STUCK.outcome is Outcome.STUCK
    assert lines(STUCK)[0] == (
        "GETS NO FURTHER: after 1 kill 3 starts in a row failed by themselves; "
        "outputs/s.json holds the path of the machine that wrote it, which leads nowhere on another; it printed nothing"
    )
    assert not any("as without a kill" in line for line in lines(STUCK))
    document = as_json(STUCK, "/p")
    assert (document["outcome"], document["paths_of_machines"]) == ("GETS NO FURTHER", ["outputs/s.json"])


def test_every_number_is_told_in_text_and_as_json() -> None:
    text = "\n".join(lines(replace(REPORT, asked=3, failures=(7,))))
    for words in (
        "kill 1  after 1.5 s: nothing was lost",
        "lost 1 file, 0.4 s of work, as status had said: outputs/a; 2 changes had not been uploaded",
        "status had said: SAFE: all of it",
        "status had said at most 0.5 s: NOT SAFE: 1 file",
        "2 of 3 kills happened",
        "exit code 7",
        "12.0 s without a kill, 19.0 s in 3 runs",
        "3.0 s of work was repeated; a start with nothing to do takes 2.0 s",
        "2.0 KiB sent, an unknown number of bytes fetched",
        "3 files, as without a kill; 2 of them came from the store at the end",
    ):
        assert words in text
    document = as_json(REPORT, "/proj")
    assert {"path": "/proj", "outcome": "HELD", "generation": None, "error": None}.items() <= document.items()
    assert document["kills"][1] == {
        "after": 2.5,
        "lost": ["outputs/a"],
        "lost_seconds": 0.4,
        "bound_seconds": 0.5,
        "shown": "NOT SAFE: 1 file",
        "within": True,
        "dropped": 2,
        "error": None,
    }
    assert (document["repeated_seconds"], document["bytes_sent"], document["bytes_fetched"]) == (3.0, 2048, None)
    assert as_json(replace(REPORT, kills=(BEYOND,)), "/proj")["error"].startswith("NOT HELD: ")


def test_what_could_not_be_restored_is_told_with_its_reason() -> None:
    told = lines(replace(REPORT, kills=(replace(BEYOND, trouble="outputs/a: is damaged"),)))
    assert any(line.split(maxsplit=5)[-1] == "outputs/a: is damaged" for line in told)


def test_a_long_list_of_paths_is_cut_and_counted() -> None:
    paths = tuple(f"outputs/{n}" for n in range(8))
    told = lines(replace(REPORT, difference=Difference(missing=paths)))
    assert any(line.endswith("outputs/4 and 3 more") for line in told)


def test_a_terminal_is_told_how_far_it_is_on_one_line_and_a_pipe_nothing() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream in (terminal := Terminal(), pipe := io.StringIO()):
        told = telling(stream)
        told.run("run 3", 4.25, 2)
        told.end()
    assert "drill: run 3, 4.2 s, 2 kills so far" in terminal.getvalue()
    assert "\n" not in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert pipe.getvalue() == ""
