"""Two sessions on one artifact: the second is told and writes nothing there, unless it was told to; then both lines are kept."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import AnotherSession, NotBackedUp
from holdfast.session.background import lease as leases
from holdfast.session.background.lease import Lease
from holdfast.session.background.process import Process, _born
from holdfast.session.keeper import Keeper
from holdfast.store.backends.directory import DirectoryBackend
from holdfast.store.backends.wrappers import Faulty
from holdfast.store.format.keys import Key
from holdfast.store.format.names import SESSIONS
from holdfast.store.reporting.outcomes import Outcome
from holdfast.store.store import Store
from tests.support import PROJECT, Machine, Rig

STUDY = Key("outputs/hpo/tiny")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Elsewhere:
    """Sessions on machines of their own: nothing but their beats tells whether they live."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.backend = DirectoryBackend(folder, PROJECT)
        (folder / PROJECT).mkdir(parents=True)

    def session(
        self,
        host: str,
        *,
        force: bool = False,
        ahead: float = 0.0,
        number: int = 7,
        workspace: str = "",
        process: Process | None = None,
    ) -> Lease:
        process = process or Process(host, f"boot-of-{host} namespace-{number}", number, 42)
        return Lease(force, process=process, clock=self.clock, wall=lambda: self.clock() + ahead, workspace=workspace)

    def work(self, lease: Lease, key: Key = STUDY) -> None:
        """What the worker does around one backup, and some time passes."""
        lease.look(self.backend, [key])
        lease.hold(self.backend, [key])
        self.clock.now += 1

    def wait(self, seconds: float, *living: Lease) -> None:
        """So much later, with every beat given that falls due."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now = min(end, self.clock.now + 10)
            for lease in living:
                if lease.due is not None and lease.due <= self.clock.now:
                    lease.keep(self.backend)

    def beats(self) -> list[str]:
        folder = self.folder / PROJECT / SESSIONS
        return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def elsewhere(tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path)


def test_a_session_on_another_machine_is_noticed_by_its_next_beat_and_nobody_waits_for_one_that_is_gone(
    elsewhere: Elsewhere, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = elsewhere.session("first")
    elsewhere.work(first)
    elsewhere.wait(30, first)
    second = elsewhere.session("second")
    elsewhere.work(second)  # it may be gone: a machine that was taken away leaves just this
    assert "another session worked on outputs/hpo/tiny (on first, process 7, seen 31 s ago)" in caplog.text
    elsewhere.wait(leases.BEAT_SECONDS, first, second)
    with pytest.raises(AnotherSession, match=r"another session works on it \(on first, process 7"):
        elsewhere.work(second)
    elsewhere.work(first)  # it was there first


def test_one_that_is_gone_holds_nobody_up_and_is_swept_away_in_the_end(elsewhere: Elsewhere) -> None:
    gone = elsewhere.session("gone")
    elsewhere.work(gone)
    second = elsewhere.session("second")
    for _ in range(20):
        elsewhere.work(second)
        elsewhere.wait(60, second)
    assert len(elsewhere.beats()) == 2
    elsewhere.wait(leases.IDLE_SECONDS + leases.BEAT_SECONDS, second)
    third = elsewhere.session("third")
    elsewhere.clock.now += leases.SWEPT_SECONDS
    elsewhere.work(third)
    assert len(elsewhere.beats()) == 1


def test_one_that_died_while_it_was_watched_lets_go(elsewhere: Elsewhere) -> None:
    first, second = elsewhere.session("first"), elsewhere.session("second")
    elsewhere.work(first)
    elsewhere.work(second)
    elsewhere.wait(2 * leases.BEAT_SECONDS, first, second)
    assert second.rival([STUDY])
    elsewhere.wait(leases.DEAD_SECONDS + leases.BEAT_SECONDS, second)
    assert not second.rival([STUDY])
    elsewhere.work(second)


def test_one_that_ended_in_order_is_gone_at_once(elsewhere: Elsewhere) -> None:
    first, second = elsewhere.session("first"), elsewhere.session("second")
    elsewhere.work(first)
    elsewhere.work(second)
    elsewhere.wait(2 * leases.BEAT_SECONDS, first, second)
    first.release(elsewhere.backend)
    elsewhere.clock.now += leases.LOOK_SECONDS
    elsewhere.work(second)


def test_other_artifacts_are_nobody_elses_business(elsewhere: Elsewhere) -> None:
    first, second = elsewhere.session("first"), elsewhere.session("second")
    elsewhere.work(first, Key("outputs/hpo/one"))
    elsewhere.work(second, Key("outputs/hpo/other"))
    elsewhere.wait(3 * leases.BEAT_SECONDS, first, second)
    elsewhere.work(first, Key("outputs/hpo/one"))
    elsewhere.work(second, Key("outputs/hpo/other"))
    with pytest.raises(AnotherSession):
        elsewhere.work(second, Key("outputs/hpo"))


@pytest.mark.parametrize("ahead", [-7200.0, 7200.0])
def test_a_clock_that_is_hours_off_hides_no_live_session(elsewhere: Elsewhere, ahead: float) -> None:
    first, second = elsewhere.session("first", ahead=ahead), elsewhere.session("second")
    elsewhere.work(first)
    elsewhere.wait(60, first)
    elsewhere.work(second)
    elsewhere.wait(3 * leases.BEAT_SECONDS, first, second)
    told = [bool(first.rival([STUDY])), bool(second.rival([STUDY]))]
    assert sorted(told) == [False, True], "one of them goes on, and only one"


def test_whoever_is_told_to_writes_beside_says_so_once_and_stops_nobody(
    elsewhere: Elsewhere, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = elsewhere.session("first"), elsewhere.session("second", force=True, ahead=-500)
    elsewhere.work(first)
    for _ in range(6):
        elsewhere.work(second)
        elsewhere.work(first)
        elsewhere.wait(leases.BEAT_SECONDS, first, second)
    assert caplog.text.count("this one writes beside it, and both lines are kept") == 1


def test_sessions_in_one_project_folder_are_siblings_and_those_in_others_are_not(elsewhere: Elsewhere) -> None:
    def session(name: str, number: int, workspace: str) -> Lease:
        return elsewhere.session(name, number=number, workspace=workspace)

    first, sibling = session("one", 1, "project"), session("one", 2, "project")
    beside, copied = session("one", 3, "another"), session("two", 4, "project")  # a copied folder may have the same numbers
    elsewhere.work(first)
    elsewhere.work(sibling)
    elsewhere.wait(2 * leases.BEAT_SECONDS, first, sibling)
    for other in (beside, copied):
        elsewhere.clock.now += leases.LOOK_SECONDS
        other.keep(elsewhere.backend)
        with contextlib.suppress(AnotherSession):
            elsewhere.work(other)  # what it sees for the first time may be gone
        elsewhere.wait(2 * leases.BEAT_SECONDS, first, sibling, other)
        with pytest.raises(AnotherSession):
            elsewhere.work(other)
        elsewhere.work(first)
        elsewhere.work(sibling)


def test_what_one_process_of_a_folder_was_first_at_a_later_one_is_not_kept_from(elsewhere: Elsewhere) -> None:
    first, other = elsewhere.session("here", number=1, workspace="project"), elsewhere.session("there")
    elsewhere.work(first)
    elsewhere.work(other)
    sibling = elsewhere.session("here", number=2, workspace="project")
    elsewhere.work(sibling)
    elsewhere.wait(2 * leases.BEAT_SECONDS, first, other, sibling)
    elsewhere.work(sibling)
    elsewhere.work(first)
    with pytest.raises(AnotherSession):
        elsewhere.work(other)


def test_a_refusal_is_looked_at_anew(elsewhere: Elsewhere) -> None:
    here = Process.this()
    first = elsewhere.session("", process=dataclasses.replace(here, number=os.getppid(), born=_born(os.getppid())))
    second = elsewhere.session("", process=here)
    elsewhere.work(first)
    with pytest.raises(AnotherSession):
        elsewhere.work(second)
    first.release(elsewhere.backend)  # it lives on, idle
    with pytest.raises(AnotherSession):
        second.refuse(elsewhere.backend, [STUDY])
    elsewhere.clock.now += leases.LOOK_SECONDS
    second.refuse(elsewhere.backend, [STUDY])
    elsewhere.work(second)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"host": 1}',
        b"\xff\xfe",
        b"x" * (leases.MAX_LEASE_BYTES + 1),
        b'{"host":"h","place":"p","process":1,"born":1,"at":0,"forced":false,"keys":{"../../etc":0}}',
    ],
)
def test_what_is_no_lease_is_none(elsewhere: Elsewhere, content: bytes) -> None:
    place = elsewhere.folder / PROJECT / SESSIONS / "0123abcd-000001.json"
    place.parent.mkdir()
    place.write_bytes(content)
    elsewhere.work(elsewhere.session("second"))


def test_a_store_that_takes_no_lease_stops_nobody(elsewhere: Elsewhere) -> None:
    def full(operation: str, path: str) -> None:
        if path.startswith(SESSIONS):
            raise OSError(28, "No space left on device")

    lease = elsewhere.session("first")
    backend = Faulty(elsewhere.backend, full)
    lease.look(backend, [STUDY])
    lease.hold(backend, [STUDY])
    lease.keep(backend)
    lease.release(backend)


def test_what_a_lease_costs_is_one_file_in_two_minutes(elsewhere: Elsewhere) -> None:
    operations: list[str] = []
    backend = Faulty(elsewhere.backend, lambda operation, path: operations.append(operation))
    lease = elsewhere.session("first")
    until = elsewhere.clock.now + 3600
    while elsewhere.clock.now < until:  # a backup a second
        lease.look(backend, [STUDY])
        lease.hold(backend, [STUDY])
        elsewhere.clock.now += 1
    assert operations.count("create") == 3600 / leases.BEAT_SECONDS
    assert operations.count("list") <= 3600 / leases.LOOK_SECONDS + 1
    assert operations.count("read") == 0
    assert len(elsewhere.beats()) == 1


# -- on one machine, with real processes --------------------------------------------------------------------------------

SESSION = """
    import logging, sys, time
    from pathlib import Path
    import holdfast
    logging.basicConfig(level="INFO", format="%(levelname)s %(message)s")
    root, drive, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    keep = holdfast.attach(root, drive, force="force" in sys.argv)
    keep.ensure("outputs/hpo/tiny")
    (root / "outputs/hpo/tiny").mkdir(parents=True, exist_ok=True)
    (root / "outputs/hpo/tiny" / name).write_text(name)
    print("backed up", bool(keep.backup("outputs/hpo/tiny", wait=0)), flush=True)
    for line in sys.stdin if "stay" in sys.argv else ():
        (root / "outputs/hpo/tiny" / line.strip()).write_text(line)
        print("backed up", bool(keep.backup("outputs/hpo/tiny", wait=0)), flush=True)
"""


class Sessions:
    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.running: list[subprocess.Popen[str]] = []

    def start(self, name: str, *options: str, root: Path | None = None) -> subprocess.Popen[str]:
        place = root or self.rig.machine().root
        (place / "config").mkdir()
        (place / "config/paths.yaml").write_text(f"drive:\n  backup_base_dir: {PROJECT}\n")
        command = [sys.executable, "-c", textwrap.dedent(SESSION), str(place), str(self.rig.drive), name, *options]
        made = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.running.append(made)
        return made

    def first(self) -> subprocess.Popen[str]:
        """A session that has backed up, and lives on."""
        made = self.start("first", "stay")
        self.backs_up(made)
        self._wait_for_its_lease()
        return made

    def backs_up(self, session: subprocess.Popen[str]) -> str:
        """Wait until it says that it did. What it said until then."""
        assert session.stdout is not None
        said = ""
        for line in session.stdout:
            said += line
            if line.startswith("backed up"):
                assert line == "backed up True\n", said
                return said
        raise AssertionError(f"the session ended: {said}")

    def _wait_for_its_lease(self) -> None:
        for _ in range(200):
            if any(p.read_bytes().endswith(b"}") for p in (self.rig.drive / PROJECT / SESSIONS).glob("*.json")):
                return
            time.sleep(0.1)
        raise AssertionError("no lease was written")


@pytest.fixture
def sessions(rig: Rig) -> Iterator[Sessions]:
    made = Sessions(rig)
    yield made
    for process in made.running:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def test_the_second_of_two_sessions_is_told_and_writes_nothing(rig: Rig, sessions: Sessions) -> None:
    first = sessions.first()
    said, _ = sessions.start("second").communicate(timeout=60)
    assert "backed up False" in said
    assert f"ERROR outputs/hpo/tiny: another session works on it (on {os.uname().nodename}, process {first.pid}, seen" in said
    assert "Traceback" not in said
    assert len(rig.machine().keep.history("outputs/hpo/tiny")) == 1


def test_forced_to_write_both_lines_survive_history_shows_the_fork_and_one_command_chooses(rig: Rig, sessions: Sessions) -> None:
    first = sessions.first()
    said, _ = sessions.start("second", "force").communicate(timeout=60)
    assert "backed up True" in said
    assert "this one writes beside it, and both lines are kept" in said
    assert first.stdin is not None
    first.stdin.write("first-again\n")
    first.stdin.flush()
    assert "fork" in sessions.backs_up(first)
    machine = rig.machine()
    (machine.root / "config").mkdir()
    (machine.root / "config/paths.yaml").write_text(f"drive:\n  backup_base_dir: {PROJECT}\n")
    heads = {e.generation for e in machine.keep.history("outputs/hpo/tiny") if e.head}
    history = holdfast(machine, rig, "history", "outputs/hpo/tiny")
    assert history.count("fork") >= 1
    assert len(heads) == 2
    found = []
    for generation in heads:
        assert generation in history
        holdfast(machine, rig, "restore", "outputs/hpo/tiny", "--generation", generation)
        found.append({p.name for p in (machine.root / "outputs/hpo/tiny").iterdir()})
    assert sorted(map(sorted, found)) == [["first", "first-again"], ["first", "second"]]


def holdfast(machine: Machine, rig: Rig, *command: str) -> str:
    arguments = [sys.executable, "-m", "holdfast", *command, "--root", str(machine.root), "--drive", str(rig.drive)]
    return subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_session_that_ended_here_holds_nobody_up(rig: Rig, sessions: Sessions, end: int) -> None:
    first = sessions.first()
    first.send_signal(end)
    first.wait(60)
    left = list((rig.drive / PROJECT / SESSIONS).glob("*.json"))
    assert bool(left) == (end == signal.SIGKILL), "an orderly end takes its lease with it"
    said, _ = sessions.start("second").communicate(timeout=60)
    assert "backed up True" in said
    assert "another session" not in said
    assert not list((rig.drive / PROJECT / SESSIONS).glob("*.json"))


def test_an_attached_keeper_tells_by_claim_before_any_work_is_done(rig: Rig, sessions: Sessions) -> None:
    sessions.first()
    keeper = _keeper(rig)
    with pytest.raises(AnotherSession):
        keeper.claim("outputs/hpo/tiny")
    with pytest.raises(AnotherSession):
        keeper.refuse_rival("outputs/hpo/tiny")
    keeper.claim("outputs/hpo/other")
    assert keeper.ensure("outputs/hpo/tiny").outcome is Outcome.RESTORED, "reading is free"


def test_what_was_not_backed_up_for_another_session_is_in_status_and_raised_by_flush(rig: Rig, sessions: Sessions) -> None:
    sessions.first()
    keeper = _keeper(rig)
    (keeper.root / "outputs/hpo/tiny").mkdir(parents=True)
    (keeper.root / "outputs/hpo/tiny/second").write_text("second")
    keeper.backup("outputs/hpo/tiny")
    with pytest.raises(NotBackedUp, match="another session works on it"):
        keeper.flush(30)
    assert "another session works on it" in {str(k): v for k, v in keeper.queue.errors}["outputs/hpo/tiny"]
    assert not keeper.backup("outputs/hpo/tiny")


def test_nothing_of_a_lease_is_an_artifact_a_leftover_or_damage(rig: Rig, sessions: Sessions) -> None:
    sessions.first()
    machine = rig.machine()
    assert [str(r.key) for r in machine.keep.status()] == ["outputs/hpo/tiny"]
    assert machine.keep.verify() == []
    assert machine.keep.prune(orphans=True).payloads == ()
    assert len(list((rig.drive / PROJECT / SESSIONS).glob("*.json"))) == 1


def test_a_lease_says_where_it_is_held(rig: Rig, sessions: Sessions) -> None:
    first = sessions.first()
    (place,) = (rig.drive / PROJECT / SESSIONS).glob("*.json")
    body = json.loads(place.read_bytes())
    assert body["process"] == first.pid
    assert list(body["keys"]) == ["outputs/hpo/tiny"]
    here = Process.this()
    assert here.lives(here) is True
    assert here.lives(dataclasses.replace(here, number=first.pid, born=body["born"])) is True
    assert here.lives(dataclasses.replace(here, number=first.pid, born=body["born"] + 1)) is False
    assert here.lives(dataclasses.replace(here, place="another boot")) is None


def _keeper(rig: Rig) -> Keeper:
    machine = rig.machine()
    store = Store(DirectoryBackend(rig.drive, PROJECT))
    return Keeper(machine.keep.config, store, machine.keep.workspace, background=True)
