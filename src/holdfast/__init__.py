"""Holdfast keeps the outputs of a machine-learning pipeline in place when Google Colab takes the machine away.

Three lines make a notebook safe::

    keep = holdfast.attach()
    if not keep.ensure("outputs/result.json"):
        make_result(); keep.backup("outputs/result.json")
"""

import importlib
from typing import TYPE_CHECKING, Any

from holdfast._version import __version__

if TYPE_CHECKING:
    from holdfast import errors
    from holdfast.keeper import Keeper, attach
    from holdfast.session.backing_up import Backup
    from holdfast.session.functions import (
        BACKUP_ENABLED,
        backup_to_drive,
        detach,
        ensure_restored_from_drive,
        restore_from_drive,
        restore_if_missing,
    )
    from holdfast.store.reporting.durability import Durability
    from holdfast.store.reporting.outcomes import BackedUp, Outcome, Restored

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

#: Where each public name lives. It is loaded when it is first used, so that a process that needs none of them, such as the
#: simulator, starts sooner.
_HOMES = {
    **dict.fromkeys(("BackedUp", "Outcome", "Restored"), "holdfast.store.reporting.outcomes"),
    **dict.fromkeys(("Keeper", "attach"), "holdfast.keeper"),
    "Backup": "holdfast.session.backing_up",
    "Durability": "holdfast.store.reporting.durability",
}

#: What goes into a training of these libraries: `holdfast.hf.Keep` and its like. Each loads its library.
_LIBRARIES = frozenset({"hf", "keras", "lightning", "optuna"})


def __getattr__(name: str) -> Any:
    if name in _LIBRARIES:
        return importlib.import_module(f"holdfast.{name}")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "errors":
        return importlib.import_module("holdfast.errors")
    value = getattr(importlib.import_module(_HOMES.get(name, "holdfast.session.functions")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_LIBRARIES})
