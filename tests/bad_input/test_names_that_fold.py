"""Names that differ by case or accents only, on a file system that cannot tell them apart.

A file is here if its folder lists that very name. Of two names that are one here, one comes; the answer is not true, and says so.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.store.deciding.choose import Prefer
from holdfast.store.ensure import ensure
from holdfast.store.format.keys import Key
from holdfast.store.local.folding import HOW_NAMES_FOLD, Names, how_names_fold, twins
from holdfast.store.reporting.outcomes import Outcome
from tests.bad_input.support import Box, Site, refused
from tests.folding import folding
from tests.support import Machine, Rig, read_tree

COMPOSED, DECOMPOSED = "caf\u00e9.json", "cafe\u0301.json"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """A folder for each way in which names fold."""
    above = tmp_path_factory.mktemp("folding")
    with contextlib.ExitStack() as mounts:
        yield {how: mounts.enter_context(folding(above / how, how)) for how in ("case", "accents", "both")}


@pytest.fixture
def there(places: dict[str, Path], rig: Rig) -> Callable[[str], Machine]:
    """A fresh machine where names fold."""

    def make(how: str) -> Machine:
        root = places[how] / rig.folder.name
        shutil.rmtree(root, ignore_errors=True)
        return Machine(root / "proj", rig.drive)

    return make


def names_of(paths: dict[str, str]) -> dict[str, bytes]:
    return {path: content.encode() for path, content in paths.items() if not content.startswith("->")}


#: What lies in a folder, in which way it folds, which of it comes, and what does not. `->` is a link.
TWINS: dict[str, tuple[str, dict[str, str], tuple[str, ...]]] = {
    "case": ("both", {"Model.pt": "M", "model.pt": "m"}, ("model.pt",)),
    "case where accents count": ("case", {"Model.pt": "M", "model.pt": "m", COMPOSED: "1", DECOMPOSED: "2"}, ("model.pt",)),
    "three": ("both", {"Model.pt": "1", "MODEL.pt": "2", "model.PT": "3"}, ("Model.pt", "model.PT")),
    "accents": ("both", {COMPOSED: "c", DECOMPOSED: "d"}, (COMPOSED,)),
    "accents where case counts": ("accents", {COMPOSED: "c", DECOMPOSED: "d", "A": "A", "a": "a"}, (COMPOSED,)),
    "sharp s": ("both", {"STRASSE": "1", "straße": "2"}, ("straße",)),
    "two folders": ("both", {"Run/a": "a", "Run/c": "c", "run/b": "b", "run/c": "other"}, ("run/b", "run/c")),
    "folders far above": ("both", {"A/B/C/x": "1", "A/b/C/y": "2", "A/z": "3"}, ("A/b/C/y",)),
    "a file and a folder": ("both", {"X": "file", "x/y": "in a folder"}, ("x/y",)),
    "a folder and a file": ("both", {"X/y": "in a folder", "x": "file"}, ("x",)),
    "a link and a file": ("both", {"L": "->beside", "l": "file"}, ("l",)),
    "a file and a link": ("both", {"L": "file", "l": "->beside"}, ("l",)),
    "two links": ("both", {"L": "->beside", "l": "->big"}, ("l",)),
}


#: Where a whole folder cannot come, it is named and not what lies in it.
FOLDERS = {"two folders": "run", "folders far above": "A/b", "a file and a folder": "x"}


@pytest.fixture
def beside() -> dict[str, str]:
    """What is in nobody's way."""
    return {"beside": "b", "sub/deep/other.json": "o", "big": "x" * 1_100_000}


def stored(rig: Rig, contents: dict[str, str]) -> Machine:
    machine = rig.machine()
    for path, content in contents.items():
        place = machine.outputs / "d" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if content.startswith("->"):
            place.symlink_to(content[2:])
        else:
            place.write_text(content)
    assert machine.keep.backup("outputs/d")
    return machine


@pytest.mark.parametrize("what", TWINS)
def test_what_can_come_comes_and_the_answer_names_what_cannot(
    rig: Rig, there: Callable[[str], Machine], beside: dict[str, str], what: str
) -> None:
    how, contents, missing = TWINS[what]
    everything = {**beside, **contents}
    first = stored(rig, everything)
    machine = there(how)
    for _ in range(2):  # asked again it is the same
        result = machine.keeper().ensure("outputs/d")
        assert result.outcome is Outcome.FAILED
        named = FOLDERS.get(what, missing[0])
        assert result.error.startswith(f"outputs/d/{named}: this file system cannot tell its name from ")
        assert ("more like it" in result.error) == (len(missing) > 1 and what not in FOLDERS)
        assert f"`holdfast restore outputs/d/{named} --to FOLDER`" in result.error
        came = {p: c for p, c in everything.items() if p not in missing}
        assert machine.tree("outputs/d") == names_of(came)
        assert all(os.path.lexists(machine.outputs / "d" / path) for path in came)
    for path in missing:  # nor is it here by itself, whatever lstat says
        result = machine.keeper().ensure(f"outputs/d/{path}")
        assert result.outcome is Outcome.FAILED, path
        assert "nothing was touched" in result.error
        result = machine.keeper().restore(f"outputs/d/{path}")
        assert (result.outcome, machine.tree("outputs/d")) == (Outcome.FAILED, names_of(came)), path
        result = machine.keeper().restore(f"outputs/d/{path}", to=rig.folder / "elsewhere" / path)
        assert result.outcome is Outcome.RESTORED
    for path in came:
        assert machine.keeper().ensure(f"outputs/d/{path}").outcome is Outcome.LOCAL, path
    machine.write("outputs/d/new", "new")  # and a backup drops nothing of it
    assert machine.keeper().backup("outputs/d")
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/d").outcome is Outcome.RESTORED
    assert fresh.tree("outputs/d") == {**first.tree("outputs/d"), "new": b"new"}


def test_the_one_that_is_here_stays_and_the_other_does_not_come(rig: Rig, there: Callable[[str], Machine]) -> None:
    stored(rig, {"Model.pt": "M", "model.pt": "m", "log": "l"})
    machine = there("both")
    machine.write("outputs/d/model.pt", "m")
    result = machine.keep.ensure("outputs/d")
    assert result.outcome is Outcome.FAILED
    assert result.error.startswith("outputs/d/Model.pt: this file system cannot tell its name from model.pt")
    assert machine.tree("outputs/d") == {"model.pt": b"m", "log": b"l"}
    machine = there("both")
    machine.write("outputs/d/MODEL.PT", "mine")
    assert machine.keep.ensure("outputs/d").outcome is Outcome.FAILED
    assert machine.tree("outputs/d") == {"MODEL.PT": b"mine", "log": b"l"}
    for prefer in Prefer:
        assert (
            ensure(machine.keep.store, machine.keep.workspace, Key("outputs/d/model.pt"), prefer=prefer).outcome is Outcome.FAILED
        )
    assert machine.tree("outputs/d") == {"MODEL.PT": b"mine", "log": b"l"}


def test_the_command_says_one_line_and_ends_with_4(places: dict[str, Path], site: Site) -> None:
    machine = site.box()
    for name in ("Model.pt", "model.pt", "other.json"):
        machine.write(f"outputs/run/{name}", name)
    assert machine.run("backup", "outputs/run").code == 0
    folded = Box(places["both"] / site.folder.name / "proj", site.drive)
    folded.root.mkdir(parents=True)
    for path in ("outputs/run", "outputs/run/model.pt"):
        refused(folded.run("ensure", path), 4, "outputs/run/model.pt", "Model.pt", "--to FOLDER")
    assert folded.tree("outputs/run") == {"Model.pt": b"Model.pt", "other.json": b"other.json"}
    refused(folded.run("restore", "outputs/run", "--to", "there"), 4, "outputs/run/model.pt", "Model.pt", "--to")
    assert not (folded.root / "there/outputs").exists()
    assert folded.run("restore", "outputs/run/model.pt", "--to", "there").code == 0
    assert read_tree(folded.root / "there/outputs/run") == {"model.pt": b"model.pt"}


def test_artifacts_whose_names_fold_together_are_told_apart(rig: Rig, there: Callable[[str], Machine]) -> None:
    machine = rig.machine()
    for name in ("Run", "run"):
        machine.write(f"outputs/{name}/x", name)
        machine.write(f"outputs/{name}.txt", name)
        assert machine.keeper().backup(f"outputs/{name}", f"outputs/{name}.txt")
    folded = there("both")
    assert folded.keep.ensure("outputs/Run").outcome is Outcome.RESTORED
    assert folded.keep.ensure("outputs/Run.txt").outcome is Outcome.RESTORED
    for path in ("outputs/run", "outputs/run/x", "outputs/run.txt"):
        result = folded.keeper().ensure(path)
        assert (result.outcome, result.error.startswith(path)) == (Outcome.FAILED, True), path
    assert folded.tree() == {"Run/x": b"Run", "Run.txt": b"Run"}
    assert folded.keeper().ensure("outputs").outcome is Outcome.FAILED


def test_without_twins_nothing_is_different(rig: Rig, there: Callable[[str], Machine], beside: dict[str, str]) -> None:
    first = stored(rig, {**beside, "Model.pt": "M", COMPOSED: "c", "ünïcode/Ä": "ä", "123": "digits", "L": "->Model.pt"})
    machine = there("both")
    assert machine.keep.ensure("outputs/d").outcome is Outcome.RESTORED
    assert machine.tree("outputs/d") == first.tree("outputs/d")
    for path in ("", "/Model.pt", f"/{COMPOSED}", "/ünïcode", "/ünïcode/Ä", "/123", "/L"):
        assert machine.keeper().ensure(f"outputs/d{path}").outcome is Outcome.LOCAL, path
    assert all(r.unchanged for r in machine.keeper().backup("outputs/d").results)
    (machine.outputs / "d/Model.pt").rename(machine.outputs / "d/model.pt")
    result = machine.keeper().ensure("outputs/d/Model.pt")
    assert result.outcome is Outcome.FAILED
    assert "cannot tell its name from model.pt" in result.error


# -- deciding --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", TWINS)
def test_twins_are_found_by_name_alone(what: str) -> None:
    how, contents, missing = TWINS[what]
    assert set(twins(contents, HOW_NAMES_FOLD[how])) & set(contents) == set(missing)
    assert twins(contents)  # worth a look
    for path in contents:
        assert path not in twins(contents, HOW_NAMES_FOLD[how], here=[path])


def test_names_without_twins_are_none() -> None:
    assert twins(["a", "b", "A/b", "c/d"], HOW_NAMES_FOLD["accents"]) == {}
    assert twins(["a", "b", "c/a", "d/a", COMPOSED], HOW_NAMES_FOLD["both"]) == {}
    assert twins([""]) == {}


def test_how_names_fold_is_seen(places: dict[str, Path], tmp_path: Path) -> None:
    assert how_names_fold(tmp_path) is None
    for how, place in places.items():
        (place / "probe").mkdir()
        assert how_names_fold(place / "probe") is HOW_NAMES_FOLD[how]
        assert list((place / "probe").iterdir()) == []


def test_hard_links_whose_names_differ_by_case_are_both_here(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_text("x")
    os.link(tmp_path / "model.pt", tmp_path / "MODEL.PT")
    names = Names(str(tmp_path))
    assert names.twin("model.pt") is None
    assert names.twin("MODEL.PT") is None
    assert names.twin("Model.pt") is None
