"""`holdfast colab run` with the real command: machine after machine, until the work is done, with nobody there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.simulator.colab_service import ColabService, Line
from tests.unattended.rig import MADE, TRAIN, Run, all_given_back, job, logged, made, phase

WORK = ("--fetch", "outputs/run", "--", "python", "train.py")


@pytest.fixture
def service(tmp_path: Path):
    with ColabService(tmp_path / "service", speed=60.0) as service:
        yield service


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "train.py").write_text(TRAIN)
    return tmp_path / "project"


@pytest.mark.long
def test_a_machine_vanishes_and_the_supervisor_is_killed_and_the_work_is_done(
    colab_program: Path, service: ColabService, root: Path, tmp_path: Path
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
    assert {json.loads(line)["event"] for line in told.read_text().splitlines()} == {"took", "lost", "went on", "done"}


@pytest.mark.torture
@pytest.mark.parametrize("phase_name", ["install", "work", "safe"])
def test_the_supervisor_is_killed_at_any_phase_and_finds_its_machine(
    colab_program: Path, service: ColabService, root: Path, phase_name: str
) -> None:
    first = Run(service, colab_program, root, *WORK)
    first.until(lambda: phase(service, phase_name))
    first.kill()
    assert Run(service, colab_program, root, *WORK).end() == 0
    assert made(root) == MADE
    assert [held.how for held in service.book.machines()] == ["given back"]


@pytest.mark.torture
def test_the_supervisor_is_killed_while_it_takes_a_machine_and_no_second_one_is_taken(
    colab_program: Path, service: ColabService, root: Path
) -> None:
    first = Run(service, colab_program, root, *WORK)
    first.until(service.machines)
    first.kill()
    assert Run(service, colab_program, root, *WORK).end() == 0
    assert [held.how for held in service.book.machines()] == ["given back"]


@pytest.mark.torture
@pytest.mark.parametrize("line", [Line.CUT, Line.SILENT])
def test_a_connection_that_is_lost_costs_no_machine_and_no_line(
    colab_program: Path, service: ColabService, root: Path, line: Line
) -> None:
    run = Run(service, colab_program, root, *WORK)
    run.until(lambda: logged(service, "step 2"))
    machine = service.machines()[0]
    machine.relay.set(line)
    run.until(lambda: run.said("does not answer"))
    machine.relay.set(Line.OPEN)
    assert run.end() == 0
    assert [held.how for held in service.book.machines()] == ["given back"]
    assert [text for text in run.lines if text.startswith("step ")] == [f"step {n}" for n in range(1, 17)]


@pytest.mark.torture
@pytest.mark.parametrize("status", [401, 404, 502])
def test_one_wrong_answer_of_the_road_costs_no_machine(colab_program: Path, service: ColabService, root: Path, status: int) -> None:
    run = Run(service, colab_program, root, *WORK)
    run.until(lambda: logged(service, "step 2"))
    service.machines()[0].relay.answer(status)
    assert run.end() == 0
    assert [held.how for held in service.book.machines()] == ["given back"]


@pytest.mark.torture
def test_a_kernel_that_is_killed_is_not_the_work(colab_program: Path, service: ColabService, root: Path) -> None:
    run = Run(service, colab_program, root, *WORK)
    run.until(lambda: logged(service, "step 2"))
    assert service.machines()[0].kill("ipykernel")
    assert run.end() == 0
    assert run.lines.count("the job begins") == 1
    assert [held.how for held in service.book.machines()] == ["given back"]


@pytest.mark.torture
def test_work_that_is_killed_goes_on_on_the_same_machine(colab_program: Path, service: ColabService, root: Path) -> None:
    run = Run(service, colab_program, root, *WORK)
    run.until(lambda: logged(service, "step 2"))
    machine = service.machines()[0]
    assert machine.kill("job.py")
    assert machine.kill("train.py")
    assert run.end() == 0
    assert made(root) == MADE
    assert [held.how for held in service.book.machines()] == ["given back"]


@pytest.mark.torture
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_a_machine_that_is_named_and_found_again(
    colab_program: Path, service: ColabService, root: Path, number: signal.Signals
) -> None:
    run = Run(service, colab_program, root, *WORK)
    run.until(lambda: logged(service, "step 2"))
    assert run.kill(number) == 128 + number
    (machine,) = service.machines()
    assert run.said(f"machine {machine.endpoint} is kept")
    stop = [sys.executable, "-m", "holdfast", "colab", "stop", "--root", str(root), "--colab", str(colab_program)]
    assert subprocess.run(stop, env={**os.environ, **service.environment}, check=False).returncode == 0
    assert all_given_back(service)


@pytest.mark.torture
def test_a_grant_whose_answer_is_lost_is_found(colab_program: Path, service: ColabService, root: Path) -> None:
    service.habits.refusals = ["lost"]
    assert Run(service, colab_program, root, *WORK).end() == 0
    assert [held.how for held in service.book.machines()] == ["given back"]


@pytest.mark.torture
def test_two_supervisors_of_one_project_meet_at_a_lock(colab_program: Path, service: ColabService, root: Path) -> None:
    run = Run(service, colab_program, root, *WORK)
    run.until(service.machines)
    second = Run(service, colab_program, root, *WORK)
    assert second.end() == 2
    assert second.said("another `holdfast colab run` supervises this project")
    assert run.end() == 0
    assert service.book.most_at_once() == 1
    assert not any(job(machine, "log") for machine in service.machines())
