"""What must hold after a kill. Every broken promise is one line of text that begins with the letter of its promise.

a. A machine that never saw the project gets the generation before the command or the intended one, byte for byte.
b. Every generation that the uninterrupted command keeps can still be restored by its id.
c. Outputs hold nothing partial, and nothing of them is lost.
d. The same command, run again, goes through, makes no fork, and a fresh machine gets what was intended. Work goes on.
e. Nothing in the store is damaged, but for leftovers that no generation stands on.

Where the mount is taken away after the kill, what the command wrote may be whole, torn, empty or missing. All of a. to d. must
hold as well, since everything that was there before the command is uploaded; but what was lost may be left as debris.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.store.format.names import GENERATIONS
from holdfast.store.reporting.outcomes import Outcome
from tests.faults.scenarios import Kind, Prepared, read_logical_of
from tests.faults.site import ARTIFACT, Site, Tree, read_logical, read_tree

SIDE_SUFFIXES = (".db-wal", ".db-shm", ".db-journal")


@dataclass
class Findings:
    """Broken promises, and what is worth knowing though the design allows it."""

    violations: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    done: bool = False  #: the command had come to its effect, and only its memory of that may be missing
    lossy: bool = False  #: uploads were lost after the kill

    def expect(self, holds: bool, text: str) -> None:
        if not holds:
            self.violations.append(text)


def examine(site: Site, known: Prepared) -> Findings:
    """Judge the state that a killed command left. The site is used up by it."""
    found = Findings()
    _local(site, known, found)
    _fresh_machine(site, known, found)
    _generations(site, known, found)
    _again(site, known, found)
    _work_goes_on(site, found)
    return found


def examine_in_haste(site: Site) -> Findings:
    """Judge the same state where nobody runs the command again, but work goes on at once: it was done, so no fork."""
    found = Findings()
    _work_goes_on(site, found)
    return found


def examine_remounted(site: Site, known: Prepared) -> Findings:
    """Judge the state where the mount was taken away after the kill, and the workspace is still there."""
    found = Findings(lossy=True)
    _local(site, known, found)
    _fresh_machine(site, known, found)
    _generations(site, known, found)
    _again(site, known, found)
    _work_goes_on(site, found)
    return found


def examine_elsewhere(site: Site, known: Prepared) -> Findings:
    """Judge the state where mount and workspace are gone: a machine that never saw the project goes on."""
    found = Findings(lossy=True)
    _fresh_machine(site, known, found)
    _generations(site, known, found)
    site.forget_here()
    site.cli("ensure", ARTIFACT)
    tree = read_tree(site.artifact)
    found.expect(known.before is None or tree is not None, f"a. what is there is not restored: {site.said()}")
    _work_goes_on(site, found)
    return found


def _fresh_machine(site: Site, known: Prepared, found: Findings) -> None:
    keeper, artifact = site.fresh()
    result = keeper.ensure(ARTIFACT)
    tree = read_tree(artifact)
    if result.outcome is Outcome.RESTORED:
        found.done |= known.scenario.kind is Kind.BACKUP and tree == known.after
        allowed = [known.after] if known.before is None else [known.before, known.after]
        found.expect(tree in allowed, f"a. a fresh machine gets neither the old nor the new content: {_difference(tree, allowed)}")
        return
    found.expect(tree is None, f"a. {result.outcome.value}, and yet something is there")
    allowed_outcome = known.before is None and result.outcome is Outcome.ABSENT
    found.expect(allowed_outcome, f"a. a fresh machine is told {result.outcome.value}: {result.error}")


def _generations(site: Site, known: Prepared, found: Findings) -> None:
    for generation, content in known.kept.items():
        keeper = site.reader()
        to = keeper.root / "elsewhere"
        result = keeper.restore(ARTIFACT, generation=generation, to=to)
        tree = read_tree(to / ARTIFACT)
        found.expect(
            bool(result) and tree == content,
            f"b. generation {generation} cannot be restored by its id: {result.outcome.value} {result.error}",
        )


def _local(site: Site, known: Prepared, found: Findings) -> None:
    raw, logical = read_tree(site.artifact), read_logical(site.artifact)
    found.done |= known.scenario.kind in (Kind.RESTORE, Kind.FILL) and raw == known.after
    if known.scenario.kind in (Kind.BACKUP, Kind.PRUNE):
        found.expect(logical == known.logical_before, f"c. outputs changed: {_difference(logical, [known.logical_before])}")
    elif known.scenario.kind is Kind.FILL:
        _filled(raw, known, found)
    else:
        allowed = [None, known.local_before, known.after]
        found.expect(raw in allowed, f"c. outputs hold a partial tree: {_difference(raw, allowed)}")
    _nothing_lost(site, known, found, raw)


def _filled(raw: Tree | None, known: Prepared, found: Findings) -> None:
    """Files arrive one by one in a folder that was there: each whole or not at all, and no stale WAL beside a database."""
    tree = raw or {}
    for path, content in tree.items():
        if not path.endswith((*SIDE_SUFFIXES, "/")):
            found.expect(known.after.get(path) == content, f"c. {path} is neither missing nor complete")
    for path in known.local_before or {}:
        if not path.endswith((*SIDE_SUFFIXES, "/")):
            found.expect(path in tree, f"c. {path} was here and is gone")
    exposed = "study.db" in tree and any(p.endswith(SIDE_SUFFIXES) for p in tree)
    found.expect(not exposed, "c. a stale WAL lies beside the restored database")


def _nothing_lost(site: Site, known: Prepared, found: Findings, raw: Tree | None) -> None:
    if known.scenario.kind not in (Kind.RESTORE, Kind.FILL):
        return
    places: list[Tree] = [raw or {}]
    places += [tree for p in site.here.glob(f"holdfast-aside/*/{ARTIFACT}") if (tree := read_tree(p)) is not None]
    for path, content in (known.local_before or {}).items():
        if path.endswith("/"):
            continue
        found.expect(any(p.get(path) == content for p in places), f"c. {path} was here and is neither here nor in holdfast-aside")


def _again(site: Site, known: Prepared, found: Findings) -> None:
    code = site.cli(*known.scenario.command)
    found.expect(code in site.fine, f"d. the same command again ends with {code}: {site.said()}")
    if code not in site.fine:
        return
    _one_head(site, found, "d. after the same command again")
    logical = read_logical(site.artifact)
    found.expect(logical == known.logical_after, f"d. outputs are not as intended: {_difference(logical, [known.logical_after])}")
    _fresh_gets(site, known.after, found, "d. after the same command again")
    _nothing_lost(site, known, found, read_tree(site.artifact))
    _undamaged(site, found, "after the same command again")


def _work_goes_on(site: Site, found: Findings) -> None:
    """A change, one more backup, and a prune of every leftover: what the kill left behind must not come back later."""
    site.write({"log.txt": b"work goes on\n", "later.txt": b"later\n"})
    code = site.cli("backup", ARTIFACT)
    found.expect(code in site.fine, f"d. the next backup ends with {code}: {site.said()}")
    _one_head(site, found, "d. after the next backup")
    code = site.cli("prune", "--orphans", "--yes")
    found.expect(code in site.fine, f"d. prune ends with {code}: {site.said()}")
    _undamaged(site, found, "after the next backup and prune")
    wanted = read_logical(site.artifact)
    keeper, artifact = site.fresh()
    keeper.ensure(ARTIFACT)
    tree = read_logical(artifact)
    found.expect(tree == wanted, f"d. after the next backup a fresh machine gets other content: {_difference(tree, [wanted])}")


def _fresh_gets(site: Site, wanted: Tree, found: Findings, when: str) -> None:
    keeper, artifact = site.fresh()
    result = keeper.ensure(ARTIFACT)
    tree = read_tree(artifact)
    same = result.outcome is Outcome.RESTORED and tree == wanted and read_logical(artifact) == read_logical_of(wanted)
    why = f"{result.outcome.value} {result.error} {_difference(tree, [wanted])}"
    found.expect(same, f"{when} a fresh machine gets other content: {why}")


def _one_head(site: Site, found: Findings, when: str) -> None:
    heads = [e.generation for e in site.keeper().history(ARTIFACT) if e.head]
    found.expect(len(heads) == 1, f"{when} there are {len(heads)} heads")


def _undamaged(site: Site, found: Findings, when: str) -> None:
    if found.lossy:  # what was lost is debris; that the newest generation is whole was seen by restoring it
        return
    for damage in site.reader().verify():
        if damage.file.startswith(f"{GENERATIONS}/"):
            found.notes.append(f"a torn manifest of nobody is left {when}")
        else:
            found.violations.append(f"e. {when}: {damage.file}: {damage.problem}")


def naive_state(target: Path, old: Tree | None, new: Tree) -> list[str]:
    """The same question to the naive copy: the target holds, byte for byte, the old tree or the new one."""
    tree = read_tree(target)
    return [] if tree in (old, new) else [f"the target holds neither the old nor the new tree: {_difference(tree, [old, new])}"]


def _difference(tree: Tree | None, allowed: Sequence[Tree | None]) -> str:
    """The first few paths at which a tree differs from the nearest one that is allowed."""
    if tree is None:
        return "nothing is there"
    nearest = min((_paths(tree, other) for other in allowed if other is not None), key=len, default=[])
    return f"{len(nearest)} paths, {', '.join(nearest[:3])}"


def _paths(tree: Tree, other: Tree) -> list[str]:
    unequal = [p for p in sorted({*tree, *other}) if tree.get(p) != other.get(p)]
    return [f"{p} ({_size(tree.get(p))}, not {_size(other.get(p))})" for p in unequal]


def _size(content: bytes | None) -> str:
    return "missing" if content is None else f"{len(content)} bytes"
