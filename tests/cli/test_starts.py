"""What `status` and `ensure` of a finished project load, and that they are called as typer would call them."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import typer
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.cli.app import app
from holdfast.cli.often import asked
from holdfast.session.finding.safety import remember_proven
from holdfast.store.local.records import RACY_NS
from tests.bad_input.support import Box, Site, good
from tests.docs.pages import REPOSITORY
from tests.support import Rig

#: Each of these takes a good part of the time in which Python starts, and neither command needs it.
NEVER = {"typer", "click", "rich", "pydantic", "yaml", "sqlite3", "tarfile", "subprocess", "concurrent", "ctypes", "hashlib"}
NEVER |= {"socket", "tempfile", "argparse", "asyncio", "multiprocessing", "optuna", "torch", "numpy", "http", "email", "_strptime"}
NEVER |= {"shutil", "random", "secrets", "calendar"}
#: What sends, fetches, opens files of outputs, works in the background, mounts, or trains.
NOT_OURS = ("cli.app", "drill", "flow", "integrations", "pipeline", "session.background.worker", "session.colab", "session.commits")
NOT_OURS += ("session.doctor", "session.seeing.page", "simulator", "store.apart.job", "store.backends.wrappers", "store.backup")
NOT_OURS += ("store.committing", "store.copies", "store.extract", "store.live.kinds", "store.live.sqlite", "store.restore")
NOT_OURS += ("store.restoring", "store.transfer.fetch", "store.transfer.sending", "store.verify", "store.cleanup")
LOOKS = "holdfast.store.copies.inspecting"
LOADS = """
import sys
from holdfast.cli import main
try:
    main()
finally:
    print("LOADED", *sys.modules, file=sys.stderr)
"""


def loaded(machine: Box, *words: str) -> set[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    command = [sys.executable, "-c", LOADS, *words, "--drive", str(machine.drive)]
    done = subprocess.run(command, cwd=machine.root, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return set(done.stderr.rpartition("LOADED ")[2].split())


def needless(modules: set[str]) -> set[str]:
    ours = tuple(f"holdfast.{name}" for name in NOT_OURS)
    return {m for m in modules if m.partition(".")[0] in NEVER or any(m == o or m.startswith(o + ".") for o in ours)}


def settled(machine: Box, **files: str) -> bool:
    """Files that were backed up, and lie at rest for so long now that a look at one proves something.

    Whether they were written so shortly before their backup that it could not rely on their times: on a machine that is busy they
    may not have been.
    """
    for name, content in files.items():
        machine.write(f"outputs/{name}/file.bin", content)
    good(machine.run("backup", *(f"outputs/{name}" for name in files)))
    places = [machine.root / f"outputs/{name}/file.bin" for name in files]
    shortly = all(time.time_ns() - p.stat().st_ctime_ns < RACY_NS for p in places)
    while any(time.time_ns() - p.stat().st_ctime_ns < RACY_NS for p in places):
        time.sleep(0.05)
    return shortly


def test_status_and_ensure_of_what_is_done_load_only_what_they_use(site: Site) -> None:
    machine = site.box()
    shortly = settled(machine, data="done long ago", run="a model")
    assert LOOKS in loaded(machine, "status") or not shortly, "what was written just before its backup is read, once"
    assert not needless(loaded(machine, "status"))
    assert not needless(loaded(machine, "status", "--json"))
    assert not needless(loaded(machine, "ensure", "outputs/data", "outputs/run/file.bin"))

    of_several = loaded(machine, "ensure", "outputs")
    assert "holdfast.store.restore" in of_several, "what several artifacts hold is not told by one record"
    assert not {m.partition(".")[0] for m in of_several} & NEVER

    place = machine.root / "outputs/run/file.bin"
    before = place.stat()
    place.write_bytes(b"another"[: before.st_size])
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    (row,) = (r for r in good(machine.run("status", "--json")).rows() if r["path"] == "outputs/run")
    assert row["unsaved"] == 1, "what a look proved holds for what it looked at"


def test_what_a_look_proved_is_not_remembered_over_a_backup_that_came_meanwhile(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/run/a.bin", "first")
    assert machine.keep.backup("outputs/run")
    workspace, key = machine.keep.workspace, machine.keep.workspace.key("outputs/run")
    workspace.proven[key, "a.bin"] = workspace.record(key).here["a.bin"]
    machine.write("outputs/run/a.bin", "second")
    assert machine.keeper().backup("outputs/run")
    after = workspace.record(key)
    remember_proven(workspace)
    assert workspace.record(key).here == after.here


def test_where_another_process_works_nothing_is_waited_for(rig: Rig) -> None:
    machine = rig.machine()
    machine.write("outputs/run/a.bin", "first")
    assert machine.keep.backup("outputs/run")
    workspace, key = machine.keep.workspace, machine.keep.workspace.key("outputs/run")
    workspace.proven[key, "a.bin"] = known = workspace.record(key).here["a.bin"]
    with machine.keeper().workspace.lock():
        remember_proven(workspace)
    assert workspace.record(key).here["a.bin"] == known
    remember_proven(workspace)
    assert workspace.record(key).here["a.bin"].trusted


WORDS = "outputs/a|b|--json|--root|--root=|--root=r|--drive|--drive=d|--prefer|--prefer=store|-h|--|-||--root=-x|a b|é|--json=1"


@given(st.sampled_from(["status", "ensure"]), st.lists(st.sampled_from(WORDS.split("|")), max_size=5))
@example("ensure", ["a", "--root", "r", "--root", "s", "b", "--json"])
@example("status", ["--drive=a=b"])
@example("status", ["--root", "--json"])
def test_plain_words_mean_what_typer_takes_them_for(command: str, words: list[str]) -> None:
    call = asked([command, *words])
    if call is None:
        return
    by_typer = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    params = by_typer.make_context(command, list(words)).params
    assert call.keywords == {"as_json": params.pop("as_json")}  # type: ignore[attr-defined]
    order = ("paths", "prefer", "root", "drive") if command == "ensure" else ("root", "drive")
    assert tuple(call.args) == tuple(params[name] for name in order)  # type: ignore[attr-defined]


def test_anything_that_is_not_plain_is_left_to_typer() -> None:
    for words in (
        ["status", "--help"],
        ["status", "x"],
        ["ensure"],
        ["ensure", "a", "--drive"],
        ["ensure", "--", "a"],
        ["run"],
        [],
    ):
        assert asked(words) is None
    assert asked(["status"]) is not None
    assert asked(["ensure", "outputs", "--json", "--prefer=local"]) is not None


def test_the_first_backup_says_what_it_makes_and_speaks_of_no_trouble(site: Site) -> None:
    machine = site.box()
    machine.write("outputs/a.txt", "a")
    first = good(machine.run("backup", "outputs/a.txt"))
    assert [line.partition(":")[2].split(":")[0].strip() for line in first.lines] == ["note", "note"]
    assert "the first backup makes a new store" in first.err
    assert good(machine.run("backup", "outputs/a.txt")).err == ""
