"""Mounting Drive from the notebook: asked once, a live mount is taken, a dead one mounted anew, every trouble is one line."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from holdfast.simulator import Death
from holdfast.simulator.colab import Consent, Mounting
from holdfast.simulator.mounting import mounted
from holdfast.simulator.weather import Hang, Spared, Trouble
from tests.notebook.conftest import Colab
from tests.notebook.session import Ran, Session
from tests.simulator.support import until

ATTACH = "holdfast.attach()"
BACK_UP = """\
place = keep.root / "outputs" / "a.txt"
place.parent.mkdir(exist_ok=True)
place.write_text("a")
print(bool(keep.backup(place, wait=0)))"""


def one_line(ran: Ran) -> str:
    """What a failing cell shows: one line, and no traceback anywhere."""
    assert ran.end == "failed", ran
    assert ran.error.count("\n") == 0, ran.error
    assert "Traceback" not in ran.error + ran.text
    return ran.error


def attach(one: Session, *after: str, **options: Any) -> Ran:
    return one.run_all(through=ATTACH, after=after, **options)


def test_a_mount_from_the_files_pane_is_taken_and_nobody_is_asked_again(machines: Colab) -> None:
    one = machines.machine()
    ran = attach(one, BACK_UP, before=machines.mounting() + f"\nimport os; os.remove({str(machines.fake.folder / 'asked')!r})")
    assert ran.end == "done", ran
    assert ran.cells[-1][1].endswith("True\n")
    assert not machines.fake.asked


def test_the_next_kernel_on_the_same_machine_asks_nobody(machines: Colab) -> None:
    one = machines.machine()
    assert attach(one).end == "done"
    machines.forget_consent()
    assert attach(one).end == "done"
    assert not machines.fake.asked


def test_consent_that_nobody_gives_ends_with_one_line_when_it_is_interrupted(machines: Colab) -> None:
    machines.fake.set(consent=Consent.HANGS)
    one = machines.machine()

    def interrupt(pid: int) -> None:
        until(lambda: machines.fake.asked)
        os.kill(pid, signal.SIGINT)

    said = one_line(attach(one, meanwhile=interrupt))
    assert said.startswith("Interrupted: ")
    assert "run the cell again and allow access in the window that opens" in said
    machines.fake.set(consent=Consent.GIVEN)
    assert attach(one).end == "done"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"consent": Consent.REFUSED}, "access was refused; run the cell again and give consent in the window that opens"),
        (
            {"mounting": Mounting.FAILS},
            "(ValueError: mount failed); run the cell again; if that does not help, take a fresh machine",
        ),
        ({"mounting": Mounting.TIMES_OUT}, "listing its first folder took too long; run the cell again"),
        ({"mounting": Mounting.STALLS}, "did not come up in time; run the cell again"),
    ],
)
def test_a_mount_that_fails_is_one_line_that_says_what_to_do(machines: Colab, settings: Mapping[str, Any], said: str) -> None:
    machines.fake.set(**settings)
    shown = one_line(attach(machines.machine()))
    assert shown.startswith(f"StoreUnreachable: {machines.mount_point}: Drive ")
    assert said in shown
    machines.fake.set(consent=Consent.GIVEN, mounting=Mounting.WORKS)
    assert attach(machines.machine(), BACK_UP).end == "done"


def test_files_at_the_mount_point_are_told_and_stay(machines: Colab) -> None:
    place = machines.mount_point / "MyDrive-local" / "a"
    place.parent.mkdir(parents=True)
    place.write_text("a")
    said = one_line(attach(machines.machine()))
    assert f"move them away (!mv {machines.mount_point} {machines.mount_point}-local) and run the cell again" in said
    assert place.read_text() == "a"


def test_a_thread_cannot_mount_and_says_so(machines: Colab) -> None:
    code = (
        "import threading, holdfast\n"
        "def attach():\n"
        "    try: holdfast.attach()\n"
        "    except holdfast.errors.StoreUnreachable as error: print(error.line)\n"
        "thread = threading.Thread(target=attach); thread.start(); thread.join()"
    )
    ran = machines.machine().run_all(through="importlib.util", after=[code])
    assert "by a notebook cell only, not by a thread" in ran.text
    assert not machines.fake.asked


DEATHS: dict[str, dict[str, Any]] = {
    "answers ENOTCONN": {"death": Death.ENOTCONN},
    "denies everything": {"death": Death.ENOENT},
    "denies what it lists": {"death": Death.ENOENT, "spared": Spared.MY_DRIVE},
    "hangs": {"hangs": (Hang(),)},
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_dead_mount_is_mounted_anew_and_what_may_be_lost_is_said(machines: Colab, death: str) -> None:
    one = machines.machine(timeout=2)
    assert attach(one, BACK_UP).end == "done"
    machines.fake.drive.drain()
    machines.forget_consent()
    machines.fake.drive.weather(**DEATHS[death])
    ran = attach(one, BACK_UP.replace('"a"', '"b"'))
    assert ran.end == "done", ran
    said = ran.of(ATTACH)
    assert "mounted anew by force" in said
    assert "What was not uploaded is lost with it, perhaps of: outputs/a.txt; what is still here is backed up again." in said
    assert machines.fake.asked
    assert ran.cells[-1][1].endswith("True\n")
    assert "Traceback" not in ran.text


def test_a_mount_that_is_only_in_trouble_is_never_forced(machines: Colab) -> None:
    """A folder with too many files answers EIO, and a forced mount would drop what is on its way."""
    one = machines.machine()
    assert attach(one, BACK_UP).end == "done"
    machines.forget_consent()
    machines.fake.drive.weather(troubles=(Trouble("", ("readdir", "list"), "EIO"),))
    ran = attach(one)
    assert ran.end == "done", ran
    assert "force" not in ran.text
    assert not machines.fake.asked


def test_a_mount_for_reading_restores_and_says_why_nothing_is_backed_up(machines: Colab) -> None:
    first = machines.machine()
    assert attach(first, BACK_UP).end == "done"
    machines.fake.drive.drain()
    machines.take_away()
    ran = attach(
        machines.machine(),
        "print(keep.ensure('outputs/a.txt').outcome.name)",
        BACK_UP.replace("a.txt", "b.txt"),
        before=machines.mounting(", readonly=True"),
    )
    assert ran.end == "done", ran
    assert ran.cells[-2][1] == "RESTORED\n"
    assert ran.cells[-1][1].endswith("False\n")
    assert "Read-only file system; it is mounted for reading only: mount it anew for writing, then run again" in ran.cells[-1][1]


def test_a_full_drive_is_one_line_and_the_notebook_goes_on(machines: Colab) -> None:
    machines.fake.set(quota=100)
    ran = attach(machines.machine(), BACK_UP)
    assert ran.end == "done", ran
    assert "the drive is full" in ran.cells[-1][1]
    assert "make space" in ran.cells[-1][1]
    assert ran.cells[-1][1].endswith("False\n")
    assert "Traceback" not in ran.text


def test_nothing_is_mounted_where_a_folder_is_named(machines: Colab, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    one = machines.machine()
    named = Session(one.root, {**machines.fake.environment, "HOLDFAST_DRIVE": str(tmp_path / "elsewhere")})
    ran = attach(named, BACK_UP)
    assert ran.end == "done", ran
    assert (tmp_path / "elsewhere/proj/holdfast.json").is_file()
    assert mounted(machines.mount_point) is None
    assert not machines.fake.asked
