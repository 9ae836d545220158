"""A damaged checkpoint comes back from the store: from the newest generation that has what is wrong here as it was saved.

`ensure` would answer that it is here. Only the files that are not whole are fetched, and what is in their way is moved aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import HoldfastError, StoreError, UsageError
from holdfast.integrations.checkpoints import MARKER, SavedCheckpoint, damage, sealed
from holdfast.integrations.watching import Copies, Fetched
from holdfast.session.keeper import Keeper
from holdfast.store.deciding.coverage import cover
from holdfast.store.format.keys import Key
from holdfast.store.looking.known import DirectoryTest, artifacts
from holdfast.store.looking.same_store import look
from holdfast.store.looking.view import State
from holdfast.store.reporting.one_line import describe
from holdfast.store.reporting.outcomes import Outcome


@dataclass(frozen=True)
class _Generation:
    """What a generation holds of one checkpoint: size and BLAKE3 of each file, by path below it."""

    id: str
    files: Mapping[str, tuple[int, str]]

    def has(self, saved: SavedCheckpoint, *, weights_only: bool) -> bool:
        """Whether it has whatever is wrong here as the marker says."""
        return all(d.extra or self.files.get(d.name) == saved.files[d.name] for d in damage(saved, weights_only=weights_only))


class KeptCopies(Copies):
    """The copies that a keeper has in its store."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def fetch(self, folder: Path, *, weights_only: bool = False, patient: bool = False) -> Fetched:
        """See `Copies`. It does not wait, and never raises."""
        if not self._keeper.enabled:
            return super().fetch(folder)
        try:
            key = self._keeper.workspace.key(folder.absolute())
        except UsageError:
            return Fetched("it lies outside outputs, so the store has none of it")
        try:
            self._keeper.settle()
            generations = self._generations(key)
        except StoreError as error:
            return Fetched(f"the store cannot be read now ({describe(key, error)})", unknown=True)
        except HoldfastError as error:
            return Fetched(describe(key, error))
        answer = Fetched("the store has none of it" if not generations else "what the store has of it is no better")
        own = sealed(folder)
        serving = [g for g in generations if own is not None and g.has(own, weights_only=weights_only)]
        # The marker here may be what is damaged: then each generation is taken by its own.
        for generation in [*serving, *(g for g in generations if g not in serving)]:
            try:
                now = self._take(folder, generation, weights_only=weights_only, marker=generation not in serving)
            except HoldfastError as error:
                now = Fetched(describe(key, error))
            if now is not None and (not now.why or now.unknown):
                return now
            answer = now or answer
        return answer

    def set_aside(self, place: Path) -> Path:
        """Below `holdfast-aside/`, which is in no backup; beside it where it lies outside outputs."""
        try:
            key = self._keeper.workspace.key(place.absolute())
        except UsageError:
            return super().set_aside(place)
        return self._keeper.workspace.set_aside(place.absolute()) / key.value

    def _generations(self, key: Key) -> list[_Generation]:
        """Those that hold the checkpoint with its marker, newest first. What was dropped is over."""
        store, workspace = self._keeper.store, self._keeper.workspace
        if store is None:
            return []
        view = look(store, workspace)
        own = cover(key, artifacts(store, view, workspace), DirectoryTest(store, view, workspace)).own
        names = view.of(own.artifact) if own is not None else ()
        heads = store.heads(names)
        found = []
        for name in sorted(names, key=lambda n: n.commit, reverse=True):
            generation = store.examine(name)
            held = generation.manifest
            if generation.state is not State.WHOLE or held is None or held.drops < heads[0].drops:
                continue
            places = {held.key.join(path): (file.size, file.blake3) for path, file in held.files.items()}
            files = {key.relative(place): what for place, what in places.items() if key.covers(place)}
            if MARKER in files:
                found.append(_Generation(name.commit.id, files))
        return found

    def _take(self, folder: Path, generation: _Generation, *, weights_only: bool, marker: bool) -> Fetched | None:
        """Fetch what is wrong here from a generation; None where it is no better itself."""
        if marker and (failed := self._bring(folder / MARKER, generation)):
            return failed
        saved = sealed(folder)
        if saved is None or not generation.has(saved, weights_only=weights_only):
            return None
        wrong = damage(saved, weights_only=weights_only)
        for one in wrong:
            if one.extra:
                self.set_aside(folder / one.name)
        names = [d.name for d in wrong if not d.extra]
        for place in [folder] if len(names) == len(saved.files) else [folder / name for name in names]:
            if failed := self._bring(place, generation):
                return failed
        return Fetched()

    def _bring(self, place: Path, generation: _Generation) -> Fetched | None:
        """Restore a path from a generation. None where it came."""
        result = self._keeper.restore(place.absolute(), generation=generation.id)
        if result:
            return None
        return Fetched(f"it could not be fetched ({result.error})", unknown=result.outcome is Outcome.FAILED and not result.damaged)
