"""The commands that the sweep kills, each with the state that it starts from."""

from __future__ import annotations

import enum
import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.session.keeper import Keeper
from holdfast.store.looking.view import State
from tests.faults.site import ARTIFACT, Site, Tree, read_database, read_logical, read_tree

BIG = 1_500_000


class Kind(enum.Enum):
    BACKUP = "backup"
    RESTORE = "restore"  #: all of it or nothing: what is here is moved aside first
    FILL = "fill"  #: what is missing is added to a folder that stays
    PRUNE = "prune"


@dataclass(frozen=True)
class Scenario:
    """A command to kill, with what is there before. `build` leaves the site as the command will find it."""

    name: str
    kind: Kind
    command: tuple[str, ...]
    build: Callable[[Site], None]
    prunes: bool = False  #: generations must vanish when the command is not killed


@dataclass(frozen=True)
class Prepared:
    """What the oracle knows of a prepared state and of the same command when nobody kills it.

    Args:
        scenario: Of what.
        before: Content of the newest generation before the command, or None.
        after: What a fresh machine gets once the command is through.
        local_before: The artifact in the workspace before, byte for byte, or None.
        logical_before: The same with databases read; a command that only reads may not change it.
        logical_after: The artifact in the workspace once the command is through, likewise.
        kept: Id to content of each generation that is there both before and after.
    """

    scenario: Scenario
    before: Tree | None
    after: Tree
    local_before: Tree | None
    logical_before: Tree | None
    logical_after: Tree | None
    kept: Mapping[str, Tree]


def prepare(scenario: Scenario, site: Site, template: Path) -> Prepared:
    """Build a state, keep a copy of it as a template, and learn what the command comes to when nobody kills it."""
    site.set_up()
    scenario.build(site)
    generations = whole_generations(site)
    before = next(iter(generations.values()), None)
    local, logical = read_tree(site.artifact), read_logical(site.artifact)
    _discard_fresh(site)
    site.copy(template)
    code = site.cli(*scenario.command)
    assert code in site.fine, f"{scenario.name}: exit code {code}: {site.said()}"
    later = whole_generations(site)
    after = next(iter(later.values()))
    kept = {i: t for i, t in generations.items() if i in later}
    assert scenario.prunes == (len(kept) < len(generations)), f"{scenario.name}: pruned, or not pruned, against its purpose"
    assert not generations or next(iter(generations)) in kept, f"{scenario.name}: its newest generation is pruned"
    assert scenario.kind is not Kind.BACKUP or before != after, f"{scenario.name}: there is nothing to back up"
    assert scenario.kind is not Kind.BACKUP or read_logical_of(after) == logical, f"{scenario.name}: other content is in the store"
    return Prepared(scenario, before, after, local, logical, read_logical(site.artifact), kept)


def read_logical_of(tree: Tree) -> Tree:
    """A tree that is not on the disk, with its databases read."""
    with tempfile.TemporaryDirectory() as scratch:
        return {p: _database_of(Path(scratch), c) if p.endswith(".db") else c for p, c in tree.items()}


def _database_of(scratch: Path, content: bytes) -> bytes:
    (scratch / "copy.db").write_bytes(content)
    return read_database(scratch / "copy.db")


def whole_generations(site: Site) -> dict[str, Tree]:
    """Id to content of every generation that is whole, newest first, each restored with its id to another folder."""
    ids = [e.generation for e in site.reader().history(ARTIFACT) if e.state is State.WHOLE]
    return {i: tree for i in ids if (tree := read_tree(_extracted(site, i))) is not None}


def _extracted(site: Site, generation: str) -> Path:
    keeper = site.reader()
    to = keeper.root / "elsewhere"
    assert keeper.restore(ARTIFACT, generation=generation, to=to)
    return to / ARTIFACT


def _discard_fresh(site: Site) -> None:
    for place in site.folder.glob("fresh-*"):
        shutil.rmtree(place)
    (site.folder / "cli.log").unlink(missing_ok=True)


# -- content -----------------------------------------------------------------------------------------------------------


def _bytes(seed: str, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def _small(version: int) -> dict[str, bytes]:
    """Small files in folders of different depth, an empty file and an empty folder."""
    notes = {f"notes/{n:02d}.txt": f"note {n}\n".encode() * (n + 1) for n in range(8)}
    metrics = {f"metrics/fold-{n}/scores.json": _bytes(f"scores {n}", 500 * n + 7) for n in range(4)}
    return {**notes, **metrics, "log.txt": b"started\n" * version, "done": b"", "plots/": b""}


def _run(version: int, weights: int = 1) -> dict[str, bytes]:
    return {**_small(version), "checkpoint/weights.bin": _bytes(f"weights {weights}", BIG + weights)}


def _odd(site: Site, number: int = 1) -> None:
    """What is more than bytes: links, a file under two names, a file that is mostly a hole, old times, a mode."""
    for name, target in {"latest": f"notes/0{number}.txt", "checkpoint/up": "../notes", "nowhere": "gone"}.items():
        link = site.artifact / name
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    twin = site.artifact / "notes" / "twin.txt"
    twin.unlink(missing_ok=True)
    os.link(site.artifact / "notes" / "04.txt", twin)
    with open(site.artifact / "checkpoint" / "holes.bin", "wb") as file:
        file.truncate(5_000_000)
        os.pwrite(file.fileno(), b"data %d" % number, 3_000_000)
    (site.artifact / "done").chmod(0o750)
    os.utime(site.artifact / "log.txt", ns=(number, 981_173_106_123_456_789 + number))


def _back_up(site: Site) -> None:
    code = site.cli("backup", ARTIFACT)
    assert code in site.fine, site.said()
    site.settle()


def _back_up_unpruned(site: Site) -> None:
    """As a version that does not prune by itself would."""
    keeper = site.keeper()
    assert keeper.commits is not None
    keeper.commits._prune = lambda *_: None  # type: ignore[method-assign]
    assert Keeper.backup(keeper, ARTIFACT)
    site.settle()


def _database(path: Path, rows: int, *, journal: str = "WAL", word: str = "trial") -> None:
    """A database whose last rows are in its WAL only, as after a program that was killed."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch) / "study.db"
        connection = sqlite3.connect(work, isolation_level=None)
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("create table trials (number integer primary key, value text)")
        connection.executemany("insert into trials values (?, ?)", [(i, f"{word} {i} " * 20) for i in range(rows // 2)])
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.executemany("insert into trials values (?, ?)", [(i, f"{word} {i} " * 20) for i in range(rows // 2, rows)])
        path.parent.mkdir(parents=True, exist_ok=True)
        for suffix in ("", "-wal"):
            if (source := work.with_name(work.name + suffix)).exists():
                shutil.copyfile(source, path.with_name(path.name + suffix))
        connection.close()


# -- states ------------------------------------------------------------------------------------------------------------


def _first(site: Site) -> None:
    site.write(_run(1))
    _odd(site)


def _incremental(site: Site) -> None:
    site.write(_run(1))
    _odd(site)
    _back_up(site)
    _odd(site, 2)
    site.write({"log.txt": b"changed\n", "notes/new.txt": b"added\n"})
    (site.artifact / "notes" / "03.txt").unlink()


def _one_of_many(site: Site) -> None:
    """So many files that the record of what is here is told as what changed in it."""
    site.write({**_run(1), **{f"many/{n % 5}/{n}": b"%d" % n for n in range(150)}})
    _back_up(site)
    site.write({"many/3/3": b"changed once\n"})
    _back_up(site)
    site.write({"many/3/3": b"changed again\n", "many/new": b"added\n"})
    (site.artifact / "many" / "2" / "7").unlink()


def _replace(site: Site) -> None:
    for version in (1, 2, 3):
        site.write(_run(version, weights=version))
        _back_up(site)
    site.write(_run(3, weights=4))


def _missing(site: Site) -> None:
    site.write(_run(1))
    _back_up(site)
    site.write(_run(2))
    _odd(site)
    _back_up(site)
    site.forget_here()


def _damaged(site: Site) -> None:
    site.write(_run(1))
    _back_up(site)
    site.write(_run(2, weights=2))
    _odd(site)
    _back_up(site)
    (site.artifact / "latest").unlink()
    with open(site.artifact / "checkpoint" / "weights.bin", "r+b") as handle:
        handle.truncate(700_000)
    site.write({"notes/02.txt": b"garbage", "mine.txt": b"never backed up\n"})
    shutil.rmtree(site.artifact / "metrics" / "fold-1")
    (site.artifact / "notes" / "05.txt").unlink()


def _history(site: Site) -> None:
    for version in range(1, 7):
        site.write({**_run(version, weights=version), f"notes/of-{version}.txt": b"x" * version})
        _back_up_unpruned(site)


def _study(site: Site) -> None:
    site.write(_small(1))
    _database(site.artifact / "study.db", 60)
    _back_up(site)
    _database(site.artifact / "study.db", 100)
    site.write({"log.txt": b"more trials\n"})


def _study_grows(site: Site) -> None:
    """Two whole copies, then what changed, in two lines that take turns: each next one goes on from the one before the last."""
    site.write(_small(1))
    for rows in range(1000, 1005):
        _database(site.artifact / "study.db", rows)
        _back_up(site)
    assert site.holds("study.db@000005-*.pieces"), "it was sent whole"
    _database(site.artifact / "study.db", 1005)
    site.write({"log.txt": b"more trials\n"})


def _study_backed_up(site: Site) -> None:
    site.write(_small(1))
    _database(site.artifact / "study.db", 60)
    _back_up(site)


def _stale_wal(site: Site, *, empty: bool) -> None:
    database = site.artifact / "study.db"
    _database(database, 80, word="stale")
    if empty:
        database.write_bytes(b"")
    else:
        database.unlink()


def _study_emptied(site: Site) -> None:
    _study_backed_up(site)
    _stale_wal(site, empty=True)


def _study_missing(site: Site) -> None:
    _study_backed_up(site)
    _stale_wal(site, empty=False)
    for name in ("log.txt", "notes/01.txt", "notes/06.txt", "metrics/fold-2/scores.json"):
        (site.artifact / name).unlink()


SCENARIOS = {
    s.name: s
    for s in (
        Scenario("first backup", Kind.BACKUP, ("backup", ARTIFACT), _first),
        Scenario("incremental backup", Kind.BACKUP, ("backup", ARTIFACT), _incremental),
        Scenario("one file of many", Kind.BACKUP, ("backup", ARTIFACT), _one_of_many),
        Scenario("replace, auto-prune", Kind.BACKUP, ("backup", ARTIFACT), _replace, prunes=True),
        Scenario("ensure what is missing", Kind.RESTORE, ("ensure", ARTIFACT), _missing),
        Scenario("restore over damage", Kind.RESTORE, ("restore", ARTIFACT), _damaged),
        Scenario("prune", Kind.PRUNE, ("prune",), _history, prunes=True),
        Scenario("SQLite backup", Kind.BACKUP, ("backup", ARTIFACT), _study),
        Scenario("SQLite, what changed", Kind.BACKUP, ("backup", ARTIFACT), _study_grows, prunes=True),
        Scenario("SQLite restore", Kind.RESTORE, ("restore", ARTIFACT), _study_emptied),
        Scenario("SQLite ensure of a part", Kind.FILL, ("ensure", ARTIFACT), _study_missing),
    )
}
