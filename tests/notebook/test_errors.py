"""What goes wrong in a cell is one line: no traceback, whatever the error, and also when a person interrupts."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from holdfast import errors
from holdfast.errors import HoldfastError, Interrupted, StoreUnreachable
from tests.notebook.session import Session, load, make_machine

KINDS = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, HoldfastError)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_has_one_line_for_ipython(kind: type[HoldfastError]) -> None:
    """IPython asks an exception for `_render_traceback_`, from 7.34 (Colab's) on."""
    assert kind("what is wrong")._render_traceback_() == [f"{kind.__name__}: what is wrong"]


def test_an_error_of_the_system_is_shown_without_its_number() -> None:
    assert StoreUnreachable(107, "the mount is dead", "/content/drive").line == "/content/drive: the mount is dead"


def test_an_interrupt_is_caught_as_one() -> None:
    with pytest.raises(KeyboardInterrupt):
        raise Interrupted("stopped")


def test_an_experiment_that_is_wrong_is_one_line(tmp_path: Path, template: Path) -> None:
    one = Session(make_machine(tmp_path / "laptop", template, tmp_path / "nowhere", hpo__trails=3), {})
    ran = one.run_all(through="open_pipeline")
    assert ran.end == "failed"
    assert ran.error.startswith("ConfigurationError: ")
    assert "hpo.trials" in ran.error
    assert ran.error.count("\n") == 0


def test_a_stage_that_a_person_interrupts_ends_with_one_line(tmp_path: Path, template: Path) -> None:
    one = Session(make_machine(tmp_path / "laptop", template, tmp_path / "nowhere", training__epochs=15), {})
    place = one.root / "outputs/hpo/micro/trials/trial-0000/checkpoints/checkpoint-4"

    def interrupt(pid: int) -> None:
        while not place.exists():  # ends with the kernel's own limit
            time.sleep(0.01)
        os.kill(pid, signal.SIGINT)

    ran = one.run_all(load(), through="pipeline.hpo()", meanwhile=interrupt)
    assert ran.end == "failed", ran
    assert ran.error == "Interrupted: hpo: interrupted. What was saved is kept; run all cells again to go on"
    assert "Traceback" not in ran.text
    again = one.run_all(load(), through="pipeline.hpo()")
    assert again.end == "done", again
    assert "trial 0 goes on" in again.text
