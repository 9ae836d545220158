"""What no machine helps against, and what only takes time: each ends or waits as it should, with one line."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from holdfast.simulator.colab_service import ColabService, Habits
from holdfast.simulator.weather import Full, Weather
from tests.pipeline.project import make_project, settings
from tests.unattended.rig import MADE, TRAIN, Run, Watched, all_given_back, each_line_once, logged, made

RAISES = "raise SystemExit('cannot go on')\n"
REFUSES = "raise SystemExit(2)\n"
FINE = "print('worked', flush=True)\n"


def habits(**fields: object) -> Callable[[Habits], None]:
    return lambda found: [setattr(found, name, value) for name, value in fields.items()] and None


@pytest.mark.torture
@pytest.mark.parametrize(
    ("change", "words", "script", "code", "line", "machines"),
    [
        pytest.param(habits(refusals=[412]), (), FINE, 0, "waiting since", 1, id="412"),
        pytest.param(habits(refusals=[503] * 4), (), FINE, 0, "waiting since", 1, id="503"),
        pytest.param(habits(refusals=["slow"], slow_seconds=3), (), FINE, 0, "done", 1, id="slow"),
        pytest.param(habits(), ("--gpu", "V100"), FINE, 2, "no such accelerator", 0, id="unknown accelerator"),
        pytest.param(habits(), ("--gpu", "A100"), FINE, 1, "no right to any of A100", 0, id="no right"),
        pytest.param(habits(), ("--gpu", "A100,none"), FINE, 0, "no right to A100", 1, id="no right to the first"),
        pytest.param(habits(signed_in=False), (), FINE, 1, "not signed in", 0, id="token expired"),
        pytest.param(habits(consent=False), (), FINE, 1, "Drive was not allowed", 1, id="no consent"),
        pytest.param(habits(rates={"NONE": 1e6}), ("--budget", "1"), FINE, 1, "the budget is used up", 1, id="budget"),
        pytest.param(habits(), (), RAISES, 1, "failed twice at the same point", 1, id="always raises"),
        pytest.param(habits(), (), REFUSES, 2, "what was asked for is refused (exit code 2)", 1, id="refused on the machine"),
        pytest.param(habits(), ("--fetch", "outputs/x"), FINE, 1, "outputs/x: is not there", 1, id="nothing to fetch"),
    ],
)
def test_each_refusal_ends_or_waits_with_one_line(
    colab_program: Path,
    service: ColabService,
    tmp_path: Path,
    change: Callable[[Habits], None],
    words: tuple[str, ...],
    script: str,
    code: int,
    line: str,
    machines: int,
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "train.py").write_text(script)
    change(service.habits)
    run = Run(service, colab_program, tmp_path / "project", *words, "--", "python", "train.py")
    assert run.end() == code
    assert sum(line in text for text in run.lines) == 1
    assert not run.said("Traceback")
    assert len(service.book.machines()) == machines
    assert machines == 0 or all_given_back(service)


def test_a_bad_file_of_settings_takes_no_machine(service: ColabService, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("name: [unclosed\n")
    run = Run(service, Path("/bin/true"), tmp_path, str(tmp_path / "my.yaml"))
    assert run.end() == 2
    assert run.said("my.yaml")
    assert not service.book.machines()


def test_a_command_that_is_not_there_is_one_line(service: ColabService, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "train.py").write_text(FINE)
    run = Run(service, Path("/nowhere/colab"), tmp_path / "project", "--", "python", "train.py")
    assert run.end() == 2
    assert run.said("there is no such command; install it in an environment of its own")


def signed_out_for_a_while(run: Run, service: ColabService) -> None:
    service.habits.signed_in = False
    run.until(lambda: run.said("not signed in any more"))
    time.sleep(10)
    service.habits.signed_in = True


def tokens_of_the_machine_end(run: Run, service: ColabService) -> None:
    """They are good for less than the work takes, from the beginning."""


@pytest.mark.torture
@pytest.mark.parametrize(
    ("token_seconds", "happens", "line"),
    [
        pytest.param(3600.0, signed_out_for_a_while, "not signed in any more, and machine", id="the account's token"),
        pytest.param(40.0, tokens_of_the_machine_end, "done; 1 machine(s)", id="the machine's tokens"),
    ],
)
def test_a_token_that_expires_in_the_middle_costs_no_machine(
    colab_program: Path, tmp_path: Path, token_seconds: float, happens: Callable[[Run, ColabService], None], line: str
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "train.py").write_text(TRAIN.replace("time.sleep(0.5)", "time.sleep(4)"))
    with Watched(tmp_path / "service", speed=60.0, habits=Habits(token_seconds=token_seconds)) as service:
        run = Run(service, colab_program, root, "--fetch", "outputs/run", "--", "python", "train.py")
        run.until(lambda: logged(service, "step 2"))
        happens(run, service)
        assert run.end() == 0
        assert made(root) == MADE
        assert [held.how for held in service.book.machines()] == ["given back"]
        assert each_line_once(service, root, run)
    assert sum(line in text for text in run.lines) == 1
    assert not run.said("Traceback")


#: Each step adds to what Drive has.
FILLS = TRAIN.replace(
    '    keep.backup("outputs/run")',
    """
    pathlib.Path("outputs/run", str(len(steps))).write_bytes(__import__("os").urandom(500_000))
    keep.backup("outputs/run")
""",
)


@pytest.mark.torture
@pytest.mark.parametrize("full", Full)
def test_a_drive_that_is_full_in_the_middle_ends_with_the_machine_kept(colab_program: Path, tmp_path: Path, full: Full) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "train.py").write_text(FILLS)
    weather = Weather(full=full)
    with Watched(tmp_path / "service", speed=60.0, quota=1_200_000, weather=weather) as service:
        run = Run(service, colab_program, root, "--", "python", "train.py")
        assert run.end() == 1
        (machine,) = service.machines()
        assert run.said(f"so machine {machine.endpoint} is kept")
        assert "rive is full" in run.lines[-1]
        assert not run.said("Traceback")


DIVERGES = {"learning_rate": {"type": "choice", "values": [1e30]}}


def spoiled(root: Path, name: str, text: str) -> None:
    (root / name).write_text(text)


@pytest.mark.torture
@pytest.mark.parametrize(
    ("spoil", "code", "line"),
    [
        pytest.param(lambda root: shutil.rmtree(root / "data"), 2, "what was asked for is refused (exit code 2)", id="no data"),
        pytest.param(
            lambda root: spoiled(root, "encoder/config.json", "{}"), 2, "what was asked for is refused (exit code 2)", id="no model"
        ),
        pytest.param(
            lambda root: spoiled(root, "micro.yaml", yaml.safe_dump(settings(hpo__search_space=DIVERGES))),
            1,
            "failed twice at the same point",
            id="a stage raises",
        ),
    ],
)
def test_an_experiment_that_cannot_go_on_ends_with_one_line(
    colab_program: Path, tmp_path: Path, spoil: Callable[[Path], object], code: int, line: str
) -> None:
    root = tmp_path / "project"
    make_project(root)
    (root / "micro.yaml").write_text(yaml.safe_dump(settings()))
    spoil(root)
    with Watched(tmp_path / "service", speed=60.0) as service:
        run = Run(service, colab_program, root, "micro.yaml")
        assert run.end() == code
        assert sum(line in text for text in run.lines) == 1
        assert all_given_back(service)
        assert len(service.book.machines()) == 1
