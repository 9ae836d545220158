"""A claim keeps a second process from the same work, and ends with its process, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from holdfast.errors import AnotherSession
from holdfast.session.background.claims import claim
from tests.processes.job import Job, job
from tests.support import Rig

WORKS = """
    keep = attach()
    claim = keep.claim("outputs/hpo/study")
    say("works")
    while line := hear():
        if line == "done":
            claim.release()
        if line == "forks":
            if os.fork() == 0:
                say("child", os.getpid())
                time.sleep(600)
            continue
        if line == "child works":
            if os.fork() == 0:
                try:
                    keep.claim("outputs/hpo/study")
                except holdfast.errors.AnotherSession:
                    os._exit(7)
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
        say("did")
"""


@pytest.fixture
def together(rig: Rig) -> Iterator[Job]:
    with job(rig) as made:
        yield made


def refused(together: Job, path: str) -> str:
    keep = together.keeper()
    try:
        with keep.claim(path):
            return ""
    except AnotherSession as error:
        return str(error)


def test_a_second_process_is_told_who_works_at_above_or_below_until_that_one_is_done_or_dead(together: Job) -> None:
    worker = together.start(WORKS, "worker")
    worker.says("works")
    for path in ("outputs/hpo/study", "outputs/hpo", "outputs/hpo/study/trials/0"):
        said = refused(together, path)
        assert said.startswith(f"{path}: another process of this project works on it (process {worker.pid}, since ")
    assert not refused(together, "outputs/hpo/study-2")
    together.machine_here().write("outputs/hpo/study/mine", "mine")
    assert together.keeper().backup("outputs/hpo/study"), "it keeps nobody from backing up"
    worker.hears("child works")
    worker.says("did")
    worker.hears("forks")
    child = int(worker.says().removeprefix("child "))
    worker.dies()
    try:
        assert not refused(together, "outputs/hpo/study"), "a child that lives on does not hold what its parent held"
    finally:
        os.kill(child, signal.SIGKILL)
    assert list((together.root / ".holdfast/claims").glob("*.json")) == []


def test_a_claim_is_released_as_often_as_it_was_made(together: Job) -> None:
    keep = together.keeper()
    with keep.claim("outputs/a"), keep.claim("outputs/a", "outputs/b") as inner:
        inner.release()
        inner.release()
        assert from_a_child(lambda: refused(together, "outputs/a"))
        assert not from_a_child(lambda: refused(together, "outputs/b"))
    assert not from_a_child(lambda: refused(together, "outputs/a"))


def test_by_force_who_works_there_is_only_said(together: Job, caplog: pytest.LogCaptureFixture) -> None:
    worker = together.start(WORKS, "worker")
    worker.says("works")
    keep = together.keeper()
    keep.force = True
    with keep.claim("outputs/hpo/study"):
        assert "this one works beside it" in caplog.text


def test_what_is_no_claim_is_none(together: Job) -> None:
    folder = together.keeper().workspace.claims
    folder.mkdir(parents=True)
    for number, content in enumerate([b"", b"[]", b"{", b'{"key": "../x", "process": 1, "at": 0}', b"\xff"]):
        (folder / f"{number}.json").write_bytes(content)
    with claim(folder, [together.keeper().workspace.key("outputs/x")]):
        assert len(list(folder.glob("*.json"))) == 1


def from_a_child(call: Callable[[], object]) -> bool:
    """Whether it gives anything in another process."""
    child = os.fork()
    if child == 0:
        os._exit(1 if call() else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_a_process_that_ends_while_it_works_leaves_no_claim_and_says_nothing(rig: Rig) -> None:
    machine = rig.machine()
    code = "import holdfast, sys; holdfast.attach(sys.argv[1], sys.argv[2]).claim('outputs/hpo')"
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", code, str(machine.root), str(rig.drive)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "ResourceWarning" not in ended.stderr
    assert [p.name for p in (machine.root / ".holdfast" / "claims").iterdir()] == ["lock"]
