"""What no machine helps against, and what only takes time: each ends or waits as it should, with one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.simulator.colab_service import ColabService, Habits
from tests.unattended.rig import Run, all_given_back

RAISES = "raise SystemExit('cannot go on')\n"
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
