"""The parts that do: what is copied, what counts as a file's content, the drives."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.drill import copying, inventory
from holdfast.drill.comparing import File
from holdfast.drill.drives import FolderDrive
from holdfast.drill.inventory import Seeing
from holdfast.drill.machine import Machine
from holdfast.drill.moments import Until
from holdfast.drill.processes import MARK, Running
from holdfast.drill.report import Traffic
from holdfast.drill.watching import Watch
from holdfast.errors import UsageError
from holdfast.session.config import load_config
from tests.support import make_database, read_tree

MIB = 1 << 20


def take(root: Path, outputs: str = "outputs") -> dict[str, File]:
    return inventory.take(root, Seeing(outputs))


def put(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def copied(root: Path, to: Path, drive: Path | None = None) -> dict[str, bytes]:
    config = load_config(root)
    copying.copy(config, copying.plan(config, drive, limit=MIB), to)
    return read_tree(to)


def test_what_is_made_in_a_project_is_not_copied_and_the_rest_is(tmp_path: Path) -> None:
    root = tmp_path / "proj"
    kept = ("train.py", "src/model/net.py", "data/train.json", ".env", "old/outputs/a.txt")
    made = (
        *("outputs/a.txt", ".holdfast/records/x", "holdfast-aside/a.txt", ".git/config", "src/__pycache__/net.pyc"),
        *("drive/proj/outputs/a@1.txt", "elsewhere/proj/holdfast.json", "cached/CACHEDIR.TAG", "cached/big", ".mypy_cache/x"),
    )
    put(root, *kept, *made)
    (root / "empty").mkdir()
    os.mkfifo(root / "pipe")
    assert sorted(copied(root, tmp_path / "copy", root / "drive")) == sorted(kept)
    assert (tmp_path / "copy" / "empty").is_dir()
    assert not (tmp_path / "copy" / "pipe").exists()


def test_a_virtual_environment_is_linked_so_that_its_python_is_found(tmp_path: Path) -> None:
    root = tmp_path / "proj"
    put(root, "env/pyvenv.cfg", "env/bin/python")
    copied(root, tmp_path / "copy")
    assert (tmp_path / "copy" / "env").is_symlink()
    assert (tmp_path / "copy" / "env/bin/python").read_text() == "env/bin/python"


def test_a_link_into_the_project_stays_in_the_copy_and_one_out_of_it_points_where_it_did(tmp_path: Path) -> None:
    root = tmp_path / "proj"
    put(root, "data/a.txt", "../shared/b.txt")
    (root / "outputs").mkdir()
    for name, target in (("inside", root / "data"), ("latest", root / "outputs"), ("outside", "../shared")):
        (root / name).symlink_to(target)
    copied(root, tmp_path / "deep" / "copy")
    copy = tmp_path / "deep" / "copy"
    assert (copy / "inside").resolve() == copy / "data"
    assert (copy / "latest").resolve() == copy / "outputs"
    assert (copy / "outside" / "b.txt").read_text() == "../shared/b.txt"


def test_a_project_that_is_too_large_is_refused_with_what_is_large(tmp_path: Path) -> None:
    put(tmp_path / "proj", "train.py")
    (tmp_path / "proj" / "data").mkdir()
    (tmp_path / "proj" / "data" / "big").write_bytes(b"x" * 2 * MIB)
    with pytest.raises(UsageError, match=r"has 2\.0 MiB without its outputs, most of it in data \(2\.0 MiB\).*--copy-limit"):
        copying.plan(load_config(tmp_path / "proj"), None, limit=MIB)
    assert copying.plan(load_config(tmp_path / "proj"), None, limit=3 * MIB).total > 2 * MIB


@pytest.mark.parametrize(
    "settings", ["", "drive: {backup_base_dir: thesis}", "drive: {backup_base_dir: work/thesis, store_id: abc}"]
)
def test_the_store_of_a_copy_has_the_name_of_the_projects_store_and_may_be_a_new_one(tmp_path: Path, settings: str) -> None:
    root = tmp_path / "proj"
    put(root, "config/paths.yaml")
    (root / "config/paths.yaml").write_text(f"mine: 1\n{settings}\n")
    config = load_config(root)
    copy = tmp_path / "copy" / copying.name_of(config)
    copied(root, copy)
    assert load_config(copy).project == config.project
    assert load_config(copy).store_id is None
    assert "mine: 1" in (copy / "config/paths.yaml").read_text()


def test_a_database_is_what_it_holds_and_its_side_files_are_part_of_it(tmp_path: Path) -> None:
    for name in ("one", "other", "more"):
        make_database(tmp_path / name / "outputs" / "study.db")
    place = tmp_path / "other" / "outputs" / "study.db"
    open_one = sqlite3.connect(place)
    open_one.execute("pragma journal_mode=wal")
    open_one.execute("update trials set value = value where number = 1")
    open_one.commit()
    make_database(tmp_path / "more" / "outputs" / "study.db", rows=11)
    assert place.with_name("study.db-wal").exists()
    one, other, more = (take(tmp_path / name, "outputs") for name in ("one", "other", "more"))
    open_one.close()
    assert list(other) == ["outputs/study.db"]
    assert one["outputs/study.db"].identity == other["outputs/study.db"].identity
    assert one["outputs/study.db"].identity != more["outputs/study.db"].identity


def test_a_file_that_only_looks_like_a_database_is_its_bytes(tmp_path: Path) -> None:
    for name, rest in (("one", b"1"), ("other", b"2")):
        put(tmp_path / name, "outputs/study.db", "outputs/notes-wal")
        (tmp_path / name / "outputs/study.db").write_bytes(b"SQLite format 3\0" + rest * 200)
    one, other = (take(tmp_path / name, "outputs") for name in ("one", "other"))
    assert one["outputs/study.db"].identity != other["outputs/study.db"].identity
    assert "outputs/notes-wal" in one


@dataclass(frozen=True)
class Linked:
    """A name in outputs, and what a program that works there sees under it."""

    name: str
    to: str  #: from the project folder, or absolute behind `/`
    seen: dict[str, str]


LINKED = {
    "a file beside it": Linked("run/last", "outputs/run/a", {"run/last": "link:run/a"}),
    "a folder in outputs": Linked("latest", "outputs/run", {"latest": "link:run"}),
    "itself above": Linked("run/up", "outputs", {"run/up": "link:."}),
    "nowhere": Linked("run/dead", "/nowhere/at/all", {"run/dead": "link:/nowhere/at/all"}),
    "a folder out of outputs": Linked("run/out", "scratch", {"run/out/new": "", "run/out/deep/new": ""}),
    "a file out of outputs": Linked("run/out", "scratch/new", {"run/out": ""}),
    "data that was there before": Linked("run/data", "scratch/old", {}),
    "the folder above outputs": Linked("run/root", ".", {"run/root/scratch/new": "", "run/root/scratch/deep/new": ""}),
}


@pytest.mark.parametrize("case", LINKED.values(), ids=LINKED)
def test_what_a_program_sees_through_a_link_is_seen(tmp_path: Path, case: Linked) -> None:
    put(tmp_path, "outputs/run/a", "scratch/new", "scratch/deep/new", "scratch/old")
    os.utime(tmp_path / "scratch/old", (1.0, 1.0))
    place = tmp_path / "outputs" / case.name
    target = case.to if case.to.startswith("/") else os.path.relpath(tmp_path / case.to, place.parent)
    place.symlink_to(target)
    found = inventory.take(tmp_path, Seeing("outputs", since=2.0))
    del found["outputs/run/a"]
    assert sorted(found) == sorted(f"outputs/{path}" for path in case.seen)
    for path, identity in case.seen.items():
        assert not identity or found[f"outputs/{path}"].identity == identity


def test_what_a_followed_link_leads_to_is_as_good_as_in_outputs_and_no_outputs_are_none(tmp_path: Path) -> None:
    put(tmp_path, "scratch/old", "outputs/d/b")
    os.utime(tmp_path / "scratch/old", (1.0, 1.0))
    (tmp_path / "outputs/link").symlink_to("../scratch")
    assert sorted(inventory.take(tmp_path, Seeing("outputs", since=2.0))) == ["outputs/d/b"]
    assert sorted(inventory.take(tmp_path, Seeing("outputs", None, ("outputs/link",), 2.0))) == ["outputs/d/b", "outputs/link/old"]
    assert take(tmp_path, "nowhere") == {}


@pytest.mark.parametrize("kind", ["text", "binary", "database", "link"])
def test_the_folder_of_a_machine_in_a_file_makes_no_difference_and_is_found(tmp_path: Path, kind: str) -> None:
    machines = re.compile(re.escape(os.fsencode(tmp_path)) + rb"/machine-\d{3}(?!\w)")
    found = []
    for name, rest in (("machine-001", ""), ("machine-002", ""), ("machine-003", "else")):
        root = tmp_path / name / "proj"
        root.joinpath("outputs").mkdir(parents=True)
        place, text = root / "outputs" / "state", f"{root}/outputs/a{rest}"
        if kind == "text":
            place.write_text(f'{{"newest": "{text}", "again": "{text}"}}')
        elif kind == "binary":
            place.write_bytes(pickle.dumps({"newest": text, "bytes": b"\xff" * 9}))
        elif kind == "link":
            place.symlink_to(Path(tmp_path, name, f"gone{rest}"))
        else:
            with contextlib.closing(sqlite3.connect(place)) as database, database:
                database.execute("create table kept (path text)")
                database.execute("insert into kept values (?)", (text,))
        found.append(inventory.take(root, Seeing("outputs", machines))["outputs/state"])
    one, other, more = found
    assert one.identity == other.identity != more.identity
    assert one.local is (kind != "link")
    plain = inventory.take(tmp_path / "machine-001/proj", Seeing("outputs"))["outputs/state"]
    assert plain.identity != one.identity
    assert not plain.local


@dataclass(frozen=True)
class Seen:
    """What somebody does in outputs, and how often what is written is seen."""

    does: Callable[[Path], object]
    written: dict[str, int]


WATCHED = {
    "a new file": Seen(lambda out: (out / "b").write_text("1"), {"b": 1}),
    "the same again": Seen(lambda out: (out / "a").write_text("a"), {"a": 1}),
    "a file that is brought back": Seen(lambda out: shutil.copy2(out / "a", out / "b"), {}),
    "a file that was moved in": Seen(lambda out: (out / "b.tmp").write_text("1") and (out / "b.tmp").rename(out / "b"), {"b": 1}),
    "through a link out": Seen(lambda out: (out / "link" / "b").write_text("1"), {"link/b": 1}),
    "through a link inside": Seen(lambda out: (out / "inside" / "b").write_text("1"), {"d/b": 1}),
    "a log of a database": Seen(lambda out: (out / "x.db-wal").write_text("1"), {"x.db": 1}),
    "a journal of a database": Seen(lambda out: (out / "x.db-journal").write_text("1"), {}),
    "what is ignored": Seen(lambda out: (out / "b.log").write_text("1"), {}),
}


@pytest.mark.parametrize("case", WATCHED.values(), ids=WATCHED)
def test_a_watch_sees_what_a_run_writes_and_not_what_is_brought_back(tmp_path: Path, case: Seen) -> None:
    put(tmp_path, "outputs/a", "scratch/old", "outputs/d/old")
    for old in ("outputs/a", "scratch/old", "outputs/d/old"):
        os.utime(tmp_path / old, (1.0, 1.0))
    (tmp_path / "outputs/link").symlink_to(tmp_path / "scratch")
    (tmp_path / "outputs/inside").symlink_to("d")
    watch = Watch(tmp_path, "outputs", lambda path: not path.endswith(".log"))
    watch._begun -= 10**8  # the clock of a file system ticks more coarsely than ours
    case.does(tmp_path / "outputs")
    watch.look()
    watch.look()
    assert Counter(w.path.removeprefix("outputs/") for w in watch.written) == case.written


def test_a_folder_counts_what_appeared_in_it_while_a_machine_was_there(tmp_path: Path) -> None:
    drive = FolderDrive(tmp_path / "drive")
    put(drive.folder, "before")
    drive.connect()
    put(drive.folder, "one", "d/two")
    assert drive.disconnect() is None  # type: ignore[func-returns-value]
    put(drive.folder, "nobody-is-here")
    assert drive.traffic == Traffic(len("one") + len("d/two"), None)


def watched(root: Path) -> Watch:
    return Watch(root, "outputs", lambda _: True)


def test_every_machine_has_a_path_of_its_own_and_words_and_environment_name_that(tmp_path: Path) -> None:
    put(tmp_path / "pristine" / "proj", "train.py")
    home = tmp_path / "proj"
    script = "import os, sys; os.mkdir('outputs'); open('outputs/said', 'w').write(' '.join([sys.argv[1], os.environ['HERE']]))"
    command = [sys.executable, "-c", script, f"{home}/a"]
    environment = {**os.environ, "HERE": str(home)}
    machine = Machine(
        tmp_path / "machine", tmp_path / "pristine" / "proj", home, command, ".", tmp_path / "drive", environment, watched
    )
    places = []
    for _ in range(2):
        machine.renew()
        run = machine.run(Until(60), lambda _: None)
        places.append(machine.root)
        assert run.code == 0
        assert {write.path for write in run.written} == {"outputs/said"}
        assert (machine.root / "outputs/said").read_text() == f"{machine.root}/a {machine.root}"
        assert machine.machines().match(os.fsencode(machine.root))
    assert places[0] != places[1]
    assert not places[0].exists()


@pytest.mark.parametrize("own_session", [False, True])
def test_what_is_held_still_does_nothing_and_what_is_killed_is_gone_with_all_that_it_started(
    tmp_path: Path, own_session: bool
) -> None:
    counting = "import sys, time\nfor n in range(10**6): open(sys.argv[1], 'a').write('x'); time.sleep(0.002)"
    script = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {counting!r}, 'ticks'], start_new_session={own_session})"
    )
    environment = {**os.environ, MARK: str(tmp_path)}
    running = Running([sys.executable, "-c", script], tmp_path, environment, tmp_path / "output")
    try:
        ticks = tmp_path / "ticks"
        while not (ticks.exists() and ticks.stat().st_size):
            time.sleep(0.01)
        assert running.wait(0) is None
        running.freeze()
        before = ticks.stat().st_size
        time.sleep(0.2)
        assert ticks.stat().st_size == before
    finally:
        running.kill()
    assert running.wait(0) == 128 + signal.SIGKILL
    time.sleep(0.05)
    assert ticks.stat().st_size == before


def test_a_command_that_ends_gives_its_exit_code_as_a_shell_does(tmp_path: Path) -> None:
    for script, code in (("import sys; sys.exit(3)", 3), ("import os; os.kill(os.getpid(), 15)", 143)):
        running = Running([sys.executable, "-c", script], tmp_path, {**os.environ, MARK: str(tmp_path)}, tmp_path / "output")
        assert running.wait(60) == code
        running.kill()


def test_a_command_that_ends_in_the_instant_of_the_kill_has_ended_and_leaves_nothing_behind(tmp_path: Path) -> None:
    put(tmp_path / "proj", "train.py")
    counting = "import sys, time\nfor n in range(10**6): open(sys.argv[1], 'a').write('x'); time.sleep(0.002)"
    script = (
        f"import os, subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {counting!r}, {str(tmp_path / 'ticks')!r}])\n"
        f"while not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.002)"
    )
    pristine = tmp_path / "pristine" / "proj"
    copying.copy(load_config(tmp_path / "proj"), copying.plan(load_config(tmp_path / "proj"), None, limit=MIB), pristine)
    ticks, command = tmp_path / "ticks", [sys.executable, "-c", script]
    machine = Machine(
        tmp_path / "machine", pristine, tmp_path / "proj", command, ".", tmp_path / "drive", dict(os.environ), watched
    )
    machine.renew()

    def held_up(_: float) -> None:
        while not (ticks.exists() and ticks.stat().st_size):
            time.sleep(0.01)
        (tmp_path / "go").touch()
        time.sleep(0.5)

    try:
        run = machine.run(Until(0.5), held_up)
        before = ticks.stat().st_size
        time.sleep(0.1)
        assert run.code == 0
        assert machine._running is None
        assert ticks.stat().st_size == before
    finally:
        machine.kill()
