"""What comes back is as it was: kinds, bytes, targets of links, modes, times to the nanosecond, and which names are one file."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from holdfast.store.outcomes import Outcome
from tests.support import Machine, Rig

LARGE = bytes(range(256)) * 5000  # 1.28 MB: beyond what travels in tars
#: 2255-01-01 and 1955-11-05, with nanoseconds.
FAR, LONG_AGO = 8993721600_123456789, -446774399_987654321

#: What a tree looks like: by path its kind, content or target, mode, mtime, and the names that are the same file.
Picture = dict[str, tuple[object, ...]]


def picture(root: Path) -> Picture:
    """Everything at and below a path. A link's own mode and time are no part of it."""
    found: Picture = {}
    names: dict[int, list[str]] = {}
    for place in [root, *sorted(root.rglob("*"))] if root.is_dir() and not root.is_symlink() else [root]:
        path, status = str(place.relative_to(root)), os.lstat(place)
        mode, at = stat.S_IMODE(status.st_mode), status.st_mtime_ns
        if stat.S_ISLNK(status.st_mode):
            found[path] = ("link", os.readlink(place))
        elif stat.S_ISDIR(status.st_mode):
            found[path] = ("folder", mode, at)
        else:
            names.setdefault(status.st_ino, []).append(path)
            found[path] = ("file", place.read_bytes(), mode, at)
    groups = {path: tuple(group) for group in names.values() if len(group) > 1 for path in group}
    return {path: (*what, groups.get(path, ())) for path, what in found.items()}


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
        touched: Modes or times that are kept otherwise, by path.
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
            kind, _, at, group = after[path]
            after[path] = (kind, mode, at, group)
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
    put(outputs / "d/setuid", b"x", 0o4755)
    for mode in (0o700, 0o555, 0o1777, 0o755, 0o000, 0o2770):
        put(outputs / f"d/full {mode:o}/x", b"x")
        put(outputs / f"d/full {mode:o}/sub/x", b"x")
        for place in (f"full {mode:o}", f"empty {mode:o}"):
            folder(outputs / "d" / place, mode, FAR)


def every_name(outputs: Path) -> None:
    names = [
        "ümlaut",
        "u\u0308mlaut",
        " leading",
        "trailing ",
        "trailing.",
        "a:b*c?d<e>f|g\\h",
        "new\nline",
        "tab\t",
        "@000001-00000001",
    ]
    names += [
        "x" * 255,
        "é" * 127,
        "日本語",
        "🎉",
        "small-files",
        "x.sparse.tar",
        "x (1)",
        "-",
        "~",
        "%2F",
        "#",
        "Model.pt",
        "model.pt",
    ]
    for name in names:
        put(outputs / "d" / name, name.encode())
        put(outputs / "d" / f"in/{name}/x", LARGE + name.encode())
        link(outputs / "d/links" / name, f"../{name}")
        folder(outputs / "d/folders" / name, 0o750, LONG_AGO)


def only_folders(outputs: Path) -> None:
    folder(outputs / "d/a/b/c", 0o700, FAR)
    folder(outputs / "d/a/b", 0o711, 5)
    folder(outputs / "d", 0o750, LONG_AGO)


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
        masked={f"{kind} {mode:o}": mode & 0o777 for kind in ("full", "empty") for mode in (0o1777, 0o2770)},
    ),
    "names": Tree(every_name),
    "empty folders": Tree(only_folders),
    "an empty folder": Tree(lambda outputs: folder(outputs / "d", 0o711, LONG_AGO)),
    "a file by itself": Tree(lambda outputs: put(outputs / "d", LARGE, 0o750, FAR)),
    "a small file by itself": Tree(lambda outputs: put(outputs / "d", b"x", 0o400, LONG_AGO)),
    "holes": Tree(holes),
    "outputs themselves": Tree(lambda outputs: (everything_hard(outputs), only_folders(outputs / "f")), "outputs"),
    "artifacts inside": Tree(
        lambda outputs: (
            everything_hard(outputs),
            only_folders(outputs / "d"),
            put(outputs / "d/deep/inner/x", at=5),
            link(outputs / "d/deep/l", "inner/x"),
        ),
        also=("outputs/d/deep/inner", "outputs/d/deep/er/three"),
    ),
}


def masked(before: Picture) -> Picture:
    return before


@pytest.mark.parametrize("aliased", [False, True], ids=["", "through-a-link"])
@pytest.mark.parametrize("what", TREES)
def test_a_tree_comes_back_as_it_was(rig: Rig, tmp_path: Path, what: str, aliased: bool) -> None:
    tree = TREES[what]
    if aliased:
        if not what.endswith(("links", "s", "links", "link", "artifact")):
            return
        (tmp_path / "machine-1").mkdir()
        (tmp_path / "alias").symlink_to("machine-1")
        machine = Machine(tmp_path / "alias", rig.drive)
        rig.machine()
    else:
        machine = rig.machine()
    machine.outputs.mkdir()
    tree.make(machine.outputs)
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
    result = third.keep.restore(tree.key, to=tmp_path / "there")
    assert result.outcome is Outcome.RESTORED, result
    assert picture(tmp_path / "there" / tree.key) == expected
