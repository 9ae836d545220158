"""Which backend stands for a folder: the one place where a new one is plugged in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

from holdfast.store.backends.backend import Backend
from holdfast.store.backends.directory import DirectoryBackend
from holdfast.store.backends.drive import DriveBackend
from holdfast.store.backends.mounts import DRIVE, Kind
from holdfast.store.backends.second_way import SecondWay

#: What stands for a kind of place that a plain folder does not serve; takes what `DirectoryBackend` takes.
BACKENDS: Mapping[Kind, Callable[..., Backend]] = {DRIVE: DriveBackend}


def backend_at(
    folder: Path,
    project: str,
    kind: Kind,
    *,
    mount_point: Path | None,
    durable: str | None = None,
    second: SecondWay | None = None,
) -> Backend:
    """The bare backend of a place. Who asks it wraps it with limits and retries of his own.

    Args:
        folder: The folder in which the store folder lies.
        project: Path of the store folder below it.
        kind: Of the mount that holds it.
        mount_point: Where Drive should be mounted, where that matters.
        durable: What the user says that makes a file safe there, as `drive.durable` has it.
        second: Drive's API beside its mount.
    """
    made = BACKENDS.get(kind, DirectoryBackend)
    if second is not None and kind is DRIVE:
        made = functools.partial(made, second=second)
    return made(folder, project, mount_point=mount_point, durable=durable)
