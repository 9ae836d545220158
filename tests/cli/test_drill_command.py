"""`holdfast drill`: its words, its JSON, its exit codes. What it does is tested in tests/drill."""

from __future__ import annotations

import json
import shutil
import sys

from tests.bad_input.support import Box, Done, Site, good, refused, sound
from tests.docs.pages import REPOSITORY

STEPS = """
import os, sys, time
from pathlib import Path
import holdfast

starts = Path(os.environ["STARTS"])
with starts.open("a") as file:
    file.write("x")
killed = len(starts.read_text()) == 3  # the first two are not: in this one a step never ends, so that it is, however fast we are
keep = holdfast.attach(quiet=True)
for step in range(8):
    path = Path(f"outputs/step-{step}")
    if not keep.ensure(path):
        time.sleep(60 if killed and step == 4 else 0.1)
        path.parent.mkdir(exist_ok=True)
        path.write_text(sys.argv[1])
        keep.backup(path)
"""


def project(site: Site, script: str = STEPS) -> Box:
    machine = site.box()
    machine.write("train.py", script)
    machine.write("outputs/mine.txt", "hours of work")
    return machine


def drilled(machine: Box, *words: str) -> Done:
    starts = machine.root.parent / "starts"
    starts.unlink(missing_ok=True)
    return machine.spawn(*words, env={"STARTS": str(starts)})


def test_a_drill_that_holds_is_0_and_its_first_line_says_so(site: Site) -> None:
    machine = project(site)
    done = good(drilled(machine, "drill", "--kills", "1", "--seed", "10", "--", sys.executable, "train.py", "--kills"))
    assert done.out.startswith("HELD: killed 1 time, ")
    assert done.out.splitlines()[-1].split() == ["seed", "10"]
    assert machine.tree() == {"mine.txt": b"hours of work"}
    assert list(site.drive.iterdir()) == []


def test_a_drill_as_json_is_a_list_of_one_object(site: Site) -> None:
    machine = project(site)
    done = good(drilled(machine, "drill", "--kills", "1", "--seed", "10", "--json", sys.executable, "train.py", "--json"))
    (row,) = json.loads(done.out)
    assert (row["path"], row["outcome"], row["generation"], row["error"]) == (str(machine.root), "HELD", None, None)
    assert [k["within"] for k in row["kills"]] == [True]
    assert (row["files"], row["differ"], row["seed"]) == (8, [], 10)


def test_a_drill_that_does_not_hold_is_1_and_names_the_file(site: Site) -> None:
    machine = project(site, f"{STEPS}\nPath('outputs/now').write_text(str(time.time_ns()))\n")
    words = ("drill", "--kills", "1", "--seed", "10")
    done = sound(drilled(machine, *words, "--", sys.executable, "train.py", "x"))
    assert done.code == 1
    assert done.out.startswith("NOT HELD: the outputs differ from those of an uninterrupted run: 1 differ\n")
    assert "outputs/now" in done.out
    good(drilled(machine, *words, "--varies", "now", "--", sys.executable, "train.py", "x"))
    good(drilled(machine, *words, "--ignore", "now", "--", sys.executable, "train.py", "x"))


def test_a_command_that_fails_is_1_and_one_line(site: Site) -> None:
    done = project(site).spawn("drill", "--", sys.executable, "-c", "import sys; sys.exit('there is\\nno data')")
    refused(done, 1, "failed with exit code 1 in the uninterrupted run", "it printed: there is no data")
    assert done.out == ""


def test_what_cannot_be_rehearsed_so_is_2_and_one_line(site: Site) -> None:
    machine = project(site)
    refused(machine.spawn("drill", "--", "frobnicate"), 2, "frobnicate: cannot be run")
    refused(machine.spawn("drill", "--copy-limit", "0", "--", "true"), 2, "train.py", "--copy-limit")
    refused(machine.spawn("drill", "--root", "/nowhere/at/all", "--", "true"), 2, "/nowhere/at/all")
    refused(machine.spawn("drill", "--drive", "", "--", "true"), 2, "--drive")


def test_without_fuse_a_simulated_drive_is_2_and_says_how_to_get_it(site: Site) -> None:
    done = project(site).spawn("drill", "--simulate-drive", "--", "true", env={"PATH": "/nowhere"})
    refused(done, 2, "--simulate-drive: fusermount3 is missing: apt-get install fuse3")


def test_the_drive_folder_inside_a_project_is_not_copied(site: Site) -> None:
    machine = project(site, "import sys; from pathlib import Path; sys.exit(f'far is there: {Path(\"far\").exists()}')")
    machine.write("far/proj/large", "x" * (2 << 20))
    words = ("--copy-limit", "1", "--", sys.executable, "train.py")
    refused(machine.spawn("drill", *words), 2, "far (2.0 MiB)")
    refused(machine.spawn("drill", "--drive", str(machine.root / "far"), *words), 1, "far is there: False")


# -- scripts of examples/drilled; all of them in tests/drill/test_drilled.py ------------------------------------------------------


def example(site: Site, name: str, *words: str) -> Done:
    box = site.box()
    shutil.copy(REPOSITORY / "examples" / "drilled" / f"{name}.py", box.root / "train.py")
    environment = {"PYTHONPATH": str(REPOSITORY / "src")}
    return box.spawn("drill", "--kills", "1", "--seed", "4", *words, "--", sys.executable, "train.py", env=environment)


def test_of_a_loop_that_begins_at_zero_the_first_line_says_so(site: Site) -> None:
    done = sound(example(site, "seems_to_loop_from_zero"))
    assert done.code == 1
    assert done.out.startswith("EVERY START BEGINS ANEW: ")
    assert "for it makes again what is there" in done.out


def test_a_path_of_a_machine_that_is_gone_ends_the_drill_and_its_file_is_named(site: Site) -> None:
    done = sound(example(site, "seems_to_know_its_paths", "--json"))
    assert done.code == 1
    (row,) = json.loads(done.out)
    assert row["outcome"] == "GETS NO FURTHER"
    assert row["error"].startswith("GETS NO FURTHER: after 1 kill 3 starts in a row failed by themselves")
    assert row["paths_of_machines"] == ["outputs/run/state.json"]
    assert "outputs/run/state.json holds the path of the machine that wrote it" in row["error"]
