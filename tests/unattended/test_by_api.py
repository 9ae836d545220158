"""Drive by its API: a token over the job's standard input, renewed in time, and nowhere to be found; and whose project it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.simulator.colab_service import ColabService
from holdfast.simulator.colab_service.runtime import Runtime
from tests.unattended.rig import MADE, TRAIN, Run, all_given_back, logged, made

WORK = ("--by", "api", "--fetch", "outputs/run", "--", "python", "train.py")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ColabService]:
    with ColabService(tmp_path / "service", speed=60.0) as service:
        service.sign_in_to_drive()
        yield service


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "project" / "config").mkdir(parents=True)
    (tmp_path / "project" / "config" / "paths.yaml").write_text("drive: {remembers: 0}\n")  # the lists of this Drive do not lag
    (tmp_path / "project" / "train.py").write_text(TRAIN)
    return tmp_path / "project"


def tokens(service: ColabService) -> list[bytes]:
    """All that the service ever gave for Drive's API."""
    return [f"simulated-{number}".encode() for number in range(1, service.api.book.requests.total() + 1)]


def holds(folder: Path, words: list[bytes]) -> list[Path]:
    """Files in a folder that hold one of these; no pipes and sockets, which hold nothing."""
    found = []
    for place in folder.rglob("*"):
        if place.is_file() and not place.is_symlink():
            content = place.read_bytes()
            found += [place] if any(word in content for word in words) else []
    return found


def in_environments(machine: Runtime, words: list[bytes]) -> list[int]:
    """Processes of a machine that have one of these in their environment or on their command line."""
    seen = []
    for number in machine.processes():
        for name in ("environ", "cmdline"):
            try:
                content = Path(f"/proc/{number}/{name}").read_bytes()
            except OSError:
                continue
            seen += [number] if any(word in content for word in words) else []
    return seen


@pytest.mark.long
def test_a_machine_reaches_drive_by_tokens_that_are_renewed_and_written_nowhere(
    colab_program: Path, service: ColabService, root: Path, tmp_path: Path
) -> None:
    service.habits.consent = False
    run = Run(service, colab_program, root, *WORK)
    run.until(lambda: logged(service, "step 3"))
    given = service.api.book.requests["token"]
    service.api.faults.expired = tuple(token.decode() for token in tokens(service))
    run.until(lambda: service.api.book.requests["token"] > given)  # the next one is taken without a word
    run.until(lambda: logged(service, "step 12"))
    (machine,) = service.machines()
    words = tokens(service)
    assert not in_environments(machine, words)
    shutil.copytree(machine.folder, tmp_path / "seen", ignore=lambda folder, names: {"root", "python", "stdin", "tokens"})
    assert not holds(tmp_path / "seen", words)
    assert run.end() == 0
    assert made(root) == MADE
    assert all_given_back(service)
    assert not holds(service.cloud, words)
    assert not holds(service.home, words)
    assert not holds(root, words)
    assert not any(word.decode() in line for word in words for line in run.lines)


@pytest.mark.torture
def test_a_mount_that_was_not_allowed_is_done_without_where_there_is_a_token(
    colab_program: Path, service: ColabService, root: Path
) -> None:
    service.habits.consent = False
    run = Run(service, colab_program, root, "--fetch", "outputs/run", "--", "python", "train.py")
    assert run.end() == 0
    assert run.said("going on by Drive's API")
    assert made(root) == MADE
    assert all_given_back(service)


@pytest.mark.torture
def test_a_second_computer_ends_with_one_line_and_takes_over_where_it_is_told_to(
    colab_program: Path, service: ColabService, root: Path, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere" / "project"
    shutil.copytree(root, other)
    first = Run(service, colab_program, root, *WORK)
    first.until(service.machines)
    second = Run(service, colab_program, other, *WORK)
    assert second.end() == 2
    assert sum("has claimed this project" in line for line in second.lines) == 1
    assert len(service.book.machines()) == 1
    assert first.end() == 0
    assert Run(service, colab_program, other, *WORK).end() == 0  # the first has ended, so it is free
    assert made(other) == MADE


def test_without_a_token_the_api_is_refused_before_a_machine_is_taken(service: ColabService, root: Path) -> None:
    (service.home / ".config" / "holdfast" / "drive.json").unlink()
    program = root.parent / "colab"
    program.write_text("#!/bin/sh\necho 'colab 0.7.5'\n")
    program.chmod(0o755)
    run = Run(service, program, root, *WORK)
    assert run.end() == 2
    assert "nothing here gives a token for Drive's API" in run.lines[-1]
    nowhere = Run(service, program, root, "--by", "train", "--", "python", "train.py")
    assert nowhere.end() == 2
    assert "--by: 'train' is not one of auto, mount, api" in nowhere.lines[-1]
    assert not service.book.machines()


@pytest.mark.torture
def test_the_plain_loop_of_the_examples_ends_as_an_uninterrupted_one(
    colab_program: Path, service: ColabService, tmp_path: Path
) -> None:
    import torch

    root = tmp_path / "project"
    (root / "examples").mkdir(parents=True)
    source = Path(__file__).parents[2] / "examples" / "pytorch_loop.py"
    shutil.copy(source, root / "examples")
    alone = tmp_path / "alone"
    (alone / "drive").mkdir(parents=True)
    environment = {**os.environ, "HOLDFAST_DRIVE": str(alone / "drive")}
    subprocess.run([sys.executable, str(source)], cwd=alone, env=environment, check=True, stdout=subprocess.DEVNULL)
    run = Run(service, colab_program, root, "--fetch", "outputs/model.pth", "--fetch", "outputs/accuracy.json", "--",
              "python", "examples/pytorch_loop.py")  # fmt: skip
    run.until(lambda: logged(service, "epoch 4"))
    service.vanish(service.machines()[0].endpoint)
    assert run.end() == 0
    assert (root / "outputs/accuracy.json").read_bytes() == (alone / "outputs/accuracy.json").read_bytes()
    ours, theirs = (torch.load(place / "outputs/model.pth", weights_only=True) for place in (root, alone))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert [held.how for held in service.book.machines()] == ["vanished", "given back"]
    assert all_given_back(service)
