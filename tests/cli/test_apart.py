"""A command in a process of its own: what it prints and its exit code come through, also where it never ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from holdfast.simulator import Hang
from tests.drive import Mount, mount, nothing_stays_mounted
from tests.simulator.support import until

__all__ = ["mount", "nothing_stays_mounted"]


def run(body: str, *, tail: str = "") -> subprocess.CompletedProcess[str]:
    code = (
        "import os, sys, threading\nfrom holdfast.cli.apart import APART\n"
        f"def command():\n    APART.step_aside(); {body}\nAPART.run(command)\n"
    )
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$0" -c "$1" {tail}', sys.executable, code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("code", [0, 1, 5, 130])
def test_the_exit_code_comes_through(code: int) -> None:
    assert run(f"return {code}").returncode == code


def test_what_is_printed_comes_through_to_the_last_byte() -> None:
    done = run("print('x' * 3_000_000); print('problem', file=sys.stderr); return 0")
    assert (done.returncode, len(done.stdout), done.stderr) == (0, 3_000_001, "problem\n")


def test_a_bug_is_a_traceback_and_1() -> None:
    done = run("return 1 // 0")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_a_command_that_is_killed_is_told_as_a_shell_does() -> None:
    assert run("os.kill(os.getpid(), 9)").returncode == 128 + signal.SIGKILL


def test_output_that_nobody_reads_is_no_traceback() -> None:
    assert "Traceback" not in run("print('x' * 3_000_000); return 0", tail="| head -c 0").stderr


def test_it_ends_where_a_thread_of_the_command_waits_for_a_mount_that_hangs(mount: Mount) -> None:
    drive = mount()
    drive.weather(hangs=(Hang(),))
    place = str(drive.my_drive)
    hanging = f"threading.Thread(target=os.stat, args=({place!r},), daemon=True).start()"
    ended = threading.Event()
    done: list[subprocess.CompletedProcess[str]] = []

    def call() -> None:
        done.append(run(f"{hanging}; import time; time.sleep(0.3); print('said'); return 3"))
        ended.set()

    threading.Thread(target=call, daemon=True).start()
    until(ended.is_set)
    assert drive.hanging() != [], "it did not hang"
    assert (done[0].returncode, done[0].stdout) == (3, "said\n")
    drive.release()
