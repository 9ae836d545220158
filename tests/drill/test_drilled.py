"""The scripts of examples/drilled: each says at its head what the drill has to say of it. Real kills."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from holdfast.drill.report import lines
from tests.bad_input.support import Done, Site, sound
from tests.docs.pages import REPOSITORY
from tests.drill.conftest import Project

SCRIPTS = sorted((REPOSITORY / "examples" / "drilled").glob("*.py"))
MARK = "The drill says: "


def wanted(script: Path) -> str:
    (said,) = [line.removeprefix(MARK) for line in script.read_text().splitlines() if line.startswith(MARK)]
    return said


def test_at_least_five_go_on_and_five_only_seem_to() -> None:
    held = [wanted(script) == "HELD" for script in SCRIPTS]
    assert held.count(True) >= 5
    assert held.count(False) >= 5


@pytest.mark.torture
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_verdict_on_a_script_that_goes_on_or_only_seems_to_is_right(project: Project, script: Path, seed: int) -> None:
    shutil.copy(script, project.root / "train.py")
    report = project.drill(kills=3, seed=seed)
    assert lines(report)[0].partition(": ")[0] == wanted(script)
    assert report.held is (wanted(script) == "HELD")


def drilled(site: Site, name: str, *words: str) -> Done:
    box = site.box()
    shutil.copy(REPOSITORY / "examples" / "drilled" / f"{name}.py", box.root / "train.py")
    return box.spawn("drill", "--kills", "1", "--seed", "4", *words, "--", sys.executable, "train.py")


def test_of_a_loop_that_begins_at_zero_the_first_line_says_so(site: Site) -> None:
    done = sound(drilled(site, "seems_to_loop_from_zero"))
    assert done.code == 1
    assert done.out.startswith("EVERY START BEGINS ANEW: ")
    assert "for it makes again what is there" in done.out


def test_of_one_file_that_is_gone_on_with_it_says_held(site: Site) -> None:
    done = sound(drilled(site, "goes_on_from_one_file"))
    assert done.out.startswith("HELD: ")
    assert done.code == 0


def test_a_path_of_a_machine_that_is_gone_ends_the_drill_and_its_file_is_named(site: Site) -> None:
    done = sound(drilled(site, "seems_to_know_its_paths", "--json"))
    assert done.code == 1
    (row,) = json.loads(done.out)
    assert row["outcome"] == "GETS NO FURTHER"
    assert row["error"].startswith("GETS NO FURTHER: after 1 kill 3 starts in a row failed by themselves")
    assert row["paths_of_machines"] == ["outputs/run/state.json"]
    assert "outputs/run/state.json holds the path of the machine that wrote it" in row["error"]
