"""Looking after a whole store: prune every artifact, remove leftovers of interrupted commits, let go of forks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from holdfast.errors import StoreNotFound
from holdfast.store.deciding.choose import newest_not_torn
from holdfast.store.deciding.lineage import ancestry, descent
from holdfast.store.deciding.prune import PrunePlan, anything_may_go, parents_of, plan_prune
from holdfast.store.format.keys import Key
from holdfast.store.format.manifest import Kind
from holdfast.store.format.names import GENERATIONS, SESSIONS, ManifestName, parse_payload_name
from holdfast.store.looking.attached import Attached
from holdfast.store.looking.view import Generation, State, View
from holdfast.store.reporting.durability import Durability
from holdfast.store.store import Store, refuse_depth

log = logging.getLogger(__name__)

#: A leftover this many sequences below the newest whole generation seen at attach is nobody's commit under way.
SETTLED = 2


@dataclass(frozen=True)
class Pruned:
    """What a prune removed, or would.

    Args:
        generations: Manifests, as paths in the store.
        payloads: Payload files, as paths in the store.
        left: Leftovers that are not settled yet, with their size in bytes; `--orphans` removes them.
    """

    generations: tuple[str, ...]
    payloads: tuple[str, ...]
    left: Mapping[str, int]


def prune_store(
    store: Store,
    attached: Attached,
    keys: Iterable[Key],
    *,
    damaged: Callable[[Key], frozenset[str]] = lambda _: frozenset(),
    with_orphans: bool = False,
    with_forks: bool = False,
    with_dropped: bool = False,
    dry_run: bool = False,
) -> Pruned:
    """Prune. The workspace's lock is held.

    Args:
        store: Where.
        attached: What the session knows.
        keys: The artifacts to prune.
        damaged: Ids of an artifact's generations that were proven damaged.
        with_orphans: Remove leftovers that are not settled too. Only while nobody else is backing up.
        with_forks: Remove every head but the default one, with what only it descends from.
        with_dropped: Remove what was dropped, where the generation that says so may not be lost any more.
        dry_run: Remove nothing, only tell.

    Raises:
        StoreError: the rest stays for the next time; what was removed was needless.
    """
    generations: list[str] = []
    payloads: list[str] = []
    for key in keys:
        plans = [plan_artifact(store, store.look_wider(store.relist()), key, attached, damaged(key))]
        if with_forks:
            plans.append(_plan_forks(store, key, damaged(key)))
        if with_dropped:
            plans.append(_plan_dropped(store, key, damaged(key)))
        for plan in plans:
            if not dry_run:
                remove(store, plan)
            generations += [n.path for n in plan.generations]
            payloads += plan.payloads
    left = _orphans(store, store.look_wider(store.relist()))
    chosen = left if with_orphans else _settled(store, attached.view, left)
    for path in chosen if not dry_run else ():
        store.backend.remove(path)
    if chosen and not dry_run:
        store.backend.flush()
        log.info("removed %d leftover(s) of interrupted backups", len(chosen))
    payloads += [p for p in chosen if p not in payloads]
    return Pruned(
        tuple(dict.fromkeys(generations)), tuple(dict.fromkeys(payloads)), {p: s for p, s in left.items() if p not in payloads}
    )


def worth_a_look(store: Store, names: Sequence[ManifestName], key: Key, attached: Attached) -> bool:
    """Whether anything of an artifact may go, judged by what is known already, so that the usual backup costs nothing more."""
    known = {n.commit.id: store.known_ancestors(n) for n in names}
    return anything_may_go(names, known, attached.seen(key), attached.own)


def plan_artifact(
    store: Store, view: View, key: Key, attached: Attached, damaged: frozenset[str] = frozenset(), base: Iterable[str] = ()
) -> PrunePlan:
    """Decide what of one artifact may go. Finds nothing where a writer outside this workspace appeared since attach.

    Args:
        store: The store.
        view: A listing that is younger than everything that this session wrote (`Store.relist`), twins included.
        key: The artifact.
        attached: What the session knows.
        damaged: Ids that were proven damaged.
        base: The generation that this workspace stands on. What its other processes wrote is that, or before it.

    Raises:
        StoreError: it cannot be told now.
    """
    names = view.of(key)
    strangers = [n for n in names if n.commit.id not in attached.seen(key) and n.commit.id not in attached.own]
    ours = [n for n in strangers if n.commit.id in {*base} | ancestry(base, descent(names, {}))]
    attached.found(store, [store.examine(n) for n in ours])
    strangers = [n for n in strangers if n not in ours or n.commit.id not in attached.own]
    if strangers:
        log.info("%s: not pruned, another session wrote %s meanwhile", key, strangers[0].commit)
        return PrunePlan()
    generations = [store.examine(n) for n in names]
    attached.found(store, generations)
    return plan_prune(generations, attached.seen(key), attached.own, damaged)


def remove(store: Store, plan: PrunePlan) -> None:
    """The manifests first, then the payload that only they named."""
    for name in plan.generations:
        store.backend.remove(name.path)
    if plan.generations:
        store.backend.flush()
    for path in plan.payloads:
        store.backend.remove(path)
    if plan.payloads:
        store.backend.flush()
    if plan.generations:
        log.info("pruned %d generation(s), %d payload file(s)", len(plan.generations), len(plan.payloads))


def _plan_dropped(store: Store, key: Key, damaged: frozenset[str]) -> PrunePlan:
    """Everything that the default head counts as dropped or removed, and nothing where that head may still be lost."""
    names = store.look_wider(store.relist()).of(key)
    heads = store.heads(names, damaged)
    if not heads or store.durability(heads[0]) is Durability.WRITTEN:
        return PrunePlan()
    head, generations = heads[0], [store.examine(n) for n in names]
    below = ancestry([head.commit.id], parents_of(generations)) if head.kind is Kind.DROPPED else set()

    def is_over(generation: Generation) -> bool:
        manifest = generation.manifest
        if manifest is None or manifest.commit.id == head.commit.id:
            return False
        return manifest.drops < head.drops or manifest.commit.id in below

    return _without(key, generations, [g for g in generations if is_over(g)])


def _without(key: Key, generations: Sequence[Generation], others: Sequence[Generation]) -> PrunePlan:
    """The plan that removes these of all generations of an artifact, with what only they name."""
    left = [g.manifest for g in generations if g not in others]
    if any(m is None for m in left):
        log.warning("%s: a manifest cannot be read and may name any payload, so only manifests are removed", key)
        return PrunePlan(tuple(g.name for g in others))
    named = {p for m in left if m is not None for p in m.payloads()}
    freed = {p for g in others if g.manifest is not None for p in g.manifest.own_payloads()} - named
    return PrunePlan(tuple(g.name for g in others), tuple(sorted(freed)))


def _plan_forks(store: Store, key: Key, damaged: frozenset[str]) -> PrunePlan:
    """Everything that is not the default head and not one of its ancestors. What `ensure` takes because that head is torn stays."""
    names = store.look_wider(store.relist()).of(key)
    heads = store.heads(names, damaged)
    if len(heads) < 2:
        return PrunePlan()
    generations = [store.examine(n) for n in names]
    taken = newest_not_torn(store, names, heads, damaged)[0] or heads[0]
    kept = {heads[0].commit.id, taken.commit.id}
    line = kept | ancestry(kept, parents_of(generations))
    return _without(key, generations, [g for g in generations if g.name.commit.id not in line and g.state is State.WHOLE])


def _orphans(store: Store, view: View) -> dict[str, int]:
    """Payload of our exact grammar that no manifest names. None where any manifest cannot be read: it may name anything."""
    named: set[str] = set()
    for name in view.names:
        generation = store.examine(name)
        if generation.manifest is None:
            log.warning("not looking for leftovers of interrupted backups: %s", generation.problem)
            return {}
        named |= generation.manifest.payloads().keys()
    return {path: size for path, size in _payload_files(store, "") if path not in named}


def _payload_files(store: Store, folder: str) -> list[tuple[str, int]]:
    refuse_depth(folder)
    found: list[tuple[str, int]] = []
    for entry in store.backend.list(folder):
        path = f"{folder}/{entry.name}".lstrip("/")
        if entry.is_folder:
            if path not in (GENERATIONS, SESSIONS):
                found += _payload_files(store, path)
        elif parse_payload_name(entry.name) is not None:
            try:
                found.append((path, store.backend.stat(path).size))
            except StoreNotFound:
                continue
    return found


def _settled(store: Store, seen: View, left: Mapping[str, int]) -> dict[str, int]:
    """The leftovers that may go unasked.

    The sequence in a name counts within an artifact, and which artifact a leftover was meant for is known by its folder
    only, so the lowest of the newest whole generations seen at attach of every artifact that could own it decides.
    """
    newest: dict[Key, int] = {}
    for name in seen.names:
        generation = store.examine(name)
        if generation.state is State.WHOLE and generation.manifest is not None:
            key = generation.manifest.key
            newest[key] = max(newest.get(key, 0), name.commit.sequence)
    settled = {}
    for path, size in left.items():
        commit = parse_payload_name(path.rpartition("/")[2])
        folder = path.rpartition("/")[0]
        owners = [
            n
            for k, n in newest.items()
            if k.value == folder or folder.startswith(k.value + "/") or k.value.rpartition("/")[0] == folder
        ]
        if commit is not None and owners and commit.sequence <= min(owners) - SETTLED:
            settled[path] = size
    return settled
