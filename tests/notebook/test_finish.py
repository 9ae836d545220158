"""The machine is given back once everything is known to be safe, and never before."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from holdfast.simulator import Attributes, Weather
from holdfast.simulator.colab import Flush
from tests.notebook.conftest import Colab
from tests.notebook.session import Ran, Session, make_machine
from tests.notebook.test_mounting import ATTACH, BACK_UP
from tests.simulator.support import until

FINISH = "ending = keep.finish(disconnect=True, wait={wait})\nprint(bool(ending), ending.released)"


def finish(one: Session, *cells: str, wait: float = 60, **options: Any) -> Ran:
    ran = one.run_all(through=ATTACH, after=[*cells, FINISH.format(wait=wait)], **options)
    assert ran.end == "done", ran
    assert "Traceback" not in ran.text
    return ran


def test_the_machine_is_given_back_once_the_mount_says_that_all_is_uploaded(machines: Colab) -> None:
    ran = finish(machines.machine(), BACK_UP)
    said = ran.cells[-1][1].splitlines()
    assert said[-3] == f"Everything is safe in {machines.mount_point}/MyDrive/proj."
    assert said[-1] == "True True"
    assert machines.fake.released
    machines.take_away()
    assert finish(machines.machine(), "print(keep.ensure('outputs/a.txt').outcome.name)").cells[-2][1] == "RESTORED\n"


def test_what_is_on_its_way_keeps_the_machine(machines: Colab) -> None:
    machines.fake.set(speed=0.0)  # no time passes for uploads
    ran = finish(machines.machine(), BACK_UP, wait=1)
    assert "NOT known to be safe after 1 s: outputs/a.txt is still being uploaded" in ran.cells[-1][1]
    assert "The machine is kept" in ran.cells[-1][1]
    assert not machines.fake.released


def test_a_file_that_nobody_backed_up_keeps_the_machine_and_is_named(machines: Colab) -> None:
    ran = finish(machines.machine(), BACK_UP, "(keep.root / 'outputs' / 'b.txt').write_text('b')")
    assert "outputs/b.txt: 1 file(s) are not backed up" in ran.cells[-1][1]
    assert not machines.fake.released


SILENT = Weather(attributes=Attributes.ABSENT)


def test_where_the_mount_tells_nothing_a_fresh_mount_is_looked_at(machines: Colab) -> None:
    machines.fake.set(weather=SILENT)
    ran = finish(machines.machine(), BACK_UP, wait=1)
    assert "Drive is flushed and mounted again, to see it" in ran.cells[-1][1]
    assert ran.cells[-1][1].endswith("True True\n")
    assert machines.fake.released


def test_after_a_look_at_a_fresh_mount_the_keeper_goes_on(machines: Colab) -> None:
    machines.fake.set(weather=SILENT)
    ran = machines.machine().run_all(
        through=ATTACH, after=[BACK_UP, FINISH.format(wait=1), BACK_UP.replace('"a"', '"b"'), FINISH.format(wait=1)]
    )
    assert ran.end == "done", ran
    assert ran.cells[-2][1].endswith("True\n")
    assert ran.cells[-1][1].endswith("True True\n")


@pytest.mark.parametrize(
    ("flush", "said"),
    [(Flush.RAISES, "could not be flushed (ValueError: flush_and_unmount failed)"), (Flush.HANGS, "was not flushed")],
)
def test_a_flush_that_fails_or_hangs_keeps_the_machine(machines: Colab, flush: Flush, said: str) -> None:
    machines.fake.set(weather=SILENT, flush=flush)
    one = machines.machine(timeout=2)
    ran = finish(one, BACK_UP, wait=1)
    assert said in ran.cells[-1][1]
    assert "The machine is kept" in ran.cells[-1][1]
    assert not machines.fake.released
    machines.fake.set(flush=Flush.DRAINS)
    assert finish(one, wait=1).cells[-1][1].endswith("True True\n"), "run again, it is seen that all arrived"
    assert machines.fake.released
    machines.take_away()
    assert finish(machines.machine(), "print(keep.ensure('outputs/a.txt').outcome.name)").cells[-2][1] == "RESTORED\n"


def test_a_second_consent_that_nobody_gives_keeps_the_machine(machines: Colab) -> None:
    machines.fake.set(weather=SILENT)
    place = machines.fake.folder

    def leave(pid: int) -> None:
        until((place / "asked").exists)
        until((place / "flushing").exists)
        until((place / "asked").exists)
        os.kill(pid, signal.SIGINT)

    away = f"import pathlib; pathlib.Path({str(place / 'asked')!r}).unlink(); pathlib.Path({str(place / 'flushing')!r}).touch()"
    hang = (
        f"from holdfast.simulator.colab import Consent, Settings\nplace = pathlib.Path({str(place / 'settings.json')!r})\n"
        "Settings.read(place).changed({'consent': Consent.HANGS}).write(place)"
    )
    ran = finish(machines.machine(), BACK_UP, away + "\n" + hang, wait=1, meanwhile=leave)
    assert "access was not allowed again, so it is not seen whether all of it arrived" in ran.cells[-1][1]
    assert not machines.fake.released


def test_elsewhere_nothing_is_given_back(tmp_path: Path, template: Path) -> None:
    (tmp_path / "drive").mkdir()
    root = make_machine(tmp_path / "laptop", template, tmp_path / "nowhere")
    ran = finish(Session(root, {"HOLDFAST_DRIVE": str(tmp_path / "drive")}), BACK_UP)
    assert "NOT known to be safe" in ran.cells[-1][1] or "Everything is safe" in ran.cells[-1][1]
    assert ran.cells[-1][1].endswith("False\n")
    alone = finish(Session(make_machine(tmp_path / "other", template, tmp_path / "nowhere"), {}), wait=1)
    assert "nothing is backed up" in alone.cells[-1][1]
