"""Which generation a restore takes, on a fresh machine too, and what stands against saying that there is none.

On a fresh machine that is the first of the `heads`, unless files of it are torn.
"""

from __future__ import annotations

import enum
import errno
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from holdfast.errors import Corrupt, StoreUnreadable
from holdfast.store.deciding.coverage import Coverage
from holdfast.store.deciding.heads import find_heads, rank
from holdfast.store.deciding.lineage import ancestry, descent
from holdfast.store.format.keys import Key, printable, within
from holdfast.store.format.manifest import Kind, Manifest
from holdfast.store.format.names import CommitId, ManifestName, mark
from holdfast.store.local.records import Record
from holdfast.store.looking.view import Generation, State, View

log = logging.getLogger(__name__)

#: So many generations with torn files are remembered as passed over; a manifest names eight ancestors.
MAX_PASSED = 4


class Examined(Protocol):
    """What a choice asks of a store: what is there, and nothing that changes it."""

    @property
    def told(self) -> set[str]:
        """Ids of generations that never arrived, of which that was said."""

    @property
    def location(self) -> str:
        """Where the store lies, for people."""

    def examine(self, name: ManifestName) -> Generation:
        """Look into one generation."""

    def heads(self, found: Sequence[ManifestName], excluded: frozenset[str] = frozenset()) -> list[Manifest]:
        """The heads among generations of one artifact, best first."""

    def exists(self, path: str) -> bool:
        """Asked by name."""


class Prefer(enum.Enum):
    """Which side counts where both have a database or a checkpoint, and neither knows of the other."""

    NEITHER = "neither"
    STORE = "store"
    LOCAL = "local"


@dataclass(frozen=True)
class Wish:
    """What an explicit `restore` asks for beyond `ensure`.

    Args:
        generation: Id of the generation to take; None for the head.
        replace_here: Move what is here aside and put the restored in its place.
        prefer: Which side counts where a database or a checkpoint here is another than the store's.
    """

    generation: str | None = None
    replace_here: bool = False
    prefer: Prefer = Prefer.NEITHER


@dataclass(frozen=True)
class Choice:
    """The generation that a restore takes, or None where none is whole.

    Args:
        manifest: The generation.
        passed: Newer ones that hold torn files and are passed over in its favour.
    """

    manifest: Manifest | None
    passed: tuple[CommitId, ...] = ()


def choose(
    store: Examined,
    names: tuple[ManifestName, ...],
    record: Record,
    wish: Wish,
    excluded: frozenset[str],
    warnings: list[str],
    *,
    anything_here: Callable[[], bool],
) -> Choice:
    """The chosen generation, else the base where something of it is here, else the head.

    What is newer and not whole is said: the last backup of a machine that vanished may never have arrived. So is what is newer
    and holds files that are torn by their own format, and is passed over: nobody could open those.
    """
    if wish.generation is not None:
        return Choice(_named_generation(store, names, wish.generation, excluded))
    base = record.base
    if base is not None and not wish.replace_here and base.commit.id not in excluded:
        name = next((n for n in names if n.commit == base.commit), None)
        if name is not None and anything_here() and store.examine(name).state is State.WHOLE:
            return Choice(base)
    broken: list[Generation] = []

    def whole(name: ManifestName) -> Manifest | None:
        generation = store.examine(name)
        if generation.state is State.WHOLE:
            return generation.manifest
        broken.append(generation)
        return None

    heads = find_heads(names, whole, excluded)
    for generation in broken:
        if not heads or generation.name.commit.sequence <= heads[0].commit.sequence:
            continue
        if generation.state is State.NEWER:  # going back behind a newer version's work in silence would look like success
            raise StoreUnreadable(errno.EPROTONOSUPPORT, generation.problem, store.location)
        newer, head = generation.name.commit, heads[0]
        say(warnings, f"{head.key}: generation {newer} is not whole ({generation.problem}); going back to {head.commit}")
    if len(heads) > 1:
        others = ", ".join(str(h.commit) for h in heads[1:])
        log.warning(
            "%s: a fork: taking %s, beside it stand %s; `holdfast history` shows them", heads[0].key, heads[0].commit, others
        )
    return _not_torn(store, names, heads, excluded, warnings) if heads else Choice(None)


def say(warnings: list[str], text: str) -> None:
    """A warning, once: logged, and for the result."""
    if text not in warnings:
        warnings.append(text)
        log.warning("%s", text)


def _not_torn(
    store: Examined, names: tuple[ManifestName, ...], heads: list[Manifest], excluded: frozenset[str], warnings: list[str]
) -> Choice:
    """The best head, or where files of it are torn, the newest generation of which none is: of its line, or of a fork."""
    head = heads[0]
    manifest, passed = newest_not_torn(store, names, heads, excluded)
    if manifest is head:
        return Choice(head)
    path, why = min(head.torn.items())
    if manifest is not None:
        say(
            warnings,
            f"{head.key.join(path)}: in generation {head.commit} it is {printable(why)}; taking {manifest.commit}, which has no "
            f"torn file (`holdfast restore {head.key} --generation {head.commit.id}` takes the torn one)",
        )
    return Choice(manifest or head, passed)


def newest_not_torn(
    store: Examined, names: tuple[ManifestName, ...], heads: list[Manifest], excluded: frozenset[str] = frozenset()
) -> tuple[Manifest | None, tuple[CommitId, ...]]:
    """The best generation without a torn file, None where every one has some, and what of its own line was passed over for it.

    Costs nothing where the best head has none.

    Args:
        store: The store.
        names: Every manifest name of the artifact.
        heads: Its heads, best first.
        excluded: Ids that are proven damaged.
    """
    best: Manifest | None = None
    passed: tuple[CommitId, ...] = ()
    for head in heads:
        if head.drops < heads[0].drops or (best is not None and rank(best) > rank(head)):  # nothing below a head ranks above it
            continue
        found, over = _below(store, names, head, excluded)
        if found is not None and (best is None or rank(found) > rank(best)):
            best, passed = found, over
    return best, passed


def _below(
    store: Examined, names: tuple[ManifestName, ...], head: Manifest, excluded: frozenset[str]
) -> tuple[Manifest | None, tuple[CommitId, ...]]:
    """The newest generation of a head's line that has no torn file, and the newest of those above it."""
    if not head.torn:
        return head, ()
    line = ancestry([head.commit.id], descent(names, {head.commit.id: head.ancestors}))
    passed = [head.commit]
    # What was dropped does not come back because of a torn file in what came after it.
    for name in sorted((n for n in names if n.commit.id in line), key=lambda n: n.commit, reverse=True):
        generation = store.examine(name) if name.commit.id not in excluded else None
        if generation is None or generation.state is not State.WHOLE or generation.manifest is None:
            continue
        if generation.manifest.drops < head.drops or generation.manifest.kind is Kind.DROPPED:
            break
        if not generation.manifest.torn:
            return generation.manifest, tuple(passed[:MAX_PASSED])
        passed.append(name.commit)
    return None, ()


def _named_generation(store: Examined, names: tuple[ManifestName, ...], wanted: str, excluded: frozenset[str]) -> Manifest | None:
    id_ = wanted.rpartition("-")[2]
    for name in names:
        if name.commit.id == id_:
            if id_ in excluded:
                raise Corrupt(f"generation {name.commit} is damaged; `holdfast history` lists the others")
            generation = store.examine(name)
            if generation.manifest is None or generation.state is not State.WHOLE:
                raise Corrupt(f"generation {name.commit} is not whole: {generation.problem}")
            return generation.manifest
    return None


def refuse_if_hidden(
    store: Examined,
    names: tuple[ManifestName, ...],
    key: Key,
    prefix: str,
    excluded: frozenset[str],
    head: Manifest | None,
    warnings: list[str],
) -> None:
    """What stands against saying that a path is absent: damage, a fork that holds it, the work of a newer version.

    A generation of which payload, or the end of the manifest, is missing counts as never made: the end of its machine cut off
    its upload, and nobody can restore it. That is said aloud. It is damage only where the artifact is marked as safe and no
    older generation is left.

    Raises:
        Corrupt: what was whole is damaged.
        StoreUnreadable: only a fork, or a newer version, has it.
    """
    below = set()
    if head is not None:
        below = {head.commit.id} | ancestry([head.commit.id], descent(names, {head.commit.id: head.ancestors}))
    for name in names:
        if name.commit.id in below:
            continue
        generation = store.examine(name)
        if generation.state is State.WHOLE and name.commit.id not in excluded:
            if head is not None and generation.manifest is not None and generation.manifest.drops < head.drops:
                road = f"`holdfast restore {key} --generation {name.commit.id}` takes it"
                say(warnings, f"{key}: generation {name.commit} went on from what was dropped; {road}")
                continue
            if head is not None and generation.manifest is not None and any(within(p, prefix) for p in generation.manifest.paths):
                raise StoreUnreadable(
                    errno.EEXIST,
                    f"only the fork {name.commit} holds it; `holdfast restore {key} --generation {name.commit.id}` takes that",
                    str(key.join(prefix)),
                )
            continue
        if head is not None and name.commit.sequence <= head.commit.sequence:
            continue
        manifest, path = generation.manifest, key.join(prefix)
        if manifest is not None and prefix and not any(within(p, prefix) for p in manifest.paths):
            continue
        if generation.state is State.NEWER:
            raise StoreUnreadable(errno.EPROTONOSUPPORT, generation.problem, store.location)
        why = warnings[-1] if warnings else generation.problem
        arrived = generation.state in (State.WHOLE, State.TORN)  # to its end; what is wrong with it came later
        if arrived or (head is None and store.exists(mark(key))):
            raise Corrupt(f"{path}: it may be in generation {name.commit}, which is damaged ({why})")
        text = f"{path}: it may have been in generation {name.commit}, which never arrived whole ({generation.problem})"
        warnings.append(text)
        if name.commit.id not in store.told:
            store.told.add(name.commit.id)
            log.warning("%s", text)


def owned_below(store: Examined, view: View, key: Key, coverage: Coverage) -> tuple[str, ...]:
    """Paths below the artifact that inner artifacts own: those with a whole generation of their own."""
    inner = [k for k in coverage.inner if key.covers(k)]
    return tuple(key.relative(k) for k in inner if store.heads(view.of(k)))
