"""A store that somebody else can write to: what verifies by its digest may still lie.

Whatever lies there, commands end in bounded time without a traceback, nothing is written outside of the target, what is
sound is still restored, and what is not is named.
"""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.session.attach import open_keeper
from holdfast.store.looking.view import State
from holdfast.store.reporting.outcomes import Outcome
from tests.bad_input.support import (
    STORE_ID,
    Box,
    Done,
    Forge,
    Site,
    commit_id,
    digest,
    everything_in,
    good,
    member,
    seal,
    seal_text,
    sound,
    tar_of,
)

OLD = {"a.txt": b"sound", "sub/b.txt": b"sound as well"}
KEY, LONE = "outputs/d", "outputs/lone"
DEEP = 200_000
GIB = 1 << 30

Body = dict[str, Any]
Forger = Callable[[Forge, str, int, Path], Body | bytes]


@pytest.fixture
def canary(site: Site) -> Iterator[Path]:
    """Everything that a command must leave alone: a tree beside the machines, the store, and the system's own."""
    place = site.folder / "canary"
    (place / "folder").mkdir(parents=True)
    (place / "file.txt").write_text("untouched")
    yield place
    assert {p.name for p in place.iterdir()} == {"folder", "file.txt"}
    assert (place / "file.txt").read_text() == "untouched"
    assert list((place / "folder").iterdir()) == []
    assert not os.path.lexists("/holdfast-evil.txt")


# -- forgeries -----------------------------------------------------------------------------------------------------------


def with_files(**change: Any) -> Forger:
    """One file, of whose record something is changed (None takes it out)."""

    def forge(store: Forge, key: str, number: int, canary: Path) -> Body:
        record = store.file(key, "evil.txt", b"evil", number)
        for name, value in change.items():
            record[name] = value(canary) if callable(value) else value
        record = {k: v for k, v in record.items() if v is not None}
        return {**store.body(key, number, []), "files": [record]}

    return forge


def with_body(**change: Any) -> Forger:
    """A sound file, in a manifest of which something else is changed."""

    def forge(store: Forge, key: str, number: int, canary: Path) -> Body:
        return {**store.body(key, number, [store.file(key, "evil.txt", b"evil", number)]), **change}

    return forge


def with_text(change: Callable[[str], str]) -> Forger:
    """The JSON itself is changed, and sealed again."""

    def forge(store: Forge, key: str, number: int, canary: Path) -> bytes:
        body = store.body(key, number, [store.file(key, "evil.txt", b"evil", number)])
        return seal_text(change(json.dumps(body, sort_keys=True, separators=(",", ":"))))

    return forge


def raw(content: bytes) -> Forger:
    return lambda store, key, number, canary: content


def without(name: str) -> Forger:
    def forge(store: Forge, key: str, number: int, canary: Path) -> Body:
        body = store.body(key, number, [store.file(key, "evil.txt", b"evil", number)])
        del body[name]
        return body

    return forge


def two_files(first: str, second: str, folders: tuple[str, ...] = ()) -> Forger:
    def forge(store: Forge, key: str, number: int, canary: Path) -> Body:
        record = store.file(key, "evil.txt", b"evil", number)
        return {**store.body(key, number, []), "files": [{**record, "path": p} for p in (first, second)], "folders": list(folders)}

    return forge


def borrowed(store: Forge, key: str, number: int, canary: Path) -> Body:
    """The manifest of another artifact under this one's name."""
    return store.body("outputs/other", number, [store.file(key, "evil.txt", b"evil", number)])


def sparse(size: int) -> Forger:
    """A payload that is all hole, and truly has the size that the manifest says."""

    def forge(store: Forge, key: str, number: int, canary: Path) -> Body:
        record = {**store.file(key, "evil.txt", b"", number), "size": size}
        os.truncate(store.store / record["payload"], min(size, 8 << 40))
        return store.body(key, number, [record])

    return forge


def replaced(make: Callable[[Path], None]) -> Forger:
    """The payload is something else than a file."""

    def forge(store: Forge, key: str, number: int, canary: Path) -> Body:
        record = store.file(key, "evil.txt", b"evil", number)
        place = store.store / record["payload"]
        place.unlink()
        make(place)
        return store.body(key, number, [record])

    return forge


def holding(content: bytes) -> Callable[[Path], None]:
    def write(place: Path) -> None:
        place.write_bytes(content)

    return write


def far_longer(place: Path) -> None:
    place.touch()
    os.truncate(place, 8 << 40)


#: What no reader may take for a manifest, or for a generation that is whole.
INVALID: dict[str, Forger] = {
    "a path with dots": with_files(path="../../evil.txt"),
    "a path with dots inside": with_files(path="a/../../../evil.txt"),
    "a path of dots": with_files(path=".."),
    "a path of a dot": with_files(path="."),
    "an absolute path": with_files(path=lambda canary: str(canary / "evil.txt")),
    "an absolute path to the root": with_files(path="/holdfast-evil.txt"),
    "a path with a double slash": with_files(path="a//b"),
    "a path that ends in a slash": with_files(path="a/"),
    "a path with a NUL": with_files(path="a\0b"),
    "a path that is no text": with_files(path="\ud800"),
    "a path that is a number": with_files(path=5),
    "a path that is a list": with_files(path=["a"]),
    "an empty path": with_files(path=""),
    "a name too long": with_files(path="x" * 256),
    "a very deep path with dots": with_files(path="a/" * DEEP + ".."),
    "a payload with dots": with_files(payload="../../../etc/passwd@000002-00000002"),
    "an absolute payload": with_files(payload="/etc/passwd@000002-00000002"),
    "a payload with another name": with_files(payload="holdfast.json"),
    "a payload that is a manifest": with_files(payload="generations/outputs~d@000001-00000001-00000000.json"),
    "a payload that is a number": with_files(payload=7),
    "a payload and a tar": with_files(tar=0),
    "neither payload nor tar": with_files(payload=None),
    "a tar out of range": with_files(payload=None, tar=3),
    "a tar below zero": with_files(payload=None, tar=-1),
    "a tar that is true": with_files(payload=None, tar=True),
    "a tar that is a fraction": with_files(payload=None, tar=0.5),
    "a size below zero": with_files(size=-1),
    "a size that no disk has": with_files(size=10**18),
    "a size of many digits": with_files(size=10**400),
    "a size that is a fraction": with_files(size=4.0),
    "a size that is true": with_files(size=True),
    "a size that is text": with_files(size="4"),
    "a size that is nothing": with_files(size=[]),
    "a size that is missing": with_files(size=None),
    "a hash that is short": with_files(blake3="00"),
    "a hash in capitals": with_files(blake3=digest(b"evil").upper()),
    "a hash that is a list": with_files(blake3=[0] * 64),
    "a mode with setuid": with_files(mode="4755"),
    "a mode below zero": with_files(mode="-1"),
    "a mode that is a number": with_files(mode=420),
    "a mode that is no octal": with_files(mode="rwx"),
    "a mode with a prefix": with_files(mode="0o644"),
    "a field that nobody knows": with_files(owner="root"),
    "a record that is a list": with_body(files=[[]]),
    "a record that is null": with_body(files=[None]),
    "files that are an object": with_body(files={"path": "x"}),
    "files that are text": with_body(files="evil"),
    "files that are null": with_body(files=None),
    "tars that are null": with_body(tars=None),
    "a tar without a size": with_body(tars=[{"payload": "outputs/t@000002-00000002.tar"}]),
    "a tar with dots": with_body(tars=[{"payload": "../../t@000002-00000002.tar", "size": 1, "blake3": "0" * 64}]),
    "more tars than there may be": with_body(
        tars=[{"payload": f"outputs/t{n}@000002-00000002.tar", "size": 1, "blake3": "0" * 64} for n in range(9)]
    ),
    "one path twice": two_files("a", "a"),
    "a file that is a folder": two_files("a", "a/b"),
    "a file that is an empty folder": two_files("a", "b", folders=("a",)),
    "a file below an empty folder's file": two_files("a", "b", folders=("a/c",)),
    "a folder with dots": with_body(folders=["../../evil"]),
    "an absolute folder": with_body(folders=["/holdfast-evil.txt"]),
    "an empty folder name": with_body(folders=[""]),
    "folders that are numbers": with_body(folders=[1]),
    "folders that are text": with_body(folders="evil"),
    "thousands of ancestors": with_body(ancestors=[commit_id(n) for n in range(5000)]),
    "an ancestor that is no id": with_body(ancestors=["../../etc"]),
    "ancestors that are null": with_body(ancestors=None),
    "another id": with_body(id="ffffffff"),
    "an id with dots": with_body(id="../../.."),
    "another parent": with_body(parent="ffffffff"),
    "another sequence": with_body(sequence=77),
    "a sequence below zero": with_body(sequence=-1),
    "a sequence of many digits": with_body(sequence=10**400),
    "a sequence that is text": with_body(sequence="2"),
    "another key": with_body(key="outputs/other"),
    "a key with dots": with_body(key="outputs/../../evil"),
    "a key that is absolute": with_body(key="/etc/passwd"),
    "a key that is null": with_body(key=None),
    "a kind that nobody knows": with_body(kind="symlink"),
    "a kind that is a list": with_body(kind=[]),
    "a kind that is another": with_body(kind="file"),
    "a kind that is a database": with_body(kind="sqlite"),
    "a store that is a number": with_body(store=5),
    "a time that is a number": with_body(time=5),
    "a writer that is null": with_body(writer=None),
    "progress that is text": with_body(progress="much"),
    "progress that is true": with_body(progress=True),
    "progress that is not a number": with_body(progress=float("nan")),
    "progress without end": with_body(progress=float("inf")),
    "progress below everything": with_body(progress=float("-inf")),
    "progress of many digits": with_body(progress=10**400),
    "progress of more digits than Python reads": with_text(lambda t: t.replace('"progress":null', '"progress":' + "9" * 5000)),
    "a version that is text": with_body(format="\x1b[2J\n1"),
    "a version that is true": with_body(format=True),
    "a version that is null": with_body(format=None),
    "a version that is a fraction": with_body(format=1.0),
    "a field too many": with_body(evil=True),
    "no format": without("format"),
    "no files": without("files"),
    "no kind": without("kind"),
    "no parent": without("parent"),
    "no folders": without("folders"),
    "a field twice": with_text(lambda t: t[:-1] + ',"key":"outputs/other"}'),
    "spaces": with_text(lambda t: t.replace(",", ", ")),
    "a comment": with_text(lambda t: t + "/**/"),
    "an escape that was not needed": with_text(lambda t: t.replace("evil.txt", "\\u0065vil.txt")),
    "another manifest": borrowed,
    "deep nesting": with_text(lambda t: t[:-1] + ',"z":' + "[" * DEEP + "]" * DEEP + "}"),
    "deep objects": with_text(lambda t: t[:-1] + ',"z":' + '{"a":' * DEEP + "1" + "}" * DEEP + "}"),
    "only nesting": raw(b"[" * DEEP),
    "no object": raw(b"[]\n"),
    "null": raw(b"null\n"),
    "a manifest that is null": raw(seal_text("null")),
    "a manifest that is a list": raw(seal_text("[]")),
    "a manifest that is text": raw(seal_text('"evil"')),
    "nothing": raw(b""),
    "NULs": raw(b"\0" * 4096),
    "no UTF-8": raw(b"\xff\xfe" * 100),
    "another digest": lambda store, key, number, canary: seal(store.body(key, number, [])).replace(b'"digest":"', b'"digest":"0'),
    "a payload that is missing": replaced(lambda place: None),
    "a payload that is a pipe": replaced(os.mkfifo),
    "a payload that is a link to a secret": replaced(lambda place: place.symlink_to("/etc/passwd")),
    "a payload that is a link to a device": replaced(lambda place: place.symlink_to("/dev/zero")),
    "a payload that is a loop": replaced(lambda place: place.symlink_to(place.name)),
    "a payload that is a folder": replaced(Path.mkdir),
    "a payload that is shorter": replaced(holding(b"evi")),
    "a payload that is far longer": replaced(far_longer),
}


def store_with(site: Site, forger: Forger, canary: Path) -> Forge:
    """A sound generation of one artifact with the forgery above it, and an artifact that is the forgery alone."""
    forge = Forge(site.store)
    forge.generation(KEY, 1, OLD)
    forge.generation("outputs/bystander", 1, {"c.txt": b"of somebody else"})
    for key, number in ((KEY, 2), (LONE, 1)):
        made = forger(forge, key, number, canary)
        forge.plant(key, number, made)
    return forge


def fresh_box(site: Site) -> Box:
    """A machine that has worked here before, on something else."""
    machine = site.box()
    sound(machine.run("ensure", "outputs/nothing"))
    return machine


@pytest.fixture
def bounded() -> Iterator[None]:
    """What takes longer than this hangs."""

    def stop(*_: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


#: What looks like an upload that was cut off: nobody can restore it, so it counts as never made.
CUT_OFF = {
    "nothing",
    *(f"a payload that is {what}" for what in ("missing", "a pipe", "a link to a secret", "a link to a device", "a loop")),
    *(f"a payload that is {what}" for what in ("a folder", "shorter", "far longer")),
}
assert CUT_OFF.issubset(INVALID)


@pytest.mark.parametrize("what", INVALID)
@pytest.mark.usefixtures("bounded")
def test_a_forged_manifest_is_passed_over_named_and_harmless(site: Site, canary: Path, what: str) -> None:
    store_with(site, INVALID[what], canary)
    machine = site.box()
    before = everything_in(site.folder, but=[machine.root])
    keep = open_keeper(machine.root, site.drive, mount=False)

    assert keep.ensure(KEY).outcome is Outcome.RESTORED
    assert machine.tree(KEY) == OLD

    result = keep.ensure(LONE)
    assert result.outcome is (Outcome.ABSENT if what in CUT_OFF else Outcome.FAILED)
    said = result.error or result.warnings[0]
    assert LONE in said
    assert said.isprintable(), repr(said)
    assert not (machine.root / LONE).exists()

    found = [str(d.key) for d in keep.verify()]
    assert found.count(KEY) == 1, found
    assert LONE in found
    assert "outputs/bystander" not in found

    assert [(e.generation, e.state is State.WHOLE) for e in keep.history(KEY)] == [(commit_id(2), False), (commit_id(1), True)]
    assert {str(r.key): r.generation for r in keep.status()} == {KEY: commit_id(1), LONE: "", "outputs/bystander": commit_id(1)}
    assert everything_in(site.folder, but=[machine.root]) == before


def test_many_forged_manifests_together_are_one_line_each(site: Site, canary: Path) -> None:
    forge = Forge(site.store)
    keys = []
    for number, (what, forger) in enumerate(list(INVALID.items())[::3], start=1):
        if what not in ("progress of many digits", "progress without end", "progress below everything"):
            keys.append(f"outputs/all/{number}")
            forge.generation(keys[-1], 1, OLD)
            forge.plant(keys[-1], 2, forger(forge, keys[-1], 2, canary))
    machine = site.box()
    good(machine.run("ensure", *keys))
    assert len(machine.tree()) == len(OLD) * len(keys)
    done = sound(machine.run("verify"))
    assert done.code == 1
    assert len(done.errors) == len(keys)
    good(machine.run("status"))
    good(machine.run("history", keys[0]))


def test_a_payload_that_changed_is_passed_over_and_named(site: Site, canary: Path) -> None:
    changed = replaced(holding(b"live"))
    store_with(site, changed, canary)
    machine = fresh_box(site)
    done = good(machine.run("ensure", KEY))
    assert machine.tree() == {f"d/{k}": v for k, v in OLD.items()}
    assert "going back a generation" in done.err
    done = sound(machine.run("ensure", LONE))
    assert (done.code, len(done.errors)) == (4, 1), done
    done = sound(machine.run("verify"))
    assert (done.code, len(done.errors)) == (1, 2), done


@pytest.mark.parametrize("what", ["a path with dots", "a payload that is a pipe"])
def test_a_forged_manifest_is_passed_over_by_the_real_command(site: Site, canary: Path, what: str) -> None:
    store_with(site, INVALID[what], canary)
    machine = fresh_box(site)
    good(machine.spawn("ensure", KEY))
    assert machine.tree(KEY) == OLD
    assert sound(machine.spawn("ensure", LONE)).code == (3 if what in CUT_OFF else 4)


@pytest.mark.parametrize("version", [3, 10**30])
def test_a_manifest_of_a_version_to_come_says_upgrade_and_is_not_gone_behind(site: Site, canary: Path, version: int) -> None:
    """It is sound, and somebody's newest work: the generation before it would look like success."""
    store_with(site, with_body(format=version), canary)
    machine = fresh_box(site)
    for key in (KEY, LONE):
        for verb in ("ensure", "restore"):
            done = sound(machine.run(verb, key))
            assert done.code == 4
            assert "upgrade" in done.errors[0]
    assert "upgrade" in sound(machine.run("verify")).err
    assert "upgrade" in good(machine.run("history", LONE)).out
    assert sound(machine.run("restore", KEY, "--generation", commit_id(2))).code == 4
    good(machine.run("restore", KEY, "--generation", commit_id(1)))
    good(machine.run("ensure", "outputs/bystander"))


@pytest.mark.parametrize("what", ["a path with dots", "progress of many digits", "deep nesting"])
def test_a_forged_manifest_does_not_stand_in_the_way_of_a_backup_or_a_prune(site: Site, canary: Path, what: str) -> None:
    store_with(site, INVALID[what], canary)
    machine = fresh_box(site)
    good(machine.run("ensure", KEY))
    machine.write(f"{KEY}/new.txt", "new")
    good(machine.run("backup", KEY))
    good(machine.run("prune"))
    other = site.box()
    good(other.run("ensure", KEY))
    assert other.tree(KEY) == {**OLD, "new.txt": b"new"}


@pytest.mark.parametrize(
    "words", [("restore", KEY), ("restore", KEY, "--to", "there"), ("restore", KEY, "--generation", commit_id(2))]
)
@pytest.mark.parametrize(
    "what", ["a path with dots", "an absolute path", "a folder with dots", "a payload with dots", "a size that no disk has"]
)
def test_no_spelling_of_restore_takes_a_forged_manifest(site: Site, canary: Path, what: str, words: tuple[str, ...]) -> None:
    store_with(site, INVALID[what], canary)
    machine = fresh_box(site)
    before = everything_in(site.folder, but=[machine.root])
    done = sound(machine.run(*words))
    if "--generation" in words:
        assert done.code == 4, done
        assert machine.tree() == {}
    else:
        assert done.code == 0, done
        assert machine.tree("there/outputs/d" if "--to" in words else KEY) == OLD
    assert everything_in(site.folder, but=[machine.root]) == before


# -- sizes, depths and counts that are true --------------------------------------------------------------------------------


def test_a_payload_larger_than_the_disk_fails_before_a_byte_is_copied(site: Site, canary: Path) -> None:
    store_with(site, sparse(8 << 40), canary)
    machine = fresh_box(site)
    for words in (("ensure", KEY), ("ensure", LONE), ("restore", LONE), ("restore", LONE, "--to", str(machine.root / "there"))):
        done = sound(machine.run(*words))
        assert (done.code, len(done.errors)) == (4, 1), (words, done)
        assert "free" in done.errors[0]
    good(machine.run("history", KEY))
    good(machine.run("status"))
    assert machine.tree("") == {k: v for k, v in machine.tree("").items() if k.startswith(".holdfast/")}


@pytest.mark.parametrize("parts", [3000, 400_000])
def test_a_path_deeper_than_any_system_allows_ends_in_bounded_time(site: Site, canary: Path, parts: int) -> None:
    store_with(site, with_files(path="/".join(["a"] * parts)), canary)
    machine = fresh_box(site)
    for words in (("ensure", LONE), ("restore", LONE, "--to", str(machine.root / "there")), ("history", LONE), ("status",)):
        done = sound(machine.run(*words, seconds=5))
        assert done.code == (0 if words[0] in ("history", "status") else 4), (words, done)


def test_a_huge_manifest_is_not_read_into_memory(site: Site) -> None:
    forge = Forge(site.store)
    forge.generation(KEY, 1, OLD)
    place = forge.plant(KEY, 2, b"{")
    os.truncate(place, 1 << 42)
    machine = site.box()
    good(machine.run("ensure", KEY, memory=2 * GIB))
    assert machine.tree(KEY) == OLD
    done = sound(machine.run("verify", memory=2 * GIB))
    assert done.code == 1
    assert place.name in done.err


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "device"])
def test_a_manifest_that_is_no_file_is_passed_over(site: Site, kind: str) -> None:
    forge = Forge(site.store)
    forge.generation(KEY, 1, OLD)
    place = forge.place(KEY, 2)
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to("/etc/passwd" if kind == "link" else "/dev/zero")
    machine = site.box()
    good(machine.run("ensure", KEY))
    assert machine.tree(KEY) == OLD
    good(machine.run("status"))
    good(machine.run("history", KEY))
    sound(machine.run("verify"))


def test_a_thousand_names_of_one_artifact_end_in_bounded_time(site: Site) -> None:
    forge = Forge(site.store)
    forge.generation(KEY, 1, OLD)
    for number in range(2, 1000):
        forge.plant(KEY, number, b"torn")
    machine = site.box()
    good(machine.run("ensure", KEY))
    assert machine.tree(KEY) == OLD
    good(machine.run("history", KEY))
    good(machine.run("status"))


# -- a history that bites its tail -----------------------------------------------------------------------------------------


def cycle(forge: Forge, *numbers: int) -> None:
    """Generations of which each descends from the one before, and the first from the last."""
    for at, number in enumerate(numbers):
        parent = commit_id(numbers[at - 1])
        body = forge.body(KEY, number, [forge.file(KEY, "a.txt", b"in a circle", number)], parent=parent, ancestors=[parent])
        place = forge.place(KEY, number, parent)
        place.write_bytes(seal(body))


@pytest.mark.parametrize("numbers", [(1,), (1, 2), (1, 2, 3)])
def test_generations_that_descend_from_each_other_are_never_absence(site: Site, numbers: tuple[int, ...]) -> None:
    forge = Forge(site.store)
    cycle(forge, *numbers)
    machine = site.box()
    done = sound(machine.run("ensure", KEY))
    assert done.code in (0, 4), f"called absent while {len(numbers)} generations hold it: {done}"
    good(machine.run("status"))
    assert len(good(machine.run("history", KEY, "--json")).rows()) == len(numbers)
    machine.write(f"{KEY}/a.txt", "made here")
    sound(machine.run("backup", KEY))
    sound(machine.run("prune"))


def test_two_generations_of_one_id_are_both_shown_and_neither_hides_the_other(site: Site) -> None:
    forge = Forge(site.store)
    forge.generation(KEY, 1, OLD)
    place = forge.store / "generations" / f"outputs~d@000009-{commit_id(1)}-00000000.json"
    place.write_bytes(b"torn")
    machine = site.box()
    good(machine.run("ensure", KEY))
    assert machine.tree(KEY) == OLD
    assert len(good(machine.run("history", KEY, "--json")).rows()) == 2


# -- names that lie ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "outputs~..~secret.txt",
        "outputs~..~..~..~canary",
        "..~..~canary~file.txt",
        "..",
        "~etc~passwd",
        "outputs~",
        "outputs~~x",
        "outputs~.~x",
        "outputs~%00x",
        "outputs~x~%00",
        "%00",
        "outputs~" + "x" * 200,
        "outputs~%0A",
        "config~paths.yaml",
        ".holdfast~lock",
    ],
)
def test_a_manifest_whose_name_leads_elsewhere_is_harmless(site: Site, canary: Path, code: str) -> None:
    forge = Forge(site.store)
    forge.generation("outputs/bystander", 1, {"c.txt": b"of somebody else"})
    planted = forge.store / "generations" / f"{code}@000001-0000000a-00000000.json"
    planted.write_bytes(b"torn")
    machine = fresh_box(site)
    machine.write("secret.txt", "beside outputs")
    machine.write("outputs/mine/a.txt", "mine")
    for words in (("verify",), ("ensure", "outputs"), ("prune",), ("backup", "outputs")):
        sound(machine.run(*words))
    good(machine.run("status"))
    good(machine.run("backup", "outputs/mine"))
    good(machine.run("ensure", "outputs/bystander"))
    inside = [p.read_bytes() for p in site.store.rglob("*") if p.is_file()]
    assert not any(b"beside outputs" in data or b"untouched" in data for data in inside), "a file outside of outputs was backed up"
    beside = {p.name for p in site.drive.iterdir()}
    assert beside == {"proj"}, beside
    assert {p.name for p in site.folder.iterdir()} == {"drive", "canary", "machine-1"}
    assert {p.name for p in machine.root.iterdir()} == {"outputs", ".holdfast", "secret.txt"}
    assert (machine.root / "secret.txt").read_text() == "beside outputs"


def test_text_that_a_manifest_brings_cannot_move_the_cursor(site: Site) -> None:
    forge = Forge(site.store)
    evil = "\x1b[2J\x1b[31mall good\r\n\u202eholdfast: fine\x07"
    forge.generation(KEY, 1, OLD, time=evil, writer=evil)
    forge.generation(f"{KEY}{evil}", 1, {f"{evil}.txt": b"x"})
    machine = site.box()
    for words in (("history", KEY), ("history", "outputs"), ("status",), ("ensure", "outputs"), ("prune", "--dry-run")):
        done = sound(machine.run(*words))
        assert all(c.isprintable() or c == "\n" for c in done.out), repr(done.out)
        assert not any(line.startswith("holdfast: fine") for line in done.out.splitlines()), done.out


def test_what_a_manifest_counts_is_json_for_every_reader(site: Site) -> None:
    forge = Forge(site.store)
    forge.generation(KEY, 1, OLD)
    forge.generation(KEY, 2, OLD, progress=float("inf"))
    machine = fresh_box(site)
    sound(machine.run("history", KEY, "--json")).rows()
    sound(machine.run("status", "--json")).rows()


# -- payload that belongs to somebody else ---------------------------------------------------------------------------------


def test_pruning_a_forged_artifact_takes_no_payload_of_another(site: Site) -> None:
    forge = Forge(site.store)
    mine = forge.file("outputs/mine", "a.txt", b"precious", 1)
    forge.plant("outputs/mine", 1, forge.body("outputs/mine", 1, [mine]))
    for number in (1, 2, 3):
        record = mine if number == 1 else forge.file(KEY, "a.txt", b"bait", number)
        forge.plant(KEY, number, forge.body(KEY, number, [record]))
    machine = site.box()
    for words in (("prune",), ("prune", "--orphans", "--yes"), ("prune", "--forks", "--yes")):
        good(machine.run(*words))
        assert (site.store / mine["payload"]).exists(), words
    good(machine.run("ensure", "outputs/mine"))
    assert machine.tree("outputs/mine") == {"a.txt": b"precious"}


@pytest.mark.parametrize("right", ["a.txt", "b.txt"])
def test_two_claims_about_one_payload_are_both_checked_by_verify(site: Site, right: str) -> None:
    forge = Forge(site.store)
    record = forge.file(KEY, "a.txt", b"what it is", 1)
    claims = [{**record, "path": p, "blake3": record["blake3"] if p == right else digest(b"what it's")} for p in ("a.txt", "b.txt")]
    forge.plant(KEY, 1, forge.body(KEY, 1, claims))
    machine = site.box()
    assert sound(machine.run("ensure", KEY)).code == 4
    done = sound(machine.run("verify"))
    assert done.code == 1, "verify calls good what no restore takes"


def test_a_later_claim_about_a_payload_is_checked_by_verify(site: Site) -> None:
    forge = Forge(site.store)
    record = forge.file(KEY, "a.txt", b"what it is", 1)
    forge.plant(KEY, 1, forge.body(KEY, 1, [record]))
    forge.plant(KEY, 2, forge.body(KEY, 2, [{**record, "blake3": digest(b"what it's")}]))
    machine = site.box()
    done = good(machine.run("ensure", KEY))
    assert machine.tree(KEY) == {"a.txt": b"what it is"}
    done = sound(machine.run("verify"))
    assert done.code == 1, "verify calls good what no restore takes"


# -- tars ----------------------------------------------------------------------------------------------------------------


def sparse_member(name: str, real: int) -> bytes:
    """A GNU sparse member: one block here, `real` bytes when it is read."""
    header = bytearray(member(name, 0).tobuf(tarfile.GNU_FORMAT)[:512])
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:398] = b"00000000000\0"  # offset of the only piece
    header[398:410] = b"00000000000\0"  # and its length: all of it is a hole
    header[482] = 0
    header[483:495] = b"\x80" + real.to_bytes(11, "big")
    return rechecked(header) + b"\0" * 1024


def rechecked(header: bytearray) -> bytes:
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def sized(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A header whose size is whatever it is, below zero too."""
    header = bytearray(member(name, 0, kind).tobuf(tarfile.GNU_FORMAT)[:512])
    if size < 0:
        header[124:136] = b"\xff" * 4 + struct.pack(">q", size)
    else:
        header[124:136] = b"\x80" + size.to_bytes(11, "big")
    return rechecked(header)


def pax(name: str, **headers: str) -> bytes:
    found = member(name, 4)
    found.pax_headers = headers
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(found, io.BytesIO(b"evil"))
    return target.getvalue()


def linked(kind: bytes, to: str) -> bytes:
    return tar_of((member("a.txt", 0, kind, to), b""))


EVIL = b"evil"
#: Content of a tar, in which a manifest says that `a.txt` is four bytes.
TARS: dict[str, bytes] = {
    "empty": b"",
    "no tar": b"evil" * 1000,
    "zeros": b"\0" * 10240,
    "the member is missing": tar_of((member("b.txt", 4), EVIL)),
    "the member leads up": tar_of((member("../../evil", 4), EVIL)),
    "the member is absolute": tar_of((member("/holdfast-evil.txt", 4), EVIL)),
    "the member has a dot in front": tar_of((member("./a.txt", 4), EVIL)),
    "a link to a secret": linked(tarfile.SYMTYPE, "/etc/passwd"),
    "a link upwards": linked(tarfile.SYMTYPE, "../../../etc/passwd"),
    "a hard link": linked(tarfile.LNKTYPE, "/etc/passwd"),
    "a device": linked(tarfile.CHRTYPE, ""),
    "a pipe": linked(tarfile.FIFOTYPE, ""),
    "a folder": linked(tarfile.DIRTYPE, ""),
    "a kind that nobody knows": tar_of((member("a.txt", 4, b"Z"), EVIL))[:512] + b"\0" * 2048,
    "too short a member": tar_of((member("a.txt", 3), b"evi")),
    "too long a member": tar_of((member("a.txt", 5), b"evils")),
    "other content": tar_of((member("a.txt", 4), b"live")),
    "cut in the header": tar_of((member("a.txt", 4), EVIL))[:300],
    "cut in the content": sized("a.txt", 4) + b"ev",
    "a size beyond the end": sized("a.txt", 1 << 60) + b"evil",
    "a size below zero": sized("a.txt", -512) + b"evil" + b"\0" * 2044,
    "another member's size below zero": sized("b.txt", -512) + b"\0" * 2048,
    "another member's size far below zero": sized("b.txt", -(1 << 40)) + b"\0" * 2048,
    "another member's size beyond the end": sized("b.txt", 1 << 62) + b"\0" * 2048,
    "a long name beyond the end": sized("x", 1 << 50, tarfile.GNUTYPE_LONGNAME) + b"evil" + b"\0" * 2044,
    "a long name below zero": sized("x", -512, tarfile.GNUTYPE_LONGNAME) + b"\0" * 2048,
    "extended headers beyond the end": sized("x", 1 << 50, tarfile.XHDTYPE) + b"\0" * 2048,
    "long names without end": (sized("x", 4, tarfile.GNUTYPE_LONGNAME) + b"evil" + b"\0" * 508) * 3000,
    "extended headers without end": (sized("x", 14, tarfile.XHDTYPE) + b"14 path=a.txt\n" + b"\0" * 498) * 3000,
    "an extended size below zero": pax("b.txt", size="-512"),
    "an extended size that is text": pax("a.txt", size="much"),
    "an extended size of many digits": pax("a.txt", size="9" * 5000),
    "an extended path upwards": pax("x", path="../../a.txt"),
    "a sparse map that lies": pax("a.txt", **{"GNU.sparse.map": "0,-1", "GNU.sparse.size": "4"}),
    "a sparse map that is text": pax("a.txt", **{"GNU.sparse.map": "x,y", "GNU.sparse.size": "4"}),
    "a sparse version": pax("a.txt", **{"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}),
    "a sparse size that is text": pax("a.txt", **{"GNU.sparse.size": "much", "GNU.sparse.name": "a.txt"}),
}


def tar_manifest(forge: Forge, number: int, content: bytes, size: int = 4, hashed: bytes = EVIL) -> Body:
    tar = forge.payload(f"{KEY}/small-files@{number:06d}-{commit_id(number)}.tar", content)
    record = {"path": "a.txt", "mode": "644", "size": size, "blake3": digest(hashed), "tar": 0}
    return forge.body(KEY, number, [record], tars=[tar])


@pytest.mark.parametrize("what", TARS)
def test_a_forged_tar_is_damage_and_the_generation_before_is_taken(site: Site, canary: Path, what: str) -> None:
    forge = Forge(site.store)
    forge.generation(KEY, 1, OLD)
    forge.plant(KEY, 2, tar_manifest(forge, 2, TARS[what]))
    machine = site.box()
    before = everything_in(site.folder, but=[machine.root])
    done = good(machine.run("ensure", KEY, memory=2 * GIB, seconds=5))
    assert machine.tree(KEY) == OLD
    assert "going back a generation" in done.err
    assert everything_in(site.folder, but=[machine.root]) == before


@pytest.mark.parametrize("what", ["no tar", "the member leads up", "a link to a secret"])
def test_a_forged_tar_is_damage_to_a_restore_elsewhere_too(site: Site, canary: Path, what: str) -> None:
    forge = Forge(site.store)
    forge.generation(KEY, 1, OLD)
    forge.plant(KEY, 2, tar_manifest(forge, 2, TARS[what]))
    machine = fresh_box(site)
    good(machine.run("restore", KEY, "--to", "there"))
    assert machine.tree("there/outputs/d") == OLD
    assert machine.tree() == {}


@pytest.mark.parametrize("what", ["no tar", "the member is missing", "a link to a secret", "too short a member", "other content"])
def test_a_forged_tar_is_named_by_verify(site: Site, what: str) -> None:
    forge = Forge(site.store)
    forge.generation(KEY, 1, OLD)
    forge.plant(KEY, 2, tar_manifest(forge, 2, TARS[what]))
    machine = fresh_box(site)
    done = sound(machine.run("verify"))
    assert done.code == 1, "verify calls good what no restore takes"
    assert KEY in done.err


@pytest.mark.parametrize("size", [3 * GIB, 1 << 45])
def test_a_tar_that_bursts_is_not_unpacked_into_memory(site: Site, size: int) -> None:
    forge = Forge(site.store)
    forge.generation(KEY, 1, OLD)
    forge.plant(KEY, 2, tar_manifest(forge, 2, sparse_member("a.txt", size), size=size))
    machine = site.box()
    done: Done = sound(machine.run("ensure", KEY, memory=2 * GIB, seconds=10))
    assert done.code in (0, 4), done
    assert machine.tree() in ({}, {f"d/{k}": v for k, v in OLD.items()})


def test_members_beside_the_wanted_ones_are_left_in_the_tar(site: Site, canary: Path) -> None:
    forge = Forge(site.store)
    content = tar_of(
        (member("../../evil", 4), EVIL),
        (member(str(canary / "evil"), 4), EVIL),
        (member("link", 0, tarfile.SYMTYPE, str(canary)), b""),
        (member("link/evil", 4), EVIL),
        (member("a.txt", 4), EVIL),
        (member("a.txt", 4), b"late"),
    )
    forge.plant(KEY, 1, tar_manifest(forge, 1, content))
    machine = site.box()
    good(machine.run("ensure", KEY))
    assert machine.tree() == {"d/a.txt": EVIL}


# -- the sentinel ----------------------------------------------------------------------------------------------------------


def no_sentinel(place: Path) -> None:
    place.unlink()


def sealed_sentinel(body: str) -> bytes:
    return f'{{"digest":"{digest(body.encode())}","sentinel":{body}}}\n'.encode()


def other(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(place: Path) -> None:
        place.unlink()
        make(place)

    return change


SENTINELS: dict[str, Callable[[Path], None]] = {
    "missing": no_sentinel,
    "empty": lambda place: os.truncate(place, 0),
    "huge": lambda place: os.truncate(place, 1 << 40),
    "a folder": other(Path.mkdir),
    "a pipe": other(os.mkfifo),
    "a link to a device": other(lambda place: place.symlink_to("/dev/zero")),
    "a dangling link": other(lambda place: place.symlink_to("nowhere")),
    "no JSON": holding(b"{"),
    "deep": holding(b"[" * 60_000),
    "a list": holding(b"[]"),
    "null": holding(sealed_sentinel("null")),
    "another digest": holding(b'{"digest":"0","sentinel":{"format":1,"store":"' + STORE_ID.encode() + b'"}}\n'),
    "an id that is no id": holding(sealed_sentinel('{"format":1,"store":"../../evil"}')),
    "an id that is a number": holding(sealed_sentinel('{"format":1,"store":5}')),
    "a format that is text": holding(sealed_sentinel('{"format":"one","store":"' + STORE_ID + '"}')),
    "a format that is true": holding(sealed_sentinel('{"format":true,"store":"' + STORE_ID + '"}')),
}


@pytest.mark.parametrize("what", SENTINELS)
def test_a_hostile_sentinel_is_named_and_hides_nothing(site: Site, what: str) -> None:
    forge = Forge(site.store)
    forge.generation(KEY, 1, OLD)
    SENTINELS[what](forge.sentinel)
    machine = site.box()
    good(machine.run("ensure", KEY))
    assert machine.tree(KEY) == OLD
    done = sound(machine.run("verify"))
    assert done.code == 1
    assert "holdfast.json" in done.err
    sound(machine.run("doctor"))
    machine.write(f"{KEY}/new.txt", "new")
    done = sound(machine.run("backup", KEY))
    if what in ("a folder", "a pipe", "a link to a device", "a dangling link"):
        assert done.code in (0, 1)
        assert done.code == 0 or "holdfast.json" in done.errors[0], done
    else:
        assert (done.code, done.errors) == (0, []), done
        good(machine.run("verify"))


@pytest.mark.parametrize("version", ["2", "99", "-1", "1" + "0" * 30])
def test_a_store_of_another_format_is_left_alone_and_says_upgrade(site: Site, version: str) -> None:
    forge = Forge(site.store)
    forge.generation(KEY, 1, OLD)
    forge.sentinel.write_bytes(sealed_sentinel('{"format":' + version + ',"store":"' + STORE_ID + '"}'))
    machine = site.box()
    machine.write("outputs/new.txt", "new")
    before = everything_in(site.drive)
    for words, code in (
        (("ensure", KEY), 4),
        (("restore", KEY), 4),
        (("backup", "outputs/new.txt"), 1),
        (("verify",), 1),
        (("status",), 1),
    ):
        done = sound(machine.run(*words))
        assert (done.code, len(done.errors)) == (code, 1), (words, done)
        assert "upgrade" in done.errors[0], (words, done)
    assert everything_in(site.drive) == before
    assert machine.tree() == {"new.txt": b"new"}


def test_a_hostile_store_next_door_does_not_stop_the_doctor(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/a.txt", "x")
    good(machine.run("backup", "outputs/a.txt"))
    for name, change in SENTINELS.items():
        neighbour = site.drive / f"next door {name}"
        neighbour.mkdir()
        (neighbour / "holdfast.json").write_bytes(b"x")
        change(neighbour / "holdfast.json")
    done = sound(machine.run("doctor", memory=2 * GIB))
    assert done.code == 0, done
    sound(machine.run("ensure", "outputs/a.txt"))


# -- plain files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pipe", "link", "folder link"])
def test_a_plain_mirror_of_something_else_than_files_gives_nothing(site: Site, canary: Path, kind: str) -> None:
    forge = Forge(site.store)
    place = forge.store / "outputs/plain/odd"
    place.parent.mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to("/etc/passwd" if kind == "link" else "/etc")
    machine = site.box()
    for words in (("ensure", "outputs/plain/odd"), ("ensure", "outputs/plain"), ("restore", "--unverified", "outputs/plain")):
        done = sound(machine.run(*words))
        assert done.code in (3, 4), (words, done)
    assert machine.tree() == {}


@pytest.mark.parametrize(
    "words", [("ensure", "outputs/plain"), ("restore", "--unverified", "outputs/plain"), ("prune", "--orphans", "--yes")]
)
def test_a_store_with_very_deep_folders_is_walked_or_refused_in_one_line(site: Site, words: tuple[str, ...]) -> None:
    forge = Forge(site.store)
    forge.generation("outputs/bystander", 1, {"c.txt": b"c"})
    try:
        site.box(forge.store / "outputs").write("plain/" + "d/" * 1700 + "a.txt", "at the bottom")
        done = sound(site.box().run(*words))
        assert done.code in (0, 1, 4), done
    finally:
        for place in site.folder.iterdir():  # too deep for what cleans up after tests
            subprocess.run(["rm", "-rf", str(place)], check=True)
