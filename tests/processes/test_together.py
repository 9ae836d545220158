"""Kernel and script, workers, children: `backup` of a sibling is never refused, and everything that was flushed comes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.processes.job import Job, job
from tests.support import Rig

KERNEL = """
    write("outputs/run/config.json", "config")
    keep = attach()
    say("backup", bool(keep.backup("outputs/run/config.json")))
    keep.flush()
    say("flushed")
    while line := hear():
        write(f"outputs/run/{line}", line)
        say("backup", bool(keep.backup("outputs/run")))
        keep.flush()
        say("flushed")
"""
SCRIPT = """
    keep = attach()
    for number in range(3):
        write(f"outputs/run/checkpoint-{number}", f"{number}")
        say("backup", bool(keep.backup("outputs/run", progress=number)))
    keep.flush()
    say("flushed")
    hear()
"""


@pytest.fixture
def together(rig: Rig) -> Iterator[Job]:
    with job(rig) as made:
        yield made


def test_what_a_script_backs_up_comes_back_although_the_kernel_that_started_it_was_first(together: Job) -> None:
    kernel = together.start(KERNEL, "kernel")
    kernel.says("backup True")
    kernel.says("flushed")
    script = together.start(SCRIPT, "script")
    for _ in range(3):
        script.says("backup True")
    script.says("flushed")
    kernel.hears("of-the-kernel")
    kernel.says("backup True")
    kernel.says("flushed")
    kernel.dies()
    script.dies()
    checkpoints = {f"checkpoint-{n}": f"{n}" for n in range(3)}
    assert together.comes_back() == {"config.json": "config", "of-the-kernel": "of-the-kernel", **checkpoints}


WORKER = """
    keep = attach()
    say("ready")
    hear()
    for number in range(8):
        write(f"outputs/run/{name}-{number}", f"{number}")
        write("outputs/run/shared", f"{name}-{number}")
        assert keep.backup("outputs/run", progress=number)
        keep.flush()
    say("flushed")
    hear()
"""
PART = WORKER.replace(
    'keep.backup("outputs/run", progress', 'keep.backup(f"outputs/run/{name}-{number}", "outputs/run/shared", progress'
)
OWN_FILE = WORKER.replace('keep.backup("outputs/run", progress', 'keep.backup(f"outputs/run/{name}-{number}", progress')


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(WORKER, id="the folder"),
        pytest.param(PART, id="parts of it", marks=pytest.mark.torture),
        pytest.param(OWN_FILE, id="files by themselves", marks=pytest.mark.torture),
    ],
)
def test_what_workers_on_one_folder_back_up_at_once_all_comes_back(together: Job, work: str) -> None:
    workers = [together.start(work, name) for name in ("one", "two", "three")]
    for worker in workers:
        worker.says("ready")
    for worker in workers:
        worker.hears()
    for worker in workers:
        worker.says("flushed")
    shared = (together.root / "outputs/run/shared").read_text()
    for worker in workers:
        worker.dies()
    back = together.comes_back()
    if work is not OWN_FILE:
        assert back.pop("shared") == shared
    assert back == {f"{name}-{n}": f"{n}" for name in ("one", "two", "three") for n in range(8)}


CHILDREN = """
    import multiprocessing

    def child(number):
        keep = holdfast.attach(root, drive, quiet=True) if "{way}" == "spawn" or number % 2 else parent
        write(f"outputs/run/child-{{number}}", f"{{number}}")
        assert keep.backup("outputs/run")
        if number != 1:
            keep.flush()
        # the end of the process sends what waits

    if __name__ == "__main__":
        parent = attach()
        write("outputs/run/parent", "parent")
        assert parent.backup("outputs/run")
        context = multiprocessing.get_context("{way}")
        children = [context.Process(target=child, args=(number,)) for number in range(4)]
        for one in children:
            one.start()
        for one in children:
            one.join()
        assert [one.exitcode for one in children] == [0] * 4
        parent.flush()
        say("flushed")
        hear()
"""


@pytest.mark.parametrize("way", ["fork", pytest.param("spawn", marks=pytest.mark.torture)])
def test_children_back_up_with_what_they_got_or_attached_and_their_end_waits(together: Job, way: str) -> None:
    parent = together.start(CHILDREN.format(way=way), "parent", module=("-W", "ignore::DeprecationWarning"))
    parent.says("flushed")
    parent.dies()
    assert together.comes_back() == {"parent": "parent", **{f"child-{n}": f"{n}" for n in range(4)}}


PLAIN_FORK = """
    import faulthandler
    keep = attach()
    write("outputs/run/parent", "parent")
    assert keep.backup("outputs/run")
    if os.fork() == 0:
        write("outputs/run/child", "child")
        assert keep.backup("outputs/run")
        sys.exit(0)
    os.wait()
    write("outputs/run/later", "later")
    assert keep.backup("outputs/run")
    keep.flush()
    say("flushed")
    hear()
"""


def test_a_plain_fork_ends_with_what_it_backed_up_sent_and_its_parent_goes_on(together: Job) -> None:
    parent = together.start(PLAIN_FORK, "parent")
    parent.says("flushed")
    parent.dies()
    assert together.comes_back() == {"parent": "parent", "child": "child", "later": "later"}


RANK = """
    rank = os.environ["RANK"]
    keep = attach()
    for step in range(3):
        write(f"outputs/run/step-{step}/rank-{rank}", f"{rank}")
        assert keep.backup(f"outputs/run/step-{step}", progress=step)
        keep.flush()
    if rank == "0":
        write("outputs/run/config", "config")
        assert keep.backup("outputs/run")
    keep.flush()
"""


def test_what_ranks_under_torchrun_back_up_comes_back(together: Job) -> None:
    ranks = together.start(RANK, "ranks", module=("-m", "torch.distributed.run", "--nproc-per-node", "2"))
    ranks.ends()
    steps = {f"step-{s}/rank-{r}": f"{r}" for s in range(3) for r in range(2)}
    assert together.comes_back() == {"config": "config", **steps}
