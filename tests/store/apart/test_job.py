"""Files are read in another process: no lock of the job is lost, and whatever happens there comes back as one clear thing."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.errors import LocalError, Refused
from holdfast.store.apart.job import Apart
from tests.store.apart import far

SECONDS = 60.0


def test_a_posix_lock_of_the_job_still_stands(apart: Apart, tmp_path: Path) -> None:
    file = tmp_path / "x.duckdb"
    file.write_bytes(b"DUCK")
    descriptor = far.lock(file)
    assert apart.call(far.content, file, seconds=SECONDS) == b"DUCK"
    assert not far.gets_lock(file)
    far.content(file)  # the contrast: the same in this process
    assert far.gets_lock(file)
    os.close(descriptor)


def test_the_lock_of_a_database_still_stands(apart: Apart, tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=0); c.execute('insert into t values (2)'); c.commit()"
    writing = [sys.executable, "-c", code, str(file)]
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("create table t(x)")
    connection.execute("begin immediate")
    apart.call(far.content, file, seconds=SECONDS)
    assert b"locked" in subprocess.run(writing, capture_output=True, check=False).stderr
    far.content(file)  # the contrast: the same in this process
    subprocess.run(writing, check=True)
    connection.close()


def test_values_go_and_come_back(apart: Apart) -> None:
    for value in (None, [1, "é\udcff"], b"a" * 3_000_000, {"path": Path("/x")}):
        assert apart.call(far.same, value, seconds=SECONDS) == value


def test_an_error_comes_back_as_it_is(apart: Apart) -> None:
    with pytest.raises(Refused) as refused:
        apart.call(far.raise_refused, "/x", seconds=SECONDS)
    assert refused.value.line == "/x: it is a pipe"
    assert "raise_refused" in "".join(refused.value.__notes__)
    with pytest.raises(FileNotFoundError) as missing:
        apart.call(far.content, Path("/nowhere"), seconds=SECONDS)
    assert missing.value.filename == "/nowhere"
    with pytest.raises(RuntimeError, match="Odd: 1 2"):  # it cannot be pickled
        apart.call(far.raise_odd, seconds=SECONDS)
    with pytest.raises(SystemExit):
        apart.call(far.leave, seconds=SECONDS)
    assert apart.call(far.same, 1, seconds=SECONDS) == 1


def test_what_is_printed_there_goes_nowhere_and_what_is_logged_comes_here(
    apart: Apart, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO):
        apart.call(far.log_and_print, seconds=SECONDS)
    assert [(record.name, record.getMessage()) for record in caplog.records] == [("holdfast.far", "seen 3 times")]
    assert "nowhere" not in capfd.readouterr().out


def test_a_call_that_takes_too_long_is_ended(apart: Apart, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"did not come to an end within 1\.5 s"):
        apart.call(far.sleep_after, tmp_path / "pid", seconds=1.5)
    assert apart.call(os.getpid, seconds=SECONDS) != os.getpid()
    if (tmp_path / "pid").exists():  # it had come so far
        far.wait_for(lambda: not far.alive(int((tmp_path / "pid").read_text())))


def test_a_process_that_dies_is_begun_anew_once(apart: Apart, tmp_path: Path) -> None:
    first = apart.call(os.getpid, seconds=SECONDS)
    os.kill(first, signal.SIGKILL)
    second = apart.call(os.getpid, seconds=SECONDS)
    assert second not in {first, os.getpid()}
    assert apart.call(far.kill_myself, tmp_path / "again", seconds=SECONDS) != second
    with pytest.raises(LocalError, match=r"died twice \(ended by signal 9\)"):
        apart.call(far.kill_myself_always, seconds=SECONDS)
    assert apart.call(far.same, 1, seconds=SECONDS) == 1
    assert not far.alive(first)
    assert not far.alive(second)


def test_threads_wait_for_each_other(apart: Apart) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda n: apart.call(far.same, n, seconds=SECONDS), range(300))) == list(range(300))
        assert len(set(pool.map(lambda _: apart.call(os.getpid, seconds=SECONDS), range(20)))) == 1


def test_an_interrupt_there_is_not_heard(apart: Apart) -> None:
    pid = apart.call(os.getpid, seconds=SECONDS)
    assert os.getsid(pid) == pid, "a session of its own: a terminal's Ctrl-C goes elsewhere"
    assert apart.call(far.interrupt_myself, seconds=SECONDS) == pid


def test_one_that_nobody_uses_ends_and_another_one_begins() -> None:
    apart = Apart(idle_seconds=0.2)
    pid = apart.call(os.getpid, seconds=SECONDS)
    far.wait_for(lambda: not far.alive(pid))
    assert apart.call(os.getpid, seconds=SECONDS) != pid
    apart.close()


def test_no_descriptor_process_or_thread_is_left(apart: Apart) -> None:
    def left() -> tuple[int, set[str]]:
        return len(os.listdir("/proc/self/fd")), {thread.name for thread in threading.enumerate() if "holdfast" in thread.name}

    before = left()
    for _ in range(3):
        pid = apart.call(os.getpid, seconds=SECONDS)
        apart.close()
        assert not far.alive(pid)
    # Fewer is no leak: what the test before left to the collector may go meanwhile.
    far.wait_for(lambda: all(now <= then for now, then in zip(left(), before, strict=True)))


def run(script: str, *arguments: object, stdin: bool = False, **more: str) -> str:
    """Run a script, with every warning an error; what it prints. It may say nothing else."""
    command = [sys.executable, "-X", "dev", "-W", "error", *(["-"] if stdin else ["-c", script]), *map(str, arguments)]
    done = subprocess.run(
        command, input=script if stdin else None, text=True, capture_output=True, env={**far.ENVIRONMENT, **more}, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.strip()


BASIC = """
import os
from holdfast.store.apart.job import Apart
from tests.store.apart import far
apart = Apart()
pid = apart.call(os.getpid, seconds=60)
print(pid, flush=True)
"""


@pytest.mark.parametrize("stdin", [False, True])
def test_it_ends_with_the_interpreter_and_says_nothing(*, stdin: bool) -> None:
    pid = int(run(BASIC, stdin=stdin))
    assert not far.alive(pid)


def test_what_else_ends_with_the_interpreter_may_still_call() -> None:
    script = BASIC + "import atexit; atexit.register(lambda: print(apart.call(far.same, 'late', seconds=60)))"
    assert run(script).endswith("late")


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """Between two calls and within one, and where a forked process lives on that has the pipe as well."""
    middle = (
        "import threading; threading.Thread(target=lambda: apart.call(far.sleep_after, far.Path(sys.argv[1]), seconds=600)).start()"
    )
    forked = "if os.fork() == 0:\n    import time; print('forked', os.getpid(), flush=True); time.sleep(600)"
    for number, more in enumerate(("", "import sys\n" + middle, forked)):
        told = tmp_path / f"{number}"
        script = f"{BASIC}\n{more}\nimport time; time.sleep(600)"
        command = [sys.executable, "-W", "ignore", "-c", script, str(told)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=far.ENVIRONMENT) as parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            if "Thread" in more:
                far.wait_for(told.exists)
            lives_on = int(parent.stdout.readline().split()[1]) if "forked" in more else None
            parent.kill()
            parent.wait()
            far.wait_for(lambda pid=pid: not far.running(pid))
            if lives_on is not None:
                assert far.running(lives_on)
                os.kill(lives_on, signal.SIGKILL)


def test_a_forked_process_has_its_own() -> None:
    script = """
import os, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads is what this is about
from holdfast.store.apart.job import Apart
from tests.store.apart import far
apart = Apart()
first = apart.call(os.getpid, seconds=60)
apart._lock.__enter__()  # as if another thread were in a call
child = os.fork()
if child == 0:
    second = apart.call(os.getpid, seconds=60)
    assert second != first
    assert far.running(first)
    apart.close()
    assert not far.alive(second)
    os._exit(7)
_, status = os.waitpid(child, 0)
apart._lock.__exit__()
assert os.waitstatus_to_exitcode(status) == 7, status
assert apart.call(os.getpid, seconds=60) == first
print("good")
"""
    assert run(script).endswith("good")


def test_it_runs_our_package_wherever_the_job_found_it_and_nothing_in_its_place(tmp_path: Path) -> None:
    """Found by a change of sys.path, beside modules that have the names of the standard library's, and another holdfast."""
    for name in ("pickle", "logging", "select", "blake3_", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(9)")
    (tmp_path / "holdfast").mkdir()
    (tmp_path / "holdfast" / "__init__.py").write_text("raise SystemExit(8)")
    script = f"""
import os, sys
sys.path.insert(0, {str(far.ROOT)!r})
sys.path.insert(0, {str(far.ROOT / "src")!r})
import holdfast, pickle, logging, select
from holdfast.store.apart.job import Apart
from tests.store.apart import far
sys.path[:0] = ["", {str(tmp_path)!r}]
os.chdir({str(tmp_path)!r})
if __name__ == "__main__":
    assert Apart().call(far.where_holdfast_is, seconds=60) == holdfast.__file__
    print("good")
else:
    raise SystemExit("the main module was run again")
"""
    assert run(script, PYTHONPATH="") == "good"


def test_it_loads_little(apart: Apart) -> None:
    loaded = apart.call(far.modules, seconds=SECONDS)
    assert not loaded & {"torch", "numpy", "pytest", "asyncio", "holdfast.session", "multiprocessing"}
    assert "__mp_main__" not in loaded


def test_a_program_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(LocalError, match="no process could be started"):
        Apart().call(os.getpid, seconds=SECONDS)
