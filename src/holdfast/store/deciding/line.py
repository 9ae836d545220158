"""What a commit descends from: its parent, its sequence, and the heads that it leaves beside it as forks. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from holdfast.store.copies.snapshot import Snapshot
from holdfast.store.deciding.agreeing import agrees
from holdfast.store.deciding.lineage import ancestry, descent
from holdfast.store.format.manifest import MAX_ANCESTORS, Kind, Manifest
from holdfast.store.format.names import CommitId, ManifestName
from holdfast.store.local.records import Record

#: So many heads that go before a commit are named by it; the others by the ones that follow.
_MOST_OVER = 3


@dataclass(frozen=True)
class Line:
    """Where a commit stands among the generations of its artifact.

    Args:
        parent: The generation that it descends from, or None.
        content: The generation whose files it takes over: the parent, or a base that is no longer whole.
        adopted: `parent` was not remembered; it became the base because contents agree, so nothing may be deleted.
        others: Heads that the commit does not descend from: with any, it is a fork.
        sequence: The commit's.
        fresh: It begins a line because a restore had failed.
        drops: How often the artifact was dropped before what the commit makes.
        over: Generations that the commit outranks without going on from what they hold.
    """

    parent: Manifest | None
    content: Manifest | None
    adopted: bool
    others: tuple[Manifest, ...]
    sequence: int
    fresh: bool
    drops: int = 0
    over: tuple[CommitId, ...] = ()


def plan_drop(record: Record, heads: Sequence[Manifest], names: Iterable[ManifestName]) -> Line:
    """Decide what a drop descends from: all that there is, and what may still arrive of it ranks below.

    Args:
        record: What this workspace remembers.
        heads: Heads of the artifact, best first.
        names: Every manifest name of the artifact.
    """
    base = record.base
    parent = next((h for h in heads if base is not None and h.commit == base.commit), heads[0] if heads else base)
    if parent is not None and parent.kind is Kind.DROPPED and len(heads) < 2:
        return Line(parent, parent, False, (), parent.commit.sequence + 1, fresh=False, drops=parent.drops)
    known = [m for m in (base, *heads) if m is not None]
    sequence = max((*(n.commit.sequence for n in names), *(m.commit.sequence for m in known)), default=0) + 1
    over = tuple(h.commit for h in heads if parent is not None and h.commit != parent.commit)
    return Line(parent, None, False, (), sequence, fresh=False, drops=max((m.drops for m in known), default=0) + 1, over=over)


def plan_line(
    record: Record,
    heads: list[Manifest],
    names: Iterable[ManifestName],
    snapshot: Snapshot,
    *,
    failed: bool,
    broken: bool,
    lost: frozenset[str],
    older: Manifest | None = None,
    behind: Iterable[CommitId] = (),
) -> Line:
    """Decide what the commit descends from.

    Args:
        record: What this workspace remembers.
        heads: Heads of the artifact, best first; the base among them only if it is whole.
        names: Every manifest name of the artifact.
        snapshot: What is here.
        failed: A restore of the artifact failed before, and none has succeeded since.
        broken: Files that carry over from base have no payload any more, so the commit cannot stand for base.
        lost: Ids of generations that were looked into and are not whole.
        older: A generation behind the head that holds everything here as it is; the base where nothing is remembered.
        behind: Commits of this workspace that it goes on from beside its base: interrupted ones, which may come through late.
    """
    named = {n.commit.id: n for n in names}
    parents = descent(named.values(), {})
    passed = {p.id for p in (*behind, *record.passed)}
    if record.base is None:
        passed |= {*record.earlier}
    passed |= ancestry(passed, parents)
    base, adopted = record.base, False
    most = max((m.drops for m in heads), default=0)
    if base is None and heads and heads[0].kind is Kind.DROPPED:
        base = heads[0]
    elif base is None and heads and agrees(heads[0], snapshot, need_common=failed):
        base, adopted = heads[0], True
    elif base is None and older is not None:
        base, adopted = older, True
    if base is not None and not broken:
        parents[base.commit.id] = {*base.ancestors, *([base.parent] if base.parent else [])}
        line = {base.commit.id} | ancestry([base.commit.id], parents)
        before = passed | {*record.earlier} | ancestry(record.earlier, parents)  # a list may show these, and not what leads to them
        others = tuple(h for h in heads if h.commit.id not in line | before)
        children = {i for i in lost if i in named and base.commit.id in ancestry([i], parents)}
        above = [named[i].commit.sequence for i in children]
        drops, over = base.drops, _named_by_nothing(heads, before - line)
        if record.chosen or adopted:  # what is here now is the newest, whatever it was made from
            above += [h.commit.sequence for h in others]
            drops = max(base.drops, most)
            over += tuple(h.commit for h in others if h.kind is Kind.DROPPED)
            others = tuple(h for h in others if h.kind is not Kind.DROPPED)
        sequence = max([base.commit.sequence, *above]) + 1
        return Line(base, base, adopted, others, sequence, fresh=False, drops=drops, over=over)
    if failed and base is None:
        return Line(None, None, False, tuple(heads), 1, fresh=True, drops=most)
    seen = [h.commit.sequence for h in heads] + [named[i].commit.sequence for i in lost if i in named]
    if base is not None:
        seen.append(base.commit.sequence)
    others = tuple(h for h in heads if h.commit.id not in passed)
    over = _named_by_nothing(heads, passed)
    return Line(None, base, False, others, max(seen, default=0) + 1, fresh=False, drops=most, over=over)


def _named_by_nothing(heads: Iterable[Manifest], before: Collection[str]) -> tuple[CommitId, ...]:
    """Heads that go before the commit, and from which nothing leads to it: it names them, so that they are heads to nobody."""
    return tuple(h.commit for h in heads if h.commit.id in before)[:_MOST_OVER]


def ancestors_of(parent: Manifest | None, present: Iterable[str], voided: Iterable[CommitId] = ()) -> tuple[str, ...]:
    """The nearest ancestors of a commit, parent first.

    Those still in the store come before those already pruned, so that a generation kept for its progress stays
    connected however much between was pruned. Commits that failed come right after the parent.
    """
    if parent is None:
        return tuple(v.id for v in voided)[:MAX_ANCESTORS]
    there = set(present)
    failed = [v.id for v in voided if v.id != parent.commit.id]
    line = list(dict.fromkeys((parent.commit.id, *failed, *parent.ancestors)))
    sure = 1 + len(failed)
    known = [*line[:sure], *(a for a in line[sure:] if a in there)]
    known += [a for a in line if a not in known]
    chosen = known[:MAX_ANCESTORS]
    return tuple(a for a in line if a in chosen)
