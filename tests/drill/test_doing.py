"""The parts that do: what is copied, what counts as a file's content, the drives."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
from pathlib import Path

import pytest

from holdfast.drill import copying
from holdfast.drill.drives import FolderDrive
from holdfast.drill.inventory import take
from holdfast.drill.machine import Machine
from holdfast.drill.processes import MARK, Running
from holdfast.drill.report import Traffic
from holdfast.errors import UsageError
from holdfast.session.config import load_config
from tests.support import make_database, read_tree

MIB = 1 << 20


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


def test_links_and_folders_are_no_files_of_outputs_and_no_outputs_are_none(tmp_path: Path) -> None:
    put(tmp_path, "outputs/a", "outputs/d/b")
    (tmp_path / "outputs" / "link").symlink_to("a")
    assert sorted(take(tmp_path, "outputs")) == ["outputs/a", "outputs/d/b"]
    assert take(tmp_path, "nowhere") == {}


def test_a_folder_counts_what_appeared_in_it_while_a_machine_was_there(tmp_path: Path) -> None:
    drive = FolderDrive(tmp_path / "drive")
    put(drive.folder, "before")
    drive.connect()
    put(drive.folder, "one", "d/two")
    assert drive.disconnect() is None  # type: ignore[func-returns-value]
    put(drive.folder, "nobody-is-here")
    assert drive.traffic == Traffic(len("one") + len("d/two"), None)


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
    script = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {counting!r}, {str(tmp_path / 'ticks')!r}])"
    pristine = tmp_path / "pristine" / "proj"
    copying.copy(load_config(tmp_path / "proj"), copying.plan(load_config(tmp_path / "proj"), None, limit=MIB), pristine)
    ticks, command = tmp_path / "ticks", [sys.executable, "-c", script]
    machine = Machine(tmp_path / "machine", pristine, tmp_path / "proj", command, ".", tmp_path / "drive", dict(os.environ))
    machine.renew()

    def held_up(_: float) -> None:
        while not (ticks.exists() and ticks.stat().st_size):
            time.sleep(0.01)
        time.sleep(0.5)

    try:
        run = machine.run(0.01, held_up)
        before = ticks.stat().st_size
        time.sleep(0.1)
        assert run.code == 0
        assert machine._running is None
        assert ticks.stat().st_size == before
    finally:
        machine.kill()
