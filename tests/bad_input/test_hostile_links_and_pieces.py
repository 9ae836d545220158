"""What format 2 brought, forged: links, hard links, pieces, holes, times, modes, folders and torn marks."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import Corrupt
from holdfast.session.attach import open_keeper
from holdfast.store.format.keys import Key
from holdfast.store.format.manifest_reading import parse
from holdfast.store.format.names import CommitId, ManifestName, key_code
from holdfast.store.reporting.outcomes import Outcome
from tests.bad_input.support import Box, Forge, Site, commit_id, digest, everything_in, good, member, refused, seal, sound, tar_of

OLD = {"a.txt": b"sound", "sub/b.txt": b"sound as well"}
KEY, LONE = "outputs/d", "outputs/lone"

Body = dict[str, Any]
Forger = Callable[[Forge, str, int, Path], Body]


@pytest.fixture
def canary(site: Site) -> Iterator[Path]:
    """What a link would lead to. Nothing is ever made, changed or removed there."""
    place = site.folder / "canary"
    (place / "folder").mkdir(parents=True)
    (place / "file.txt").write_text("untouched")
    yield place
    assert {p.name for p in place.iterdir()} == {"folder", "file.txt"}
    assert (place / "file.txt").read_text() == "untouched"
    assert list((place / "folder").iterdir()) == []
    assert not os.path.lexists("/holdfast-evil.txt")


# -- forgeries -----------------------------------------------------------------------------------------------------------


def body(**change: Any) -> Forger:
    """A directory with the file `evil.txt`, of whose manifest something is changed (None takes it out)."""

    def forge(store: Forge, key: str, number: int, canary: Path) -> Body:
        made = {**store.body_2(key, number, [store.file(key, "evil.txt", b"evil", number)]), **change}
        return {name: value for name, value in made.items() if name not in change or value is not None}

    return forge


def links(*rows: tuple[Any, Any], files: tuple[str, ...] = ("evil.txt",), folders: tuple[str, ...] = ()) -> Forger:
    """Symbolic links as path and target; in a target, CANARY is an absolute path outside."""

    def forge(store: Forge, key: str, number: int, canary: Path) -> Body:
        made = store.body_2(key, number, [store.file(key, path, b"evil", number) for path in files])
        made["folders"] = [{"path": path} for path in folders]
        made["links"] = [{"path": p, "target": t.replace("CANARY", str(canary)) if isinstance(t, str) else t} for p, t in rows]
        return made

    return forge


def file(*dropped: str, **change: Any) -> Forger:
    """The file's record is changed."""

    def forge(store: Forge, key: str, number: int, canary: Path) -> Body:
        record = {**store.file(key, "evil.txt", b"evil", number), **change}
        return store.body_2(key, number, [{name: value for name, value in record.items() if name not in dropped}])

    return forge


def pieces(*parts: tuple[Any, Any, Any], size: Any = 4, **change: Any) -> Forger:
    """The file in pieces of its payload: the payload's size, offset, length."""

    def forge(store: Forge, key: str, number: int, canary: Path) -> Body:
        record = store.file(key, "evil.txt", b"evil", number)
        payload = record.pop("payload")
        record["pieces"] = [{"payload": payload, "size": s, "offset": o, "length": n} for s, o, n in parts]
        return store.body_2(key, number, [{**record, "size": size, **change}])

    return forge


def group(*groups: Any, second: bytes = b"evil") -> Forger:
    """Two files, and groups of hard links."""

    def forge(store: Forge, key: str, number: int, canary: Path) -> Body:
        files = [store.file(key, "a", b"evil", number), store.file(key, "b", second, number), store.file(key, "c", b"evil", number)]
        return store.body_2(key, number, files, hard_links=list(groups), folders=[{"path": "f"}])

    return forge


def single(kind: str, **change: Any) -> Forger:
    """An artifact that is one file or one link."""

    def forge(store: Forge, key: str, number: int, canary: Path) -> Body:
        files = [store.file(key, "", b"evil", number)] if "file" in kind else []
        return store.body_2(key, number, files, **{"kind": kind.partition(" ")[0], **change})

    return forge


def one(target: Any) -> list[Body]:
    return [{"path": "", "target": target}]


def older(**change: Any) -> Forger:
    """A manifest of format 1 with what it never had."""

    def forge(store: Forge, key: str, number: int, canary: Path) -> Body:
        return {**store.body(key, number, [store.file(key, "evil.txt", b"evil", number)]), **change}

    return forge


def older_file(**change: Any) -> Forger:
    def forge(store: Forge, key: str, number: int, canary: Path) -> Body:
        return store.body(key, number, [{**store.file(key, "evil.txt", b"evil", number), **change}])

    return forge


#: What no reader may take for a manifest.
INVALID: dict[str, Forger] = {
    # links that lead out
    "an absolute link": links(("l", "CANARY")),
    "an absolute link to a file": links(("l", "CANARY/file.txt")),
    "a link to the root": links(("l", "/")),
    "a link upwards": links(("l", "../../canary")),
    "a link to what holds outputs": links(("l", "../..")),
    "a deep link upwards": links(("x/y/l", "../../../../canary")),
    "a link down and up": links(("l", "a/../../x")),
    "a link down and up again": links(("x/l", "y/../y")),
    "a link up, down and up": links(("x/l", "../x/../../..")),
    "a link through another": links(("x/m", ".."), ("l", "x/m/../../canary")),
    # targets that are none
    "a link to nothing": links(("l", "")),
    "a link with a dot in front": links(("l", "./a")),
    "a link with a dot inside": links(("l", "a/./b")),
    "a link with a double slash": links(("l", "a//b")),
    "a link that ends in a slash": links(("l", "a/")),
    "a link with a NUL": links(("l", "a\0b")),
    "a link that is no UTF-8": links(("l", "a\udcff")),
    "a link to a name too long": links(("l", "x" * 256)),
    "a link that is too long": links(("l", "/".join(["x" * 200] * 30))),
    "a link to a number": links(("l", 5)),
    "a link to null": links(("l", None)),
    "a link to a list": links(("l", ["a"])),
    # links where none may be
    "a link of no name": links(("", "sub")),
    "a link with dots": links(("../l", "a")),
    "a link at an absolute path": links(("/holdfast-evil.txt", "a")),
    "one link twice": links(("l", "a"), ("l", "b")),
    "a file below a link": links(("l", "sub"), files=("l/evil.txt",)),
    "a file far below a link": links(("x/l", ".."), files=("x/l/y/evil.txt",)),
    "a folder below a link": links(("l", "sub"), folders=("l/f",)),
    "a link below a link": links(("l", "sub"), ("l/m", "a")),
    "a link below a file": links(("evil.txt/l", "a")),
    "a link that is a file": links(("evil.txt", "a")),
    "a link that is a folder": links(("l", "a"), folders=("l",)),
    "a link in a file": single("file", links=one("a")),
    "a link beside a file": single("file", links=[{"path": "l", "target": "a"}]),
    "a single link without a target": single("link"),
    "a single link with two": single("link", links=[*one("a"), {"path": "l", "target": "a"}]),
    "a single link with a folder": single("link", links=one("a"), folders=[{"path": ""}]),
    "a single link out": single("link", links=one("../canary")),
    "a single link with a file": single("link and file", links=one("a")),
    "no links": body(links=None),
    "links that are an object": body(links={"l": "a"}),
    "links that are text": body(links="evil"),
    "a link with a field too many": body(links=[{"path": "l", "target": "a", "mode": "777"}]),
    "a link without a target": body(links=[{"path": "l"}]),
    # hard links
    "a hard link of what is not there": group(["a", "nothing"]),
    "a hard link of a folder": group(["a", "f"]),
    "a hard link upwards": group(["a", "../../evil"]),
    "hard links of unequal content": group(["a", "b"], second=b"good"),
    "hard links in two groups": group(["a", "b"], ["b", "c"]),
    "a hard link of one": group(["a"]),
    "a hard link with itself": group(["a", "a"]),
    "an empty group": group([]),
    "a group that is text": group("ab"),
    "a group that is an object": group({"a": 1, "b": 2}),
    "a group of numbers": group([1, 2]),
    "a group of lists": group([["a"], ["b"]]),
    "a group that is null": group(None),
    "no hard links": body(hard_links=None),
    # names of payload
    "named upwards": file(named="../x"),
    "named absolutely": file(named="/x"),
    "named for itself": file(named="evil.txt"),
    "named for nothing": file(named=""),
    "named by number": file(named=5),
    # pieces
    "a piece beyond the payload": pieces((4, 1, 4)),
    "a piece far beyond the payload": pieces((4, 1 << 52, 4)),
    "a piece below zero": pieces((4, -1, 4)),
    "a length below zero": pieces((4, 0, 8), (4, 4, -4)),
    "pieces that are too few": pieces((4, 0, 2)),
    "pieces that are too many": pieces((4, 0, 4), (4, 0, 4)),
    "pieces of two sizes": pieces((4, 0, 2), (5, 2, 2)),
    "an offset that is a fraction": pieces((4, 0.0, 4)),
    "an offset that is true": pieces((4, False, 4)),
    "an offset of many digits": pieces((4, 10**400, 4)),
    "no pieces": pieces(),
    "no pieces of nothing": pieces(size=0),
    "pieces and a payload": pieces((4, 0, 4), payload="outputs/x@000002-00000002.bin"),
    "pieces and a tar": pieces((4, 0, 4), tar=0),
    "pieces with holes": pieces((4, 0, 4), sparse={"size": 4, "blake3": "0" * 64}),
    "pieces that are text": file("payload", pieces="evil"),
    "pieces that are null": file(pieces=None),
    "pieces of numbers": file("payload", pieces=[1]),
    "a piece of another name": file("payload", pieces=[{"payload": "holdfast.json", "size": 4, "offset": 0, "length": 4}]),
    "a piece with dots": file("payload", pieces=[{"payload": "../x@000002-00000002", "size": 4, "offset": 0, "length": 4}]),
    # holes
    "holes of a negative size": file(sparse={"size": -1, "blake3": "0" * 64}),
    "holes without a hash": file(sparse={"size": 4}),
    "holes with a short hash": file(sparse={"size": 4, "blake3": "0"}),
    "holes that are a list": file(sparse=[4, "0" * 64]),
    "holes that are null": file(sparse=None),
    "holes with a field too many": file(sparse={"size": 4, "blake3": "0" * 64, "map": []}),
    "holes in a database": file(sparse={"size": 4, "blake3": "0" * 64}, sqlite=True),
    # times, modes, folders, marks
    **{
        f"the time {at!r}": file(mtime=at)
        for at in (5, 5.5, None, "", "5", "5.5", "05.000000000", "-0.000000000", "1e9", " 5.000000000", "5.000000000\n", "nan")
    },
    "a time in other digits": file(mtime="\u0663.000000000"),
    "a time that nobody lives to see": file(mtime="9223372036854775808.000000000"),
    "a time of many digits": file(mtime="9" * 5000 + ".000000000"),
    "a mode with setuid": file(mode="4755"),
    "a folder with setgid": body(folders=[{"path": "f", "mode": "2755"}]),
    "a folder with a mode that is a number": body(folders=[{"path": "f", "mode": 493}]),
    "a folder with a wrong time": body(folders=[{"path": "f", "mtime": "soon"}]),
    "a folder that is text": body(folders=["f"]),
    "a folder without a path": body(folders=[{"mode": "755"}]),
    "a folder with dots": body(folders=[{"path": "../f"}]),
    "a folder twice": body(folders=[{"path": "f"}, {"path": "f"}]),
    "a folder that is a file": body(folders=[{"path": "evil.txt"}]),
    "a folder below a file": body(folders=[{"path": "evil.txt/f"}]),
    "a folder with a field too many": body(folders=[{"path": "f", "owner": "root"}]),
    "a folder of a file": single("file", folders=[{"path": ""}]),
    "torn for too long a reason": file(torn="x" * 201),
    "torn for no reason": file(torn=""),
    "torn by number": file(torn=5),
    "torn and null": file(torn=None),
    # what is of the other format, or of none
    "a field that nobody knows": file(owner="root"),
    "a body with a field too many": body(evil=True),
    "links in format 1": older(links=[], hard_links=[]),
    "a link in format 1": older(kind="link", files=[], links=one("a")),
    "folders of format 2 in format 1": older(folders=[{"path": "f"}]),
    "a time in format 1": older_file(mtime="5.000000000"),
    "a torn file in format 1": older_file(torn="cut"),
    "pieces in format 1": older_file(pieces=[]),
}


@pytest.mark.parametrize("what", INVALID)
def test_a_forgery_is_refused_in_one_line(tmp_path: Path, what: str) -> None:
    forge = Forge(tmp_path / "store")
    for key in (KEY, LONE):
        name = ManifestName(key_code(Key(key)), CommitId(2, commit_id(2)), commit_id(1))
        with pytest.raises(Corrupt) as error:
            parse(seal(INVALID[what](forge, key, 2, tmp_path / "canary")), name)
        assert str(error.value).isprintable()
        assert len(str(error.value)) < 300


def test_what_is_forged_is_sound_without_the_forgery(tmp_path: Path) -> None:
    forge = Forge(tmp_path / "store")
    name = ManifestName(key_code(Key(KEY)), CommitId(2, commit_id(2)), commit_id(1))
    for forger in (
        body(folders=[{"path": "", "mode": "755", "mtime": "-9223372036854775808.000000000"}, {"path": "f"}]),
        links(("l", "sub"), ("m", "."), ("x/n", "../../other"), ("x/y/o", "../../..")),
        links(("l", "/".join(["x" * 200] * 20))),
        group(["a", "b"]),
        file(mtime="9223372036854775807.999999999", torn="x" * 200, named="other"),
        file(sparse={"size": 4, "blake3": "0" * 64}, size=1 << 40),
        pieces((4, 2, 2), (4, 0, 2)),
        pieces((4, 0, 0), size=0, named="other"),
        single("file"),
        single("link", links=one("other")),
    ):
        made = seal(forger(forge, KEY, 2, tmp_path))
        assert parse(made, name).encoded == made


# -- the same to commands --------------------------------------------------------------------------------------------------


def store_with(site: Site, forger: Forger, canary: Path) -> Forge:
    """A sound generation of one artifact with the forgery above it, and an artifact that is the forgery alone."""
    forge = Forge(site.store)
    forge.generation(KEY, 1, OLD)
    for key, number in ((KEY, 2), (LONE, 1)):
        forge.plant(key, number, forger(forge, key, number, canary))
    return forge


def links_in(machine: Box) -> list[Path]:
    return [p for p in machine.root.rglob("*") if p.is_symlink()]


SOME = [*[what for what in INVALID if "link" in what][::3], "a piece far beyond the payload", "the time 'nan'"]


@pytest.mark.parametrize("what", SOME)
def test_a_forgery_is_passed_over_named_and_harmless(site: Site, canary: Path, what: str) -> None:
    store_with(site, INVALID[what], canary)
    machine = site.box()
    before = everything_in(site.folder, but=[machine.root])
    keep = open_keeper(machine.root, site.drive, mount=False)
    assert keep.ensure(KEY).outcome is Outcome.RESTORED
    assert machine.tree(KEY) == OLD
    result = keep.ensure(LONE)
    assert result.outcome is Outcome.FAILED
    assert LONE in result.error
    assert result.error.isprintable()
    assert not os.path.lexists(machine.root / LONE)
    assert keep.restore(KEY, to=machine.root / "there").outcome is Outcome.RESTORED
    assert keep.restore(LONE, to=machine.root / "there").outcome is Outcome.FAILED
    assert {str(d.key) for d in keep.verify()} == {KEY, LONE}
    assert links_in(machine) == []
    assert everything_in(site.folder, but=[machine.root]) == before


def sparse_tar(content: bytes, real: int, region: tuple[int, int], name: str = "evil.txt") -> bytes:
    """A tar of one member in GNU's sparse form that claims what it likes."""
    map_ = f"1\n{region[0]}\n{region[1]}\n".encode()
    found = member(f"GNUSparseFile.0/{name}", len(map_.ljust(512, b"\0")) + len(content))
    found.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": name,
        "GNU.sparse.realsize": str(real),
    }
    data = map_.ljust(512, b"\0") + content

    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(found, io.BytesIO(data))
    return target.getvalue()


def holes(content: bytes, size: int = 4 << 20, **change: Any) -> Forger:
    """A file with holes, whose tar is this content."""

    def forge(store: Forge, key: str, number: int, canary: Path) -> Body:
        payload = store.payload(f"{key}/evil.txt.sparse@{number:06d}-{commit_id(number)}.tar", content)
        record = {"path": "evil.txt", "mode": "644", "size": size, "blake3": "0" * 64, "payload": payload["payload"]}
        record["sparse"] = {"size": len(content), "blake3": digest(content), **change}
        return store.body_2(key, number, [record])

    return forge


#: What verifies as a manifest, and is found out when it is restored.
DAMAGED: dict[str, Forger] = {
    "pieces that make up something else": pieces((4, 2, 2), (4, 0, 2)),
    "holes that are no tar": holes(b"evil" * 1000),
    "holes that are empty": holes(b""),
    "holes in a plain tar": holes(tar_of((member("evil.txt", 4), b"evil"))),
    "holes with a link": holes(tar_of((member("evil.txt", 0, tarfile.SYMTYPE, "/etc/passwd"), b""))),
    "holes of another length": holes(sparse_tar(b"evil", 1 << 50, (0, 4))),
    "holes with data beyond the end": holes(sparse_tar(b"evil", 4 << 20, (4 << 20, 4))),
    "holes with data before the beginning": holes(sparse_tar(b"evil", 4 << 20, (-4, 4))),
    "holes with another hash": holes(sparse_tar(b"evil", 4 << 20, (0, 4))),
    "holes whose tar has another hash": holes(sparse_tar(b"evil", 4 << 20, (0, 4)), blake3="1" * 64),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_lie_that_only_content_shows_is_damage_and_the_generation_before_is_taken(site: Site, canary: Path, what: str) -> None:
    store_with(site, DAMAGED[what], canary)
    machine = site.box()
    before = everything_in(site.folder, but=[machine.root])
    keep = open_keeper(machine.root, site.drive, mount=False)
    result = keep.ensure(KEY)
    assert result.outcome is Outcome.RESTORED
    assert machine.tree(KEY) == OLD
    assert any("going back a generation" in w for w in result.warnings)
    assert keep.ensure(LONE).outcome is Outcome.FAILED
    assert keep.restore(LONE, to=machine.root / "there").outcome is Outcome.FAILED
    assert not os.path.lexists(machine.root / LONE)
    assert {str(d.key) for d in keep.verify()} == {KEY, LONE}
    assert everything_in(site.folder, but=[machine.root]) == before


@pytest.mark.parametrize("target", ["../../in", "../..", "../../in/deep"])
def test_a_link_that_leads_out_of_outputs_two_folders_deep_is_damage(site: Site, canary: Path, target: str) -> None:
    """It stays below the first folder of its path, which is all that a manifest by itself can tell."""
    forge = Forge(site.store)
    key, lone = "data/out/d", "data/out/lone"
    forge.generation(key, 1, OLD)
    for name, number in ((key, 2), (lone, 1)):
        forge.plant(name, number, links(("l", target))(forge, name, number, canary))
    machine = site.box()
    machine.write("config/paths.yaml", "base:\n  outputs: data/out\n")
    machine.write("data/in/secret", "mine")
    done = good(machine.run("ensure", key))
    assert "leads out of data/out/" in done.err
    assert "going back a generation" in done.err
    assert machine.tree(key) == OLD
    refused(machine.run("ensure", lone), 4, lone, "leads out of data/out/")
    refused(machine.run("restore", key, "--generation", commit_id(2)), 4, key, "leads out of data/out/")
    assert machine.tree(key) == OLD
    good(machine.run("restore", key, "--to", "there"))
    assert machine.tree(f"there/{key}") == OLD
    refused(machine.run("restore", lone, "--to", "there"), 4, lone, "leads out of data/out/")
    assert links_in(machine) == []
    assert machine.tree("data/in") == {"secret": b"mine"}
    machine.write(f"{key}/new", "new")
    good(machine.run("backup", key))


INNER = f"{KEY}/sub/inner"


def around(store: Forge, target: str = "../other") -> None:
    """An artifact that has a link where another artifact lies."""
    store.plant(KEY, 1, links(("sub", target), files=("a.txt",))(store, KEY, 1, store.store))


def inside(store: Forge, what: str) -> None:
    """The artifact that lies there: a file, a link or a folder in it, or the same by itself."""
    rows: dict[str, Forger] = {
        "a file": links(files=("evil.txt",)),
        "a link": links(("l", "m"), files=()),
        "a folder": links(files=(), folders=("", "f")),
        "a single file": single("file"),
        "a single link": single("link", links=one("other")),
    }
    store.plant(INNER, 1, rows[what](store, INNER, 1, store.store))


@pytest.mark.parametrize("what", ["a file", "a link", "a folder", "a single file", "a single link"])
def test_nothing_is_written_through_the_link_of_an_artifact_around(site: Site, what: str) -> None:
    forge = Forge(site.store)
    around(forge)
    before, after = site.box(), site.box()
    for machine in (before, after):
        machine.write("outputs/other/mine", "mine")
    good(before.run("ensure", KEY))
    assert (before.root / KEY / "sub").is_symlink()
    inside(forge, what)
    (before.root / KEY / "a.txt").unlink()  # so that the store is asked
    refused(before.run("ensure", KEY), 4, f"{KEY}/sub", "goes through the symbolic link")
    assert sound(before.run("ensure", INNER)).code != 0
    done = good(after.run("ensure", KEY))
    assert "the symbolic link" in done.err
    assert os.path.lexists(after.root / INNER)
    assert not (after.root / KEY / "sub").is_symlink()
    good(after.run("restore", KEY, "--to", "there"))
    assert os.path.lexists(after.root / "there" / INNER)
    assert sorted(p.name for p in (after.root / "there/outputs").iterdir()) == ["d"]
    good(after.run("restore", KEY))
    for machine in (before, after):
        assert {p.name for p in (machine.outputs / "other").iterdir()} == {"mine"}
    assert sound(before.run("restore", KEY)).code == 0
    assert {p.name for p in (before.outputs / "other").iterdir()} == {"mine"}


def test_a_link_that_is_an_artifact_gives_way_to_what_lies_below_it(site: Site) -> None:
    forge = Forge(site.store)
    forge.plant("outputs/l", 1, single("link", links=one("other"))(forge, "outputs/l", 1, site.store))
    forge.generation("outputs/l/d", 1, OLD)
    machine = site.box()
    machine.write("outputs/other/mine", "mine")
    good(machine.run("ensure", "outputs/l"))
    assert machine.tree("outputs/l") == {f"d/{path}": content for path, content in OLD.items()}
    good(machine.run("restore", "outputs/l", "--to", "there"))
    assert machine.tree("outputs/other") == {"mine": b"mine"}


def test_pruning_forged_pieces_takes_no_payload_of_another(site: Site) -> None:
    forge = Forge(site.store)
    mine = forge.file("outputs/mine", "a.txt", b"precious", 1)
    forge.plant("outputs/mine", 1, forge.body("outputs/mine", 1, [mine]))
    for number in (1, 2, 3, 4):
        record = forge.file(KEY, "a.txt", b"bait", number)
        if number == 1:
            part = {"payload": mine["payload"], "size": mine["size"], "offset": 0, "length": 8}
            record = {"path": "a.txt", "mode": "644", "size": 8, "blake3": digest(b"precious"), "pieces": [part]}
        forge.plant(KEY, number, forge.body_2(KEY, number, [record]))
    machine = site.box()
    for words in (("prune",), ("prune", "--orphans", "--yes"), ("prune", "--forks", "--yes")):
        good(machine.run(*words))
        assert (site.store / mine["payload"]).exists(), words
    assert len(list((site.store / "generations").iterdir())) < 5
    good(machine.run("ensure", "outputs/mine"))
    assert machine.tree("outputs/mine") == {"a.txt": b"precious"}


def test_pieces_without_end_are_put_together_in_bounded_time(site: Site) -> None:
    """Each payload is read once, however its pieces lie."""
    forge = Forge(site.store)
    content = bytes(range(256)) * 4096
    record = forge.file(KEY, "a.txt", content, 1)
    payload = record.pop("payload")
    count = 20_000
    record["pieces"] = [{"payload": payload, "size": len(content), "offset": len(content) - 1, "length": 1}] * count
    record |= {"size": count, "blake3": digest(content[-1:] * count)}
    forge.plant(KEY, 1, forge.body_2(KEY, 1, [record]))
    machine = site.box()
    good(machine.run("ensure", KEY))
    assert machine.tree(KEY) == {"a.txt": content[-1:] * count}
    good(machine.run("verify"))


@pytest.mark.parametrize("size", [8 << 40])
def test_a_file_in_pieces_larger_than_the_disk_fails_before_a_byte_is_copied(site: Site, size: int) -> None:
    forge = Forge(site.store)
    record = forge.file(KEY, "a.txt", b"", 1)
    payload = record.pop("payload")
    os.truncate(site.store / payload, 1 << 40)
    record |= {"size": size, "pieces": [{"payload": payload, "size": 1 << 40, "offset": 0, "length": 1 << 40}] * (size >> 40)}
    forge.plant(KEY, 1, forge.body_2(KEY, 1, [record]))
    machine = site.box()
    sound(machine.run("ensure", "outputs/nothing"))
    for words in (("ensure", KEY), ("restore", KEY, "--to", "there")):
        refused(machine.run(*words), 4, KEY, "free")
