"""From every refusal a road leads on: what it says is done, and the same call goes through. See `docs/roads-on.md`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import HoldfastError, UsageError
from holdfast.session.attach import open_keeper
from holdfast.session.keeper import Keeper
from holdfast.store.backends.backend import Backend
from holdfast.store.backends.wrappers import Faulty
from holdfast.store.local.workspace import Workspace
from holdfast.store.reporting.outcomes import Outcome
from holdfast.store.store import Store
from tests.bad_input.support import Forge, Site
from tests.bad_input.test_hostile_manifests import sealed_sentinel
from tests.store.format.pieces import in_pieces
from tests.support import PROJECT, Machine, Rig, make_database, rows_in


@contextlib.contextmanager
def refused(text: str) -> Iterator[None]:
    """In one line, with these words."""
    with pytest.raises(HoldfastError) as caught:
        yield
    assert text in caught.value.line
    assert "\n" not in caught.value.line


@pytest.fixture
def kept(rig: Rig) -> Machine:
    """A machine with a run in the store."""
    machine = rig.machine()
    machine.write("outputs/run/model.pt", "1")
    assert machine.keep.backup("outputs/run", progress=1)
    return machine


# -- paths and settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ("run/model.pt", "only what is there is kept"),
        ("/elsewhere/model.pt", "only what is there is kept"),
        ("outputs/../x", "give the plain path below outputs/"),
        ("outputs/out/model.pt", "give the real path"),
        ("outputs/\ud800", "rename it"),
        ("outputs/" + "a" * 300, "rename it"),
    ],
)
def test_a_path_that_is_refused_is_taken_once_it_is_one_below_outputs(kept: Machine, wrong: str, text: str) -> None:
    if "/out/" in wrong:
        (kept.outputs / "out").symlink_to(kept.root.parent, target_is_directory=True)
    with contextlib.suppress(UnicodeEncodeError), refused(text):
        kept.keep.require(wrong)
    assert kept.keep.require("outputs/run/model.pt").read_bytes() == b"1"


@pytest.mark.parametrize(
    ("wrong", "text", "right"),
    [
        ("drive: [", "cannot be read as YAML", "drive: {}"),
        ("- drive", "expected sections, got", "drive: {}"),
        ("drive: 3", "should be a section, got", "drive: {timeout: 3}"),
        ("drive: {tiemout: 3}", "drive.tiemout is not a setting; known are", "drive: {timeout: 3}"),
        ("drive: {timeout: soon}", "should be a number from", "drive: {timeout: 3}"),
        ("drive: {store_id: 3}", "should be text, got", "drive: {store_id: null}"),
        ("drive: {durable: 3}", "should be ", "drive: {durable: fsync}"),
        ("drive: {ignore: '*.tmp'}", "should be a list of text, got", "drive: {ignore: ['*.tmp']}"),
        ("drive: {accept: [run]}", "should lie below outputs/, got", "drive: {accept: [outputs/run]}"),
        ("base: {outputs: ../out}", "should be a relative path below its folder", "base: {outputs: out}"),
    ],
)
def test_a_paths_file_that_is_refused_is_taken_once_it_is_mended(rig: Rig, wrong: str, text: str, right: str) -> None:
    place = rig.folder / "project" / "config" / "paths.yaml"
    place.parent.mkdir(parents=True)
    place.write_text(wrong)
    with refused(text):
        open_keeper(rig.folder / "project", rig.drive, mount=False)
    place.write_text(right)
    assert open_keeper(rig.folder / "project", rig.drive, mount=False).enabled


def test_a_project_or_drive_that_is_refused_is_taken_where_it_is_one(rig: Rig) -> None:
    root = rig.folder / "project"
    with refused("the project folder does not exist"):
        open_keeper(root, rig.drive, mount=False)
    (root / "outputs").mkdir(parents=True)
    with refused("would back itself up; give another"):
        open_keeper(root, root / "outputs", mount=False)
    with refused("where what is written may never arrive"):
        open_keeper(root, root.parent, mount=False) if (root.parent / "outputs").exists() else open_keeper(root, root, mount=False)
    assert open_keeper(root, rig.drive, mount=False).enabled


def test_without_a_store_the_verbs_that_need_one_say_how_to_give_one(rig: Rig) -> None:
    root = rig.folder / "project"
    (root / "outputs").mkdir(parents=True)
    (root / "outputs/a").write_text("a")
    alone = open_keeper(root, None, mount=False)
    for verb in (alone.verify, alone.prune, lambda: alone.restore("outputs/a"), lambda: alone.history("outputs/a")):
        with refused("needs a store: give --drive DIR"):
            verb()
    assert not alone.backup("outputs/a")
    keeper = open_keeper(root, rig.drive, mount=False)
    assert keeper.backup("outputs/a")
    assert keeper.verify() == []


# -- the store ---------------------------------------------------------------------------------------------------------------


def _rename(before: str, after: str) -> tuple[Callable[[Rig], Any], Callable[[Rig], Any]]:
    return lambda rig: (rig.folder / before).rename(rig.folder / after), lambda rig: (rig.folder / after).rename(
        rig.folder / before
    )


def _file_for_the_store(rig: Rig) -> None:
    rig.store.rename(rig.folder / "away")
    rig.store.write_text("a file")


def _store_for_the_file(rig: Rig) -> None:
    rig.store.unlink()
    (rig.folder / "away").rename(rig.store)


#: What is wrong with the drive, what `ensure` says, and what is done about it.
TROUBLES: dict[str, tuple[Callable[[Rig], Any], str, Callable[[Rig], Any]]] = {
    "not mounted": (_rename("drive", "away")[0], "is the drive mounted, and the folder right?", _rename("drive", "away")[1]),
    "a twin": (
        _rename(f"drive/{PROJECT}", f"drive/{PROJECT} (1)")[0],
        "is here: rename it",
        _rename(f"drive/{PROJECT}", f"drive/{PROJECT} (1)")[1],
    ),
    "a file in its place": (_file_for_the_store, "the store folder should be here, and something else is", _store_for_the_file),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_store_that_cannot_be_read_serves_again_once_it_can(kept: Machine, rig: Rig, trouble: str) -> None:
    wrong, text, mend = TROUBLES[trouble]
    wrong(rig)
    shutil.rmtree(kept.outputs)
    found = kept.keeper().ensure("outputs/run")
    assert not found
    assert text in found.error
    mend(rig)
    assert kept.keeper().ensure("outputs/run")
    assert kept.read("outputs/run/model.pt") == b"1"


def test_a_store_of_another_format_serves_again_where_the_version_reads_it(kept: Machine, rig: Rig) -> None:
    sentinel = rig.store / "holdfast.json"
    ours = sentinel.read_bytes()
    body = json.loads(ours)["sentinel"] | {"format": 2}
    sentinel.write_bytes(sealed_sentinel(json.dumps(body, separators=(",", ":"), sort_keys=True)))
    fresh = rig.machine()
    found = fresh.keep.ensure("outputs/run")
    assert found.outcome is Outcome.FAILED
    assert "upgrade holdfast" in found.error
    sentinel.write_bytes(ours)  # what the upgraded version reads, this one does
    assert fresh.keeper().ensure("outputs/run").outcome is Outcome.RESTORED


def test_a_store_id_that_is_refused_is_taken_once_it_is_corrected(kept: Machine, rig: Rig) -> None:
    fresh = rig.machine()
    plain = fresh.keeper()
    assert plain.store is not None

    def asks_for(identity: str) -> Keeper:
        assert plain.store is not None
        return Keeper(plain.config, Store(plain.store.backend, expected_id=identity), plain.workspace)

    found = asks_for("0" * 32).ensure("outputs/run")
    assert not found
    assert "drive.store_id asks for the store" in found.error
    assert asks_for(json.loads((rig.store / "holdfast.json").read_bytes())["sentinel"]["store"]).ensure("outputs/run")


def test_a_part_that_cannot_be_dropped_goes_once_it_is_removed_here_and_backed_up(kept: Machine, rig: Rig) -> None:
    kept.write("outputs/run/old.pt", "old")
    assert kept.keep.backup("outputs/run")
    with refused("it is a part of outputs/run; remove it here and back up"):
        kept.keep.drop("outputs/run/old.pt")
    (kept.outputs / "run/old.pt").unlink()
    assert kept.keep.backup("outputs/run")
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/run")
    assert fresh.tree("outputs/run") == {"model.pt": b"1"}
    kept.keep.drop("outputs/run")
    assert rig.machine().keep.ensure("outputs/run").outcome is Outcome.ABSENT


def test_a_drive_that_the_doctor_calls_bad_is_replaced_by_another_folder(tmp_path: Path) -> None:
    site = Site(tmp_path)
    box = site.box()
    assert box.run("doctor", "--drive", str(site.folder / "gone")).code == 1
    other = site.folder / "other"
    other.mkdir()
    assert box.run("doctor", "--drive", str(other)).code == 0
    box.write("outputs/run/model.pt", "1")
    assert box.run("backup", "outputs/run", "--drive", str(other)).code == 0
    assert site.box().run("ensure", "outputs/run", "--drive", str(other)).code == 0


def test_a_workspace_begins_with_another_store_once_its_memory_is_deleted(kept: Machine, rig: Rig) -> None:
    rig.store.rename(rig.folder / "away")
    other = rig.machine()
    other.write("outputs/other", "other")
    assert other.keep.backup("outputs/other")
    found = kept.keeper().backup("outputs/run")
    assert not found
    assert "To begin with another store, delete" in found.results[0].error
    shutil.rmtree(kept.root / ".holdfast")
    assert kept.keeper().backup("outputs/run")
    assert rig.machine().keep.ensure("outputs/run")


@pytest.mark.parametrize("damaged", [False, True])
def test_what_is_deleted_from_the_store_for_good_is_absent_once_memory_and_mark_are_deleted(
    kept: Machine, rig: Rig, damaged: bool
) -> None:
    for manifest in rig.manifests():
        manifest.write_bytes(b"torn") if damaged else manifest.unlink()
    shutil.rmtree(kept.outputs)
    found = kept.keeper().ensure("outputs/run")
    assert found.outcome is Outcome.FAILED
    assert "\n" not in found.error
    shutil.rmtree(kept.root / ".holdfast")
    for place in rig.store.iterdir():
        if place.is_dir() and place.name not in ("generations", "outputs"):
            shutil.rmtree(place)
    for manifest in rig.manifests():  # one that stays damaged could hold it, so it goes as well
        manifest.unlink()
    found = kept.keeper().ensure("outputs/run")
    assert found.outcome is Outcome.ABSENT, found.error
    kept.write("outputs/run/model.pt", "2")
    assert kept.keeper().backup("outputs/run")


def test_where_every_generation_is_damaged_a_new_backup_is_the_road_on(kept: Machine, rig: Rig) -> None:
    for manifest in rig.manifests():
        manifest.write_bytes(b"torn")
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/run").outcome is Outcome.FAILED
    fresh.write("outputs/run/model.pt", "2")
    assert fresh.keeper().backup("outputs/run")
    another = rig.machine()
    assert another.keep.ensure("outputs/run").outcome is Outcome.RESTORED
    assert another.tree() == {"run/model.pt": b"2"}


class Resting:
    """Something that writes to, or cuts off, what is sent and read, as long as it does not rest."""

    def __init__(self) -> None:
        self.rests = False

    def writes(self, write: Callable[[str], None]) -> Callable[[Backend], Backend]:
        """Whenever the store is about to create a file."""

        def fault(operation: str, path: str) -> None:
            if operation == "create" and not self.rests:
                write(path)

        return lambda backend: Faulty(backend, fault)

    def cuts_off(self, backend: Backend) -> Backend:
        """Every read of a payload ends early."""
        return _Short(backend, self)


class _Short(Faulty):
    def __init__(self, inner: Backend, resting: Resting) -> None:
        super().__init__(inner, lambda operation, path: None)
        self._resting = resting

    def read(self, path: str) -> Iterator[bytes]:
        data = b"".join(super().read(path))
        yield data if self._resting.rests or not path.startswith("outputs/") else data[: len(data) // 2]


def backed_up_at_rest(rig: Rig, machine: Machine, resting: Resting, text: str) -> None:
    """The backup is refused in these words; once what disturbed it rests, the same call sends what is here."""
    found = machine.keep.backup("outputs/d")
    assert not found
    assert text in found.results[0].error
    assert "\n" not in found.results[0].error
    resting.rests = True
    assert machine.keep.backup("outputs/d")
    fresh = rig.machine()
    assert fresh.keep.ensure("outputs/d").outcome is Outcome.RESTORED
    assert fresh.tree("outputs/d") == machine.tree("outputs/d")


LARGE = 1_200_000


def test_files_that_are_rewritten_faster_than_they_are_sent_are_sent_once_they_rest(rig: Rig) -> None:
    resting, rounds, ready = Resting(), [0], [False]

    def rewrite(path: str) -> None:
        """One more of the files in each round: from the next one on a copy of that one is sent."""
        ready[0] |= "f0@" in path
        if ready[0] and f"f{rounds[0]}@" in path:
            with open(machine.outputs / f"d/f{rounds[0]}", "r+b") as handle:
                handle.write(b"NEW")
            rounds[0], ready[0] = rounds[0] + 1, False

    machine = rig.machine(resting.writes(rewrite), parallel=1)
    for number in range(7):
        machine.write(f"outputs/d/f{number}", b"%d" % number * LARGE)
    backed_up_at_rest(rig, machine, resting, "its files are rewritten faster than they can be sent; back up when they rest")
    assert rounds[0] >= 5


def copies_of(machine: Machine, size: int) -> list[Path]:
    """What waits to be sent, and has this size."""
    return [p for p in (machine.root / ".holdfast").rglob("*") if p.is_file() and p.stat().st_size == size]


def test_a_file_whose_copy_changes_hands_faster_than_it_is_sent_is_sent_once_it_rests(rig: Rig) -> None:
    resting = Resting()

    def rewrite(path: str) -> None:
        """As for a writer who begins while it is sent: what waits becomes a copy of its own."""
        for place in copies_of(machine, LARGE) if "/big@" in path else []:
            copy = place.with_name("copy")
            copy.write_bytes(place.read_bytes())
            copy.replace(place)

    machine = rig.machine(resting.writes(rewrite))
    machine.write("outputs/d/big", b"b" * LARGE)
    backed_up_at_rest(rig, machine, resting, "it is rewritten faster than it can be sent")


def test_a_local_copy_that_changed_is_taken_anew_by_the_next_backup(rig: Rig) -> None:
    resting = Resting()

    def damage(path: str) -> None:
        copies = [p for p in (machine.root / ".holdfast").rglob("*") if p.is_file() and p.read_bytes().startswith(b"SQLite")]
        for place in copies if "/study@" in path else []:
            place.write_bytes(place.read_bytes()[:-1])

    machine = rig.machine(resting.writes(damage))
    make_database(machine.outputs / "d/study.db")
    backed_up_at_rest(rig, machine, resting, "the local copy changed while it was sent; is the disk failing?")


@pytest.mark.parametrize(
    ("in_parts", "text"),
    [(False, f"only {LARGE // 2} of {LARGE} bytes can be read"), (True, " bytes of it can be read")],
    ids=["as one", "in pieces"],
)
def test_what_can_be_read_in_part_only_comes_once_it_is_tried_again(rig: Rig, in_parts: bool, text: str) -> None:
    resting = Resting()
    if in_parts:
        expected = in_pieces(Forge(rig.store), "outputs/d", 1)
    else:
        first = rig.machine()
        first.write("outputs/d/big", b"b" * LARGE)
        assert first.keep.backup("outputs/d")
        expected = first.tree("outputs/d")
    fresh = rig.machine(resting.cuts_off)
    found = fresh.keep.ensure("outputs/d")
    assert found.outcome is Outcome.FAILED
    assert text in found.error
    assert "\n" not in found.error
    resting.rests = True
    assert fresh.keep.ensure("outputs/d").outcome is Outcome.RESTORED
    assert fresh.tree("outputs/d") == expected


# -- this machine ------------------------------------------------------------------------------------------------------------


def test_what_cannot_be_kept_is_no_trouble_once_it_is_moved_replaced_or_restored(kept: Machine) -> None:
    pipe, link, database = (kept.outputs / "run" / name for name in ("pipe", "out", "study.db"))
    make_database(database)
    assert kept.keep.backup("outputs/run")
    os.mkfifo(pipe)
    link.symlink_to(kept.root)
    database.write_bytes(b"SQLite format 3\0 and no more")
    assert sorted(kept.keep.backup("outputs/run").results[0].refused) == ["out", "pipe", "study.db"]
    pipe.unlink()
    link.unlink()
    link.write_text("the real file")
    assert kept.keep.restore("outputs/run/study.db")
    assert kept.keep.backup("outputs/run")
    assert rows_in(database) == 10


def test_an_option_of_the_command_that_is_refused_is_taken_once_it_is_one(tmp_path: Path) -> None:
    site = Site(tmp_path)
    box = site.box()
    box.write("outputs/run/model.pt", "1")
    for words, text, right in (
        (("backup", "--progress", "nan"), "give a number that can be compared", ("backup", "--progress", "1")),
        (("ensure", "--prefer", "theirs"), "'theirs' is neither store nor local", ("ensure", "--prefer", "store")),
        (("restore", "--to", ""), "--to needs a folder", ("restore", "--to", "there")),
        (("restore", "--to", "free", "--unverified"), "does not go with --unverified", ("restore", "--to", "free")),
    ):
        done = box.run(words[0], "outputs/run", *words[1:])
        assert (done.code, text in done.err) == (2, True), done
        assert box.run(right[0], "outputs/run", *right[1:]).code == 0


def test_a_restore_elsewhere_takes_a_free_folder_and_a_choice_that_is_one(kept: Machine, rig: Rig) -> None:
    elsewhere = rig.folder / "elsewhere"
    (elsewhere / "outputs/run").mkdir(parents=True)
    (elsewhere / "outputs/run/mine").write_text("mine")
    found = kept.keep.restore("outputs/run", to=elsewhere)
    assert not found
    assert "something is there already; choose another --to" in found.error
    assert kept.keep.restore("outputs/run", to=rig.folder / "free")
    with pytest.raises(UsageError, match='give "store" or "local"'):
        kept.keep.ensure("outputs/run", "theirs")
    assert kept.keep.ensure("outputs/run", "store")
    with refused("nothing of it is in the store; `holdfast status` lists what is"):
        kept.keep.verify("outputs/other")
    assert kept.keep.verify("outputs/run") == []


def test_a_workspace_in_which_another_works_is_free_once_that_one_ends(kept: Machine) -> None:
    holds, ends = threading.Event(), threading.Event()

    def work() -> None:
        with Workspace(kept.root).lock():
            holds.set()
            ends.wait(60)

    other = threading.Thread(target=work)
    other.start()
    assert holds.wait(60)
    with refused("another process works here for more than"), Workspace(kept.root, lock_seconds=0.1).lock():
        pass
    ends.set()
    other.join()
    assert kept.keeper().backup("outputs/run")
