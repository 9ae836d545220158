"""Copies of checkpoints in the store, for stages whose checkpoints are damaged here."""

from __future__ import annotations

import logging
from pathlib import Path

from holdfast.flow.bench import Patiently
from holdfast.integrations.checkpoints import MARKER, damage, sealed
from holdfast.integrations.fetching import KeptCopies
from holdfast.integrations.watching import Fetched
from holdfast.session.keeper import Keeper

log = logging.getLogger(__name__)


def mended(keeper: Keeper, place: Path) -> bool:
    """Whether a checkpoint that differs from the store's was no work but damaged, by its own marker, and is whole again."""
    mended = False
    for marker in place.rglob(MARKER):
        saved = sealed(marker.parent)
        if saved is not None and damage(saved) and not KeptCopies(keeper).fetch(marker.parent).why:
            log.warning("%s: differed because it was damaged here; it is fetched from the store", marker.parent)
            mended = True
    return mended


class PatientCopies(KeptCopies):
    """The copies of checkpoints in the keeper's store, asked for as patiently as the settings of the run say."""

    def __init__(self, keeper: Keeper, patiently: Patiently) -> None:
        super().__init__(keeper)
        self._patiently = patiently

    def fetch(self, folder: Path, *, weights_only: bool = False, patient: bool = False) -> Fetched:
        """See `Copies`."""

        def ask() -> Fetched:
            return super(PatientCopies, self).fetch(folder, weights_only=weights_only)

        if not patient:
            return ask()
        return self._patiently(str(folder), True, ask, lambda a: f"{folder}: {a.why}" if a.unknown else "")
