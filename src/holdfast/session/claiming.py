"""One writer: a claim on what this process works on, and who else does."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import PurePath

from holdfast.session.background.claims import Claim, claim
from holdfast.session.project import Project
from holdfast.store.format.keys import Key

log = logging.getLogger(__name__)


def begin(project: Project, paths: Sequence[str | PurePath]) -> Claim:
    """See `Keeper.claim`."""
    keys = [project.workspace.key(p) for p in paths]
    made = claim(project.workspace.claims, keys, log.warning if project.force else None)
    try:
        if project.worker is not None:
            project.worker.claim(keys)
    except BaseException:
        made.release()
        raise
    if project.commits is not None:
        project.commits.begins(keys)
    return made


def refuse_rival(project: Project, keys: Sequence[Key]) -> None:
    """Raise `AnotherSession` where a live one, that was there first, was seen at these keys. Asks nothing of the store."""
    if project.worker is not None:
        project.worker.refuse_rival(keys)
