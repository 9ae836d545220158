"""The plan's names, bound to the attached keeper. They do not raise in a notebook; they log and return."""

from __future__ import annotations

import logging
import os
from pathlib import Path, PurePath

from holdfast.errors import HoldfastError
from holdfast.session.attach import open_keeper
from holdfast.session.background.exit import flush_at_exit
from holdfast.session.doctor.patience import Patience
from holdfast.session.keeper import Keeper
from holdfast.session.seeing.notebook import Notebook, find_notebook
from holdfast.store.transfer.progress import Progress

log = logging.getLogger(__name__)

#: A first screen is no reason to wait for a drive that hangs.
GREET_SECONDS = 30.0

_current: list[Keeper] = []


def attach(
    root: str | PurePath | None = None,
    drive: str | PurePath | None = None,
    *,
    mount: bool = True,
    progress: Progress | None = None,
    quiet: bool = False,
    background: bool = True,
    force: bool = False,
    kind: type[Keeper] = Keeper,
) -> Keeper:
    """Open the keeper of a project, and bind the functions of this module to it. A notebook shows what it finds.

    Args:
        root: As in `open_keeper`.
        drive: As in `open_keeper`.
        mount: As in `open_keeper`.
        progress: As in `open_keeper`.
        quiet: Show nothing, in a notebook either. A terminal is never shown anything.
        background: `keeper.backup` returns once it has a stable copy, and sends it in the background; the end of the process waits
            for what is still to be sent. False sends it before it returns.
        force: As in `open_keeper`.
        kind: As in `open_keeper`.

    Raises:
        ConfigurationError, StoreUnreachable: as in `open_keeper`.
    """
    keeper = open_keeper(
        root, drive, mount=mount, progress=progress, before=attached(), background=background, force=force, kind=kind
    )
    _current[:] = [keeper]
    if keeper.worker is not None:
        flush_at_exit(keeper.worker)
    notebook = None if quiet else find_notebook()
    if notebook is not None:
        try:
            greet(keeper, notebook)
        except Exception as error:  # noqa: BLE001 - attaching has worked, and a screen that fails must not take that away
            log.warning("what is here could not be shown (%s: %s)", type(error).__name__, error)
    return keeper


def greet(keeper: Keeper, notebook: Notebook, seconds: float = GREET_SECONDS) -> None:
    """Show a notebook what `keeper.welcome()` finds, or that the drive does not answer in so many seconds."""
    answer = Patience(seconds).ask("look at the store", keeper.welcome)
    hung = f"no answer within {seconds:g} s"
    notebook.show(answer.got() if answer.came else keeper.unseen(hung if answer.hung else answer.text))


def detach() -> None:
    """Forget the attached keeper; what it backed up is safe without it."""
    _current.clear()


def attached() -> Keeper | None:
    """The attached keeper, or None."""
    return _current[0] if _current else None


class BackupEnabled:
    """True where a keeper with a store is attached. Answers when asked, so that importing it early cannot freeze it."""

    def __bool__(self) -> bool:
        return bool(_current) and _current[0].enabled

    def __eq__(self, other: object) -> bool:
        return bool(self) == other if isinstance(other, bool) else NotImplemented

    def __hash__(self) -> int:
        return hash("BACKUP_ENABLED")

    def __repr__(self) -> str:
        return repr(bool(self))


BACKUP_ENABLED = BackupEnabled()


def ensure_restored_from_drive(local_path: str | PurePath, is_directory: bool = False) -> bool:
    """Make a file or directory present, restoring it from Drive if it is missing here.

    Args:
        local_path: A path as any other in Python: a relative one starts at the current folder.
        is_directory: What the caller expects there; another kind is warned about.

    Returns:
        True where it is present now, here already or restored. False where it has to be made: it is not in the store,
        or it could not be restored, which is logged as an error. A backup made after a failed restore never replaces
        what could not be restored.
    """
    place = Path(os.path.abspath(local_path))
    keeper = _keeper("ensure_restored_from_drive")
    try:
        present = bool(keeper.ensure(place)) if keeper is not None else place.exists()
    except HoldfastError as error:
        log.error("%s", error)
        present = place.exists()
    if present:
        _warn_kind(place, is_directory)
    return present


#: The same question under the plan's other names: present now? None of them ever replaces what is here.
restore_if_missing = ensure_restored_from_drive
restore_from_drive = ensure_restored_from_drive


def backup_to_drive(local_path: str | PurePath, is_directory: bool = False) -> bool:
    """Back up a file or directory.

    Args:
        local_path: A path as any other in Python: a relative one starts at the current folder.
        is_directory: What the caller expects there; another kind is backed up as what it is, with a warning.

    Returns:
        True once the manifest is written. False where there is no store, or where anything failed, which is logged.
    """
    place = Path(os.path.abspath(local_path))
    keeper = _keeper("backup_to_drive")
    if keeper is None:
        return False
    if is_directory and place.exists():
        _warn_kind(place, is_directory)
    try:
        return bool(keeper.backup(place, wait=0))
    except HoldfastError as error:
        log.error("%s", error)
        return False


def _keeper(asked: str) -> Keeper | None:
    if not _current:
        log.warning("%s: no keeper is attached, so Drive is not asked; call holdfast.attach() first", asked)
        return None
    return _current[0]


def _warn_kind(place: Path, is_directory: bool) -> None:
    if is_directory and not place.is_dir():
        log.warning("%s is a file, and is_directory=True was given", place)
