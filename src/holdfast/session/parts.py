"""Backing up the parts of a folder that were changed, where whoever works there knows which: the rest is not looked at."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePath

from holdfast.errors import UsageError
from holdfast.session.project import Project

#: So many backups of parts may follow each other. Then all of the folder is looked at once, for what nobody said that changed.
AT_MOST = 50


def parts_of(project: Project, folder: str | PurePath, parts: Iterable[Path]) -> tuple[Path, ...]:
    """Those of the parts that are here; none where all of the folder is to be backed up, because nothing of it was yet.

    Args:
        project: Keeps it.
        folder: Below outputs.
        parts: Paths in it, absolute.
    """
    key = project.workspace.key(folder)
    if not any(project.workspace.record(k).base is not None for k in (key, *key.parents())):
        return ()  # each part would become an artifact of its own
    here = tuple(part for part in parts if os.path.lexists(part))
    try:
        for part in here:
            project.workspace.key(part)
    except UsageError:  # a name that cannot be kept: it is named where all of the folder is looked at
        return ()
    return here


class Parts:
    """Counts, for whoever works in a folder, when all of it is to be looked at: first, and then now and then."""

    def __init__(self) -> None:
        self._left = 0

    def are_enough(self) -> bool:
        """Whether this time the parts are enough that were changed."""
        self._left = AT_MOST if self._left <= 0 else self._left - 1
        return self._left < AT_MOST

    def all_is_due(self) -> None:
        """Somebody else changed something: all of it is looked at next."""
        self._left = 0
