"""A folder that was found unchanged before is found so again by one look at each file, and only where it still is."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.store.format.keys import Key
from holdfast.store.format.manifest_reading import parse
from holdfast.store.local import since
from holdfast.store.local.still import Expected, Glance, glance
from holdfast.store.local.workspace import Workspace
from holdfast.store.reporting.outcomes import BackedUp
from tests.support import Machine, Rig, make_database

KEY = Key("outputs/d")
NAME = "outputs~d.json"
LONG_AGO = 1_000_000_000_000_000_000

Change = Callable[[Path], object]


def rewrite_in_place(place: Path) -> None:
    """Other bytes of the same length, and the time put back."""
    with place.open("r+b") as handle:
        handle.write(b"X")
    os.utime(place, ns=(LONG_AGO, LONG_AGO))


def replace_by_the_same(place: Path) -> None:
    """Another file with the same bytes and times."""
    other = place.with_name("other")
    other.write_bytes(place.read_bytes())
    os.utime(other, ns=(LONG_AGO, LONG_AGO))
    other.rename(place)


def link_to(place: Path, target: str) -> None:
    place.unlink(missing_ok=True)
    place.symlink_to(target)


def make_pipe(place: Path) -> None:
    if sys.platform != "win32":
        os.mkfifo(place)


def hide(place: Path) -> None:
    place.rename(place.parent.parent.parent / "elsewhere")


#: What is done to the folder, and whether a backup then has something to say.
CHANGES: dict[str, tuple[Change, bool]] = {
    "a file is rewritten in place": (lambda d: rewrite_in_place(d / "a/1"), True),
    "a file is replaced by its like": (lambda d: replace_by_the_same(d / "a/1"), False),
    "a file has another mode": (lambda d: (d / "a/1").chmod(0o600), True),
    "a file has another time": (lambda d: os.utime(d / "a/1", ns=(5, 5)), True),
    "a file is gone": (lambda d: (d / "a/1").unlink(), True),
    "a file has another name": (lambda d: (d / "a/1").rename(d / "a/other"), True),
    "a file is in another folder": (lambda d: (d / "a/1").rename(d / "b/1"), True),
    "a file is new": (lambda d: (d / "b/new").write_bytes(b"new"), True),
    "a database is new": (lambda d: make_database(d / "b/study.db"), True),
    "a file is a folder": (lambda d: ((d / "a/1").unlink(), (d / "a/1").mkdir()), True),
    "a file is a link": (lambda d: link_to(d / "a/1", "2"), True),
    "a file has another name besides": (lambda d: os.link(d / "a/1", d / "b/1"), True),
    "a hard link is gone": (lambda d: (d / "one").unlink(), True),
    "a hard link is a file of its own": (lambda d: replace_by_the_same(d / "one"), True),
    "a folder is new": (lambda d: (d / "b/new").mkdir(), True),
    "a folder is gone": (lambda d: (d / "empty").rmdir(), True),
    "a folder has another mode": (lambda d: (d / "a").chmod(0o700), True),
    "the folder itself has another mode": (lambda d: d.chmod(0o700), True),
    "a folder is a link": (lambda d: ((d / "a").rename(d / "c"), (d / "a").symlink_to("c")), True),
    "a link leads elsewhere": (lambda d: link_to(d / "link", "a/2"), True),
    "a link leads out": (lambda d: link_to(d / "link", "/etc/passwd"), True),
    "a link is made anew": (lambda d: link_to(d / "link", "a/1"), False),
    "a link is gone": (lambda d: (d / "link").unlink(), True),
    "a pipe is new": (lambda d: make_pipe(d / "pipe"), True),
    "all of it is gone": (hide, True),
    "nothing": (lambda d: None, False),
    "an empty log is beside a file that is no database": (lambda d: (d / "a/1-wal").write_bytes(b""), True),
}


def known(rig: Rig) -> Machine:
    """A machine that has found a folder unchanged, file by file, and remembers it."""
    machine = rig.machine()
    folder = machine.root / "outputs/d"
    for path in ("a/1", "a/2", "b/deep/3", "one"):
        os.utime(machine.write(f"outputs/d/{path}", path), ns=(LONG_AGO, LONG_AGO))
    (folder / "empty").mkdir()
    (folder / "link").symlink_to("a/1")
    os.link(folder / "one", folder / "b/two")
    for place in (folder, *(p for p in folder.rglob("*") if p.is_dir())):
        place.chmod(0o755)
    assert machine.keep.backup("outputs/d")
    record = machine.keep.workspace.record(KEY)  # as it is once all has been at rest for two seconds
    machine.keep.workspace.save(KEY, replace(record, here={p: replace(h, trusted=True) for p, h in record.here.items()}))
    assert outcome(machine).unchanged
    assert looks(machine.keep.workspace)
    return machine


def outcome(machine: Machine) -> BackedUp:
    (result,) = machine.keep.backup("outputs/d").results
    return result


@contextlib.contextmanager
def in_whole() -> Iterator[None]:
    """Backups look at everything, file by file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("holdfast.store.backup.take_differing", lambda *_: None)
        yield


def glanced(workspace: Workspace) -> Glance | None:
    """What one look at each file says."""
    expected = workspace.expected(KEY, workspace.record(KEY))
    assert expected is not None
    return glance(str(workspace.local(KEY)), KEY, workspace.places, expected)


def looks(workspace: Workspace) -> bool:
    """Whether one look at each file says that nothing has changed."""
    found = glanced(workspace)
    return found is not None and not found.scope


def tells_the_truth(machine: Machine) -> None:
    """What is expected is what is remembered, and a look at everything finds nothing to add to the generation."""
    workspace = machine.keep.workspace
    record, expected = workspace.record(KEY), workspace._expected.get(KEY)
    assert record.base is not None
    assert Workspace(machine.root).record(KEY) == record
    parse(record.base.encoded, record.base.name)
    assert record.base.encoded == replace(record.base).encoded
    if expected is not None and expected.is_of(record):
        assert expected == Expected.of(record)
    result = outcome(machine)
    with in_whole():
        again = outcome(machine)
    assert again.unchanged
    assert again.refused == result.refused


@pytest.mark.parametrize("what", CHANGES)
def test_what_changed_is_seen_and_said_as_without_the_glance(rig: Rig, what: str) -> None:
    machine = known(rig)
    change, says_something = CHANGES[what]
    change(machine.root / "outputs/d")
    assert looks(machine.keep.workspace) == (not says_something and "replaced" not in what)
    result = outcome(machine)
    assert (not result.unchanged or bool(result.refused)) == says_something
    with in_whole():
        again = outcome(machine)  # nothing was missed
    assert again.unchanged
    assert again.refused == result.refused


@pytest.mark.parametrize("gone", ["a", "b/deep"])
def test_a_folder_that_goes_behind_the_glance_fails_no_backup(rig: Rig, gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a checkpoint that its training removes, in another process, once there are newer ones."""
    machine = known(rig)
    folder = machine.root / "outputs/d"
    rewrite_in_place(next(p for p in (folder / gone).iterdir() if p.is_file()))
    (folder / "b/new").write_bytes(b"new")

    def glanced_before_it_went(*given: object) -> Glance | None:
        found: Glance | None = glance(*given)  # type: ignore[arg-type]
        shutil.rmtree(folder / gone, ignore_errors=True)
        return found

    monkeypatch.setattr("holdfast.store.copies.taking.glance", glanced_before_it_went)
    result = outcome(machine)
    assert not result.error
    assert result.manifest is not None
    assert result.manifest.files["b/new"].size == 3
    assert not [p for p in result.manifest.files if p.startswith(f"{gone}/")], "half of it was kept"
    with in_whole():
        outcome(machine)
    again = rig.machine()
    assert again.keep.restore("outputs/d")
    assert again.tree() == machine.tree()


def test_a_folder_of_another_artifact_is_passed_over(rig: Rig) -> None:
    machine = rig.machine()
    os.utime(machine.write("outputs/d/1", "1"), ns=(LONG_AGO, LONG_AGO))
    machine.write("outputs/d/inner/x", "x")
    for path in ("outputs/d/inner", "outputs/d"):
        assert machine.keep.backup(path)
    record = machine.keep.workspace.record(KEY)
    expected = Expected.of(replace(record, here={p: replace(h, trusted=True) for p, h in record.here.items()}))
    workspace = machine.keep.workspace
    place = str(workspace.local(KEY))
    assert expected is not None
    assert glance(place, KEY, workspace.places, expected, ("inner",)) == Glance((), {})
    assert glance(place, KEY, workspace.places, expected) == Glance(("inner",), {})


@pytest.mark.parametrize("name", ["study.db-wal", "study.db-lock", "LOCK", "db/lock.mdb"])
def test_where_a_look_proves_nothing_the_file_is_looked_into(rig: Rig, name: str) -> None:
    machine = known(rig)
    record = machine.keep.workspace.record(KEY)
    assert record.base is not None
    assert all(Expected.of(record).entries.values())  # type: ignore[union-attr]
    file, here = record.base.files["a/1"], record.here["a/1"]
    for other in (replace(file, sqlite=True), replace(file, torn="cut"), replace(file, mtime_ns=5)):
        base = replace(record.base, files={**record.base.files, "a/1": other})
        assert Expected.of(replace(record, base=base)).entries["a/1"] is None  # type: ignore[union-attr]
    untrusted = {**record.here, "a/1": replace(here, trusted=False)}
    assert Expected.of(replace(record, here=untrusted)).entries["a/1"] is None  # type: ignore[union-attr]
    assert Expected.of(replace(record, here={p: h for p, h in record.here.items() if p != "a/1"})) is None
    assert Expected.of(replace(record, links=frozenset())) is None
    base = replace(record.base, files={**record.base.files, name: replace(file, path=name)}, hard_links=())
    lone = replace(here, signature=here.signature._replace(inode=1))
    here_too = {p: h for p, h in record.here.items() if p not in ("one", "b/two")}
    base = replace(base, files={p: f for p, f in base.files.items() if p not in ("one", "b/two")})
    assert Expected.of(replace(record, base=base, here={**here_too, name: lone})).entries[name] is None  # type: ignore[union-attr]


def test_when_it_was_last_found_so_is_remembered_beside_the_record(rig: Rig) -> None:
    machine = known(rig)
    workspace, state = machine.keep.workspace, machine.root / ".holdfast"
    record = state / "records" / NAME
    content, before = record.read_bytes(), workspace.record(KEY)
    assert outcome(machine).unchanged
    after = workspace.record(KEY)
    assert record.read_bytes() == content
    assert after.looked[""] > before.looked[""]
    assert after.stamps != before.stamps
    assert Workspace(machine.root).record(KEY) == after


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"0" * 64 + b"\n{}"])
def test_without_that_the_record_counts_as_it_was_written(rig: Rig, damage: bytes) -> None:
    machine = known(rig)
    assert outcome(machine).unchanged
    beside = machine.root / ".holdfast/looks" / NAME
    beside.write_bytes(damage)
    found = Workspace(machine.root).record(KEY)
    assert found.base == machine.keep.workspace.record(KEY).base
    assert outcome(machine).unchanged


def test_what_was_remembered_beside_an_older_record_is_not_taken_for_the_new_one(rig: Rig) -> None:
    machine = known(rig)
    assert outcome(machine).unchanged
    older = (machine.root / ".holdfast/looks" / NAME).read_bytes()
    machine.write("outputs/d/new", "new")
    assert not outcome(machine).unchanged
    saved = machine.keep.workspace.record(KEY)
    (machine.root / ".holdfast/looks" / NAME).write_bytes(older)
    assert Workspace(machine.root).record(KEY) == saved


SHAPES: dict[str, Change] = {
    **{what: change for what, (change, _) in CHANGES.items() if "all of it" not in what},
    "a database is written to": lambda d: grow_database(d / "study.db"),
    "a file is written to a second time": lambda d: (d / "a/2").write_bytes(os.urandom(8)),
    "a folder is filled": lambda d: [(d / "b" / f"{n}").write_bytes(b"%d" % n) for n in range(40)],
    "a folder is emptied": lambda d: [p.unlink() for p in (d / "b").iterdir() if p.is_file() or p.is_symlink()],
    "a folder has another name": lambda d: (d / "b").rename(d / "renamed"),
    "a folder had a file for a moment": lambda d: ((d / "a/brief").write_bytes(b""), (d / "a/brief").unlink()),
    "an array is written": lambda d: write_array(d / "array"),
    "a log is beside a database": lambda d: write_ahead(d / "ahead.db"),
    "a large file is new": lambda d: (d / "a/large").write_bytes(os.urandom(2 << 20)),
    "two names are one file": lambda d: os.link(d / "a/2", d / f"link-{len(os.listdir(d))}"),
    "a name is hidden": lambda d: (d / "a/.hidden").write_bytes(b"."),
}


def grow_database(place: Path) -> None:
    if not place.exists():
        make_database(place)
    with contextlib.closing(sqlite3.connect(place)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS more (x)")
        database.execute("INSERT INTO more VALUES (1)")


def write_ahead(place: Path) -> None:
    """A database in the mode that leaves a log beside it, as a program leaves it that was killed."""
    code = f"import os, sqlite3; d = sqlite3.connect({str(place)!r}); d.execute('PRAGMA journal_mode=WAL'); "
    code += "d.execute('CREATE TABLE IF NOT EXISTS t (x)'); d.execute('INSERT INTO t VALUES (1)'); d.commit(); os._exit(0)"
    subprocess.run([sys.executable, "-c", code], check=True)


def write_array(place: Path) -> None:
    place.mkdir(exist_ok=True)
    (place / "zarr.json").write_bytes(b"{}")
    (place / "c0").write_bytes(os.urandom(8))


@pytest.mark.parametrize("seed", range(4))
def test_whatever_changes_in_whatever_order_the_generation_holds_it(rig: Rig, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(since, "_LARGE", 1)  # so that records are told by what changed, as those of large folders are
    monkeypatch.setattr(since, "_SHARE", 1)
    machine, chance = known(rig), random.Random(seed)
    workspace, folder = machine.keep.workspace, machine.root / "outputs/d"
    glances = 0
    for _ in range(25):
        for change in chance.sample(list(SHAPES.values()), chance.choice((1, 1, 2, 4))):
            with contextlib.suppress(OSError):  # what it changes may be gone by now
                change(folder)
        if workspace.expected(KEY, workspace.record(KEY)) is not None:
            glances += glanced(workspace) is not None
        result = outcome(machine)
        if not result.unchanged and result.manifest is not None:  # SQLite makes files beside a database that it only reads
            times = {p: f.mtime_ns for p, f in result.manifest.folders.items() if p}
            assert times == {p: (folder / p).stat().st_mtime_ns for p in times}
        if chance.random() < 0.5:
            tells_the_truth(machine)
        if chance.random() < 0.3:
            record = workspace.record(KEY)
            workspace.save(KEY, replace(record, here={p: replace(h, trusted=True) for p, h in record.here.items()}))
            outcome(machine)
    tells_the_truth(machine)
    assert glances > 8


PROGRAM = """
import os, sys
from dataclasses import replace
from pathlib import Path
from holdfast.store.format.keys import Key
from tests.support import Rig

count, key = int(sys.argv[2]), Key("outputs/d")
machine = Rig(Path(sys.argv[1])).machine()
for number in range(count):
    os.utime(machine.write(f"outputs/d/{number % 4}/{number}", str(number)), ns=(10**18, 10**18))
assert machine.keep.backup("outputs/d")
record = machine.keep.workspace.record(key)
machine.keep.workspace.save(key, replace(record, here={p: replace(h, trusted=True) for p, h in record.here.items()}))
assert machine.keep.backup("outputs/d").results[0].unchanged
os.access("/begin", os.F_OK)
assert machine.keep.backup("outputs/d").results[0].unchanged
os.access("/end", os.F_OK)
"""


def system_calls(folder: Path, count: int) -> Counter[str]:
    """All that the process asks of the system in one backup of so many files that did not change."""
    folder.mkdir()
    log = folder / "calls"
    command = ["strace", "-f", "-qq", "-o", log, sys.executable, "-c", PROGRAM, folder, str(count)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    lines = [line.split(maxsplit=1)[1] for line in log.read_text(errors="replace").splitlines()]
    marks = [at for at, line in enumerate(lines) if '"/begin"' in line or '"/end"' in line]
    return Counter(line.partition("(")[0] for line in lines[marks[0] + 1 : marks[1]])


def test_an_unchanged_folder_costs_one_system_call_a_file(tmp_path: Path) -> None:
    few, many = system_calls(tmp_path / "few", 40), system_calls(tmp_path / "many", 240)
    memory = ("brk", "mmap", "munmap", "mremap", "madvise")
    assert {call: n - few[call] for call, n in many.items() if n != few[call] and call not in memory} == {"newfstatat": 200}
    assert not many["fsync"]
    assert not many["fdatasync"]
