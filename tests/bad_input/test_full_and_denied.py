"""Disks that are full, read-only, forbidden or gone: one line, the earlier generation intact, and well again unaided."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.bad_input.support import Box, Site, everything_in, files_in, fill, free, good, read_only, refused, resize, small_disk
from tests.support import make_database

BIG = b"\7" * (3 << 20)


def restorable(site: Site, path: str, expected: dict[str, bytes]) -> None:
    """A fresh machine gets exactly this back, and everything in the store reads back sound."""
    fresh = site.box()
    good(fresh.run("ensure", path))
    assert fresh.tree(path) == expected
    good(fresh.run("verify"))


# -- the store is full ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("real", [False, True])
def test_a_full_store_fails_the_backup_in_one_line_and_keeps_the_generation_before(site: Site, real: bool) -> None:
    machine = site.box()
    machine.write("outputs/d/a.txt", "first")
    with small_disk(site.drive):
        good(machine.run("backup", "outputs/d"))
        machine.write("outputs/d/big.bin", BIG)
        done = machine.spawn("backup", "outputs/d") if real else machine.run("backup", "outputs/d")
        refused(done, 1, "outputs/d", "No space left")
        restorable(site, "outputs/d", {"a.txt": b"first"})
        resize(site.drive, "16m")
        good(machine.run("backup", "outputs/d"))
        restorable(site, "outputs/d", {"a.txt": b"first", "big.bin": BIG})


def test_a_store_that_is_full_on_the_first_day_is_not_half_a_store_afterwards(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/a.txt", "first")
    with small_disk(site.drive):
        ballast = fill(site.drive, leave=0)
        refused(machine.run("backup", "outputs/a.txt"), 1, "No space left")
        fresh = site.box()
        assert fresh.run("ensure", "outputs/a.txt").code in (3, 4)
        assert fresh.tree() == {}
        ballast.unlink()
        good(machine.run("backup", "outputs/a.txt"))
        restorable(site, "outputs/a.txt", {"": b"first"})


@pytest.mark.parametrize("pages", [1, 2])
def test_a_store_with_room_for_little_more_than_the_sentinel_is_well_again_once_it_has_more(site: Site, pages: int) -> None:
    machine = site.box()
    machine.write("outputs/a.txt", "first")
    with small_disk(site.drive):
        ballast = fill(site.drive, leave=pages * 4096)
        refused(machine.run("backup", "outputs/a.txt"), 1, "No space left")
        ballast.unlink()
        good(machine.run("backup", "outputs/a.txt"))
        fresh = site.box()
        good(fresh.run("ensure", "outputs/a.txt"))
        assert fresh.tree() == {"a.txt": b"first"}


def test_a_store_that_fills_up_at_the_manifest_leaves_nothing_that_a_restore_takes(site: Site) -> None:
    many = {f"{n:03}.txt": b"%d" % n * 100 for n in range(300)}
    (site.folder / "trial").mkdir()
    trial = Site(site.folder / "trial")
    machine = trial.box()
    for name, data in many.items():
        machine.write(f"outputs/d/{name}", data)
    good(machine.run("backup", "outputs/d"))
    payload = sum(p.stat().st_size for p in (trial.store / "outputs").rglob("*.tar"))

    machine = site.box()
    with small_disk(site.drive, "8m"):
        machine.write("outputs/d/000.txt", "first")
        good(machine.run("backup", "outputs/d"))
        for name, data in many.items():
            machine.write(f"outputs/d/{name}", data)
        fill(site.drive, leave=(payload // 4096 + 6) * 4096)
        refused(machine.run("backup", "outputs/d"), 1, "outputs/d", "No space left")
        assert list(site.store.rglob("*@000002*")) == [], "a full drive has no room for leftovers"
        fresh = site.box()
        good(fresh.run("ensure", "outputs/d"))
        assert fresh.tree("outputs/d") == {"000.txt": b"first"}
        (site.drive / "ballast").unlink()
        good(machine.run("backup", "outputs/d"))
        fresh = site.box()
        good(fresh.run("ensure", "outputs/d"))
        assert fresh.tree("outputs/d") == many


def test_a_backup_that_does_not_fit_leaves_nothing_in_the_way_of_a_smaller_one(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/d/a.txt", "first")
    with small_disk(site.drive):
        good(machine.run("backup", "outputs/d"))
        big = machine.write("outputs/d/big.bin", BIG)
        refused(machine.run("backup", "outputs/d"), 1, "No space left")
        assert list(site.store.rglob("*@000002*")) == []
        big.unlink()
        machine.write("outputs/d/a.txt", "second")
        good(machine.run("backup", "outputs/d"))
        restorable(site, "outputs/d", {"a.txt": b"second"})


def test_several_artifacts_and_a_full_store_give_one_line_each_and_what_fits_is_kept(site: Site) -> None:
    machine = site.box()
    with small_disk(site.drive):
        machine.write("outputs/a.txt", "small")
        machine.write("outputs/b.bin", BIG)
        done = machine.run("backup", "outputs/a.txt", "outputs/b.bin")
        refused(done, 1, "outputs/b.bin", "No space left")
        restorable(site, "outputs/a.txt", {"": b"small"})


# -- the local disk is full ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("real", [False, True])
def test_a_full_local_disk_fails_the_restore_in_one_line_and_leaves_no_part_of_it(site: Site, real: bool) -> None:
    first = site.box()
    first.write("outputs/d/a.txt", "small")
    first.write("outputs/d/big.bin", BIG)
    good(first.run("backup", "outputs/d"))
    with small_disk(site.folder / "disk") as disk:
        machine = site.box(disk / "proj")
        done = machine.spawn("ensure", "outputs/d") if real else machine.run("ensure", "outputs/d")
        refused(done, 4, "outputs/d", "free")
        refused(machine.run("restore", "outputs/d"), 4, "outputs/d", "free")
        assert machine.tree() == {}
        resize(disk, "16m")
        good(machine.run("ensure", "outputs/d"))
        assert machine.tree("outputs/d") == {"a.txt": b"small", "big.bin": BIG}


def test_a_local_disk_without_a_byte_fails_every_verb_in_one_line(site: Site) -> None:
    first = site.box()
    first.write("outputs/a.txt", "small")
    good(first.run("backup", "outputs/a.txt"))
    with small_disk(site.folder / "disk") as disk:
        machine = site.box(disk / "proj")
        machine.write("outputs/b.txt", "of this machine")
        ballast = fill(disk, leave=0)
        refused(machine.run("ensure", "outputs/a.txt"), 4)
        refused(machine.run("restore", "outputs/a.txt"), 4)
        refused(machine.run("backup", "outputs/b.txt"), 1)
        assert machine.tree() == {"b.txt": b"of this machine"}
        ballast.unlink()
        good(machine.run("ensure", "outputs/a.txt"))
        good(machine.run("backup", "outputs/b.txt"))
        restorable(site, "outputs/b.txt", {"": b"of this machine"})


def test_a_local_disk_that_is_full_when_small_files_are_packed_anew_fails_in_one_line(site: Site) -> None:
    with small_disk(site.folder / "disk", "4m") as disk:
        machine = site.box(disk / "proj")
        expected = {}
        for number in range(8):
            expected[f"{number}.bin"] = bytes([number]) * 100_000
            machine.write(f"outputs/d/{number}.bin", expected[f"{number}.bin"])
            good(machine.run("backup", "outputs/d"))
        expected["8.bin"] = b"8" * 10_000
        machine.write("outputs/d/8.bin", expected["8.bin"])
        ballast = fill(disk, leave=160_000)
        refused(machine.run("backup", "outputs/d"), 1, "No space left")
        ballast.unlink()
        good(machine.run("backup", "outputs/d"))
        restorable(site, "outputs/d", expected)


def test_a_restore_to_a_full_disk_fails_in_one_line_and_leaves_nothing_there(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/d/big.bin", BIG)
    good(machine.run("backup", "outputs/d"))
    with small_disk(site.folder / "disk") as disk:
        refused(machine.run("restore", "outputs/d", "--to", str(disk / "there")), 4)
        assert files_in(disk) == {}
        fill(disk, leave=0)
        refused(machine.run("restore", "outputs/d", "--to", str(disk / "there")), 4)
        assert set(files_in(disk)) == {"ballast"}
        assert free(disk) == 0


# -- read-only -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("real", [False, True])
def test_a_read_only_store_fails_the_backup_in_one_line_and_still_gives_everything_back(site: Site, real: bool) -> None:
    machine = site.box()
    machine.write("outputs/d/a.txt", "first")
    good(machine.run("backup", "outputs/d"))
    machine.write("outputs/d/a.txt", "second")
    before = everything_in(site.drive)
    with read_only(site.drive):
        done = machine.spawn("backup", "outputs/d") if real else machine.run("backup", "outputs/d")
        refused(done, 1, "outputs/d", "Read-only")
        restorable(site, "outputs/d", {"a.txt": b"first"})
        good(machine.run("history", "outputs/d"))
        good(machine.run("status"))
    assert everything_in(site.drive) == before
    good(machine.run("backup", "outputs/d"))
    restorable(site, "outputs/d", {"a.txt": b"second"})


def test_a_read_only_drive_without_a_store_fails_the_first_backup_in_one_line(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/a.txt", "first")
    with read_only(site.drive):
        refused(machine.run("backup", "outputs/a.txt"), 1, "Read-only")
        assert site.box().run("ensure", "outputs/a.txt").code == 3
    good(machine.run("backup", "outputs/a.txt"))
    restorable(site, "outputs/a.txt", {"": b"first"})


@pytest.mark.parametrize("real", [False, True])
def test_a_read_only_project_fails_the_restore_in_one_line(site: Site, real: bool) -> None:
    first = site.box()
    first.write("outputs/a.txt", "first")
    good(first.run("backup", "outputs/a.txt"))
    machine = site.box()
    with read_only(machine.root):
        done = machine.spawn("ensure", "outputs/a.txt") if real else machine.run("ensure", "outputs/a.txt")
        refused(done, 4, "outputs/a.txt", "Read-only")
        refused(machine.run("restore", "outputs/a.txt"), 4, "Read-only")
    good(machine.run("ensure", "outputs/a.txt"))
    assert machine.tree() == {"a.txt": b"first"}


def test_looking_at_the_store_needs_no_writable_project(site: Site) -> None:
    first = site.box()
    first.write("outputs/a.txt", "first")
    good(first.run("backup", "outputs/a.txt"))
    machine = site.box()
    with read_only(machine.root):
        for words in (("verify",), ("history", "outputs/a.txt"), ("status",)):
            good(machine.run(*words))


@pytest.mark.parametrize("words", [("verify",), ("history", "outputs/a.txt"), ("status",), ("doctor",), ("prune", "--dry-run")])
def test_a_machine_that_never_worked_here_may_look_first(site: Site, words: tuple[str, ...]) -> None:
    first = site.box()
    first.write("outputs/a.txt", "first")
    good(first.run("backup", "outputs/a.txt"))
    good(site.box().run(*words))


# -- permission denied ---------------------------------------------------------------------------------------------------


def test_the_way_in_which_these_tests_deny_access_really_denies_it(site: Site) -> None:
    machine = site.box()
    place = machine.write("outputs/locked/a.txt", "x").parent
    place.chmod(0)
    done, real = machine.denied("status"), machine.spawn_denied("status")
    place.chmod(0o700)
    refused(done, 1, "outputs/locked", "ermission denied")
    refused(real, 1, "outputs/locked", "ermission denied")


@pytest.mark.parametrize(
    "what", ["drive", "drive/proj", "drive/proj/generations", "drive/proj/outputs/d", "drive/proj/holdfast.json"]
)
def test_a_store_that_denies_access_is_neither_absent_nor_damaged(site: Site, what: str) -> None:
    machine = site.box()
    machine.write("outputs/d/a.txt", "first")
    good(machine.run("backup", "outputs/d"))
    machine.write("outputs/d/a.txt", "second")
    fresh = site.box()
    place = site.folder / what
    mode = place.stat().st_mode
    before = everything_in(site.drive)
    place.chmod(0)
    try:
        refused(fresh.denied("ensure", "outputs/d"), 4, "outputs/d", "ermission denied")
        refused(machine.denied("backup", "outputs/d"), 1, "outputs/d", "ermission denied")
        refused(fresh.denied("verify"), 1, "ermission denied")
    finally:
        place.chmod(mode)
    assert fresh.tree() == {}
    after = everything_in(site.drive)
    assert before.items() <= after.items()
    restorable(site, "outputs/d", {"a.txt": b"first"})
    good(machine.run("backup", "outputs/d"))
    restorable(site, "outputs/d", {"a.txt": b"second"})


@pytest.mark.parametrize("what", ["generations", "outputs/d"])
def test_a_store_folder_that_lists_and_does_not_open_fails_in_one_line(site: Site, what: str) -> None:
    machine = site.box()
    machine.write("outputs/d/a.txt", "first")
    good(machine.run("backup", "outputs/d"))
    place = site.store / what
    place.chmod(0o400)
    try:
        refused(site.box().denied("ensure", "outputs/d"), 4, "ermission denied")
        machine.write("outputs/d/a.txt", "second")
        refused(machine.denied("backup", "outputs/d"), 1, "ermission denied")
    finally:
        place.chmod(0o700)
    good(machine.run("backup", "outputs/d"))
    restorable(site, "outputs/d", {"a.txt": b"second"})


@pytest.mark.parametrize("which", ["payload", "manifest"])
def test_a_file_in_the_store_that_denies_access_is_no_damage(site: Site, which: str) -> None:
    machine = site.box()
    machine.write("outputs/a.txt", "first")
    good(machine.run("backup", "outputs/a.txt"))
    machine.write("outputs/a.txt", "second")
    good(machine.run("backup", "outputs/a.txt"))
    folder = site.store / ("outputs" if which == "payload" else "generations")
    newest = next(p for p in folder.iterdir() if "@000002" in p.name)
    newest.chmod(0)
    fresh = site.box()
    try:
        refused(fresh.denied("ensure", "outputs/a.txt"), 4, "ermission denied")
        refused(fresh.denied("restore", "outputs/a.txt", "--to", str(fresh.root / "there")), 4, "ermission denied")
    finally:
        newest.chmod(0o600)
    assert fresh.tree() == {}
    good(fresh.run("ensure", "outputs/a.txt"))
    assert fresh.tree() == {"a.txt": b"second"}


def test_a_drive_that_may_only_be_read_fails_the_first_backup_in_one_line(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/a.txt", "first")
    site.drive.chmod(0o500)
    try:
        refused(machine.denied("backup", "outputs/a.txt"), 1, "ermission denied")
    finally:
        site.drive.chmod(0o700)
    good(machine.run("backup", "outputs/a.txt"))
    restorable(site, "outputs/a.txt", {"": b"first"})


def locked_project(site: Site) -> tuple[Box, Path]:
    machine = site.box()
    machine.write("outputs/d/a.txt", "first")
    machine.write("outputs/d/sub/b.txt", "first")
    good(machine.run("backup", "outputs/d"))
    machine.write("outputs/d/a.txt", "second")
    machine.write("outputs/d/sub/b.txt", "second")
    return machine, machine.root / "outputs/d/sub"


@pytest.mark.parametrize("mode", [0, 0o400])
@pytest.mark.parametrize("path", ["outputs/d", "outputs/d/sub", "outputs/d/sub/b.txt"])
def test_a_local_folder_that_denies_access_fails_the_backup_in_one_line(site: Site, path: str, mode: int) -> None:
    machine, sub = locked_project(site)
    sub.chmod(mode)
    try:
        refused(machine.denied("backup", path), 1, "outputs/d", "ermission denied")
    finally:
        sub.chmod(0o700)
    fresh = site.box()
    good(fresh.run("ensure", "outputs/d"))
    assert fresh.tree("outputs/d")["sub/b.txt"] == b"first"
    good(machine.run("backup", "outputs/d"))
    restorable(site, "outputs/d", {"a.txt": b"second", "sub/b.txt": b"second"})


def test_a_local_file_that_denies_access_is_named_and_not_taken_for_deleted(site: Site) -> None:
    machine, sub = locked_project(site)
    (sub / "b.txt").chmod(0)
    try:
        refused(machine.denied("backup", "outputs/d"), 1, "outputs/d/sub/b.txt", "ermission denied")
    finally:
        (sub / "b.txt").chmod(0o600)
    fresh = site.box()
    good(fresh.run("ensure", "outputs/d"))
    assert fresh.tree("outputs/d")["sub/b.txt"] == b"first"
    good(machine.run("backup", "outputs/d"))
    restorable(site, "outputs/d", {"a.txt": b"second", "sub/b.txt": b"second"})


def test_a_local_folder_that_denies_access_fails_the_restore_in_one_line(site: Site) -> None:
    first = site.box()
    first.write("outputs/d/sub/b.txt", "first")
    good(first.run("backup", "outputs/d"))
    machine = site.box()
    sub = machine.root / "outputs/d/sub"
    sub.mkdir(parents=True)
    sub.chmod(0)
    try:
        refused(machine.denied("ensure", "outputs/d"), 4, "ermission denied")
        refused(machine.denied("ensure", "outputs/d/sub/b.txt"), 4, "ermission denied")
    finally:
        sub.chmod(0o700)
    good(machine.run("ensure", "outputs/d"))
    assert machine.tree("outputs/d") == {"sub/b.txt": b"first"}


def test_an_outputs_folder_that_may_not_be_written_fails_the_restore_in_one_line(site: Site) -> None:
    first = site.box()
    first.write("outputs/a.txt", "first")
    good(first.run("backup", "outputs/a.txt"))
    machine = site.box()
    machine.outputs.mkdir()
    machine.outputs.chmod(0o500)
    try:
        refused(machine.denied("ensure", "outputs/a.txt"), 4, "outputs/a.txt", "ermission denied")
    finally:
        machine.outputs.chmod(0o700)
    good(machine.run("ensure", "outputs/a.txt"))
    assert machine.tree() == {"a.txt": b"first"}


@pytest.mark.parametrize("verb", ["ensure", "restore", "backup"])
def test_a_project_folder_that_may_not_be_written_fails_in_one_line(site: Site, verb: str) -> None:
    first = site.box()
    first.write("outputs/a.txt", "first")
    good(first.run("backup", "outputs/a.txt"))
    machine = site.box()
    if verb == "backup":
        machine.write("outputs/a.txt", "second")
    machine.root.chmod(0o500)
    try:
        refused(machine.denied(verb, "outputs/a.txt"), 1 if verb == "backup" else 4, "ermission denied")
    finally:
        machine.root.chmod(0o700)
    good(machine.run(verb, "outputs/a.txt"))


@pytest.mark.parametrize("part", [".", "records", "lock", "stores.json"])
def test_a_memory_that_denies_access_fails_in_one_line(site: Site, part: str) -> None:
    machine = site.box()
    machine.write("outputs/d/a.txt", "first")
    good(machine.run("backup", "outputs/d"))
    place = machine.root / ".holdfast" / part
    mode = place.stat().st_mode
    place.chmod(0)
    try:
        refused(machine.denied("backup", "outputs/d"), 1, "ermission denied")
        (machine.root / "outputs/d/a.txt").unlink()
        refused(machine.denied("ensure", "outputs/d"), 4, "ermission denied")
    finally:
        place.chmod(mode)
    good(machine.run("ensure", "outputs/d"))
    assert machine.tree("outputs/d") == {"a.txt": b"first"}


def test_a_database_that_may_not_be_read_is_not_taken_for_broken(site: Site) -> None:
    machine = site.box()
    database = machine.root / "outputs/study.db"
    make_database(database, rows=5)
    good(machine.run("backup", "outputs/study.db"))
    make_database(database, rows=50)
    database.chmod(0)
    try:
        done = machine.denied("ensure", "outputs/study.db")
        assert done.code in (0, 4), done.err
        assert not (machine.root / "holdfast-aside").exists(), done.err
        refused(machine.denied("backup", "outputs/study.db"), 1, "outputs/study.db")
    finally:
        database.chmod(0o600)
    with sqlite3.connect(database) as connection:
        assert connection.execute("select count(*) from trials").fetchone() == (50,)
    connection.close()


# -- the folder is missing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "real"),
    [
        ("missing", False),
        ("missing", True),
        ("below a missing one", False),
        ("a file", False),
        ("below a file", False),
        ("a dangling link", False),
        ("a loop", False),
    ],
)
def test_a_drive_that_is_not_there_fails_in_one_line_and_nothing_is_made_in_its_place(site: Site, kind: str, real: bool) -> None:
    machine = site.box()
    machine.write("outputs/a.txt", "first")
    place = site.folder / "gone"
    if kind.endswith("file"):
        place.write_text("a file")
    if kind == "a dangling link":
        place.symlink_to(site.folder / "nowhere")
    if kind == "a loop":
        place.symlink_to(place)
    drive = place / "drive" if kind.startswith("below") else place
    before = everything_in(site.folder, but=[machine.root])
    run = machine.spawn if real else machine.run
    refused(run("backup", "outputs/a.txt", "--drive", str(drive)), 1, "outputs/a.txt", "gone")
    refused(run("ensure", "outputs/b.txt", "--drive", str(drive)), 4, "outputs/b.txt", "gone")
    refused(run("restore", "outputs/b.txt", "--drive", str(drive)), 4, "outputs/b.txt", "gone")
    if not real:
        for words in (("verify",), ("history", "outputs/a.txt"), ("status",), ("prune",)):
            refused(run(*words, "--drive", str(drive)), 1, "gone")
    assert everything_in(site.folder, but=[machine.root]) == before
    assert machine.tree() == {"a.txt": b"first"}


@pytest.mark.parametrize("remade", [False, True])
def test_a_drive_that_vanishes_between_two_commands_is_never_absence(site: Site, remade: bool) -> None:
    machine = site.box()
    machine.write("outputs/a.txt", "first")
    machine.write("outputs/b.txt", "first")
    good(machine.run("backup", "outputs/a.txt", "outputs/b.txt"))
    machine.write("outputs/a.txt", "second")
    (machine.root / "outputs/b.txt").unlink()
    away = site.folder / "away"
    site.drive.rename(away)
    if remade:
        site.drive.mkdir()
    refused(machine.run("backup", "outputs/a.txt"), 1, "outputs/a.txt")
    refused(machine.run("ensure", "outputs/b.txt"), 4, "outputs/b.txt")
    if remade:
        assert list(site.drive.iterdir()) == []
        site.drive.rmdir()
    assert not site.drive.exists()
    away.rename(site.drive)
    good(machine.run("ensure", "outputs/b.txt"))
    good(machine.run("backup", "outputs/a.txt"))
    assert machine.tree() == {"a.txt": b"second", "b.txt": b"first"}
    restorable(site, "outputs/a.txt", {"": b"second"})


@pytest.mark.parametrize("what", ["a file", "a dangling link", "a pipe"])
def test_something_else_under_the_name_of_the_store_is_never_absence(site: Site, what: str) -> None:
    if what == "a file":
        site.store.write_text("not a folder")
    elif what == "a pipe":
        os.mkfifo(site.store)
    else:
        site.store.symlink_to(site.folder / "unplugged-disk")
    machine = site.box()
    machine.write("outputs/a.txt", "first")
    before = everything_in(site.drive)
    refused(machine.run("backup", "outputs/a.txt"), 1, "proj")
    refused(site.box().run("ensure", "outputs/a.txt"), 4, "proj")
    assert everything_in(site.drive) == before


@pytest.mark.parametrize("what", ["a file", "a dangling link", "a pipe"])
def test_something_else_under_the_name_of_the_generations_is_never_absence(site: Site, what: str) -> None:
    machine = site.box()
    machine.write("outputs/a.txt", "first")
    good(machine.run("backup", "outputs/a.txt"))
    place = site.store / "generations"
    shutil.move(place, site.folder / "kept")
    if what == "a file":
        place.write_text("not a folder")
    elif what == "a pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(site.folder / "unplugged-disk")
    refused(site.box().run("ensure", "outputs/a.txt"), 4, "generations")
    machine.write("outputs/a.txt", "second")
    refused(machine.run("backup", "outputs/a.txt"), 1, "generations")
    place.unlink()
    shutil.move(site.folder / "kept", place)
    good(machine.run("backup", "outputs/a.txt"))
    restorable(site, "outputs/a.txt", {"": b"second"})


def test_a_store_folder_that_is_missing_on_a_known_drive_is_never_absence(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/a.txt", "first")
    good(machine.run("backup", "outputs/a.txt"))
    site.store.rename(site.folder / "kept")
    (machine.root / "outputs/a.txt").unlink()
    refused(machine.run("ensure", "outputs/a.txt"), 4, "outputs/a.txt")
    machine.write("outputs/a.txt", "made again")
    refused(machine.run("backup", "outputs/a.txt"), 1, "outputs/a.txt")
    assert not site.store.exists()
