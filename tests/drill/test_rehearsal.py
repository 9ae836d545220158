"""Drills of real scripts, with real kills."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast.drill.report import Outcome, lines
from holdfast.errors import CommandFailed, UsageError
from tests.docs.pages import REPOSITORY
from tests.drill.conftest import Project

STEPS = '''
import os, sys, time
from pathlib import Path
import holdfast

notes = Path(os.environ["NOTES"])
with (notes / "starts").open("a") as file:
    file.write(f"{os.getpid()}\\n")
starts = len((notes / "starts").read_text().split())

def work(step):
    """A step; in the runs that are to be killed one of them never ends, so that they are, however fast this machine is."""
    time.sleep(60 if step == 4 and 3 <= starts < 3 + int(os.environ["KILLS"]) else 0.1)

keep = holdfast.attach()
outputs = Path("outputs")
'''

BACKED_UP_AT_THE_END = f"""{STEPS}
if not keep.ensure("outputs/run"):
    for step in range(8):
        work(step)
        Path("outputs/run").mkdir(parents=True, exist_ok=True)
        Path(f"outputs/run/step-{{step}}").write_text(str(step))
    keep.backup("outputs/run")
"""

NEVER_BACKED_UP = BACKED_UP_AT_THE_END.replace('keep.backup("outputs/run")', "pass")

GOOD = f"""{STEPS}
for step in range(8):
    path = outputs / f"step-{{step}}"
    if not keep.ensure(path):
        work(step)
        outputs.mkdir(exist_ok=True)
        path.write_text(str(step))
        keep.backup(path, wait=0)
"""


def test_a_script_that_backs_up_each_step_loses_no_more_than_status_had_said_and_ends_as_without_a_kill(project: Project) -> None:
    shutil.copy(REPOSITORY / "examples" / "ten_steps.py", project.root / "train.py")
    report = project.drill(kills=3)
    assert report.held
    assert 1 <= len(report.kills) <= 3
    assert all(k.within for k in report.kills)
    assert not report.difference
    assert report.files == 10
    assert len(report.runs) == len(report.kills) + 1
    assert report.restless == ()
    assert report.ending.safe
    assert report.traffic.sent is not None
    assert report.traffic.sent > 10 * 64
    assert lines(report)[0].startswith("HELD: killed ")


def test_a_script_that_backs_up_at_the_end_loses_its_work_and_the_report_says_so_and_that_status_had(project: Project) -> None:
    project.write(BACKED_UP_AT_THE_END)
    report = project.drill(kills=1)
    (kill,) = report.kills
    assert "outputs/run/step-0" in kill.loss.files
    assert 0 < kill.loss.seconds <= (kill.shown.seconds or 0)
    assert "NOT SAFE" in kill.shown.words
    assert lines(report)[0].startswith("EVERY START BEGINS ANEW: next to nothing of ")
    assert any("lost" in line and "step-0" in line for line in lines(report))


def test_a_script_that_never_backs_up_is_told_that_it_is_not_safe_at_the_end(project: Project) -> None:
    project.write(NEVER_BACKED_UP)
    report = project.drill(kills=1)
    assert report.kills[0].loss
    assert not report.ending.safe
    assert report.outcome is Outcome.ANEW
    assert any("NOT SAFE" in line for line in lines(report)[-2:])


BEHIND_A_LINK = f"""{STEPS}
outside = Path.cwd() / "scratch"
outside.mkdir(exist_ok=True)
run = outputs / "run"
keep.ensure(run)
run.mkdir(parents=True, exist_ok=True)
if not os.path.lexists(run / "checkpoints"):
    (run / "checkpoints").symlink_to(outside)
for step in range(8):
    path = run / "checkpoints" / f"step-{{step}}"
    if not path.exists():
        work(step)
        path.write_text(str(step))
        (run / "notes.txt").write_text(str(step))
        keep.backup(run, wait=0)
"""


@pytest.mark.parametrize("followed", [False, True])
def test_a_script_that_writes_through_a_link_out_of_outputs_is_told_unless_the_link_is_followed(
    project: Project, followed: bool
) -> None:
    project.write(BEHIND_A_LINK)
    if followed:
        project.write("drive:\n  follow: [outputs/run/checkpoints]\n", "config/paths.yaml")
    report = project.drill(kills=1)
    named = [line for line in lines(report) if line.strip().startswith("not kept outputs/run/checkpoints")]
    assert bool(named) is not followed
    assert report.held is followed, lines(report)


def test_a_script_whose_outputs_depend_on_its_starts_is_found_out_and_the_file_named(project: Project) -> None:
    project.write(f'{GOOD}\n(outputs / "starts").write_text(str(starts)); keep.backup("outputs/starts")\n')
    report = project.drill()
    assert not report.held
    assert report.difference.differ == ("outputs/starts",)
    assert report.restless == ("outputs/starts",)
    told = lines(report)
    assert told[0].startswith("NOT HELD: ")
    assert any(line.split() == ["differs", "outputs/starts"] for line in told)


def test_a_loss_of_what_status_had_called_safe_is_found_out_with_what_a_fresh_machine_is_told(project: Project) -> None:
    project.write(
        f"""{GOOD}
    if starts == 3 and step == 0:  # somebody damages the backup, and status reads no content
        (sent,) = Path(os.environ["HOLDFAST_DRIVE"]).rglob("step-0@*")
        sent.write_bytes(b"?" * sent.stat().st_size)
        time.sleep(60)
"""
    )
    report = project.drill(kills=1)
    (kill,) = report.kills
    assert kill.shown.safe
    assert kill.loss.files == ("outputs/step-0",)
    assert not kill.within
    assert not report.held
    assert "damaged" in kill.trouble
    assert not report.difference
    assert lines(report)[0].startswith("NOT HELD: 1 of 1 kill lost more than status had said")


def test_what_a_restart_does_not_need_may_stay_in_the_store_and_what_is_not_there_is_missing(project: Project) -> None:
    lazy = GOOD.replace("not keep.ensure(path)", "not path.exists() and not keep.held(path)[0]")
    project.write(lazy)
    report = project.drill(kills=1)
    assert report.held
    assert report.left_in_store >= 3
    project.write(f"{lazy}\nif starts < 3: (outputs / 'mine').touch()\n")
    (project.notes / "starts").unlink()
    assert project.drill(kills=1).difference.missing == ("outputs/mine",)


def test_what_is_ignored_counts_neither_as_lost_nor_as_different(project: Project) -> None:
    project.write(f'{GOOD}\n(outputs / "starts.log").write_text(str(starts))\n')
    report = project.drill(ignored=("*.log",))
    assert report.held
    assert report.restless == ()
    assert report.files == 8


def test_what_varies_is_not_compared_and_its_loss_counts(project: Project) -> None:
    project.write(f'{GOOD}\n(outputs / "starts").write_text(str(starts))\n')
    report = project.drill(varying=("starts",))
    assert report.held
    assert report.restless == ()
    assert report.files == 8
    first = 'outputs.mkdir(exist_ok=True)\n(outputs / "lost").write_text(str(starts))\n'
    project.write(f"{STEPS}\n{first}\n{GOOD.removeprefix(STEPS)}")
    (project.notes / "starts").unlink()
    lost = [k.loss.files for k in project.drill(kills=1, varying=("lost",)).kills]
    assert any("outputs/lost" in files for files in lost)


def test_a_file_beside_outputs_is_gone_with_the_machine(project: Project) -> None:
    project.write(
        f'{STEPS}\nif starts > 3 and Path("beside").exists(): sys.exit("it is still there")\nPath("beside").touch()\n'
        + GOOD.removeprefix(STEPS)
    )
    assert project.drill(kills=1).held


def test_on_a_simulated_drive_what_was_not_uploaded_goes_with_the_machine(project: Project) -> None:
    project.write(GOOD)
    report = project.drill(kills=2, simulate=True, lag=(60, 60))
    # The simulator draws what became of each upload that had begun: where one arrived after all, the next start goes on with it.
    assert report.outcome in (Outcome.ANEW, Outcome.HELD)
    assert all(kill.within for kill in report.kills)
    assert not report.difference
    assert len(report.kills) == 2
    assert sum(k.dropped or 0 for k in report.kills) > 0
    lost = [k for k in report.kills if k.loss]
    assert lost
    assert all(not k.shown.safe for k in lost)
    assert not report.ending.safe
    assert report.traffic.fetched is not None


def test_on_a_simulated_drive_what_was_uploaded_comes_back(project: Project) -> None:
    project.write(GOOD)
    report = project.drill(kills=1, simulate=True, lag=(0, 0))
    assert report.held
    assert report.traffic.sent
    assert report.traffic.fetched


@pytest.mark.parametrize("own_session", [False, True])
def test_a_kill_reaches_what_the_command_started(project: Project, own_session: bool) -> None:
    helper = f"""
import subprocess
started = notes / "helpers"
for pid in started.read_text().split() if started.exists() else []:
    if Path(f"/proc/{{pid}}/stat").exists() and Path(f"/proc/{{pid}}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
        sys.exit(f"helper {{pid}} is still alive")
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session={own_session})
with started.open("a") as file:
    file.write(f"{{helper.pid}}\\n")
"""
    project.write(STEPS + helper + GOOD.removeprefix(STEPS))
    assert project.drill(kills=1).held
    helpers = [int(pid) for pid in (project.notes / "helpers").read_text().split()]
    assert len(helpers) == 4
    assert not [pid for pid in helpers if alive(pid)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_command_that_fails_by_itself_is_one_line_with_its_exit_code_and_the_end_of_its_output(project: Project) -> None:
    project.write("import sys\nprint('loading')\nsys.stdout.flush()\nprint('there is\\nno data', file=sys.stderr)\nsys.exit(3)\n")
    with pytest.raises(CommandFailed, match=r"failed with exit code 3 in the uninterrupted run.* loading there is no data$"):
        project.drill()


def test_a_command_that_fails_when_there_is_nothing_to_do_is_said_to(project: Project) -> None:
    project.write(f"{GOOD}\nsys.exit(5 if starts == 2 else 0)\n")
    with pytest.raises(CommandFailed, match="failed with exit code 5 in a start with nothing to do"):
        project.drill()


def test_a_command_that_leaves_nothing_in_outputs_has_nothing_to_rehearse(project: Project) -> None:
    project.write("open('elsewhere', 'w').close()\n")
    with pytest.raises(CommandFailed, match="left nothing in outputs/"):
        project.drill()


@pytest.mark.parametrize("wrong", ["import sys; sys.exit(3)", pytest.param("pass", marks=pytest.mark.torture)])
def test_a_command_that_a_drill_refused_is_rehearsed_once_it_is_mended(project: Project, wrong: str) -> None:
    project.write(wrong)
    with pytest.raises(CommandFailed, match=r"failed with exit code 3 in|left nothing in outputs/"):
        project.drill(kills=1)
    (project.notes / "starts").unlink(missing_ok=True)
    project.write(GOOD)
    assert project.drill(kills=1).held


def test_a_command_that_gets_no_further_after_a_kill_is_given_up(project: Project) -> None:
    project.write(f"{STEPS}\nif starts > 3: sys.exit('a lock is left')\n{GOOD.removeprefix(STEPS)}")
    report = project.drill(kills=1)
    assert report.outcome is Outcome.STUCK
    said = r"GETS NO FURTHER: after 1 kill 3 starts in a row .* exit code 1; .* a lock is left$"
    assert re.match(said, lines(report)[0])
    assert len((project.notes / "starts").read_text().split()) == 6


def test_a_start_that_failed_once_is_tried_again_and_said(project: Project) -> None:
    project.write(f"{STEPS}\nif starts == 4: sys.exit(7)\n{GOOD.removeprefix(STEPS)}")
    report = project.drill(kills=1)
    assert report.held
    assert report.failures == (7,)
    assert any("exit code 7" in line for line in lines(report))


def test_a_command_that_is_done_before_its_kill_is_not_killed_and_that_is_said(project: Project) -> None:
    project.write(
        f"{STEPS}\nif starts == 1: time.sleep(3)\noutputs.mkdir(exist_ok=True); (outputs / 'x').touch(); keep.backup('outputs/x')"
    )
    report = project.drill()
    assert report.kills == ()
    assert not report.held
    assert lines(report)[0].startswith("NOT REHEARSED: ")
    assert any("0 of 2 kills happened" in line for line in lines(report))


def test_a_program_that_is_not_there_is_a_usage_error(project: Project) -> None:
    with pytest.raises(UsageError, match="frobnicate: cannot be run"):
        project.drill("frobnicate")


def test_whatever_place_a_script_names_the_project_and_its_drive_are_left_alone(project: Project, tmp_path: Path) -> None:
    real = tmp_path / "real-drive"
    real.mkdir()
    script = project.write(
        STEPS.replace("attach()", f"attach(root=Path(__file__).parent, drive={str(real)!r})").replace(
            'Path("outputs")', 'Path(os.environ["PLACE"])'
        )
        + GOOD.removeprefix(STEPS)
    )
    report = project.drill(sys.executable, str(script), kills=1, env={"PLACE": str(project.root / "outputs")})
    assert report.held
    assert list(real.iterdir()) == []


def test_a_script_that_attaches_to_another_project_is_refused(project: Project) -> None:
    project.write(STEPS.replace("attach()", 'attach(root=os.environ["NOTES"])'))
    with pytest.raises(CommandFailed, match="a drill rehearses on a copy of the project, and this is not in it"):
        project.drill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_command_and_leaves_nothing(project: Project, scratch: Path, number: signal.Signals) -> None:
    project.write(f"{STEPS}\ntime.sleep(60)\n")
    words = [sys.executable, "-m", "holdfast", "drill", "--", sys.executable, "train.py"]
    drill = subprocess.Popen(
        words,
        cwd=project.root,
        env={**project.environment, "TMPDIR": str(scratch)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509 - a shell's background ignores an interrupt
    )
    starts = project.notes / "starts"
    while not (starts.exists() and starts.read_text().endswith("\n")):
        time.sleep(0.05)
    drill.send_signal(number)
    _, said = drill.communicate(timeout=60)
    assert drill.returncode == 128 + number
    assert "Traceback" not in said
    assert not alive(int(starts.read_text()))
