"""What comes back is as it was: kinds, bytes, targets of links, modes, times to the nanosecond, and which names are one file."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from holdfast.store.deciding.choose import Prefer
from holdfast.store.ensure import ensure
from holdfast.store.format.keys import Key
from holdfast.store.reporting.outcomes import Outcome
from tests.bad_input.support import Site, good
from tests.support import Machine, Picture, Rig, make_database, picture, rows_in

LARGE = bytes(range(256)) * 5000  # 1.28 MB: beyond what travels in tars
#: 2255-01-01 and 1955-11-05, with nanoseconds.
FAR, LONG_AGO = 8993721600_123456789, -446774399_987654321


def files(seen: Picture) -> Picture:
    return {path: what for path, what in seen.items() if what[0] == "file"}


def put(place: Path, content: bytes = b"x", mode: int = 0o644, at: int | None = None) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    os.chmod(place, mode)
    if at is not None:
        os.utime(place, ns=(at, at))
    return place


def link(place: Path, target: str | Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def folder(place: Path, mode: int = 0o755, at: int | None = None) -> None:
    place.mkdir(parents=True, exist_ok=True)
    os.chmod(place, mode)
    if at is not None:
        os.utime(place, ns=(at, at))


def twin(first: Path, second: Path) -> None:
    second.parent.mkdir(parents=True, exist_ok=True)
    os.link(first, second)


@dataclass(frozen=True)
class Tree:
    """A tree below outputs.

    Args:
        make: Makes it, in the outputs folder that it is given.
        key: The artifact.
        also: Other artifacts that are backed up before it.
        kept: By path, the text of a link where it is not the one that it had.
        masked: By path, the mode that is kept where it is not the one that it had.
    """

    make: Callable[[Path], object]
    key: str = "outputs/d"
    also: tuple[str, ...] = ()
    kept: dict[str, str] = field(default_factory=dict)
    masked: dict[str, int] = field(default_factory=dict)

    def expected(self, before: Picture) -> Picture:
        after = dict(before)
        for path, target in self.kept.items():
            after[path] = ("link", target, ())
        for path, mode in self.masked.items():
            *rest, _, at, group = after[path]
            after[path] = (*rest, mode, at, group)
        return after


def links(*pairs: tuple[str, str], kept: dict[str, str] | None = None, key: str = "outputs/d") -> Tree:
    """Links in `d`, beside the files a, sub/b and ../e/c."""

    def make(outputs: Path) -> None:
        for path in ("d/a", "d/sub/b", "e/c"):
            put(outputs / path)
        for path, target in pairs:
            link(outputs / "d" / path, target.replace("OUT", str(outputs)))

    return Tree(make, key, kept=kept or {})


def everything_hard(outputs: Path) -> None:
    twin(put(outputs / "d/two", b"two", 0o640, LONG_AGO), outputs / "d/other/two")
    three = put(outputs / "d/three", LARGE, 0o600, FAR)
    twin(three, outputs / "d/deep/er/three")
    twin(three, outputs / "d/a three")
    twin(put(outputs / "d/inside"), outputs / "e/outside")
    put(outputs / "d/by chance the same 1", b"same")
    put(outputs / "d/by chance the same 2", b"same")
    twin(put(outputs / "d/empty", b""), outputs / "d/empty too")


def every_time(outputs: Path) -> None:
    for number, at in enumerate((0, 1, -1, FAR, LONG_AGO, 1795869123_000000001, 1795869123_999999999, -1_000000000)):
        put(outputs / f"d/{number}", b"%d" % number, at=at)
        put(outputs / f"d/large {number}", LARGE + b"%d" % number, at=at)
        folder(outputs / f"d/empty {number}", at=at)


def every_mode(outputs: Path) -> None:
    for mode in (0o400, 0o000, 0o755, 0o644, 0o444, 0o200, 0o777, 0o7):
        put(outputs / f"d/file {mode:o}", b"%o" % mode, mode)
        put(outputs / f"d/large {mode:o}", LARGE + b"%o" % mode, mode)
    put(outputs / "d/file 4755", b"x", 0o4755)
    for mode in (0o700, 0o555, 0o1777, 0o755, 0o000, 0o2770):
        put(outputs / f"d/full {mode:o}/x", b"x")
        put(outputs / f"d/full {mode:o}/sub/x", b"x")
        for place in (f"full {mode:o}", f"empty {mode:o}"):
            folder(outputs / "d" / place, mode, FAR)


NAMES = [
    " leading",
    "trailing ",
    "trailing.",
    "a:b*c?d<e>f|g\\h",
    "new\nline",
    "tab\t",
    "ümlaut",
    "u\u0308mlaut",
    "é" * 127,
    "x" * 255,
]
NAMES.extend(
    ("日本語", "🎉", "small-files", "x.sparse.tar", "x (1)", "@000001-00000001", "-", "~", "%2F", "#", "Model.pt", "model.pt")
)


def every_name(outputs: Path) -> None:
    for name in NAMES:
        put(outputs / "d" / name, name.encode())
        put(outputs / "d" / f"in/{name}/x", name.encode())
        link(outputs / "d/links" / name, f"../{name}")
        folder(outputs / "d/folders" / name, 0o750, LONG_AGO)
    for name in NAMES[:4]:
        put(outputs / "d" / f"large/{name}", LARGE + name.encode())


def only_folders(outputs: Path) -> None:
    folder(outputs / "d/a/b/c", 0o700, FAR)
    folder(outputs / "d/a/b", 0o711, 5)
    folder(outputs / "d", 0o750, LONG_AGO)


def everything(outputs: Path) -> None:
    everything_hard(outputs)
    only_folders(outputs / "f")
    put(outputs / "d/deep/inner/x", at=FAR)
    put(outputs / "d/deep/inner/sub/y", at=LONG_AGO)
    link(outputs / "d/deep/l", "inner/x")
    for place, at in (("inner/sub", 5), ("inner", 6), ("er", 7), ("", 8)):
        folder(outputs / "d/deep" / place, 0o755, at)


def holes(outputs: Path) -> None:
    for name, at in (("holes", FAR), ("older holes", LONG_AGO)):
        with open(put(outputs / "d" / name), "r+b") as handle:
            handle.truncate(4 << 20)
            handle.seek(3 << 20)
            handle.write(LARGE[:100_000])
        os.chmod(outputs / "d" / name, 0o640)
        os.utime(outputs / "d" / name, ns=(at, at))
    twin(outputs / "d/holes", outputs / "d/sub/holes")


TREES = {
    "relative links": links(("l", "a"), ("sub/l", "../a"), ("into", "sub/b"), ("sub/own", "b")),
    "absolute links": links(("l", "OUT/d/a"), ("sub/l", "OUT/d/a"), kept={"l": "a", "sub/l": "../a"}),
    "to another artifact": links(("l", "../e/c"), ("abs", "OUT/e/c"), ("no", "../f"), kept={"abs": "../e/c"}),
    "dangling": links(("l", "nothing"), ("sub/l", "no/such/thing"), ("m", "../nothing/at all")),
    "a chain": links(("l1", "l2"), ("l2", "sub/l3"), ("sub/l3", "../a")),
    "a loop": links(("l", "l"), ("m1", "m2"), ("m2", "m1"), ("sub/up", "..")),
    "upwards": links(("here", "."), ("up", ".."), ("sub/up", "../.."), ("sub/here", ".")),
    "to folders": links(("l", "sub"), ("e", "../e"), ("abs", "OUT/d/sub"), kept={"abs": "sub"}),
    "odd spellings": links(
        ("dot", "./a"),
        ("slashes", "sub//b"),
        ("slash", "sub/"),
        ("around", "sub/../a"),
        ("out and in", "../d/a"),
        ("doubled", "OUT//d/./sub/"),
        kept={"dot": "a", "slashes": "sub/b", "slash": "sub", "around": "a", "out and in": "a", "doubled": "sub"},
    ),
    "through a link": links(("s", "sub"), ("l", "s/b"), ("back", "s/../a"), kept={"back": "a"}),
    "only links": Tree(lambda outputs: link(outputs / "d/sub/l", "../nothing")),
    "a link by itself": links(("l", "sub/b"), key="outputs/d/l"),
    "a dangling link by itself": links(("l", "nothing"), key="outputs/d/l"),
    "a link to a folder by itself": links(("l", "OUT/d/sub"), key="outputs/d/l", kept={".": "sub"}),
    "hard links": Tree(everything_hard),
    "times": Tree(every_time),
    "modes": Tree(
        every_mode,
        masked={f"{kind} {mode:o}": mode & 0o777 for kind in ("full", "empty") for mode in (0o1777, 0o2770)} | {"file 4755": 0o755},
    ),
    "names": Tree(every_name),
    "empty folders": Tree(only_folders),
    "an empty folder": Tree(lambda outputs: folder(outputs / "d", 0o711, LONG_AGO)),
    "a file by itself": Tree(lambda outputs: put(outputs / "d", LARGE, 0o750, FAR)),
    "a small file by itself": Tree(lambda outputs: put(outputs / "d", b"x", 0o400, LONG_AGO)),
    "holes": Tree(holes),
    "outputs themselves": Tree(everything, "outputs"),
    "artifacts inside": Tree(everything, also=("outputs/d/deep/inner", "outputs/d/deep/l")),
}
#: Those of which something depends on where the project lies.
ALIASED = [what for what in TREES if "link" in what or what in ("to another artifact", "dangling", "upwards", "odd spellings")]


@pytest.mark.parametrize("what", TREES)
def test_a_tree_comes_back_as_it_was(rig: Rig, what: str) -> None:
    comes_back(rig, TREES[what], rig.machine())


@pytest.mark.parametrize("what", ALIASED)
def test_a_tree_of_a_project_that_is_reached_through_a_link_comes_back_as_it_was(rig: Rig, what: str) -> None:
    real, alias = rig.folder / "disk/proj", rig.folder / "content"
    real.mkdir(parents=True)
    alias.symlink_to("disk")
    comes_back(rig, TREES[what], Machine(alias / "proj", rig.drive), real / "outputs")


def comes_back(rig: Rig, tree: Tree, machine: Machine, outputs: Path | None = None) -> None:
    machine.outputs.mkdir()
    tree.make(outputs or machine.outputs)
    before = picture(machine.root / tree.key)
    for key in (*tree.also, tree.key):
        done = machine.keeper().backup(key)
        assert done, done
    assert picture(machine.root / tree.key) == before
    store = sorted(rig.store.rglob("*"))

    again = machine.keeper().backup(tree.key)
    assert all(r.unchanged for r in again.results), again
    assert sorted(rig.store.rglob("*")) == store

    expected = tree.expected(before)
    other = rig.machine()
    assert other.keep.ensure(tree.key).outcome is Outcome.RESTORED
    assert picture(other.root / tree.key) == expected
    assert other.keeper().ensure(tree.key).outcome is Outcome.LOCAL
    again = other.keeper().backup(tree.key)
    assert all(r.unchanged for r in again.results), again
    assert sorted(rig.store.rglob("*")) == store
    assert picture(other.root / tree.key) == expected

    third = rig.machine()
    result = third.keep.restore(tree.key, to=rig.folder / "there")
    assert result.outcome is Outcome.RESTORED, result
    assert picture(rig.folder / "there" / tree.key) == expected


# -- what alone makes a generation -----------------------------------------------------------------------------------------


def test_a_time_or_a_mode_alone_makes_a_manifest_and_sends_no_payload(rig: Rig) -> None:
    machine, counting = rig.counted()
    for name, content in (("small", b"x"), ("large", LARGE)):
        put(machine.outputs / "d" / name, content, at=LONG_AGO)
    assert machine.keep.backup("outputs/d")
    changes: list[Callable[[Path], object]] = [
        lambda place: os.utime(place, ns=(5, 5)),
        lambda place: os.utime(place, ns=(5, 6)),
        lambda place: os.chmod(place, 0o600),
        lambda place: os.utime(place, ns=(FAR, FAR)),
    ]
    for change in changes:
        for name in ("small", "large"):
            change(machine.outputs / "d" / name)
            counting.paths.clear()
            (result,) = machine.keeper().backup("outputs/d").results
            assert not result.unchanged
            created = [
                path for operation, path in counting.paths if operation == "create" and not path.startswith("holdfast-probe")
            ]
            assert [path.partition("/")[0] for path in created] == ["generations"], created
    other = rig.machine()
    assert other.keep.ensure("outputs/d")
    assert picture(other.outputs / "d") == picture(machine.outputs / "d")


def test_a_folders_time_alone_makes_no_generation_and_its_mode_makes_one(rig: Rig) -> None:
    machine, counting = rig.counted()
    put(machine.outputs / "d/sub/x")
    assert machine.keep.backup("outputs/d")
    for place in ("d", "d/sub"):
        os.utime(machine.outputs / place, ns=(5, 5))
    counting.paths.clear()
    (result,) = machine.keeper().backup("outputs/d").results
    assert result.unchanged
    assert not [path for operation, path in counting.paths if operation == "create"]
    os.chmod(machine.outputs / "d/sub", 0o700)
    (result,) = machine.keeper().backup("outputs/d").results
    assert not result.unchanged


# -- hard links over several backups ---------------------------------------------------------------------------------------


def same(*places: Path) -> bool:
    return len({os.lstat(place).st_ino for place in places}) == 1


@dataclass(frozen=True)
class Later:
    """What happens to the names of one file between two backups, and whether payload is sent for it."""

    change: Callable[[Path], object]
    sent: bool = False


def removed(name: str) -> Callable[[Path], object]:
    return lambda d: (d / name).unlink()


def replaced(name: str, content: bytes = b"another") -> Callable[[Path], object]:
    def change(d: Path) -> None:
        (d / name).unlink()
        put(d / name, content)

    return change


def to_outside(d: Path) -> None:
    twin(d / "a", d.parent / "e")


def all_anew(d: Path) -> None:
    put(d / "a", b"all of them")


LATER = {
    "the first name removed": Later(removed("a")),
    "another name removed": Later(removed("sub/b")),
    "the first name replaced": Later(replaced("a"), sent=True),
    "another name replaced": Later(replaced("sub/b"), sent=True),
    "replaced by a large one": Later(replaced("a", LARGE[::-1]), sent=True),
    "a new name": Later(lambda d: twin(d / "a", d / "new")),
    "a new name for the only one that is left": Later(lambda d: (removed("a")(d), removed("c")(d), twin(d / "sub/b", d / "new"))),
    "a name in place of another file": Later(lambda d: (removed("other")(d), twin(d / "a", d / "other"))),
    "a name moved": Later(lambda d: (d / "a").rename(d / "z")),
    "all of them moved": Later(lambda d: [(d / name).rename(d / f"{name[0]}{name[0]}") for name in ("a", "sub/b", "c")], sent=True),
    "written through one name": Later(all_anew, sent=True),
    "a name in another artifact": Later(to_outside),
    "no more than copies": Later(lambda d: replaced("a", (d / "c").read_bytes())(d)),
    "another group": Later(lambda d: twin(d / "other", d / "other too")),
}


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("what", LATER)
def test_names_of_one_file_that_come_and_go_come_back_so(rig: Rig, what: str, content: bytes) -> None:
    machine = rig.machine()
    d = machine.outputs / "d"
    put(d / "other", b"other")
    for name in ("sub/b", "c"):
        twin(d / "a" if (d / "a").exists() else put(d / "a", content), d / name)
    assert machine.keep.backup("outputs/d")
    payloads = rig.payloads()
    LATER[what].change(d)
    assert machine.keeper().backup("outputs/d")
    assert (rig.payloads() != payloads) == LATER[what].sent
    other = rig.machine()
    assert other.keep.ensure("outputs/d").outcome is Outcome.RESTORED
    assert picture(other.outputs / "d") == picture(d)
    assert all(r.unchanged for r in other.keeper().backup("outputs/d").results)


def test_names_of_one_file_come_back_so_after_their_tars_were_merged(rig: Rig) -> None:
    machine = rig.machine()
    d = machine.outputs / "d"
    for number in range(20):
        twin(put(d / f"a {number}", b"a %d" % number), d / f"b {number}")
        twin(d / f"a {number}", d / f"c {number}")
        if number > 5:
            (d / f"{'abc'[number % 3]} {number - 5}").unlink()
        assert machine.keeper().backup("outputs/d")
    assert machine.keeper().verify() == []
    other = rig.machine()
    assert other.keep.ensure("outputs/d").outcome is Outcome.RESTORED
    assert picture(other.outputs / "d") == picture(d)


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_a_backup_of_one_name_keeps_the_group_while_all_are_the_same(rig: Rig, content: bytes) -> None:
    machine = rig.machine()
    d = machine.outputs / "d"
    twin(put(d / "a", content), d / "sub/b")
    twin(d / "a", d / "sub/c")
    assert machine.keep.backup("outputs/d")
    for path in ("outputs/d/a", "outputs/d/sub/b", "outputs/d/sub"):
        assert all(r.unchanged for r in machine.keeper().backup(path).results), path
    put(d / "sub/new", b"new")
    assert machine.keeper().backup("outputs/d/sub/new")
    assert machine.keeper().backup("outputs/d/sub")
    other = rig.machine()
    assert other.keep.ensure("outputs/d")
    assert picture(other.outputs / "d") == picture(d)
    put(d / "a", content[::-1])  # through one name into all
    assert machine.keeper().backup("outputs/d/a")
    other = rig.machine()
    assert other.keep.ensure("outputs/d")
    assert other.read("outputs/d/a") == content[::-1]
    assert other.read("outputs/d/sub/b") == content  # nobody looked at it
    assert same(other.outputs / "d/sub/b", other.outputs / "d/sub/c")
    assert machine.keeper().backup("outputs/d")
    other = rig.machine()
    assert other.keep.ensure("outputs/d")
    assert picture(other.outputs / "d") == picture(d)


def test_names_of_which_one_cannot_be_kept_do_not_stop_the_backup(rig: Rig) -> None:
    machine = rig.machine()
    d = machine.outputs / "d"
    make_database(d / "a.db", rows=3)
    make_database(d / "b.db", rows=5)
    assert machine.keep.backup("outputs/d")
    (d / "b.db").unlink()
    twin(d / "a.db", d / "b.db")
    os.truncate(d / "a.db", 0)
    put(d / "new")
    result = machine.keeper().backup("outputs/d")
    assert sorted(result.results[0].refused) == ["a.db", "b.db"]
    assert result.results[0].generation is not None
    assert all(r.unchanged for r in machine.keeper().backup("outputs/d").results)
    other = rig.machine()
    assert other.keep.ensure("outputs/d")
    assert (rows_in(other.outputs / "d/a.db"), rows_in(other.outputs / "d/b.db")) == (3, 5)


def test_a_name_whose_own_payload_is_lost_is_not_dropped(rig: Rig) -> None:
    machine = rig.machine()
    d = machine.outputs / "d"
    for name in ("a", "b"):
        put(d / name, LARGE)
    assert machine.keep.backup("outputs/d")
    (d / "b").unlink()
    twin(d / "a", d / "b")
    assert machine.keeper().backup("outputs/d")
    for name in ("a", "b"):
        (payload,) = [p for p in rig.payloads() if p.name.startswith(f"{name}@")][-1:]
        payload.unlink()
        assert machine.keeper().backup("outputs/d")
        other = rig.machine()
        assert other.keep.ensure("outputs/d")
        assert files(picture(other.outputs / "d")) == files(picture(d))


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
def test_a_name_that_is_missing_here_becomes_another_name_of_what_is_here(rig: Rig, content: bytes) -> None:
    machine = rig.machine()
    d = machine.outputs / "d"
    twin(put(d / "a", content, at=LONG_AGO), d / "sub/b")
    assert machine.keep.backup("outputs/d")
    for first, second in (("a", "sub/b"), ("sub/b", "a")):
        other = rig.machine()
        assert other.keep.ensure(f"outputs/d/{first}").outcome is Outcome.RESTORED
        assert other.keeper().ensure("outputs/d").outcome is Outcome.RESTORED
        assert same(other.outputs / "d" / first, other.outputs / "d" / second)
        assert files(picture(other.outputs / "d")) == files(picture(d))
        assert all(r.unchanged for r in other.keeper().backup("outputs/d").results)


# -- restores of which a part is here already ------------------------------------------------------------------------------


def test_folders_that_a_restore_made_have_their_times_and_others_are_left(rig: Rig) -> None:
    machine = rig.machine()
    d = machine.outputs / "d"
    for path in ("here/a", "made/b", "made/deep/c", "inner/x", "inner/sub/y"):
        put(d / path)
    for number, path in enumerate(("here", "made/deep", "made", "inner/sub", "inner", "")):
        folder(d / path, 0o750, LONG_AGO + number)
    assert machine.keep.backup("outputs/d/inner")
    assert machine.keeper().backup("outputs/d")
    other = rig.machine()
    put(other.outputs / "d/here/own")
    before = os.lstat(other.outputs / "d")
    assert other.keep.ensure("outputs/d").outcome is Outcome.RESTORED
    found, expected = picture(other.outputs / "d"), picture(d)
    for path in ("made", "made/deep", "inner", "inner/sub"):
        assert found[path] == expected[path], path
    assert found["here"][1] == 0o755
    assert stat.S_IMODE(os.lstat(other.outputs / "d").st_mode) == stat.S_IMODE(before.st_mode)


def test_a_part_of_a_tree_brings_the_folders_above_it_as_they_were(rig: Rig) -> None:
    machine = rig.machine()
    d = machine.outputs / "d"
    put(d / "sub/deep/a")
    put(d / "sub/b")
    for number, path in enumerate(("sub/deep", "sub", "")):
        folder(d / path, 0o710, LONG_AGO + number)
    assert machine.keep.backup("outputs/d")
    for part in ("sub/deep/a", "sub/deep"):
        other = rig.machine()
        assert other.keep.ensure(f"outputs/d/{part}").outcome is Outcome.RESTORED
        found, expected = picture(other.outputs / "d"), picture(d)
        for path in (".", "sub", "sub/deep", "sub/deep/a"):
            assert found[path] == expected[path], (part, path)


def test_a_folder_that_work_here_removed_does_not_come_back_empty(rig: Rig) -> None:
    machine = rig.machine()
    d = machine.outputs / "d"
    for step in (1, 2):
        put(d / f"step-{step}/weights", b"%d" % step)
    put(d / "state", b"1")
    assert machine.keep.backup("outputs/d")
    other = rig.machine()
    assert other.keep.ensure("outputs/d").outcome is Outcome.RESTORED
    (other.outputs / "d/step-1/weights").unlink()
    (other.outputs / "d/step-1").rmdir()
    put(other.outputs / "d/state", b"2, and no step 1")
    assert other.keeper().ensure("outputs/d").outcome is Outcome.LOCAL
    assert not (other.outputs / "d/step-1").exists()


def test_a_workspace_without_memory_drops_no_folder_and_no_link_of_the_store(rig: Rig) -> None:
    machine = rig.machine()
    d = machine.outputs / "d"
    folder(d / "a/b", 0o700, LONG_AGO)
    link(d / "l", "a")
    assert machine.keep.backup("outputs/d")
    other = rig.machine()
    put(other.outputs / "d/new")
    assert other.keep.backup("outputs/d")
    third = rig.machine()
    assert third.keep.ensure("outputs/d")
    assert set(picture(third.outputs / "d")) == {".", "a", "a/b", "l", "new"}


@pytest.mark.parametrize("becomes", ["link", "file"])
def test_what_was_a_folder_and_becomes_something_else_is_kept_as_that(rig: Rig, becomes: str) -> None:
    machine = rig.machine()
    d = machine.outputs / "d"
    put(d / "a")
    link(d / "l", "a")
    put(machine.outputs / "e")
    assert machine.keep.backup("outputs/d")
    other = rig.machine()
    assert other.keep.ensure("outputs/d/a")  # it never has the link
    shutil.rmtree(other.outputs / "d")
    if becomes == "link":
        link(other.outputs / "d", "e")
    else:
        put(other.outputs / "d", b"a file")
    assert other.keeper().backup("outputs/d")
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/d")
    assert picture(fresh.outputs / "d") == picture(other.outputs / "d")


# -- links in the way ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inside", ["file", "folder", "link"])
def test_nothing_is_written_through_a_link_that_is_here(rig: Rig, inside: str) -> None:
    machine = rig.machine()
    sub = machine.outputs / "d/sub"
    makes: dict[str, Callable[[Path], object]] = {"file": put, "folder": folder, "link": lambda place: link(place, "../a")}
    makes[inside](sub / "x")
    put(machine.outputs / "d/a")
    assert machine.keep.backup("outputs/d")
    outside = rig.folder / "outside"
    outside.mkdir()
    other = rig.machine()
    link(other.outputs / "d/sub", outside)
    result = other.keep.ensure("outputs/d")
    assert result.outcome is Outcome.DIFFERS
    assert "sub here is no folder" in result.error
    assert list(outside.iterdir()) == []
    result = ensure(other.keep.store, other.keep.workspace, Key("outputs/d"), prefer=Prefer.LOCAL)
    assert result.outcome is Outcome.MERGED
    assert (other.outputs / "d/a").exists()
    assert list(outside.iterdir()) == []
    put(outside / "x", b"mine")
    result = ensure(other.keep.store, other.keep.workspace, Key("outputs/d"), prefer=Prefer.STORE)
    assert result.outcome in (Outcome.RESTORED, Outcome.LOCAL), result
    assert outside.is_dir()
    assert (outside / "x").read_bytes() == b"mine"
    assert not (other.outputs / "d/sub").is_symlink()
    assert os.path.lexists(other.outputs / "d/sub/x")


def test_a_link_whose_place_an_artifact_needs_is_not_made_and_said(rig: Rig) -> None:
    machine = rig.machine()
    d = machine.outputs / "d"
    put(d / "sub/inner/x")
    put(d / "a")
    assert machine.keep.backup("outputs/d/sub/inner")
    assert machine.keeper().backup("outputs/d")
    (d / "sub").rename(machine.outputs / "big")
    link(d / "sub", "../big")
    machine.keeper().backup("outputs/d")  # not true: the artifact inside is not where it was
    other = rig.machine()
    result = other.keep.ensure("outputs/d")
    assert result.outcome is Outcome.RESTORED
    assert any("the symbolic link" in w for w in result.warnings)
    assert (other.outputs / "d/sub/inner/x").read_bytes() == b"x"
    assert not (other.outputs / "d/sub").is_symlink()
    result = rig.machine().keep.restore("outputs/d", to=rig.folder / "there")
    assert result.outcome is Outcome.RESTORED
    assert (rig.folder / "there/outputs/d/sub/inner/x").read_bytes() == b"x"
    assert not (rig.folder / "there/outputs/big").exists()


# -- as a user whom modes bind ---------------------------------------------------------------------------------------------


def test_folders_that_may_not_be_written_come_back_to_a_user_whom_modes_bind(tmp_path: Path) -> None:
    site = Site(tmp_path)
    machine = site.box()
    d = machine.outputs / "d"
    for path in ("read only/x", "read only/sub/y", "inner/deep/z", "a"):
        put(d / path, mode=0o400)
    link(d / "read only/l", "x")
    for number, path in enumerate(("read only/sub", "read only", "inner/deep", "inner", "")):
        folder(d / path, 0o555, LONG_AGO + number)
    good(machine.run("backup", "outputs/d/inner/deep"))
    good(machine.run("backup", "outputs/d"))
    other = site.box()
    good(other.denied("ensure", "outputs/d"))
    assert picture(other.outputs / "d") == picture(d)
    good(other.denied("restore", "outputs/d", "--to", "there"))
    assert picture(other.root / "there/outputs/d") == picture(d)
    again = good(other.denied("backup", "outputs/d", "--json")).rows()
    assert [row["unchanged"] for row in again] == [True] * len(again)
