"""The store through which nodes hand over: it is there, in a folder, and has one identity."""

from __future__ import annotations

from pathlib import Path

from holdfast.errors import ConfigurationError
from holdfast.session.keeper import Keeper
from holdfast.spread.engine import Ground
from holdfast.store.looking.view import Presence


def store_of(ground: Ground) -> Keeper:
    """The keeper, which has a store.

    Raises:
        ConfigurationError: there is none.
    """
    if ground.keeper is None or ground.keeper.store is None:
        raise ConfigurationError(
            "engine: ray: the nodes hand over through a store that all of them see, and there is none; give one (--drive DIR), or "
            "take engine: local"
        )
    return ground.keeper


def folders_of(keeper: Keeper) -> tuple[Path, Path]:
    """The drive folder, and that of the store below it.

    Raises:
        ConfigurationError: the store is in no folder.
    """
    assert keeper.store is not None
    store = Path(keeper.store.backend.location)
    depth = len(Path(keeper.config.project).parts)
    drive = store.parents[depth - 1] if len(store.parents) >= depth else store
    if not store.is_absolute() or drive / keeper.config.project != store:
        raise ConfigurationError(f"engine: ray: the store at {store} is in no folder that other machines could mount")
    return drive, store


def identity_of(keeper: Keeper) -> str:
    """The identity of the store, which is there from now on: nodes that came first would each make one.

    Raises:
        ConfigurationError: it cannot be read.
    """
    assert keeper.store is not None
    view = keeper.store.look()
    if view.presence is not Presence.STORE:
        view = keeper.store.prepare(view)
    if view.store_id is None:
        raise ConfigurationError(f"engine: ray: the store at {keeper.store.location} has no identity that can be read")
    return view.store_id
