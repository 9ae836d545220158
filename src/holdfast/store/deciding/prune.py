"""Prune: drop generations that newer ones make needless, and what no generation names. By rules that no lie can bend.

Pure; `cleanup` does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from holdfast.store.deciding.heads import rank
from holdfast.store.deciding.lineage import ancestry, descent
from holdfast.store.format.manifest import Kind, Manifest
from holdfast.store.format.names import ManifestName
from holdfast.store.looking.view import Generation, State
from holdfast.store.reporting.durability import Durability

KEEP_CONFIRMED = 2
KEEP_UNKNOWN = 4
KEEP_SEEN = 2


@dataclass(frozen=True)
class PrunePlan:
    """What to remove of one artifact: manifests by name, then payload paths."""

    generations: tuple[ManifestName, ...] = ()
    payloads: tuple[str, ...] = ()


def _may_go(id_: str, above: set[str], attached: frozenset[str], own: Mapping[str, Durability]) -> bool:
    """The rule for one generation, given the whole ones that descend from it."""
    if id_ not in own:
        return id_ in attached and len((above & attached) - own.keys()) >= KEEP_SEEN
    newer = above & attached if id_ in attached else above
    confirmed = sum(own.get(i, Durability.CONFIRMED) is Durability.CONFIRMED for i in newer)
    # One that is known to be still on its way is no reason to let anything go: it may never arrive.
    untold = sum(own.get(i) is Durability.UNKNOWN for i in newer)
    return confirmed >= KEEP_CONFIRMED or confirmed + untold >= KEEP_UNKNOWN


def anything_may_go(
    names: Sequence[ManifestName],
    ancestors: Mapping[str, Iterable[str]],
    attached: frozenset[str],
    own: Mapping[str, Durability],
) -> bool:
    """Whether it is worth reading manifests at all: the rule judged by names, and by ancestors already known. Pure.

    Who wrote what was here at attach may not be known yet, so of that the rule is judged as if it were good enough.
    """
    parents = descent(names, ancestors)
    above: dict[str, set[str]] = {i: set() for i in parents}
    for id_ in parents:
        for ancestor in ancestry([id_], parents) & parents.keys():
            above[ancestor].add(id_)
    unjudged = attached - own.keys()
    return any(_may_go(i, above[i], attached, own) or (i in unjudged and len(above[i] & attached) >= KEEP_SEEN) for i in parents)


def plan_prune(
    generations: Sequence[Generation],
    attached: frozenset[str],
    own: Mapping[str, Durability],
    damaged: frozenset[str] = frozenset(),
) -> PrunePlan:
    """Decide what of one artifact may go. Pure.

    Kept always: heads, the generation with the most progress, the newest of a line that has no torn file, and what was dropped by
    the user's word, as it was then. That a generation says that nothing is there is no reason to let anything go.
    One that was here at attach goes only where newer whole ones
    of its line were here at attach too: two where another machine wrote them, so that they came out of the store. Of what this
    machine wrote itself, and a mount may show before it is uploaded, two must be confirmed, or four where nobody can tell;
    the same holds among those of this session. What is known to be still on its way is no reason to let anything go.
    What somebody else wrote meanwhile stays. Debris, a dead side branch that never was whole, goes two sequences or
    more below the newest whole generation that is safe.

    Args:
        generations: Every generation of the artifact, looked into just now.
        attached: Ids that were in the listing when the session attached.
        own: Ids that this machine wrote, in this session or before, with how safe each is.
        damaged: Ids that were proven damaged: no reason to let anything go, and kept for whoever rescues.
    """
    whole = {
        g.name.commit.id: g.manifest
        for g in generations
        if g.state is State.WHOLE and g.manifest is not None and g.name.commit.id not in damaged
    }
    parents = parents_of(generations)
    above: dict[str, set[str]] = {i: set() for i in whole}
    for id_ in whole:
        for ancestor in ancestry([id_], parents) & whole.keys():
            above[ancestor].add(id_)
    keep = {i for i in whole if not above[i]}
    if whole:
        keep.add(max(whole.values(), key=rank).commit.id)
    keep |= _dropped(whole, above)
    # What is torn by its own format opens for nobody, so it is no reason to let one go that is not.
    torn = {i for i, manifest in whole.items() if manifest.torn}
    empty = {i for i, manifest in whole.items() if manifest.kind is Kind.DROPPED}
    drop = {
        i
        for i in whole.keys() - keep
        if _may_go(i, above[i] if i in empty else above[i] - empty if i in torn else above[i] - torn - empty, attached, own)
    }
    drop |= _debris(generations, whole, parents, attached, own) - damaged
    remaining = [g for g in generations if g.name.commit.id not in drop]
    freed: set[str] = set()
    if all(g.manifest is not None for g in remaining):  # a torn manifest may name anything
        named = {p for g in remaining if g.manifest is not None for p in g.manifest.payloads()}
        gone = [g.manifest for g in generations if g.name.commit.id in drop and g.manifest is not None]
        freed = {p for m in gone for p in m.own_payloads()} - named
    names = sorted((g.name for g in generations if g.name.commit.id in drop), key=lambda n: n.commit)
    return PrunePlan(tuple(names), tuple(sorted(freed)))


def _dropped(whole: Mapping[str, Manifest], above: Mapping[str, set[str]]) -> set[str]:
    """What was there when it was dropped by the user's word, and the generation that says so."""
    kept = set()
    for id_, manifest in whole.items():
        over = {a for a in above[id_] if whole[a].drops > manifest.drops}
        if over and over == above[id_] and manifest.kind is not Kind.DROPPED:
            kept |= {id_, min(over, key=lambda a: whole[a].commit)}
    return kept


def _debris(
    generations: Sequence[Generation],
    whole: Mapping[str, Manifest],
    parents: Mapping[str, set[str]],
    attached: frozenset[str],
    own: Mapping[str, Durability],
) -> set[str]:
    """Ids of generations that are not whole and stand on a line that went on without them."""
    seen = [m for i, m in whole.items() if i in attached and own.get(i, Durability.CONFIRMED) is Durability.CONFIRMED]
    if not seen:
        return set()
    newest = max(seen, key=lambda m: m.commit.sequence)
    line = {newest.commit.id} | ancestry([newest.commit.id], parents)
    found = set()
    for generation in generations:
        id_ = generation.name.commit.id
        if id_ in whole or id_ not in attached or generation.name.commit.sequence > newest.commit.sequence - 2:
            continue
        if generation.state in (State.TORN, State.CUT_OFF) or (generation.manifest is not None and parents[id_] & line):
            found.add(id_)
    return found


def parents_of(generations: Iterable[Generation]) -> dict[str, set[str]]:
    """Id to the ids that it descends from, by name and by manifest."""
    listed = list(generations)
    return descent((g.name for g in listed), {g.name.commit.id: g.manifest.ancestors for g in listed if g.manifest is not None})
