"""`holdfast colab run` with the real command: machine after machine, until the work is done, with nobody there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.simulator.colab_service import Line
from holdfast.simulator.colab_service.runtime import Runtime
from tests.unattended.rig import MADE, TRAIN, Run, Watched, all_given_back, each_line_once, logged, made, phase

WORK = ("--fetch", "outputs/run", "--", "python", "train.py")
TWO_MINUTES = 120.0
#: The same work, but for two minutes and a little more.
SLOW = TRAIN.replace("time.sleep(0.5)", "time.sleep(9)")
#: More than one look at a time brings.
TALKS = TRAIN + "\nfor n in range(20000):\n    print('line', n, 'x' * 40, flush=True)\n"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Watched]:
    with Watched(tmp_path / "service", speed=60.0) as service:
        yield service


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "train.py").write_text(TRAIN)
    return tmp_path / "project"


@pytest.mark.long
def test_a_machine_vanishes_and_the_supervisor_is_killed_and_the_work_is_done(
    colab_program: Path, service: Watched, root: Path, tmp_path: Path
) -> None:
    told = tmp_path / "told.jsonl"
    notify = ("--notify", f"{sys.executable} -c \"import sys; open('{told}', 'a').write(sys.stdin.read() + chr(10))\"")
    first = Run(service, colab_program, root, *notify, *WORK)
    first.until(lambda: logged(service, "step 3"))
    first.kill()
    again = Run(service, colab_program, root, *notify, *WORK)
    again.until(lambda: again.said("going on with machine"))
    service.vanish(service.machines()[0].endpoint)
    assert again.end() == 0
    assert made(root) == MADE
    assert all_given_back(service)
    assert [held.how for held in service.book.machines()] == ["vanished", "given back"]
    assert each_line_once(service, root)
    assert {json.loads(line)["event"] for line in told.read_text().splitlines()} == {"took", "lost", "went on", "done"}


#: A phase that may be over between two beats, and the one right before it.
SHORT = {"safe": ("fetch",)}


@pytest.mark.torture
@pytest.mark.parametrize("phase_name", ["install", "work", "safe"])
def test_the_supervisor_is_killed_at_any_phase_and_finds_its_machine(
    colab_program: Path, service: Watched, root: Path, phase_name: str
) -> None:
    first = Run(service, colab_program, root, *WORK)
    first.until(lambda: any(phase(service, name) for name in (phase_name, *SHORT.get(phase_name, ()))))
    first.kill()
    assert Run(service, colab_program, root, *WORK).end() == 0
    assert made(root) == MADE
    assert [held.how for held in service.book.machines()] == ["given back"]


def cut(run: Run, service: Watched, machine: Runtime) -> None:
    machine.relay.set(Line.CUT)
    time.sleep(TWO_MINUTES)
    assert run.said("does not answer")
    machine.relay.set(Line.OPEN)


def half_open(run: Run, service: Watched, machine: Runtime) -> None:
    machine.relay.set(Line.SILENT)
    time.sleep(TWO_MINUTES)
    run.until(lambda: run.said("does not answer"))
    machine.relay.set(Line.OPEN)


def offline(run: Run, service: Watched, machine: Runtime) -> None:
    machine.relay.set(Line.CUT)
    service.habits.reachable = False
    time.sleep(TWO_MINUTES)
    assert run.said("no connection")
    service.habits.reachable = True
    machine.relay.set(Line.OPEN)


def offline_at_the_end(run: Run, service: Watched, machine: Runtime) -> None:
    run.until((machine.content / "holdfast-job" / "fetch.tar.gz").exists)
    service.habits.reachable = False
    run.until(lambda: run.said("no connection"))
    service.habits.reachable = True


def kernel_killed(run: Run, service: Watched, machine: Runtime) -> None:
    assert machine.kill("ipykernel")


def work_killed(run: Run, service: Watched, machine: Runtime) -> None:
    assert machine.kill("job.py")
    assert machine.kill("train.py")


def answers(status: int) -> Callable[[Run, Watched, Runtime], None]:
    def answer(run: Run, service: Watched, machine: Runtime) -> None:
        machine.relay.answer(status)

    return answer


def nothing(run: Run, service: Watched, machine: Runtime) -> None:
    """Only that the work prints more than is fetched at once."""


@pytest.mark.torture
@pytest.mark.parametrize(
    ("script", "happens", "starts"),
    [
        pytest.param(SLOW, cut, 1, id="connection lost for two minutes"),
        pytest.param(SLOW, half_open, 1, id="half-open for two minutes"),
        pytest.param(SLOW, offline, 1, id="no network here for two minutes"),
        pytest.param(TRAIN, offline_at_the_end, 1, id="no network as the machine is given back"),
        pytest.param(TRAIN, kernel_killed, 1, id="kernel killed"),
        pytest.param(TRAIN, work_killed, 2, id="work killed"),
        pytest.param(TRAIN, answers(401), 1, id="401 once"),
        pytest.param(TRAIN, answers(404), 1, id="404 once"),
        pytest.param(TRAIN, answers(502), 1, id="502 once"),
        pytest.param(TALKS, nothing, 1, id="many lines"),
    ],
)
def test_what_is_no_end_of_a_machine_costs_no_machine_and_no_line(
    colab_program: Path, service: Watched, root: Path, script: str, happens: Callable[[Run, Watched, Runtime], None], starts: int
) -> None:
    (root / "train.py").write_text(script)
    run = Run(service, colab_program, root, *WORK)
    run.until(lambda: logged(service, "step 2"))
    happens(run, service, service.machines()[0])
    assert run.end() == 0
    assert made(root) == MADE
    assert [held.how for held in service.book.machines()] == ["given back"]
    assert run.lines.count("the job begins") == starts
    assert each_line_once(service, root, run)


@pytest.mark.torture
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_a_machine_that_is_named_and_gone_on_with(
    colab_program: Path, service: Watched, root: Path, number: signal.Signals
) -> None:
    (root / "train.py").write_text(TRAIN.replace("time.sleep(0.5)", "time.sleep(3)"))
    first = Run(service, colab_program, root, *WORK)
    first.until(lambda: first.said("step 2"))
    assert first.kill(number) == 128 + number
    (machine,) = service.machines()
    assert first.said(f"machine {machine.endpoint} is kept")
    again = Run(service, colab_program, root, *WORK)
    assert again.end() == 0
    assert made(root) == MADE
    assert [held.how for held in service.book.machines()] == ["given back"]
    assert each_line_once(service, root, first, again)


@pytest.mark.torture
def test_what_a_signal_left_is_ended_by_stop(colab_program: Path, service: Watched, root: Path) -> None:
    run = Run(service, colab_program, root, *WORK)
    run.until(lambda: logged(service, "step 2"))
    run.kill(signal.SIGTERM)
    stop = [sys.executable, "-m", "holdfast", "colab", "stop", "--root", str(root), "--colab", str(colab_program)]
    assert subprocess.run(stop, env={**os.environ, **service.environment}, check=False).returncode == 0
    assert all_given_back(service)
    assert each_line_once(service, root)


@pytest.mark.torture
@pytest.mark.parametrize("patient", [True, False], ids=["asked again by the command", "asked again by nobody"])
def test_a_grant_whose_answer_is_lost_is_found(
    colab_program: Path, service: Watched, root: Path, patient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.habits.refusals = ["lost"]
    if not patient:
        monkeypatch.setenv("COLAB_CLI_ASSIGN_RETRIES", "0")
    run = Run(service, colab_program, root, *WORK)
    assert run.end() == 0
    assert [held.how for held in service.book.machines()] == ["given back"]
    assert each_line_once(service, root, run)


@pytest.mark.torture
def test_of_two_supervisors_started_at_once_one_works(colab_program: Path, service: Watched, root: Path) -> None:
    both = [Run(service, colab_program, root, *WORK) for _ in range(2)]
    ends = [run.end() for run in both]
    assert sorted(ends) == [0, 2]
    assert both[ends.index(2)].said("another `holdfast colab run` supervises this project")
    assert made(root) == MADE
    assert [held.how for held in service.book.machines()] == ["given back"]
    assert each_line_once(service, root, both[ends.index(0)])
