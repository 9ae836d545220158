"""Deciding, without a disk: heads, prune, merges of tars."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import pytest

from holdfast.store.deciding.heads import find_heads
from holdfast.store.deciding.line import ancestors_of
from holdfast.store.deciding.prune import plan_prune
from holdfast.store.format.entries import FileRecord
from holdfast.store.format.keys import Key
from holdfast.store.format.manifest import Kind, Manifest
from holdfast.store.format.names import CommitId, ManifestName
from holdfast.store.format.tars import plan_merge
from holdfast.store.looking.view import Generation, State
from holdfast.store.reporting.durability import Durability


def generation(
    sequence: int, id_: str, parent: Manifest | None = None, progress: float | None = None, *, fresh: bool = False
) -> Manifest:
    record = FileRecord("", 1, "0" * 64, 0o600, payload=f"outputs/x@{sequence:06d}-{id_}")
    ancestors = () if parent is None else (parent.commit.id, *parent.ancestors)[:8]
    parent_id = None if parent is None else parent.commit.id
    commit = CommitId(sequence, id_)
    return Manifest("s" * 32, Key("outputs/x"), Kind.FILE, commit, parent_id, ancestors, fresh, "", "", progress, {"": record}, {})


def line(length: int, start: Manifest | None = None, letter: str = "a") -> list[Manifest]:
    made: list[Manifest] = [] if start is None else [start]
    for n in range(length):
        parent = made[-1] if made else None
        made.append(generation(parent.commit.sequence + 1 if parent else 1, f"{letter}{n:07x}"[:8], parent))
    return made if start is None else made[1:]


def heads_of(manifests: Iterable[Manifest], broken: Iterable[str] = ()) -> tuple[list[str], int]:
    """Ids of the heads, best first, and how many manifests were read."""
    table = {m.commit.id: m for m in manifests}
    gone = set(broken)
    read = []

    def whole(name: ManifestName) -> Manifest | None:
        read.append(name)
        return None if name.commit.id in gone else table[name.commit.id]

    return [m.commit.id for m in find_heads([m.name for m in table.values()], whole)], len(read)


def test_one_line_has_one_head_found_by_one_read_however_long() -> None:
    history = line(500)
    assert heads_of(history) == ([history[-1].commit.id], 1)


def test_pruned_gaps_make_no_false_head() -> None:
    history = line(30)
    assert heads_of([history[-1], history[-2], history[-7]])[0] == [history[-1].commit.id]


def test_debris_on_top_is_not_a_head_and_hides_none() -> None:
    history = line(5)
    assert heads_of(history, broken=[history[-1].commit.id])[0] == [history[-2].commit.id]
    assert heads_of(history, broken=[h.commit.id for h in history])[0] == []


def test_two_lines_are_a_fork_and_progress_then_sequence_then_id_decides() -> None:
    trunk = line(3)
    one, two = generation(4, "b0000000", trunk[-1]), generation(4, "c0000000", trunk[-1])
    assert heads_of([*trunk, one, two])[0] == ["c0000000", "b0000000"]
    higher = generation(5, "a1111111", one)
    assert heads_of([*trunk, one, two, higher])[0] == ["a1111111", "c0000000"]
    further = generation(2, "00000001", trunk[0], progress=7)
    assert heads_of([*trunk, one, two, higher, further])[0][0] == "00000001"


def test_between_equals_the_line_begun_after_a_failed_restore_comes_last() -> None:
    old, fresh = generation(1, "00000001"), generation(1, "ffffffff", fresh=True)
    assert heads_of([old, fresh])[0] == ["00000001", "ffffffff"]


def prune(
    manifests: list[Manifest], attached: Iterable[Manifest], own: dict[str, Durability], broken: Iterable[str] = ()
) -> set[str]:
    bad = set(broken)
    generations = [
        Generation(m.name, None, State.TORN) if m.commit.id in bad else Generation(m.name, m, State.WHOLE) for m in manifests
    ]
    plan = plan_prune(generations, frozenset(m.commit.id for m in attached), own)
    return {n.commit.id for n in plan.generations}


def ids(manifests: Iterable[Manifest]) -> set[str]:
    return {m.commit.id for m in manifests}


def test_what_was_here_at_attach_goes_only_where_two_newer_were_here_too() -> None:
    history = line(6)
    seen, own = history[:3], {m.commit.id: Durability.CONFIRMED for m in history[3:]}
    assert prune(history, seen, own) == ids([history[0], history[3]])
    assert prune(history[:3], history[:2], {history[2].commit.id: Durability.CONFIRMED}) == set()


@pytest.mark.parametrize(("durability", "kept"), [(Durability.CONFIRMED, 2), (Durability.UNKNOWN, 4), (Durability.WRITTEN, 12)])
def test_of_its_own_a_session_keeps_two_confirmed_four_unknown_all_on_the_way(durability: Durability, kept: int) -> None:
    history = line(12)
    own = {m.commit.id: durability for m in history}
    dropped = prune(history, [], own)
    # The newest `kept` stay above whatever goes: a generation goes only with that many above it.
    assert dropped == ids(history[: 12 - kept])


def test_what_somebody_else_wrote_is_never_pruned() -> None:
    history = line(10)
    assert prune(history, [], {}) == set()


def test_heads_and_the_generation_with_most_progress_are_always_kept() -> None:
    trunk = line(4)
    best = generation(5, "bbbbbbbb", trunk[-1], progress=20)
    tail = line(5, best, "d")
    fork = generation(2, "eeeeeeee", trunk[0])
    everything = [*trunk, best, *tail, fork]
    dropped = prune(everything, everything, {})
    assert not dropped & {"bbbbbbbb", "eeeeeeee", tail[-1].commit.id, tail[-2].commit.id}
    assert trunk[0].commit.id in dropped


def test_payload_that_a_kept_generation_names_stays_and_a_torn_manifest_keeps_all() -> None:
    history = line(4)
    shared = FileRecord("", 1, "0" * 64, 0o600, payload="outputs/shared@000001-aaaaaaaa")
    history = [Manifest(**{**{f: getattr(m, f) for f in m.__dataclass_fields__}, "files": {"": shared}}) for m in history]
    generations = [Generation(m.name, m, State.WHOLE) for m in history]
    plan = plan_prune(generations, frozenset(ids(history)), {})
    assert plan.generations
    assert plan.payloads == ()
    torn = generation(9, "cccccccc", history[-1])
    plan = plan_prune(
        [*(Generation(m.name, m, State.WHOLE) for m in line(4)), Generation(torn.name, None, State.TORN)],
        frozenset(ids(line(4))),
        {},
    )
    assert plan.generations
    assert plan.payloads == ()


def test_dead_side_branches_go_once_the_line_went_on_without_them() -> None:
    history = line(6)
    torn = generation(3, "cccccccc", history[1])
    everything = [*history, torn]
    assert "cccccccc" in prune(everything, everything, {}, broken=["cccccccc"])
    assert "cccccccc" not in prune(everything, history, {}, broken=["cccccccc"]), "it was not here at attach"
    late = generation(5, "dddddddd", history[3])
    assert "dddddddd" not in prune([*history, late], [*history, late], {}, broken=["dddddddd"]), "too near the newest"


def test_at_most_eight_tars_and_every_byte_is_rewritten_seldom(seeded: Callable[[int], random.Random]) -> None:
    rng = seeded(3)
    tars: dict[str, int] = {}
    rewritten = sent = 0
    for n in range(2000):
        new = rng.randrange(1, 2000)
        merged = plan_merge(tars, new, 8)
        rewritten += sum(tars[p] for p in merged)
        sent += new
        tars[f"t{n}"] = new + sum(tars.pop(p) for p in merged)
        assert len(tars) <= 8
    assert rewritten < 6 * sent


def test_ancestors_are_the_nearest_with_those_still_there_first() -> None:
    history = line(20)
    assert len(ancestors_of(history[-1], ids(history))) == 8
    there = {history[-1].commit.id, *history[-1].ancestors[-1:]}
    assert set(ancestors_of(history[-1], there)) >= there
    assert ancestors_of(None, []) == ()
    assert ancestors_of(None, [], [m.commit for m in history]) == tuple(m.commit.id for m in history[:8])
