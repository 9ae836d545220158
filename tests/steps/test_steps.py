"""What a step does again, what it takes as it is, and what it refuses: every case by name."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import holdfast
from holdfast.errors import AnotherSession, MadeOtherwise, NotRestored, StageFailed, UsageError
from holdfast.flow.examination import Patient
from tests.steps.project import TWO_STEPS, Project

#: What is changed in the file of steps, and the difference that is told; empty where there is none.
CHANGES = {
    "a constant": ("RATE = 3", "RATE = 4", "RATE: 3 then, 4 now"),
    "a constant of another kind": ("RATE = 3", "RATE = 3.0", "RATE: 3 then, 3.0 now"),
    "something deep in a dict": ("2.5", "2.25", "OPTIONS: "),
    "a helper": ("number * RATE", "number + RATE", "the code of scaled is another"),
    "the code of the step": ("scaled(len(rows))", "scaled(len(rows) + 1)", "its code is another"),
    "a default of another one's call": ("def scaled(number):", "def scaled(number, twice=False):", "the code of scaled is another"),
    "a comment": ('    ran("first")', '    # nothing\n    ran("first")  # at all', ""),
    "the layout": ("json.dumps([scaled(len(rows)), OPTIONS", "json.dumps(\n        [scaled(len(rows)), OPTIONS", ""),
    "a docstring": ("Counts the rows.", "Counts the rows of the table.", ""),
    "a renamed local variable": ("rows", "lines", ""),
    "an annotation": ("def first():", "def first() -> None:", ""),
    "quotes": ('"data/table.csv").read', "'data/table.csv').read", ""),
    "something that it does not read": ("RATE = 3", "RATE = 3\nUNUSED = 1", ""),
    "what is ignored": ('log.write(name + "\\n")', 'log.write(name + " \\n")', ""),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_changed_in_the_code_is_refused_with_the_difference_or_does_not_count(project: Project, name: str) -> None:
    old, new, difference = CHANGES[name]
    project.load().first()
    assert project.ran() == ["first"]
    changed = TWO_STEPS.replace(old, new)
    assert changed != TWO_STEPS
    now = project.load(changed)
    if difference:
        with pytest.raises(MadeOtherwise, match=re.escape(difference)) as refused:
            now.first()
        assert "first.again(...)" in str(refused.value)
        assert "\n" not in str(refused.value)
        project.load().first()  # set back, it is what it was
    else:
        now.first()
    assert project.ran() == []


def test_a_call_gives_the_path_and_the_same_arguments_are_the_same_however_they_are_given(project: Project) -> None:
    steps = project.load()
    place = steps.second()
    assert place == project.root / "outputs/deep/second.json"
    assert project.ran() == ["first", "second"]
    assert steps.second(1e-3) == steps.second(rate=1e-3) == steps.second(name="x") == place
    assert project.ran() == []
    with pytest.raises(
        MadeOtherwise, match=r"second: outputs/deep/second\.json was made from something else: rate: 0\.001 then, 0\.01"
    ):
        steps.second(0.01)
    with pytest.raises(UsageError, match="second: cannot be called so: got an unexpected keyword argument 'speed'"):
        steps.second(speed=1)


def test_another_content_of_an_input_is_refused_and_a_newer_time_is_not(project: Project) -> None:
    project.load().first()
    (project.root / "data/table.csv").touch()
    project.load().first()
    (project.root / "data/table.csv").write_text("a b c d")
    with pytest.raises(MadeOtherwise, match=r"data/table\.csv holds something else"):
        project.load().first()
    with pytest.raises(MadeOtherwise, match=r"^first: .*data/table\.csv holds something else"):
        project.load().second()  # what it is made from is refused, and named
    assert project.ran() == ["first"]
    project.load().first.again()
    assert json.loads((project.root / "outputs/first.json").read_text())[0] == 12
    (project.root / "data/table.csv").unlink()
    with pytest.raises(UsageError, match=r"data/table\.csv is not here, and is one of its inputs; put it there"):
        project.load().first()


def test_a_step_that_is_changed_and_makes_the_same_costs_none_that_builds_on_it(project: Project) -> None:
    project.load().second()
    assert project.ran() == ["first", "second"]
    now = project.load(TWO_STEPS.replace("scaled(len(rows))", "scaled(3 + 0 * len(rows))"))
    now.first.again()
    now.second()
    assert project.ran() == ["first"]


def test_a_step_that_raises_gives_its_own_error_and_nothing_half_made_is_taken_for_done(project: Project) -> None:
    raising = TWO_STEPS.replace("json.dumps([count, rate, name]))", '"half")\n    raise KeyError("no such row")')
    with pytest.raises(KeyError, match="no such row"):
        project.load(raising).second()
    assert (project.root / "outputs/deep/second.json").read_text() == "half"
    assert project.ran() == ["first", "second"]
    with pytest.raises(KeyError):
        project.load(raising).second()
    assert json.loads(project.load().second().read_text()) == [9, 0.001, "x"]
    assert project.ran() == ["second", "second"]
    assert not list(project.root.rglob("holdfast-aside"))


def test_an_output_that_was_deleted_comes_back_and_a_changed_one_is_moved_aside(project: Project) -> None:
    steps = project.load()
    place = steps.second()
    made = place.read_text()
    project.ran()
    place.unlink()
    assert steps.second().read_text() == made
    place.write_text("mine")
    assert steps.second().read_text() == made
    assert [p.read_text() for p in place.parent.glob("second.json.changed-*")] == ["mine"]
    assert project.ran() == []


def test_without_a_store_a_deleted_output_is_made_again_and_only_that(tmp_path: Path, project: Project) -> None:
    alone = Project(tmp_path / "alone", drive=False)
    alone.load().second()
    (alone.root / "outputs/first.json").unlink()
    alone.load().second()
    assert alone.ran() == ["first", "second"]  # what was made of it is here: it is not missed
    (alone.root / "outputs/deep/second.json").unlink()
    alone.load().second()
    assert alone.ran() == ["first", "second"]
    (alone.root / "outputs/deep/second.json").write_text("mine")
    alone.load().second()
    assert alone.ran() == ["second"]
    assert [p.read_text() for p in alone.root.glob("holdfast-aside/*/outputs/deep/second.json")] == ["mine"]


CHAIN = "from pathlib import Path\n" + "\n".join(
    f"""
@keep.step(outputs="outputs/{n}.txt", inputs=[{f"step_{n - 1}" if n else ""}])
def step_{n}():
    with open("ran.log", "a") as log:
        log.write("{n} ")
    Path("outputs/{n}.txt").write_text("{n}" * 100)
"""
    for n in range(5)
)


def test_of_a_chain_of_five_a_fresh_machine_fetches_only_what_is_needed(project: Project) -> None:
    project.load(CHAIN).step_4()
    assert project.ran() == ["0", "1", "2", "3", "4"]
    project.lose()
    project.load(CHAIN).step_4()
    assert (project.ran(), project.here()) == ([], ["4.txt"])
    project.lose()
    project.never_arrived("outputs/4.txt")
    project.load(CHAIN).step_4()
    assert (project.ran(), project.here()) == (["4"], ["3.txt", "4.txt"])


def test_what_is_killed_between_outputs_and_record_on_the_drive_is_made_again(project: Project) -> None:
    project.load(CHAIN).step_1()
    project.ran()
    project.lose()
    project.never_arrived("outputs/.1.txt.step")
    assert project.load(CHAIN).step_1().read_text() == "1" * 100
    assert project.ran() == ["1"]
    project.lose()
    project.load(CHAIN).step_1()
    assert project.ran() == []


def test_two_steps_with_one_output_are_refused_and_one_name_defined_again_replaces(project: Project) -> None:
    with pytest.raises(UsageError, match=r"third: outputs/first\.json is made by first already .*; give another path"):
        project.load(TWO_STEPS + '\n@keep.step(outputs="outputs/first.json")\ndef third(): ...\n')
    with pytest.raises(UsageError, match=r"third: outputs/first\.json/inside is made by first already"):
        project.load(TWO_STEPS + '\n@keep.step(outputs="outputs/first.json/inside")\ndef third(): ...\n')
    again = '\n@keep.step(outputs="outputs/first.json")\ndef first():\n    Path("outputs/first.json").write_text("[7]")\n'
    steps = project.load(TWO_STEPS + again)
    assert json.loads(steps.second().read_text())[0] == 7  # also for a step that was defined before that
    assert [row.name for row in steps.keep.plan()] == ["first", "second"]


@pytest.mark.parametrize(
    ("defined", "reason"),
    [
        ("keep.step(outputs='outputs/x')(lambda: None)", "it is a lambda, which has no name"),
        ("class C:\n    @keep.step(outputs='outputs/x')\n    def m(self): ...", "it is a method"),
        ("class C:\n    @keep.step(outputs='outputs/x')\n    @staticmethod\n    def m(): ...", "it is a method"),
        (
            "def f(a):\n    @keep.step(outputs='outputs/x')\n    def g(): print(a)\nf(1)",
            "it is a closure: it reads a of the function",
        ),
        ("@keep.step(outputs='outputs/x')\ndef g():\n    yield 1", "it is a generator"),
        ("@keep.step(outputs='outputs/x')\nasync def g(): ...", "it is async"),
        ("keep.step(outputs='outputs/x')(print)", "it is no function that was written in Python"),
        ("keep.step(outputs='outputs/x')(dict)", "it is a class"),
        (
            "keep.step(outputs='outputs/x')(eval('exec(\"def g(): ...\") or locals()[\"g\"]'))",
            "its source cannot be read; give version=",
        ),
        ("@keep.step(outputs='data/x')\ndef g(): ...", "data/x: not below outputs/"),
        ("@keep.step(outputs=[])\ndef g(): ...", "g: outputs= names no file or folder below outputs"),
        ("@keep.step(outputs='outputs')\ndef g(): ...", "g: outputs= names no file or folder below outputs"),
        ("@keep.step(outputs=['outputs/x', 'outputs/x/y'])\ndef g(): ...", "outputs/x/y is made by g already"),
        ("@keep.step(outputs='outputs/x', inputs=[3])\ndef g(): ...", "g: 3 is no input; give a step or a path"),
    ],
)
def test_what_can_be_no_step_is_refused_and_a_function_of_its_own_is_taken(project: Project, defined: str, reason: str) -> None:
    with pytest.raises(UsageError, match=re.escape(reason)) as refused:
        project.load(defined)
    assert "\n" not in str(refused.value)
    steps = project.load(READING.format(more="", parameters="", reads="1", defined=""))
    assert steps.g().read_text() == "1"


READING = """
import collections
from pathlib import Path
@keep.step(outputs="outputs/x"{more})
def g({parameters}):
    Path("outputs/x").write_text(str({reads}))
{defined}
"""


@pytest.mark.parametrize(
    ("reads", "defined", "said"),
    [
        ("THING", "THING = object()", "g: reads THING, which cannot be counted: it is an object. Give it as an argument"),
        ("THING", "THING = collections.Counter()", "reads THING, which cannot be counted: it is a collections.Counter"),
        ("THING", "THING = [open]\nTHING.append(THING)", "reads THING, which cannot be counted: it is data that holds itself"),
        ("THING", "THING = 'x' * (1 << 21)", "reads THING, which cannot be counted: it is more than 1 MiB"),
        ("MISSING", "", "reads MISSING, which cannot be counted: there is no such name now"),
        ("g", "", "reads g, which cannot be counted: a step cannot call itself"),
        (
            "helper()",
            "def helper():\n    global THING\n    THING = 1",
            "reads THING, which cannot be counted: helper gives that global",
        ),
    ],
)
def test_a_global_that_cannot_be_counted_is_refused_by_name_unless_it_is_ignored(
    project: Project, reads: str, defined: str, said: str
) -> None:
    steps = project.load(READING.format(more="", parameters="", reads=reads, defined=defined))
    with pytest.raises(UsageError, match=re.escape(said)) as refused:
        steps.g()
    assert "ignore=[" in str(refused.value)
    if reads == "THING":
        project.load(READING.format(more=", ignore='THING'", parameters="", reads=reads, defined=defined)).g()


def test_a_numpy_array_is_refused_by_name_as_a_global_and_as_an_argument(project: Project) -> None:
    steps = project.load(READING.format(more="", parameters="", reads="A", defined="import numpy\nA = numpy.zeros(3)"))
    with pytest.raises(UsageError, match=r"g: reads A, which cannot be counted: it is a numpy\.ndarray.*ignore=\['A'\]"):
        steps.g()
    steps = project.load(READING.format(more="", parameters="a", reads="a", defined="import numpy\nA = numpy.zeros(3)"))
    with pytest.raises(UsageError, match=r"g: a is a numpy\.ndarray, which cannot be counted; an argument is a number"):
        steps.g(steps.A)


def test_an_argument_that_cannot_be_counted_is_refused_and_a_plain_one_is_taken(project: Project) -> None:
    steps = project.load(READING.format(more="", parameters="a", reads="a", defined=""))
    for wrong, said in (
        (object(), "g: a is an object, which cannot be counted; an argument is a number"),
        ({1: 2}, "g: a is a dict, which cannot be counted"),
        ([{"b": print}], "g: a.b is a builtin_function_or_method, which cannot be counted"),
        ("x" * (1 << 21), "g: a is more than 1 MiB; an argument of that size is data"),
    ):
        with pytest.raises(UsageError, match=re.escape(said)):
            steps.g(wrong)
    with pytest.raises(UsageError, match="g: cannot be called so: missing a required argument: 'a'"):
        steps.g()
    plain = {"numbers": (1, 2.5, True, None), "text": "x", "path": Path("a/b")}
    steps.g(plain)
    steps.g({**plain, "numbers": [1, 2.5, True, None]})  # as JSON has it
    with pytest.raises(MadeOtherwise):
        steps.g({**plain, "numbers": [1.0, 2.5, True, None]})


def test_a_version_counts_in_place_of_the_code(project: Project) -> None:
    source = READING.format(more=", version=1", parameters="", reads="1", defined="")
    project.load(source).g()
    project.load(source.replace("str(1)", "str(2)")).g()
    assert (project.root / "outputs/x").read_text() == "1"
    with pytest.raises(MadeOtherwise, match="version: 1 then, 2 now"):
        project.load(source.replace("version=1", "version=2")).g()


def test_what_a_function_gives_back_is_refused_when_it_does_and_its_outputs_are_not_taken_for_done(project: Project) -> None:
    source = READING.format(more="", parameters="", reads="1", defined="").replace("str(1))", "str(1))\n    return {}")
    for _ in range(2):
        with pytest.raises(
            UsageError, match="g: returned a dict, which nobody would have on the next machine; write it to an output"
        ):
            project.load(source).g()
    assert project.load(source.replace("return {}", "return None")).g().read_text() == "1"


def test_an_output_that_was_not_made_or_is_empty_fails_the_step(project: Project) -> None:
    source = READING.format(more="", parameters="", reads="1", defined="")
    with pytest.raises(StageFailed, match="g: did not make outputs/y, which it should"):
        project.load(source.replace('outputs="outputs/x"', 'outputs=["outputs/x", "outputs/y"]')).g()
    with pytest.raises(StageFailed, match="g: did not make outputs/z, which it should"):
        project.load(source.replace('outputs="outputs/x"', 'outputs=["outputs/x", "outputs/z/"]')).g()


def test_a_global_that_a_step_changes_while_it_runs_is_refused(project: Project) -> None:
    source = READING.format(more="", parameters="", reads="SEEN.append(1) or 1", defined="SEEN = []")
    with pytest.raises(UsageError, match="g: changes SEEN, which it reads too, so that it would count as another the next time"):
        project.load(source).g()


SEVERAL = """
@keep.step(outputs=["outputs/one.txt", "outputs/folder/"], inputs=["data/table.csv"])
def both(inputs, outputs, rate=1):
    (table,) = inputs
    one, folder = outputs
    one.write_text(table.read_text())
    for name in "ab":
        (folder / name).write_text(name * rate)

@keep.step(outputs="outputs/end.txt", inputs=[both, "outputs/side.txt"], fork=True)
def end(inputs, outputs):
    (one, folder), side = inputs
    outputs.write_text(one.read_text() + (folder / "a").read_text() + side.read_text())
"""


def test_several_outputs_and_folders_come_back_as_they_were_and_paths_are_given_to_who_asks(project: Project) -> None:
    steps = project.load(SEVERAL)
    (project.root / "outputs").mkdir()
    (project.root / "outputs/side.txt").write_text("side")
    steps.keep.backup("outputs/side.txt")
    one, folder = steps.both()
    assert (one.read_text(), sorted(p.name for p in folder.iterdir())) == ("a b c", ["a", "b"])
    assert steps.end().read_text() == "a b caside"
    project.lose()
    steps = project.load(SEVERAL)
    assert steps.end().read_text() == "a b caside"
    assert project.here() == ["end.txt"]
    one, folder = steps.both()
    assert (folder / "b").read_text() == "b"
    (folder / "b").unlink()
    assert (steps.both()[1] / "b").read_text() == "b"


def test_with_fork_another_result_is_made_beside_and_both_stay(project: Project) -> None:
    forking = SEVERAL.replace('inputs=["data/table.csv"])', 'inputs=["data/table.csv"], fork=True)')
    steps = project.load(forking)
    (project.root / "outputs").mkdir()
    (project.root / "outputs/side.txt").write_text("side")
    steps.keep.backup("outputs/side.txt")
    steps.end()
    first = steps.both()
    steps.both(rate=2)
    other = steps.end()
    assert re.fullmatch(r"end-[0-9a-f]{8}\.txt", other.name)
    assert other.read_text() == "a b caaside"
    assert steps.both(rate=1) == first
    project.lose()
    again = project.load(forking)
    assert [p.name for p in again.both(rate=2)] == [p.name for p in steps.both(rate=2)]
    assert again.end().name == other.name
    assert not (project.root / "outputs/side.txt").exists()


def test_a_function_that_knows_its_own_path_alone_is_not_forked(project: Project) -> None:
    forking = TWO_STEPS.replace('ignore=["ran"])', 'ignore=["ran"], fork=True)')
    project.load(forking).first()
    changed = forking.replace("RATE = 3", "RATE = 4")
    with pytest.raises(
        UsageError, match=r"first: another result is made as outputs/first-.{8}\.json, and the function would write"
    ):
        project.load(changed).first()
    assert json.loads((project.root / "outputs/first.json").read_text())[0] == 9
    told = changed.replace("def first():", "def first(outputs):").replace(
        'Path("outputs/first.json").write_text', "outputs.write_text"
    )
    place = project.load(told).first()
    assert json.loads(place.read_text())[0] == 12
    with pytest.raises(UsageError, match="second: the result of first lies beside another one, and the function would read that"):
        project.load(told).second()
    reading = told.replace("def second(", "def second(inputs, ").replace('Path("outputs/first.json").read', "inputs[0].read")
    assert json.loads(project.load(reading).second().read_text())[0] == 12


def test_begun_anew_on_purpose_it_is_anew_for_every_machine_and_the_old_one_is_in_the_history(project: Project) -> None:
    project.load().first()
    project.lose()
    changed = TWO_STEPS.replace("RATE = 3", "RATE = 4")
    steps = project.load(changed)
    steps.first.again()
    assert project.ran() == ["first"]
    assert len(steps.keep.history("outputs/first.json")) >= 2
    project.lose()
    project.load(changed).first()
    assert project.ran() == []
    assert json.loads((project.root / "outputs/first.json").read_text())[0] == 12


def test_dropped_by_the_command_it_is_made_as_if_it_had_never_been(project: Project) -> None:
    project.load().first().unlink()
    steps = project.load(TWO_STEPS.replace("RATE = 3", "RATE = 4"))
    with pytest.raises(MadeOtherwise):
        steps.first()  # the store has it
    assert steps.keep.drop("outputs/first.json")
    steps.first()
    assert project.ran() == ["first", "first"]


def test_what_lay_at_its_output_before_is_moved_aside_and_never_deleted(project: Project) -> None:
    (project.root / "outputs").mkdir()
    (project.root / "outputs/first.json").write_text("mine")
    project.load().first()
    assert [p.read_text() for p in project.root.glob("holdfast-aside/*/outputs/first.json")] == ["mine"]


def test_where_the_store_cannot_be_read_nothing_is_made_anew_for_that(project: Project) -> None:
    project.load().first()
    project.lose()
    steps = project.load()
    steps.keep.steps.patience = Patient(restore_patience=0.0)
    assert project.drive is not None
    hidden = project.drive.with_name("hidden")
    project.drive.rename(hidden)
    with pytest.raises(NotRestored, match=r"outputs/\.first\.json\.step"):
        steps.first()
    hidden.rename(project.drive)
    steps.first()
    assert project.ran() == []


def test_steps_among_each_other_s_inputs_are_refused(project: Project) -> None:
    source = TWO_STEPS + '\n@keep.step(outputs="outputs/first.json", inputs=[second])\ndef first(): ...\n'
    with pytest.raises(UsageError, match=r"is among its own inputs \(second -> first -> second\)"):
        project.load(source).second()
    project.load().second()  # defined as it was


def test_a_path_that_a_step_makes_counts_as_that_step(project: Project) -> None:
    source = TWO_STEPS.replace("inputs=[first]", 'inputs=["outputs/first.json"]')
    project.load(source).second()
    assert project.ran() == ["first", "second"]
    project.load().second()  # and is no other input
    assert project.ran() == []


def test_threads_that_call_a_step_at_once_run_it_once(project: Project) -> None:
    slow = TWO_STEPS.replace('ran("first")', 'ran("first")\n    import time\n    time.sleep(0.3)')
    steps = project.load(slow)
    with ThreadPoolExecutor(4) as threads:
        places = set(threads.map(lambda _: steps.second(), range(4)))
    assert places == {project.root / "outputs/deep/second.json"}
    assert project.ran() == ["first", "second"]


def test_a_second_process_is_told_that_another_one_makes_it(project: Project) -> None:
    steps = project.load()
    code = (
        "import holdfast\nkeep = holdfast.attach(mount=False)\nkeep.claim('outputs/first.json')\nprint('held', flush=True)\ninput()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=project.root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(AnotherSession, match=r"outputs/first\.json: another process of this project works on it"):
            steps.first()
        other.communicate("")
    steps.first()
    assert project.ran() == ["first"]


def test_attached_anew_the_steps_stay_and_are_kept_by_the_new_keeper(project: Project) -> None:
    def attach() -> holdfast.Keeper:
        return holdfast.attach(project.root, project.drive, mount=False, background=False)

    before = attach()

    @before.step(outputs="outputs/x")
    def made(outputs):  # type: ignore[no-untyped-def]
        outputs.write_text("x")

    after = attach()
    holdfast.detach()
    assert [row.name for row in after.plan()] == ["made"]
    assert made().read_text() == "x"
    assert after.held("outputs/x")[0]
    assert made.__name__ == "made"
    assert repr(made) == "<step made: outputs/x>"


def test_an_input_is_a_folder_by_content_whatever_is_set_aside_in_it(project: Project) -> None:
    source = """
@keep.step(outputs="outputs/x", inputs="data")
def g(inputs, outputs):
    outputs.write_text(str(len(list(inputs[0].iterdir()))))
"""
    project.load(source).g()
    (project.root / "data" / "table.csv.changed-1").write_text("aside")
    project.load(source).g()
    (project.root / "data" / "more.csv").write_text("")
    with pytest.raises(MadeOtherwise, match="data holds something else"):
        project.load(source).g()
