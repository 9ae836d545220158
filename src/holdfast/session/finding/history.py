"""The generations of one artifact."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.store.format.keys import Key
from holdfast.store.format.manifest import Kind
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.view import State, View
from holdfast.store.store import Store


@dataclass(frozen=True)
class HistoryEntry:
    """One generation of one artifact, newest first in a history."""

    key: Key
    generation: str
    sequence: int
    parent: str | None
    state: State
    head: bool
    default: bool
    base: bool
    time: str = ""
    writer: str = ""
    files: int = 0
    size: int = 0
    progress: float | None = None
    problem: str = ""
    dropped: bool = False


def history(store: Store, view: View, workspace: Workspace, key: Key) -> list[HistoryEntry]:
    """Every generation of one artifact, newest first, with what each is."""
    heads = store.heads(view.of(key))
    base = workspace.record_in(key, view).base
    entries = []
    for name in sorted(view.of(key), key=lambda n: n.commit, reverse=True):
        generation = store.examine(name)
        manifest = generation.manifest
        entries.append(
            HistoryEntry(
                key=key,
                generation=name.commit.id,
                sequence=name.commit.sequence,
                parent=name.parent,
                state=generation.state,
                head=any(h.commit == name.commit for h in heads),
                default=bool(heads) and heads[0].commit == name.commit,
                base=base is not None and base.commit == name.commit,
                time=manifest.time if manifest else "",
                writer=manifest.writer if manifest else "",
                files=len(manifest.files) if manifest else 0,
                size=manifest.size if manifest else 0,
                progress=manifest.progress if manifest else None,
                problem=generation.problem,
                dropped=manifest is not None and manifest.kind is Kind.DROPPED,
            )
        )
    return entries
