"""Stores and workspaces of format 1, made by the version of then: they are read, restored, gone on with, verified and pruned."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from holdfast.store.looking.view import State
from holdfast.store.reporting.outcomes import Outcome
from tests.support import Machine, make_database, rows_in

STORES = Path(__file__).with_name("stores")
#: Where `make.py` had them.
MADE_AT = Path("/tmp/format1/stores")
NAMES = sorted(p.name for p in STORES.iterdir())


@dataclass(frozen=True)
class Made:
    """One of them, copied, so that it may be changed."""

    folder: Path
    expected: dict[str, Any]

    def machine(self, name: str) -> Machine:
        """A machine of then, or a fresh one."""
        return Machine(self.folder / "machines" / name, self.folder / "drive")

    @property
    def machines(self) -> list[Machine]:
        return [self.machine(p.name) for p in sorted((self.folder / "machines").iterdir())]


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str], Made]:
    def make(name: str) -> Made:
        folder = tmp_path / name
        shutil.copytree(STORES / name, folder)
        expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
        for path in expected["folders"]:
            (folder / path).mkdir(parents=True, exist_ok=True)
        for path, mode in expected["modes"].items():
            (folder / path).chmod(mode)
        for root in (folder / "machines").iterdir():
            (root / "state").rename(root / ".holdfast")
            _met_at(root / ".holdfast/stores.json", folder)
        return Made(folder, expected)

    return make


def _met_at(place: Path, folder: Path) -> None:
    """Have a workspace remember its store at the place where the copy is. The file is a digest and a line of JSON."""
    digest, _, body = place.read_text(encoding="utf-8").partition("\n")
    assert blake3(body.encode()).hexdigest() == digest
    body = body.replace(str(MADE_AT / folder.name), str(folder))
    assert str(folder) in body
    place.write_text(f"{blake3(body.encode()).hexdigest()}\n{body}", encoding="utf-8")


def content_of(root: Path) -> dict[str, Any]:
    """As `make.py` wrote it down."""
    places = [root] if root.is_file() else sorted(root.rglob("*"))
    files = {
        "" if p == root else p.relative_to(root).as_posix(): [blake3(p.read_bytes()).hexdigest(), p.stat().st_mode & 0o777]
        for p in places
        if p.is_file()
    }
    return {"files": files, "folders": [p.relative_to(root).as_posix() for p in places if p.is_dir() and not any(p.iterdir())]}


def restored(made: Made, name: str = "fresh") -> Machine:
    """A fresh machine, with all that is expected back."""
    fresh = made.machine(name)
    for asked, content in made.expected["asked"].items():
        assert fresh.keep.ensure(asked), asked
        assert content_of(fresh.root / asked) == content, asked
    return fresh


@pytest.mark.parametrize("name", NAMES)
def test_a_fresh_machine_gets_what_was_there(made: Callable[[str], Made], name: str) -> None:
    store = made(name)
    fresh = restored(store)
    for asked in store.expected["asked"]:
        assert fresh.keeper().ensure(asked).outcome is Outcome.LOCAL
        assert fresh.keep.history(asked)
    heads = {str(row.key): 1 + len(row.forks) for row in fresh.keep.status()}
    assert {key: count for key, count in heads.items() if count > 1} == store.expected["forks"]
    assert len({d.generation for d in fresh.keep.verify()}) == store.expected["damage"]


@pytest.mark.parametrize("name", NAMES)
def test_each_generation_that_is_whole_can_be_restored_by_its_name(made: Callable[[str], Made], name: str) -> None:
    store = made(name)
    fresh = store.machine("fresh")
    for asked in store.expected["asked"]:
        entries = fresh.keep.history(asked)
        for entry in entries:
            done = fresh.keep.restore(asked, generation=entry.generation)
            assert bool(done) is (entry.state is State.WHOLE), (asked, entry)


@pytest.mark.parametrize("name", ["kinds", "forked"])
def test_a_workspace_of_then_sends_nothing_again(made: Callable[[str], Made], name: str) -> None:
    store = made(name)
    payload = {p for p in (store.folder / "drive").rglob("*@*") if p.is_file() and "generations" not in p.parts}
    for machine in store.machines:
        for asked in store.expected["asked"]:
            if (machine.root / asked).exists():
                assert machine.keep.ensure(asked).outcome is Outcome.LOCAL
                done = machine.keep.backup(asked)
                assert done, done.results[0].problem()
    assert {p for p in (store.folder / "drive").rglob("*@*") if p.is_file() and "generations" not in p.parts} <= payload


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("forgetful", [False, True])
def test_a_workspace_of_then_goes_on(made: Callable[[str], Made], name: str, forgetful: bool) -> None:
    store = made(name)
    machine = store.machines[0]
    if forgetful:
        shutil.rmtree(machine.root / ".holdfast")
    machine.write("outputs/run/new.txt", "made by the version of today\n")
    done = machine.keep.backup("outputs/run", progress=100)
    assert done, done.results[0].problem()
    agrees_with_none = forgetful and name in ("debris", "interrupted")
    assert done.results[0].forked == () or store.expected["forks"] or agrees_with_none
    expected = content_of(machine.root / "outputs/run")
    fresh = store.machine("fresh")
    assert fresh.keep.ensure("outputs/run").outcome is Outcome.RESTORED
    assert content_of(fresh.root / "outputs/run") == expected
    fresh.write("outputs/run/new.txt", "and by the next machine\n")
    assert fresh.keep.backup("outputs/run", progress=101)
    assert store.machine("third").keep.ensure("outputs/run").outcome is Outcome.RESTORED
    assert (store.folder / "machines/third/outputs/run/new.txt").read_text() == "and by the next machine\n"


def test_a_database_of_then_goes_on(made: Callable[[str], Made]) -> None:
    store = made("kinds")
    machine = store.machine("one")
    make_database(machine.outputs / "study.db", rows=30)
    assert machine.keep.backup("outputs/study.db", progress=30)
    fresh = store.machine("fresh")
    assert fresh.keep.ensure("outputs/study.db").outcome is Outcome.RESTORED
    assert rows_in(fresh.outputs / "study.db") == 30


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("who", ["a machine of then", "a fresh one"])
def test_pruning_leaves_what_was_there(made: Callable[[str], Made], name: str, who: str) -> None:
    store = made(name)
    (store.machines[0] if who == "a machine of then" else store.machine("pruning")).keep.prune(orphans=True)
    fresh = restored(store)
    assert len({d.generation for d in fresh.keep.verify()}) <= store.expected["damage"]
