"""Copies of one workspace's processes are committed in another order than they were taken in: what was looked at later counts."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.session.commits import Commits
from holdfast.session.config import Config
from holdfast.session.keeper import Keeper
from holdfast.store.backends.directory import DirectoryBackend
from holdfast.store.copies.queued import Queued, merge, take_behind
from holdfast.store.deciding.looked_last import Stamp, Standing, advanced, newest_is_theirs, standing, standings
from holdfast.store.local.turns import next_turn
from holdfast.store.local.workspace import Workspace
from holdfast.store.reporting.outcomes import BackedUp
from holdfast.store.store import Store
from tests.support import PROJECT, Machine, Rig, make_database, rows_in

RUN = "outputs/run"


class Sibling:
    """A process of a workspace, as far as its memory and its queue go: it takes a copy now and sends it later."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.workspace = Workspace(machine.root, lock_seconds=10)
        store = Store(DirectoryBackend(machine.drive, PROJECT), machine=machine.root.name)
        self.commits = Commits(store, self.workspace)
        config = Config(machine.root, "outputs", PROJECT, Path("/nowhere/drive"))
        self.keep = Keeper(config, store, self.workspace)
        self.queue: list[Queued] = []

    def takes(self, *paths: str, progress: float | None = None) -> None:
        keys = [self.workspace.key(p) for p in paths or (RUN,)]
        for request in self.commits.requests(keys, self.commits.first_look(), progress, [q.request.artifact for q in self.queue]):
            waiting = [q for q in self.queue if q.request.artifact == request.artifact]
            queued = Queued.about(request, self.workspace.new_folder(self.workspace.queue_folder()))
            snapshot = take_behind(self.workspace, request, waiting, queued.folders[0])
            queued = queued.holding(snapshot)
            for older in waiting:
                self.queue.remove(older)
                queued = merge(older, queued, lambda: self.workspace.new_folder(self.workspace.queue_folder()))
            self.queue.append(queued)

    def sends(self) -> list[BackedUp]:
        results: list[BackedUp] = []
        for queued in self.queue:
            with self.commits.seeing() as view:
                result = self.commits.send(view, queued.request, queued.snapshot)
            keys = [queued.request.artifact.join(p) for p in queued.request.scope]
            results += [result] if result else self.commits.back_up(keys, queued.request.progress, self.keep.progress)
            queued.discard()
        self.queue = []
        return results

    def backs_up(self, *paths: str, progress: float | None = None) -> None:
        self.takes(*paths, progress=progress)
        assert all(self.sends())


@dataclass
class Two:
    """One project folder, two processes."""

    rig: Rig
    machine: Machine
    first: Sibling
    second: Sibling

    def write(self, path: str, text: str) -> None:
        self.machine.write(f"{RUN}/{path}", text)

    def remove(self, path: str) -> None:
        place = self.machine.root / RUN / path
        shutil.rmtree(place) if place.is_dir() else place.unlink()

    def back(self) -> dict[str, str]:
        fresh = self.rig.machine()
        assert fresh.keep.ensure("outputs")
        for row in fresh.keep.status():
            assert sum(e.head for e in fresh.keep.history(row.key.value)) == 1
        return {p: c.decode() for p, c in fresh.tree(RUN).items()}


@pytest.fixture
def two(rig: Rig) -> Two:
    machine = rig.machine()
    made = Two(rig, machine, Sibling(machine), Sibling(machine))
    made.write("old", "old")
    made.write("changing", "0")
    made.first.backs_up()
    return made


Step = Callable[[Two], None]


#: What happens between the first one's copy and the second one's, which is sent before it, and what has to come back.
LATER: dict[str, tuple[Step, dict[str, str]]] = {
    "nothing": (lambda t: None, {"old": "old", "changing": "1"}),
    "a file changes again": (lambda t: t.write("changing", "2"), {"old": "old", "changing": "2"}),
    "a file changes back": (lambda t: t.write("changing", "0"), {"old": "old", "changing": "0"}),
    "a file comes": (lambda t: t.write("new", "new"), {"old": "old", "changing": "1", "new": "new"}),
    "a file goes": (lambda t: t.remove("old"), {"changing": "1"}),
    "what was just taken goes": (lambda t: t.remove("changing"), {"old": "old"}),
    "a file becomes a folder": (lambda t: (t.remove("old"), t.write("old/below", "x"))[0], {"changing": "1", "old/below": "x"}),
    "a large file comes": (lambda t: t.write("large", "x" * 300_000), {"old": "old", "changing": "1", "large": "x" * 300_000}),
}


@pytest.mark.parametrize("what", LATER)
def test_an_older_copy_that_is_sent_later_covers_nothing_newer(two: Two, what: str) -> None:
    step, wanted = LATER[what]
    two.write("changing", "1")
    two.first.takes(progress=1)
    step(two)
    two.second.backs_up(progress=2)
    assert all(two.first.sends())
    assert two.back() == wanted
    (head,) = [e for e in two.machine.keeper().history(RUN) if e.head]
    assert head.progress == 2, "who looked last has counted"
    two.second.backs_up()
    assert two.back() == wanted


def test_of_an_older_copy_comes_what_nobody_looked_at_later(two: Two) -> None:
    two.write("changing", "1")
    two.write("mine", "mine")
    two.write("sub/one", "1")
    two.first.takes()
    two.write("changing", "2")
    two.write("sub/two", "2")
    two.second.backs_up(f"{RUN}/changing", f"{RUN}/sub")
    assert all(two.first.sends())
    assert two.back() == {"old": "old", "changing": "2", "mine": "mine", "sub/one": "1", "sub/two": "2"}


def test_what_is_gone_when_the_whole_was_looked_at_is_not_brought_back_by_a_part_that_was_taken_before(two: Two) -> None:
    two.write("sub/one", "1")
    two.first.takes(f"{RUN}/sub")
    two.remove("sub")
    two.second.backs_up()
    assert all(two.first.sends())
    assert two.back() == {"old": "old", "changing": "0"}


def test_copies_that_were_taken_at_once_are_taken_anew(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    first = two.first
    two.write("changing", "1")
    with monkeypatch.context() as patch:  # the second one looks while the first one does
        turn = first.workspace.turn
        turns: list[tuple[str, int]] = []

        def between() -> tuple[str, int]:
            turns.append(turn())
            if len(turns) == 2:
                two.write("changing", "2")
                two.second.backs_up()
                turns[-1] = turn()
            return turns[-1]

        patch.setattr(first.workspace, "turn", between)
        first.takes()
    assert all(first.sends())
    assert two.back() == {"old": "old", "changing": "2"}


def test_where_the_count_is_gone_a_copy_is_taken_anew(two: Two) -> None:
    two.write("changing", "1")
    two.first.takes()
    (two.machine.root / ".holdfast/turns").unlink()
    two.write("changing", "2")
    two.second.backs_up()
    assert all(two.first.sends())
    assert two.back() == {"old": "old", "changing": "2"}


def test_a_database_has_the_rows_of_the_later_look(two: Two) -> None:
    place = two.machine.root / RUN / "study.db"
    make_database(place, 3)
    two.first.takes()
    make_database(place, 5)
    two.second.backs_up()
    assert all(two.first.sends())
    fresh = two.rig.machine()
    assert fresh.keep.ensure(RUN)
    assert rows_in(fresh.root / RUN / "study.db") == 5


def test_links_follow_the_later_look(two: Two) -> None:
    place = two.machine.root / RUN / "last"
    place.symlink_to("old")
    two.first.takes()
    place.unlink()
    place.symlink_to("changing")
    two.second.backs_up()
    assert all(two.first.sends())
    fresh = two.rig.machine()
    assert fresh.keep.ensure(RUN)
    assert os.readlink(fresh.root / RUN / "last") == "changing"


def test_a_part_that_another_process_made_an_artifact_of_its_own_meanwhile_is_sent_as_that(two: Two) -> None:
    two.write("own/config", "1")
    two.first.takes()
    two.second.backs_up(f"{RUN}/changing")  # a part of it
    other = Sibling(two.machine)
    two.machine.write("outputs/own", "x")
    other.backs_up("outputs/own")
    assert all(two.first.sends())
    assert two.back() == {"old": "old", "changing": "0", "own/config": "1"}


def test_an_artifact_inside_one_whose_first_copy_still_waits(rig: Rig) -> None:
    machine = rig.machine()
    first, second = Sibling(machine), Sibling(machine)
    made = Two(rig, machine, first, second)
    made.write("config", "1")
    made.write("epoch-1", "1")
    first.takes()
    made.write("config", "2")
    second.backs_up(f"{RUN}/config")
    assert all(first.sends())
    assert made.back() == {"config": "2", "epoch-1": "1"}


def test_a_file_that_waits_as_an_artifact_when_its_folder_comes_in_first(rig: Rig) -> None:
    machine = rig.machine()
    first, second = Sibling(machine), Sibling(machine)
    made = Two(rig, machine, first, second)
    made.write("config", "1")
    first.takes(f"{RUN}/config")
    made.write("epoch-1", "1")
    second.backs_up()
    assert all(first.sends())
    assert made.back() == {"config": "1", "epoch-1": "1"}


@pytest.mark.parametrize("seed", range(4))
def test_in_any_order_of_copies_and_commits_the_last_look_at_each_file_stands(
    rig: Rig, seed: int, seeded: Callable[[int], random.Random]
) -> None:
    dice = seeded(seed)
    machine = rig.machine()
    siblings = [Sibling(machine) for _ in range(3)]
    made = Two(rig, machine, siblings[0], siblings[1])
    last: dict[str, str] = {}
    here: dict[str, str] = {}
    names = [f"{folder}{name}" for folder in ("", "a/", "b/") for name in "xyz"]
    made.write("keeps", "it")
    here["keeps"] = last["keeps"] = "it"
    siblings[0].backs_up()
    for number in range(40):
        name, sibling = dice.choice(names), dice.choice(siblings)
        if name in here and dice.random() < 0.3:
            made.remove(name)
            del here[name]
        else:
            made.write(name, str(number))
            here[name] = str(number)
        scope = dice.choice(["", "", "a", "b", name])
        if scope and not (machine.root / RUN / scope).exists():
            scope = ""
        sibling.takes(f"{RUN}/{scope}".rstrip("/"))
        covered = [n for n in {*names, "keeps"} if not scope or n == scope or n.startswith(scope + "/")]
        for one in covered:
            last.pop(one, None)
            if one in here:
                last[one] = here[one]
        if dice.random() < 0.4:
            assert all(dice.choice(siblings).sends())
    for sibling in dice.sample(siblings, 3):
        assert all(sibling.sends())
    assert made.back() == last


# -- the pure part -------------------------------------------------------------------------------------------------------


def stamp(begun: int, ended: int, count: str = "count") -> Stamp:
    return Stamp(count, begun, ended)


@pytest.mark.parametrize(
    ("mine", "theirs", "wanted"),
    [
        (stamp(3, 4), stamp(1, 2), Standing.STANDS),
        (stamp(1, 2), stamp(3, 4), Standing.OVERTAKEN),
        (stamp(1, 3), stamp(2, 4), Standing.UNCLEAR),
        (stamp(1, 4), stamp(2, 3), Standing.UNCLEAR),
        (stamp(1, 2), stamp(1, 2), Standing.STANDS),
        (stamp(1, 2), stamp(3, 4, "another"), Standing.UNCLEAR),
        (stamp(1, 2, ""), stamp(3, 4, ""), Standing.UNCLEAR),
        (stamp(1, 2), None, Standing.STANDS),
        (None, stamp(3, 4), Standing.STANDS),
    ],
)
def test_what_a_copy_is_worth(mine: Stamp | None, theirs: Stamp | None, wanted: Standing) -> None:
    assert standing({"": mine}, {"": theirs}, "a/b") is wanted


def test_the_longest_prefix_counts_and_nothing_is_forgotten() -> None:
    mine, theirs = {"": stamp(5, 6)}, {"": stamp(1, 2), "a": stamp(8, 9), "b/c": stamp(3, 4), "d": None}
    assert standings(mine, theirs) == {Standing.STANDS, Standing.OVERTAKEN}
    assert advanced(mine, theirs, [], lambda: {"a", "b", "b/c", "d"}) == {"": stamp(5, 6), "a": stamp(8, 9)}
    assert advanced(mine, theirs, ["r"], lambda: {"a"}) == {"": stamp(5, 6), "a": stamp(8, 9), "r": stamp(1, 2)}
    assert advanced({"x": stamp(5, 6)}, {}, ["x/r"], lambda: {"x"}) == {"x": stamp(5, 6), "x/r": None}
    assert newest_is_theirs(mine, theirs)
    assert not newest_is_theirs({"": stamp(10, 11)}, theirs)
    assert not newest_is_theirs({}, theirs)


def test_what_is_in_no_generation_any_more_is_forgotten_in_the_end() -> None:
    theirs = {"": stamp(1, 2), **{f"step-{n}": stamp(2 * n + 3, 2 * n + 4) for n in range(1000)}}
    left = advanced({"now": stamp(9001, 9002)}, theirs, [], lambda: {"now", "step-0"})
    assert len(left) < 300
    assert {"", "now", "step-0", "step-999"} <= left.keys()


def test_every_turn_is_another_one_also_when_many_take_theirs_at_once(tmp_path: Path) -> None:
    place = tmp_path / "turns"
    children = []
    for number in range(4):
        child = os.fork()
        if child == 0:
            taken = [next_turn(place) for _ in range(300)]
            (tmp_path / f"{number}").write_text("\n".join(f"{count} {turn}" for count, turn in taken))
            os._exit(0)
        children.append(child)
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    taken = [(tmp_path / f"{n}").read_text().split("\n") for n in range(4)]
    assert len({line for lines in taken for line in lines}) == 1200
    assert len({line.split()[0] for lines in taken for line in lines}) == 1
    for lines in taken:
        numbers = [int(line.split()[1]) for line in lines]
        assert numbers == sorted(numbers)
