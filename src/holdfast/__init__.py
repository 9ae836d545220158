"""Holdfast keeps the outputs of a machine-learning pipeline in place when Google Colab takes the machine away.

Three lines make a notebook safe::

    keep = holdfast.attach()
    if not keep.ensure("outputs/result.json"):
        make_result(); keep.backup("outputs/result.json")
"""

from holdfast import errors
from holdfast._version import __version__
from holdfast.session.functions import (
    BACKUP_ENABLED,
    attach,
    backup_to_drive,
    detach,
    ensure_restored_from_drive,
    restore_from_drive,
    restore_if_missing,
)
from holdfast.session.keeper import Backup, Keeper
from holdfast.store.backend import Durability
from holdfast.store.outcomes import BackedUp, Outcome, Restored

__all__ = [
    "BACKUP_ENABLED",
    "BackedUp",
    "Backup",
    "Durability",
    "Keeper",
    "Outcome",
    "Restored",
    "__version__",
    "attach",
    "backup_to_drive",
    "detach",
    "ensure_restored_from_drive",
    "errors",
    "restore_from_drive",
    "restore_if_missing",
]
