"""From paths to commits: which artifact each path belongs to. Pure but for questions about single keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from holdfast.store.deciding.coverage import cover
from holdfast.store.format.keys import Key


@dataclass(frozen=True)
class Request:
    """What to commit.

    Args:
        artifact: The artifact.
        scope: Relative paths within it; `("",)` is all of it.
        inner: Relative paths of inner artifacts, which are left out.
        settled: Those among them that this workspace knows to be in the store.
        progress: What the caller counts (finished trials, training step); None keeps what the base says.
        drop: Everything that the store has of it is over: the commit outranks all of that, whoever made it.
        taken: When what is here was looked at, Unix seconds, 0 for when it is committed; for people.
    """

    artifact: Key
    scope: tuple[str, ...] = ("",)
    inner: tuple[str, ...] = ()
    settled: tuple[str, ...] = ()
    progress: float | None = None
    drop: bool = False
    taken: float = 0.0


def group(
    keys: Iterable[Key],
    known: frozenset[Key],
    *,
    is_directory: Callable[[Key], bool],
    is_here: Callable[[Key], bool],
    is_settled: Callable[[Key], bool],
    progress: float | None = None,
) -> list[Request]:
    """One request for every artifact that is meant, inner ones first.

    A path inside a directory artifact is a part of that artifact's commit; all parts of one artifact commit together.
    Artifacts below a path are committed with it, each by itself, where something of them is here.

    Args:
        keys: What was asked for; each is here.
        known: Every artifact that is known.
        is_directory: Whether an artifact, known or new, is a directory.
        is_here: Whether something is at a key on this machine.
        is_settled: Whether this workspace knows an artifact to be in the store.
        progress: What the caller counts.
    """
    artifacts = set(known)
    scopes: dict[Key, set[str]] = {}
    for key in sorted(set(keys), key=lambda k: (len(k.parts), k)):
        coverage = cover(key, artifacts, is_directory)
        if coverage.own is None:
            artifacts.add(key)
            scopes.setdefault(key, set()).add("")
        else:
            scopes.setdefault(coverage.own.artifact, set()).add(coverage.own.prefix)
        for inner in coverage.inner:
            if is_here(inner):
                scopes.setdefault(inner, set()).add("")
    requests = []
    for artifact in sorted(scopes, key=lambda k: (-len(k.parts), k)):
        below = [k for k in sorted(artifacts) if k != artifact and artifact.covers(k)]
        requests.append(
            Request(
                artifact,
                scope=_outermost(scopes[artifact]),
                inner=tuple(artifact.relative(k) for k in below),
                settled=tuple(artifact.relative(k) for k in below if is_settled(k)),
                progress=progress,
            )
        )
    return requests


def _outermost(prefixes: set[str]) -> tuple[str, ...]:
    """The prefixes without those that another one covers."""
    if "" in prefixes:
        return ("",)
    return tuple(sorted(p for p in prefixes if not any(p.startswith(q + "/") for q in prefixes)))
