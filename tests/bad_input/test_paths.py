"""Paths and names as people and programs make them: kept as they are, or refused by name. Nothing hangs."""

from __future__ import annotations

import os
import stat
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError, UsageError
from tests.bad_input.support import Box, Site, everything_in, good, refused, sound
from tests.support import Machine

NFC, NFD = unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")

#: Names that a file system holds and that something in between may trip over.
NAMES = {
    "255 bytes": "x" * 251 + ".bin",
    "255 bytes of unicode": "é" * 127 + "x",
    "a newline": "a\nb.txt",
    "a carriage return": "a\rb.txt",
    "an escape": "a\x1b[31mb",
    "a leading dash": "-rf",
    "an option": "--help",
    "an at": "a@b.txt",
    "only an at": "@",
    "a tilde": "a~b",
    "only a tilde": "~",
    "a percent": "100%",
    "an escape of ours": "%2F%00",
    "two percents": "a%%b",
    "spaces": " a  b ",
    "only a space": " ",
    "a trailing dot": "a.",
    "three dots": "...",
    "a trailing space": "a ",
    "unicode": "模型 🤗 ünïcode.bin",
    "quotes": 'it\'s "quoted" `here` $HOME',
    "a star": "*?<>|:\\",
    "our payload": "study@000041-9f31c2ab.db",
    "our payload, tried again": "study@000041-9f31c2ab-2.db",
    "our manifest": "outputs~a@000001-9f31c2ab-00000000.json",
    "our sentinel": "holdfast.json",
    "our tar": "small-files.tar",
    "our tar in the store": "small-files@000001-9f31c2ab.tar",
    "our folder": "generations",
    "a twin of Drive's": "a (1).txt",
    "a Windows device": "CON.txt",
    "a byte order mark": "\ufeffa",
    "right to left": "\u202egpj.exe",
    "a wal without a database": "a-wal",
    "a temporary of ours": "a.json.new",
    "our memory": ".holdfast",
}
LARGE = b"\5" * ((1 << 20) + 1)


# -- what cannot be asked for --------------------------------------------------------------------------------------------


def bad_paths(machine: Box) -> dict[str, str]:
    outside = machine.root.parent / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("not yours")
    machine.write("config.txt", "beside outputs")
    machine.write("outputs-2/a.txt", "beside outputs")
    machine.write("outputs/d/a.txt", "in outputs")
    (machine.outputs / "link").symlink_to(outside)
    (machine.outputs / "d" / "link").symlink_to(outside)
    (machine.outputs / "file-link").symlink_to(outside / "secret.txt")
    (machine.outputs / "inner-link").symlink_to("d/a.txt")
    (machine.outputs / "dangling").symlink_to(outside / "nothing")
    return {
        "outside": "config.txt",
        "a prefix in name only": "outputs-2/a.txt",
        "absolute elsewhere": str(outside / "secret.txt"),
        "absolute beside outputs": str(machine.root / "config.txt"),
        "the root of everything": "/",
        "dots": "outputs/../config.txt",
        "dots that come back": "outputs/d/../d/a.txt",
        "dots at the end": "outputs/d/..",
        "absolute with dots": f"{machine.outputs}/../config.txt",
        "only dots": "..",
        "here": ".",
        "empty": "",
        "through a link": "outputs/link/secret.txt",
        "through an absolute link": str(machine.outputs / "link" / "secret.txt"),
        "through a link further down": "outputs/d/link/secret.txt",
        "through a link to what is not there": "outputs/link/nothing.txt",
        "a link to a folder": "outputs/link",
        "a link to a folder, with a slash": "outputs/link/",
        "a link to a file": "outputs/file-link",
        "home": "~/a.txt",
        "backslashes": "outputs\\a.txt",
    }


def test_a_path_that_cannot_be_kept_is_refused_with_2_in_one_line(site: Site) -> None:
    machine = site.box()
    cases = bad_paths(machine)
    before = everything_in(site.folder)
    for what, path in cases.items():
        for verb in ("backup", "ensure") if what in ("outside", "empty", "dots", "a link to a file") else ("restore",):
            done = sound(machine.run(verb, "--", path))
            assert (done.code, len(done.errors)) == (2, 1), (what, verb, done)
    assert everything_in(site.folder) == before


@pytest.mark.parametrize("what", ["outside", "dots", "absolute elsewhere", "through a link", "empty"])
def test_a_path_that_cannot_be_kept_is_refused_with_2_by_the_real_command(site: Site, what: str) -> None:
    machine = site.box()
    path = bad_paths(machine)[what]
    refused(machine.spawn("backup", "--", path), 2)


def test_one_bad_path_among_several_stops_the_command_before_anything_is_done(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/a.txt", "x")
    refused(machine.run("backup", "outputs/a.txt", "../b.txt"), 2, "../b.txt")
    assert not site.store.exists()


@pytest.mark.parametrize("text", ["outputs/a\0b", "\0", "outputs/\0", "outputs/a\0/b"])
def test_a_path_with_a_nul_is_refused_and_never_reaches_the_system(machine: Machine, text: str) -> None:
    for verb in (machine.keep.ensure, machine.keep.backup, machine.keep.restore, machine.keep.require, machine.keep.verify):
        with pytest.raises(HoldfastError) as caught:
            verb(text)
        assert "\0" not in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["x" * 256, "é" * 128])
def test_a_name_too_long_for_a_file_is_refused_in_one_line(site: Site, name: str) -> None:
    machine = site.box()
    for verb in ("ensure", "restore", "backup", "history"):
        done = sound(machine.run(verb, f"outputs/{name}"))
        assert len(done.errors) == 1, done.err
        assert done.code == 2, (verb, done)


def test_a_path_that_is_not_utf8_is_refused_in_one_line(site: Site) -> None:
    machine = site.box()
    Path(os.fsdecode(os.fsencode(machine.root) + b"/outputs")).mkdir()
    place = os.fsencode(machine.outputs) + b"/\xff.bin"
    Path(os.fsdecode(place)).write_bytes(b"x")
    for verb in ("ensure", "restore", "backup"):
        done = sound(machine.run(verb, os.fsdecode(b"outputs/\xff.bin")))
        assert len(done.errors) == 1, done.err
        assert done.code == 2, (verb, done)


# -- what can ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape", ["outputs/d/", "./outputs/d", "outputs//d", "outputs/./d", "outputs/d//", "absolute", "absolute/"]
)
def test_a_path_may_be_spelled_in_any_plain_way(site: Site, shape: str) -> None:
    machine = site.box()
    machine.write("outputs/d/a.txt", "x")
    path = shape.replace("absolute", str(machine.outputs / "d"))
    done = good(machine.run("backup", path, "--json"))
    assert [row["path"] for row in done.rows()] == ["outputs/d"]
    fresh = site.box()
    path = shape.replace("absolute", str(fresh.outputs / "d"))
    assert [row["path"] for row in good(fresh.run("ensure", path, "--json")).rows()] == ["outputs/d"]
    assert fresh.tree() == {"d/a.txt": b"x"}


@pytest.mark.parametrize("shape", ["outputs", "outputs/"])
def test_outputs_itself_is_an_artifact(site: Site, shape: str) -> None:
    machine = site.box()
    machine.write("outputs/a.txt", "1")
    machine.write("outputs/d/b.txt", "2")
    (machine.outputs / "empty").mkdir()
    good(machine.run("backup", shape))
    fresh = site.box()
    good(fresh.run("ensure", shape))
    assert fresh.tree() == {"a.txt": b"1", "d/b.txt": b"2"}
    assert (fresh.outputs / "empty").is_dir()


def test_outputs_may_itself_be_a_link(site: Site) -> None:
    machine = site.box()
    elsewhere = site.folder / "fast-disk"
    elsewhere.mkdir()
    machine.outputs.symlink_to(elsewhere)
    machine.write("outputs/d/a.txt", "x")
    good(machine.run("backup", "outputs/d"))
    good(machine.run("backup", str(machine.outputs / "d")))
    fresh = site.box()
    good(fresh.run("ensure", "outputs/d"))
    assert fresh.tree() == {"d/a.txt": b"x"}


def test_a_project_reached_through_a_link_is_the_same_project(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/d/a.txt", "x")
    (site.folder / "alias").mkdir()
    alias = site.folder / "alias" / "proj"
    alias.symlink_to(machine.root)
    good(machine.run("backup", str(alias / "outputs/d"), "--root", str(machine.root)))
    done = good(machine.run("backup", str(machine.outputs / "d"), "--root", str(alias), "--json"))
    assert [(r["path"], r["unchanged"]) for r in done.rows()] == [("outputs/d", True)]


def test_a_path_below_a_file_is_absent_and_cannot_be_backed_up(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/a.txt", "x")
    good(machine.run("backup", "outputs/a.txt"))
    refused(machine.run("backup", "outputs/a.txt/b"), 1, "outputs/a.txt/b")
    assert sound(machine.run("ensure", "outputs/a.txt/b")).code == 3


# -- what lies in a folder -----------------------------------------------------------------------------------------------


def pipe(place: Path) -> None:
    os.mkfifo(place)


def socket(place: Path) -> None:
    os.mknod(place, stat.S_IFSOCK | 0o600)


def device(place: Path) -> None:
    os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero, which never ends


def disk(place: Path) -> None:
    os.mknod(place, stat.S_IFBLK | 0o600, os.makedev(7, 250))


def link(place: Path) -> None:
    place.symlink_to("/etc/passwd")


def folder_link(place: Path) -> None:
    place.symlink_to("/etc")


def dangling(place: Path) -> None:
    place.symlink_to("nowhere")


def loop(place: Path) -> None:
    place.symlink_to(place.name)


def upwards(place: Path) -> None:
    place.symlink_to("..")


MAKERS: dict[str, Callable[[Path], None]] = {f.__name__: f for f in (pipe, socket, device, disk, link, folder_link)}
#: Links that stay inside outputs are kept, wherever they lead there.
INSIDE: dict[str, Callable[[Path], None]] = {f.__name__: f for f in (dangling, loop, upwards)}


@pytest.mark.parametrize("what", MAKERS)
@pytest.mark.parametrize("name", ["odd", "odd.db"])
def test_what_is_no_regular_file_is_named_in_one_line_and_the_rest_is_kept(site: Site, what: str, name: str) -> None:
    machine = site.box()
    machine.write("outputs/d/a.txt", "kept")
    machine.write("outputs/d/sub/large.bin", LARGE)
    MAKERS[what](machine.outputs / "d" / "sub" / name)
    done = machine.run("backup", "outputs/d")
    refused(done, 1, f"outputs/d/sub/{name}")
    sound(machine.run("status"))
    fresh = site.box()
    good(fresh.run("ensure", "outputs/d"))
    assert fresh.tree("outputs/d") == {"a.txt": b"kept", "sub/large.bin": LARGE}
    assert not os.path.lexists(fresh.outputs / "d" / "sub" / name)


@pytest.mark.parametrize("what", INSIDE)
@pytest.mark.parametrize("name", ["odd", "odd.db"])
def test_a_link_that_stays_inside_outputs_comes_back_as_it_was_wherever_it_leads(site: Site, what: str, name: str) -> None:
    machine = site.box()
    machine.write("outputs/d/a.txt", "kept")
    (machine.outputs / "d" / "sub").mkdir()
    INSIDE[what](machine.outputs / "d" / "sub" / name)
    good(machine.run("backup", "outputs/d"))
    good(machine.run("status"))
    fresh = site.box()
    good(fresh.run("ensure", "outputs/d"))
    assert (fresh.outputs / "d" / "sub" / name).readlink() == (machine.outputs / "d" / "sub" / name).readlink()
    good(fresh.run("backup", "outputs/d", "--json"))


@pytest.mark.parametrize("what", ["pipe", "link"])
def test_what_is_no_regular_file_is_named_by_the_real_command(site: Site, what: str) -> None:
    machine = site.box()
    machine.write("outputs/d/a.txt", "kept")
    MAKERS[what](machine.outputs / "d" / "odd")
    refused(machine.spawn("backup", "outputs/d"), 1, "outputs/d/odd")


@pytest.mark.parametrize("what", ["pipe", "socket", "device", "disk"])
@pytest.mark.parametrize("name", ["odd", "odd.db"])
def test_what_is_no_regular_file_is_no_artifact(site: Site, what: str, name: str) -> None:
    machine = site.box()
    machine.outputs.mkdir()
    MAKERS[what](machine.outputs / name)
    refused(machine.run("backup", f"outputs/{name}"), 1, f"outputs/{name}")
    sound(machine.run("ensure", f"outputs/{name}"))
    sound(machine.run("status"))
    assert site.box().run("ensure", f"outputs/{name}").code == 3


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("what", ["pipe", "device"])
def test_what_looks_like_a_side_file_of_a_pipe_does_not_hang(site: Site, what: str, suffix: str) -> None:
    machine = site.box()
    machine.write(f"outputs/d/odd{suffix}", "not SQLite's")
    MAKERS[what](machine.outputs / "d" / "odd")
    refused(machine.run("backup", "outputs/d", seconds=5), 1, "outputs/d/odd")
    sound(machine.run("status", seconds=5))
    fresh = site.box()
    good(fresh.run("ensure", "outputs/d"))
    assert fresh.tree("outputs/d") == {f"odd{suffix}": b"not SQLite's"}


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_a_pipe_beside_a_database_does_not_hang(site: Site, suffix: str) -> None:
    machine = site.box()
    machine.write("outputs/d/study.db", "garbage, no database")
    os.mkfifo(machine.outputs / "d" / f"study.db{suffix}")
    for words in (("backup", "outputs/d"), ("status",), ("ensure", "outputs/d"), ("ensure", "outputs/d/study.db")):
        sound(machine.run(*words, seconds=5))


def test_a_file_that_becomes_a_pipe_is_named_and_its_last_version_is_kept(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/d/a.txt", "kept")
    machine.write("outputs/d/b.txt", "before")
    good(machine.run("backup", "outputs/d"))
    (machine.outputs / "d" / "b.txt").unlink()
    os.mkfifo(machine.outputs / "d" / "b.txt")
    refused(machine.run("backup", "outputs/d"), 1, "outputs/d/b.txt")
    sound(machine.run("ensure", "outputs/d"))
    fresh = site.box()
    good(fresh.run("ensure", "outputs/d"))
    assert fresh.tree("outputs/d") == {"a.txt": b"kept", "b.txt": b"before"}


def test_many_odd_things_are_one_line(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/d/a.txt", "kept")
    for number in range(50):
        os.mkfifo(machine.outputs / "d" / f"pipe\n{number}")
    refused(machine.run("backup", "outputs/d"), 1, "more")


def test_a_link_in_the_way_of_a_restore_leads_nowhere(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/d/sub/evil.txt", "from the store")
    good(machine.run("backup", "outputs/d"))
    outside = site.folder / "outside"
    outside.mkdir()
    fresh = site.box()
    fresh.write("outputs/d/other.txt", "here")
    (fresh.outputs / "d" / "sub").symlink_to(outside)
    done = sound(fresh.run("ensure", "outputs/d"))
    assert list(outside.iterdir()) == [], "a restore wrote through a link"
    assert done.code == 4, done
    assert len(done.errors) == 1, done.err


def test_a_link_in_the_way_of_an_inner_artifact_leads_nowhere(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/sub/evil.txt", "from the store")
    good(machine.run("backup", "outputs/sub/evil.txt"))
    outside = site.folder / "outside"
    outside.mkdir()
    fresh = site.box()
    fresh.outputs.mkdir()
    (fresh.outputs / "sub").symlink_to(outside)
    for verb in ("ensure", "restore"):
        done = sound(fresh.run(verb, "outputs"))
        assert list(outside.iterdir()) == [], "a restore wrote through a link"
        assert done.code == 4, done


def test_a_link_in_the_way_of_an_inner_artifact_takes_nothing_into_a_backup(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/sub/a.txt", "kept")
    good(machine.run("backup", "outputs/sub/a.txt"))
    outside = site.folder / "outside"
    machine.outputs.joinpath("sub").rename(outside)
    (outside / "a.txt").write_text("not in outputs any more")
    (machine.outputs / "sub").symlink_to(outside)
    sound(machine.run("backup", "outputs"))
    contents = [p.read_bytes() for p in site.store.rglob("*") if p.is_file()]
    assert not any(b"not in outputs any more" in c for c in contents)


# -- names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("large", [False, True])
def test_every_name_in_a_folder_comes_back_as_it_was(site: Site, large: bool) -> None:
    machine = site.box()
    for number, name in enumerate(NAMES.values()):
        content = b"%d" % number + (LARGE if large and number % 3 == 0 else b"")
        machine.write(f"outputs/d/{name}", content)
        machine.write(f"outputs/d/in/{name}/{name}", content)
    good(machine.run("backup", "outputs/d"))
    fresh = site.box()
    good(fresh.run("ensure", "outputs/d"))
    assert fresh.tree() == machine.tree()
    good(fresh.run("verify"))
    done = good(fresh.run("backup", "outputs/d", "--json"))
    assert done.rows()[0]["unchanged"] or done.rows()[0]["files"] == 0


def test_every_name_is_good_for_an_artifact(site: Site) -> None:
    machine = site.box()
    keys = []
    for number, name in enumerate(NAMES.values()):
        kind, below = ("files", name) if number % 2 else ("folders", f"{name}/{name}")
        machine.write(f"outputs/{kind}/{below}", b"%d" % number)
        keys.append(f"outputs/{kind}/{name}")
    good(machine.run("backup", *keys))
    fresh = site.box()
    done = good(fresh.run("ensure", "--json", *keys))
    assert [row["path"] for row in done.rows()] == keys
    assert {row["outcome"] for row in done.rows()} == {"RESTORED"}
    assert fresh.tree() == machine.tree()
    good(fresh.run("verify"))
    good(fresh.run("status"))
    whole = site.box()
    good(whole.run("ensure", "outputs"))
    assert whole.tree() == machine.tree()
    for key in keys[::7]:
        done = good(fresh.run("history", "--json", key))
        assert [row["path"] for row in done.rows()] == [key]


@pytest.mark.parametrize("twins", [("README.md", "readme.md"), (NFC, NFD), ("a~b", "a/b"), ("a%2Fb", "a/b"), ("a.", "a_")])
@pytest.mark.parametrize("large", [False, True])
def test_names_that_only_look_the_same_are_two_files(site: Site, twins: tuple[str, str], large: bool) -> None:
    machine = site.box()
    for name in twins:
        content = name.encode() + (LARGE if large else b"")
        machine.write(f"outputs/d/{name}", content)
        machine.write(f"outputs/alone/{name}", content)
    keys = ["outputs/d", *(f"outputs/alone/{name}" for name in twins)]
    good(machine.run("backup", *keys))
    fresh = site.box()
    good(fresh.run("ensure", *keys))
    assert fresh.tree() == machine.tree()
    assert len(fresh.tree()) == 4
    good(fresh.run("verify"))


def test_bytes_that_are_no_text_are_refused_by_name_and_the_rest_is_kept(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/d/a.txt", "kept")
    for raw in (b"bad-\xff.bin", b"\xc3\x28", b"\xed\xa0\x80"):
        Path(os.fsdecode(os.fsencode(machine.outputs / "d") + b"/" + raw)).write_bytes(b"x")
    Path(os.fsdecode(os.fsencode(machine.outputs / "d") + b"/folder-\xfe")).mkdir()
    done = refused(machine.run("backup", "outputs/d"), 1, "UTF-8", "outputs/d/", "bad-")
    assert "\udcff" not in done.err
    done = sound(machine.run("backup", "outputs/d", "--json"))
    assert done.code == 1
    assert len(done.rows()[0]["refused"]) == 4
    sound(machine.run("status"))
    fresh = site.box()
    good(fresh.run("ensure", "outputs/d"))
    assert fresh.tree("outputs/d") == {"a.txt": b"kept"}


def test_a_local_payload_of_ours_is_no_leftover_of_ours(site: Site) -> None:
    machine = site.box()
    name = "study@000041-9f31c2ab.db"
    machine.write(f"outputs/{name}", "first")
    machine.write(f"outputs/d/{name}", LARGE)
    for text in ("first", "second", "third"):
        machine.write(f"outputs/{name}", text)
        machine.write("outputs/d/b.txt", text)
        good(machine.run("backup", f"outputs/{name}", "outputs/d"))
    good(machine.run("prune", "--orphans", "--yes"))
    fresh = site.box()
    good(fresh.run("ensure", f"outputs/{name}", "outputs/d"))
    assert fresh.tree() == machine.tree()
    assert site.box().run("ensure", f"outputs/other/{name}").code == 3


# -- depth ---------------------------------------------------------------------------------------------------------------


def deep_key(parts: int, name: str) -> str:
    return "/".join(["outputs", *(f"{name}{n}" for n in range(parts))])


@pytest.mark.parametrize(("parts", "name"), [(30, "folder-"), (40, "模"), (12, "x" * 200), (1, "%" * 80), (70, "~")])
def test_a_key_whose_code_must_be_cut_works_like_any_other(site: Site, parts: int, name: str) -> None:
    machine = site.box()
    key = deep_key(parts, name)
    sibling, single = f"{key}-sibling", f"{key}.bin"
    machine.write(f"{key}/a.txt", "first")
    machine.write(f"{sibling}/a.txt", "of the sibling")
    machine.write(single, "single")
    good(machine.run("backup", key, sibling, single))
    machine.write(f"{key}/a.txt", "second")
    good(machine.run("backup", key))
    assert all(len(p.name.encode()) <= 255 for p in (site.store / "generations").iterdir())
    assert any("%%" in p.name for p in (site.store / "generations").iterdir())

    fresh = site.box()
    assert [row["sequence"] for row in good(fresh.run("history", key, "--json")).rows()] == [2, 1]
    good(fresh.run("ensure", key))
    assert fresh.tree(key) == {"a.txt": b"second"}
    good(fresh.run("ensure", single))
    assert not (fresh.root / sibling).exists()
    status = {row["path"]: row["here"] for row in good(fresh.run("status", "--json")).rows()}
    assert status == {key: "yes", sibling: "no", single: "yes"}
    good(fresh.run("verify", key))

    whole = site.box()
    good(whole.run("ensure", "outputs"))
    assert whole.tree() == machine.tree()
    inner = site.box()
    good(inner.run("ensure", f"{key}/a.txt"))
    assert inner.tree(key) == {"a.txt": b"second"}


@pytest.mark.parametrize("depth", [400, 1200, 1800])
def test_what_lies_too_deep_is_refused_by_name_and_the_rest_is_kept(site: Site, depth: int) -> None:
    machine = site.box()
    bottom = "outputs/d/" + "/".join("d" for _ in range(depth))
    try:
        machine.write(f"{bottom}/a.txt", "at the bottom")
        machine.write("outputs/d/b.txt", "on top")
        refused(machine.run("backup", "outputs/d"), 1, "deeper than")
        sound(machine.run("status"))
        fresh = site.box()
        good(fresh.run("ensure", "outputs/d"))
        assert (fresh.root / "outputs/d/b.txt").read_text() == "on top"
    finally:  # too deep for what cleans up after tests
        for place in site.folder.iterdir():
            subprocess.run(["rm", "-rf", str(place)], check=True)


def test_a_folder_may_be_a_hundred_deep(site: Site) -> None:
    machine = site.box()
    bottom = "outputs/d/" + "/".join("d" for _ in range(100))
    machine.write(f"{bottom}/a.txt", "at the bottom")
    good(machine.run("backup", "outputs/d"))
    fresh = site.box()
    good(fresh.run("ensure", "outputs/d"))
    assert (fresh.root / bottom / "a.txt").read_text() == "at the bottom"


def test_a_path_too_long_for_the_store_is_refused_in_one_line(site: Site) -> None:
    drive = site.folder / "/".join("long-" * 40 for _ in range(5))
    drive.mkdir(parents=True)
    machine = Box(site.box().root, drive)
    room = 4000 - len(str(machine.root))
    key = "outputs/" + "/".join("k" * 200 for _ in range(room // 201 - 1))
    machine.write(f"{key}/large.bin", LARGE)
    machine.write("outputs/a.txt", "small")
    refused(machine.run("backup", key, "outputs/a.txt"), 1, "too long")
    good(Box(site.box().root, drive).run("ensure", "outputs/a.txt"))


def test_usage_errors_are_usage_errors_in_python_too(machine: Machine) -> None:
    for text in ("..", "elsewhere/a", "/etc/passwd", "", "outputs/../x", str(machine.root.parent)):
        with pytest.raises(UsageError):
            machine.keep.ensure(text)
        with pytest.raises(UsageError):
            machine.keep.backup(text)
