"""Backups in the background: nothing is lost, nothing is sent twice, no error goes unseen, and nobody waits for the drive."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from holdfast.errors import NotBackedUp, StoreFull, StoreUnreachable
from holdfast.session.keeper import Keeper
from holdfast.store.reporting.outcomes import Outcome
from tests.session.background.machine import Background, until
from tests.support import PROJECT, Machine, Rig, make_database, read_tree, rows_in


def fresh(rig: Rig, path: str) -> Machine:
    other = rig.machine()
    assert other.keep.ensure(path).outcome is Outcome.RESTORED
    return other


def waiting(keeper: Keeper) -> list[str]:
    return [str(k) for k in keeper.queue.waiting]


def test_backup_returns_with_a_copy_while_the_drive_is_held_and_what_is_written_then_is_not_in_it(
    rig: Rig, background: Background
) -> None:
    machine, keeper = background.machine, background.keeper
    small, large = machine.write("outputs/d/small", "one"), machine.write("outputs/d/large", b"1" * 1_500_000)
    make_database(machine.root / "outputs/d/study.db", 3)
    background.hold()
    done = keeper.backup("outputs/d")
    assert done
    assert done.results[0].queued
    assert background.drive.reached.wait(30)
    small.write_text("two")
    large.unlink()
    large.write_bytes(b"2" * 1_500_000)
    make_database(machine.root / "outputs/d/study.db", 9)
    assert waiting(keeper) == ["outputs/d"]
    background.drive.going.set()
    keeper.flush()
    assert waiting(keeper) == []
    other = fresh(rig, "outputs/d")
    assert (other.read("outputs/d/small"), other.read("outputs/d/large")) == (b"one", b"1" * 1_500_000)
    assert rows_in(other.root / "outputs/d/study.db") == 3


def test_what_is_backed_up_while_another_is_sent_becomes_one_generation_with_all_of_its_files(
    rig: Rig, background: Background
) -> None:
    machine, keeper = background.machine, background.keeper
    machine.write("outputs/d/first", "first")
    keeper.backup("outputs/d", wait=0)
    background.hold()
    machine.write("outputs/d/a", "a")
    keeper.backup("outputs/d/a", progress=1)
    assert background.drive.reached.wait(30), "the first is under way"
    for name in ("b", "c", "big"):
        machine.write(f"outputs/d/{name}", name if name != "big" else b"b" * 1_200_000)
        keeper.backup(f"outputs/d/{name}", progress=2)
    machine.write("outputs/d/b", "b again")
    keeper.backup("outputs/d/b")
    background.drive.going.set()
    keeper.flush()
    assert len(background.drive.generations()) == 3, "one before, the one under way, and one for all that came meanwhile"
    assert len([p for p in background.drive.payloads() if "big" in p]) == 1
    other = fresh(rig, "outputs/d")
    expected = {"first": b"first", "a": b"a", "b": b"b again", "c": b"c", "big": b"b" * 1_200_000}
    assert read_tree(other.root / "outputs/d") == expected
    assert [row.progress for row in other.keep.status()] == [2]


@pytest.mark.parametrize("count", [250, pytest.param(1000, marks=pytest.mark.torture)])
def test_many_quick_backups_send_what_is_needed_and_every_file_is_there(rig: Rig, background: Background, count: int) -> None:
    machine, keeper = background.machine, background.keeper
    make_database(machine.root / "outputs/study/study.db", 0)
    assert keeper.backup("outputs/study", wait=0)
    machine.write("outputs/other", "the worker is busy with it")
    background.hold()
    keeper.backup("outputs/other")
    assert background.drive.reached.wait(30)
    for number in range(count):
        make_database(machine.root / "outputs/study/study.db", number % 50 + 1)
        machine.write(f"outputs/study/trial_{number}/result.json", str(number))
        assert keeper.backup("outputs/study/study.db", f"outputs/study/trial_{number}", progress=number)
    background.drive.going.set()
    keeper.flush()
    assert len(background.drive.generations()) == 3, "what came while another was under way is sent once"
    other = fresh(rig, "outputs/study")
    results = {p.parent.name: p.read_text() for p in (other.root / "outputs/study").glob("*/result.json")}
    assert results == {f"trial_{n}": str(n) for n in range(count)}
    assert rows_in(other.root / "outputs/study/study.db") == 50
    assert len(background.drive.payloads()) == 4, "an empty database, the other file, one database, one tar"


def test_a_dead_mount_is_said_once_everything_waits_and_goes_when_it_is_back(
    rig: Rig, background: Background, caplog: pytest.LogCaptureFixture
) -> None:
    machine, keeper = background.machine, background.keeper
    machine.write("outputs/a/x", "before")
    keeper.backup("outputs/a", wait=0)
    background.drive.dies()
    with caplog.at_level(logging.INFO):
        for number in range(5):
            machine.write("outputs/a/x", f"{number}")
            machine.write(f"outputs/b{number}", "b")
            assert keeper.backup("outputs/a", f"outputs/b{number}"), "it is queued"
            time.sleep(0.05)
        with pytest.raises(NotBackedUp, match="the mount is dead"):
            keeper.flush()
        assert keeper.queue.trouble
        assert sorted(waiting(keeper)) == ["outputs/a", *(f"outputs/b{n}" for n in range(5))]
        background.drive.lives()
        keeper.flush()
    assert [r.levelname for r in caplog.records if "not backed up yet" in r.message] == ["WARNING"]
    assert [r.levelname for r in caplog.records if "can be written again" in r.message] == ["INFO"]
    assert not keeper.queue.trouble
    other = rig.machine()
    assert other.keep.ensure("outputs").outcome is Outcome.RESTORED
    assert other.tree() == {"a/x": b"4", **{f"b{n}": b"b" for n in range(5)}}


def test_what_failed_on_its_way_is_sent_with_what_came_after_it(rig: Rig, background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    machine.write("outputs/d/kept", "kept")
    keeper.backup("outputs/d", wait=0)
    background.hold()
    machine.write("outputs/d/a", "a")
    machine.write("outputs/d/large", b"l" * 1_300_000)
    keeper.backup("outputs/d")
    assert background.drive.reached.wait(30)
    machine.write("outputs/d/b", "b")
    (machine.root / "outputs/d/kept").unlink()
    keeper.backup("outputs/d")
    background.drive.dies()
    background.drive.going.set()
    deadline = time.monotonic() + 30
    while not keeper.queue.trouble and time.monotonic() < deadline:
        time.sleep(0.01)
    background.drive.lives()
    keeper.flush()
    assert read_tree(fresh(rig, "outputs/d").root / "outputs/d") == {"a": b"a", "b": b"b", "large": b"l" * 1_300_000}


def test_a_full_drive_keeps_it_in_the_queue_until_there_is_room(rig: Rig, background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    background.drive.error = StoreFull(errno.ENOSPC, "no space left", "drive")
    machine.write("outputs/a", "a")
    assert keeper.backup("outputs/a")
    with pytest.raises(NotBackedUp, match="no space left"):
        keeper.flush()
    background.drive.lives()
    keeper.flush()
    assert fresh(rig, "outputs/a").read("outputs/a") == b"a"


def test_an_error_that_cannot_pass_is_in_the_log_in_the_queue_and_raised_by_flush_until_it_is_backed_up(
    background: Background, caplog: pytest.LogCaptureFixture
) -> None:
    machine, keeper = background.machine, background.keeper
    machine.write("outputs/first", "the store is there")
    assert keeper.backup("outputs/first", wait=0)
    machine.write("outputs/a", "a")
    background.drive.error = ValueError("a defect of ours")
    keeper.backup("outputs/a")
    for _ in range(2):
        with pytest.raises(NotBackedUp, match="a defect of ours"):
            keeper.flush()
    assert "a defect of ours" in dict(keeper.queue.errors)[background.machine.keep.workspace.key("outputs/a")]
    assert "a defect of ours" in caplog.text
    background.drive.lives()
    machine.write("outputs/b", "b")
    assert keeper.backup("outputs/b", wait=0), "the worker lives on"
    assert keeper.backup("outputs/a", wait=0)
    keeper.flush()
    assert not keeper.queue.errors


def test_an_error_stands_until_what_it_was_about_is_in_the_store(background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    machine.write("outputs/d/x", "x")
    machine.write("outputs/d/y", "y")
    assert keeper.backup("outputs/d", wait=0)
    machine.write("outputs/d/x", "new x")
    background.drive.once.append(ValueError("a defect of ours"))
    keeper.backup("outputs/d/x", wait=0)
    machine.write("outputs/d/y", "new y")
    assert keeper.backup("outputs/d/y", wait=0).results[0].generation is not None
    with pytest.raises(NotBackedUp, match="a defect of ours"):
        keeper.flush()
    assert keeper.backup("outputs/d", wait=0)
    keeper.flush()


def test_an_error_is_over_when_a_later_copy_of_the_same_is_in_the_store(background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    machine.write("outputs/first", "the store is there")
    assert keeper.backup("outputs/first", wait=0)
    background.hold()
    background.drive.once.append(ValueError("a defect of ours"))
    machine.write("outputs/a", "a")
    keeper.backup("outputs/a")
    assert background.drive.reached.wait(30)
    machine.write("outputs/a", "b")
    keeper.backup("outputs/a")
    background.drive.going.set()
    keeper.flush(30)
    assert not keeper.queue.errors


def test_no_trouble_is_left_where_nothing_waits(background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    machine.write("outputs/first", "the store is there")
    assert keeper.backup("outputs/first", wait=0)
    background.drive.dies()
    machine.write("outputs/a", "a")
    keeper.backup("outputs/a")
    with pytest.raises(NotBackedUp, match="the mount is dead"):
        keeper.flush()
    background.drive.error = ValueError("a defect of ours")
    with pytest.raises(NotBackedUp, match="a defect of ours"):
        keeper.flush(30, patient=True)
    assert keeper.queue.trouble == ""


def test_a_defect_in_the_worker_does_not_end_it(
    background: Background, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    machine, keeper = background.machine, background.keeper
    assert keeper.commits is not None
    asked, failed = keeper.commits.awaited, threading.Event()

    def awaited() -> list[str]:
        if not failed.is_set():
            failed.set()
            raise RuntimeError("a defect of ours")
        return asked()

    monkeypatch.setattr(keeper.commits, "awaited", awaited)
    for content in ("a", "b"):
        machine.write("outputs/a", content)
        keeper.backup("outputs/a")
        assert failed.wait(30)
    keeper.flush(30)
    assert "a defect of ours" in caplog.text


def test_what_was_removed_here_comes_back_although_its_backup_had_not_been_sent(background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    place = machine.write("outputs/a", "a")
    background.hold()
    keeper.backup("outputs/a")
    assert background.drive.reached.wait(30)
    place.unlink()
    threading.Timer(0.2, background.drive.going.set).start()
    assert keeper.ensure("outputs/a").outcome is Outcome.RESTORED
    assert place.read_text() == "a"


def test_wait_tells_what_became_of_it(background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    machine.write("outputs/a", "a")
    done = keeper.backup("outputs/a", wait=5)
    assert done.confirmed
    assert done.results[0].generation is not None
    background.drive.dies()
    machine.write("outputs/a", "b")
    failed = keeper.backup("outputs/a", wait=0)
    assert not failed
    assert "the mount is dead" in failed.results[0].error


def test_what_cannot_be_kept_is_said_at_once(background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    machine.write("outputs/d/a", "a")
    (machine.root / "outputs/d/link").symlink_to("/etc")
    done = keeper.backup("outputs/d", "outputs/none")
    assert not done
    nothing, refused = done.results
    assert nothing.error == "outputs/none: nothing is there to back up"
    assert "link" in refused.problem()
    keeper.flush()


def test_a_keeper_attached_anew_goes_on_with_the_queue(rig: Rig, background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    machine.write("outputs/a", "a")
    background.drive.dies()
    keeper.backup("outputs/a")
    with pytest.raises(NotBackedUp):
        keeper.flush()
    again = machine.keeper()
    again.take_over(keeper)
    again.flush()
    assert fresh(rig, "outputs/a").read("outputs/a") == b"a"


def test_the_queue_of_a_killed_process_is_cleared_and_that_of_a_living_one_is_not(background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    machine.write("outputs/a", "a")
    background.drive.dies()
    keeper.backup("outputs/a")
    queues = machine.root / ".holdfast/queue"
    (living,) = queues.iterdir()
    (queues / "0badc0de").mkdir()
    (queues / "0badc0de" / "owner").write_bytes(b"")
    another = background.keep()
    another.backup("outputs/a")
    assert living.exists()
    assert not (queues / "0badc0de").exists()
    background.drive.lives()
    keeper.flush()
    another.flush()


def test_nothing_is_left_in_the_queue_and_unchanged_backups_send_nothing(background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    for number in range(3):
        machine.write("outputs/d/a", f"{number}")
        machine.write("outputs/d/large", b"l" * 1_100_000)
        keeper.backup("outputs/d")
    keeper.flush()
    sent = len(background.drive.created)
    keeper.backup("outputs/d")
    keeper.flush()
    assert len(background.drive.created) == sent
    (mine,) = (machine.root / ".holdfast/queue").iterdir()
    assert [p.name for p in mine.rglob("*")] == ["owner"]


def test_the_first_backup_of_a_part_joins_the_artifact_that_the_store_has(rig: Rig, background: Background) -> None:
    other = rig.machine()
    other.write("outputs/d/a", "a")
    assert other.keep.backup("outputs/d")
    background.machine.write("outputs/d/b", "b")
    background.keeper.backup("outputs/d/b")
    background.keeper.flush()
    assert read_tree(fresh(rig, "outputs/d").root / "outputs/d") == {"a": b"a", "b": b"b"}


def test_a_store_that_was_not_seen_when_it_was_queued_is_asked_again_where_it_belongs(rig: Rig, background: Background) -> None:
    other = rig.machine()
    other.write("outputs/d/a", "a")
    assert other.keep.backup("outputs/d")
    background.drive.dies()
    background.machine.write("outputs/d/b", "b")
    assert background.keeper.backup("outputs/d/b")
    background.drive.lives()
    background.keeper.flush()
    assert read_tree(fresh(rig, "outputs/d").root / "outputs/d") == {"a": b"a", "b": b"b"}


def test_a_passing_error_while_it_is_asked_again_is_waited_for(rig: Rig, background: Background) -> None:
    other = rig.machine()
    other.write("outputs/d/a", "a")
    assert other.keep.backup("outputs/d")
    background.drive.dies()
    background.machine.write("outputs/d/b", "b")
    assert background.keeper.backup("outputs/d/b")
    background.drive.once.append(StoreUnreachable(errno.ENOTCONN, "the mount is dead", str(rig.drive)))
    background.drive.lives()
    background.keeper.flush(patient=True)
    assert not background.drive.once, "it was met"
    assert not background.keeper.queue.errors
    assert read_tree(fresh(rig, "outputs/d").root / "outputs/d") == {"a": b"a", "b": b"b"}


def test_a_forked_child_sends_its_own_backups_and_leaves_its_parents_alone(rig: Rig, background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    background.drive.dies()
    machine.write("outputs/parent", "parent")
    keeper.backup("outputs/parent")
    with pytest.raises(NotBackedUp):
        keeper.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            background.drive.lives()
            machine.write("outputs/child", "child")
            keeper.backup("outputs/child", wait=0)
            code = 0 if background.drive.payloads() and not any("parent" in p for p in background.drive.payloads()) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert waiting(keeper) == ["outputs/parent"]
    background.drive.lives()
    keeper.flush()
    assert fresh(rig, "outputs").tree() == {"parent": b"parent", "child": b"child"}


def test_a_forked_child_waits_for_nothing_that_is_its_parents(rig: Rig, background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    background.hold()
    machine.write("outputs/parent", "parent")
    keeper.backup("outputs/parent")
    assert background.drive.reached.wait(30)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(20)
            background.drive.going.set()
            keeper.flush()
            code = 0 if not waiting(keeper) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    background.drive.going.set()
    keeper.flush(30)
    assert fresh(rig, "outputs").tree() == {"parent": b"parent"}


SCRIPT = """
import sys, time, holdfast
keep = holdfast.attach(sys.argv[1], drive=sys.argv[2])
for number in range(20):
    with open(sys.argv[1] + "/outputs/a", "w") as file:
        file.write(str(number))
    assert keep.backup("outputs/a")
{ending}
"""


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("", 0),
        ("raise RuntimeError('a cell failed')", 1),
        ("raise KeyboardInterrupt", 130),
        ("print('ready', flush=True); time.sleep(60)", -signal.SIGTERM),
    ],
    ids=["the end", "an exception", "an interrupt", "SIGTERM"],
)
def test_the_end_of_a_process_waits_for_what_is_queued(rig: Rig, tmp_path: Path, ending: str, code: int) -> None:
    root = tmp_path / "root"
    (root / "outputs").mkdir(parents=True)
    config = root / "config"
    config.mkdir()
    (config / "paths.yaml").write_text(f"drive: {{backup_base_dir: {PROJECT}}}")
    script = textwrap.dedent(SCRIPT).format(ending=ending)
    with subprocess.Popen(
        [sys.executable, "-c", script, str(root), str(rig.drive)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        if code == -signal.SIGTERM:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.terminate()
        _, said = process.communicate(timeout=100)
    assert process.returncode in (code, -signal.SIGINT if code == 130 else code), said
    assert fresh(rig, "outputs/a").read("outputs/a") == b"19"


LARGE = """
import atexit, os, sys, holdfast
root = sys.argv[1]
keep = holdfast.attach(root, drive=sys.argv[2])

def write(name):
    os.mkdir(f"{root}/outputs/{name}")
    for file in ("model", "optimizer"):
        with open(f"{root}/outputs/{name}/{file}", "wb") as handle:
            handle.write(os.urandom(2 << 20))
    assert keep.backup(f"outputs/{name}")

atexit.register(write, "at the end")
for number in range(4):
    write(str(number))
"""


def run_to_its_end(rig: Rig, tmp_path: Path, script: str) -> tuple[Path, str]:
    """Runs it with the folders of project and drive. Gives the project and what was said."""
    root = tmp_path / "root"
    (root / "outputs").mkdir(parents=True)
    (root / "config").mkdir()
    (root / "config/paths.yaml").write_text(f"drive: {{backup_base_dir: {PROJECT}}}")
    done = subprocess.run(
        [sys.executable, "-c", script, str(root), str(rig.drive)], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return root, done.stderr


def test_the_end_of_a_process_sends_checkpoints_of_several_large_files(rig: Rig, tmp_path: Path) -> None:
    root, _ = run_to_its_end(rig, tmp_path, LARGE)
    assert fresh(rig, "outputs").tree() == read_tree(root / "outputs")


GONE = """
import os, shutil, sys, holdfast
keep = holdfast.attach(sys.argv[1], drive=sys.argv[2])
for name in ("a", "b"):
    with open(f"{sys.argv[1]}/outputs/{name}", "w") as file:
        file.write("1")
    assert keep.backup(f"outputs/{name}")
    keep.flush()
shutil.move(sys.argv[2], sys.argv[2] + "-gone")
with open(sys.argv[1] + "/outputs/a", "w") as file:
    file.write("22")
keep.backup("outputs/a")
"""


def test_what_could_not_be_sent_at_the_end_of_a_process_is_said_once(rig: Rig, tmp_path: Path) -> None:
    _, said = run_to_its_end(rig, tmp_path, GONE)
    assert said.count("not in the store: ") == 1, said
    assert "outputs/a" in said


def test_a_worker_asks_for_confirmation_by_itself(background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    machine.write("outputs/a", "a")
    keeper.backup("outputs/a", wait=0)
    assert keeper.awaited() == []


def test_the_room_that_copies_take_here_is_told(background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    background.drive.dies()
    machine.write("outputs/small", os.urandom(20_000))
    large = machine.write("outputs/large", os.urandom(2_000_000))
    assert keeper.backup("outputs/small", "outputs/large")
    assert (keeper.queue.files, keeper.queue.size + keeper.queue.linked) == (2, 2_020_000)
    assert keeper.queue.size >= 20_000
    large.unlink()
    assert (keeper.queue.size, keeper.queue.linked) == (2_020_000, 0), "what a link alone keeps takes room"
    background.drive.lives()
    keeper.flush()
    assert (keeper.queue.files, keeper.queue.size, keeper.queue.linked) == (0, 0, 0)


def test_what_is_removed_after_its_backup_is_gone_for_a_fresh_machine_sent_before_or_not(rig: Rig, background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    for path in ("outputs/run/rec/a", "outputs/run/log", "outputs/other/rec/a"):
        machine.write(path, "1")
    assert keeper.backup("outputs/run/rec")
    assert keeper.backup("outputs/run")
    keeper.flush()
    background.hold()
    assert keeper.backup("outputs/other/rec")
    shutil.rmtree(machine.root / "outputs/run/rec")
    shutil.rmtree(machine.root / "outputs/other/rec")
    assert keeper.backup("outputs/run"), "what is below and gone goes with it"
    assert keeper.backup("outputs/other/rec"), "the copy of it waits, and was here"
    assert keeper.ensure("outputs/run/log")
    background.drive.going.set()
    keeper.flush()
    assert fresh(rig, "outputs/run").tree() == {"run/log": b"1"}
    other = rig.machine()
    assert other.keep.ensure("outputs/run/rec").outcome is Outcome.ABSENT
    assert other.keep.ensure("outputs/other/rec").outcome is Outcome.ABSENT


def test_a_drop_sends_first_what_waits_so_that_it_can_be_had_back(rig: Rig, background: Background) -> None:
    machine, keeper = background.machine, background.keeper
    machine.write("outputs/run/a", "last of the old")
    assert keeper.backup("outputs/run", progress=7)
    assert keeper.drop("outputs/run")
    machine.write("outputs/run/a", "new")
    assert keeper.backup("outputs/run", progress=1)
    keeper.flush()
    assert fresh(rig, "outputs/run").read("outputs/run/a") == b"new"
    old = keeper.history("outputs/run")[-1]
    assert keeper.restore("outputs/run", generation=old.generation, to=machine.root / "back")
    assert (machine.root / "back/outputs/run/a").read_bytes() == b"last of the old"


def test_a_large_copy_that_was_superseded_goes_without_its_caller_waiting_for_that(background: Background) -> None:
    machine, drive, keeper = background.machine, background.drive, background.keeper
    removed: dict[str, int] = {}

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event == "os.remove":
            removed[str(arguments[0])] = threading.get_ident()

    def copies() -> set[str]:
        queue = machine.root / ".holdfast"
        return {str(p) for p in queue.rglob("*") if p.is_file() and p.stat().st_size == 9 << 20}

    sys.addaudithook(watch)
    drive.dies()
    machine.write("outputs/run/model.bin", b"\0" * (9 << 20))
    assert keeper.backup("outputs/run")
    (first,) = copies()
    machine.write("outputs/run/model.bin", b"\1" * (9 << 20))
    assert keeper.backup("outputs/run")
    until(lambda: len(copies()) == 1)
    assert first not in copies()
    assert removed[first] != threading.get_ident()
    drive.lives()
    keeper.flush(60, patient=True)
    assert (keeper.queue.files, copies()) == (0, set())
