"""Where a study lies, and bringing it back before anything is decided about it."""

from __future__ import annotations

import contextlib
import inspect
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from holdfast.errors import ConfigurationError, HoldfastError, NotRestored, StageFailed, UsageError
from holdfast.integrations.fetching import KeptCopies
from holdfast.integrations.watching import Copies, Fetched
from holdfast.pipeline.experiment import explain, refuse_half_characters
from holdfast.pipeline.settings import StudyStorage
from holdfast.pipeline.study.database import database_url
from holdfast.session.files import set_aside
from holdfast.session.functions import attached
from holdfast.store.live.damage import open_uri
from holdfast.store.reporting.outcomes import Outcome, Restored

log = logging.getLogger(__name__)

#: Of one path, which it answers for; or of none, and then it was made for the study's path.
RestoreFromDrive = Callable[..., Any]

DEFAULT_PATIENCE_SECONDS = 600.0
_SQLITE = b"SQLite format 3\0"


def setup_checkpoint_storage(
    output_dir: Path,
    checkpoint_config: Mapping[str, Any] | None,
    backbone: str,
    study_name: str | None = None,
    restore_from_drive: RestoreFromDrive | None = None,
) -> tuple[Path | None, str | None, bool]:
    """Find the study of a backbone: here, else in the backup, else where a new one will be made.

    Args:
        output_dir: The folder that `storage_path` starts at.
        checkpoint_config: `enabled`, `storage_path`, `study_name`, `auto_resume`, `save_only_best`, `on_restore_failure`,
            `restore_patience`; None or `enabled: false` keeps no study.
        backbone: Fills `{backbone}` in the path.
        study_name: Fills `{study_name}`; default that of the configuration, else the backbone.
        restore_from_drive: Called with the study's path where it is missing here; answers whether it is present now. Pass
            `keeper.ensure`, or `holdfast.restore_from_drive`. One that takes no argument was made for that path, and is called
            without it. None asks no backup.

    Returns:
        Path of the study, its SQLAlchemy URI, and whether there is one to go on with; `(None, None, False)` where none is kept.

    Raises:
        UsageError: the callback takes something else, or the configuration cannot be used.
        StageFailed: the study here was damaged, and no backup serves; it is set aside.
        NotRestored: the backup could not be read for `restore_patience` (`on_restore_failure`: `auto`), or once (`stop`).
            Beginning anew would spend hours on what is there already.
    """
    storage = storage_settings(checkpoint_config)
    _check_callback(restore_from_drive)
    if not storage.enabled:
        return None, None, False
    name = study_name or storage.study_name or backbone
    path = Path(output_dir) / storage.storage_path.replace("{backbone}", backbone).replace("{study_name}", name)
    if not _usable(path):
        damaged = _set_aside(path)
        if restore_from_drive is not None:
            bring_back(path, restore_from_drive, storage, "the study")
        if damaged is not None and not path.exists():
            raise StageFailed(
                f"{path}: was damaged and is now {damaged.name}, and no backup serves in its place; run again to begin a new "
                "study, or put a copy of your own there first"
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    there = _usable(path)
    if there and not storage.auto_resume:
        raise UsageError(
            f"{path}: a study is there, and auto_resume is false; set auto_resume: true to go on with it, or give another "
            "study_name and a storage_path with {study_name} in it"
        )
    return path, database_url(path), there


def storage_settings(given: Mapping[str, Any] | StudyStorage | None) -> StudyStorage:
    """The checked settings; a None keeps no study.

    Raises:
        ConfigurationError: a key or value that cannot be.
    """
    if isinstance(given, StudyStorage):
        return given
    if given is None:
        return StudyStorage(enabled=False)
    refuse_half_characters(given, "checkpoint_config")
    try:
        return StudyStorage.model_validate(dict(given))
    except ValidationError as error:
        raise ConfigurationError(explain(error, "checkpoint_config", model=StudyStorage)) from error


def _check_callback(callback: RestoreFromDrive | None) -> None:
    """Refuse a callback of another signature now: swallowed later, its TypeError would begin a fresh study."""
    if callback is None:
        return
    wanted = "restore_from_drive should be a function of one path that answers whether it is present now, such as keeper.ensure"
    if not callable(callback):
        raise UsageError(f"{wanted}; got {type(callback).__name__}")
    if not takes_a_path(callback) and not _takes(callback):
        raise UsageError(f"{wanted}; {getattr(callback, '__name__', callback)!s} cannot be called with one path")


def takes_a_path(callback: RestoreFromDrive) -> bool:
    """Whether it answers for any path, and not only for the one that it was made for."""
    return _takes(callback, Path("study.db"))


def _takes(callback: RestoreFromDrive, *arguments: Path) -> bool:
    try:
        inspect.signature(callback).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # some callables of C have no signature
        return bool(arguments)
    return True


def _usable(path: Path) -> bool:
    """A database is there. An empty file with a journal beside it is one in the making, and SQLite's to judge."""
    try:
        with path.open("rb") as file:
            head = file.read(len(_SQLITE))
    except FileNotFoundError:
        return False
    if head != _SQLITE:
        return not head and any(path.with_name(path.name + side).exists() for side in ("-wal", "-journal"))
    try:
        # Not read-only: after a kill in the middle of a transaction SQLite has to roll it back, and must be able to.
        with contextlib.closing(open_uri(path, "mode=rw")) as connection:
            connection.execute("select count(*) from sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        return any(word in str(error) for word in ("locked", "busy", "readonly"))
    return True


def _set_aside(path: Path) -> Path | None:
    """Move what is no database out of the way, never delete it. The new place, if there was anything in it."""
    if not path.exists():
        return None
    empty = path.stat().st_size == 0
    aside = set_aside(path, "damaged")
    log.warning("%s: is not a usable database; moved to %s", path, aside.name)
    return None if empty else aside


def bring_back(path: Path, restore: RestoreFromDrive, storage: StudyStorage, what: str) -> None:
    """Have a path restored, as patiently as the settings say. Return where it is present, or absent from the backup too.

    Args:
        path: What is missing here.
        restore: See `setup_checkpoint_storage`.
        storage: The settings.
        what: What it is, for a person.

    Raises:
        UsageError: the callback says that it is present, and it is not.
        NotRestored: see `setup_checkpoint_storage`; or the store has another than what is here: somebody has to say which counts.
    """
    mode = storage.on_restore_failure or "auto"
    patience = 0.0 if mode != "auto" else storage.restore_patience or DEFAULT_PATIENCE_SECONDS
    deadline = time.monotonic() + patience
    wait = 1.0
    while True:
        answer, problem, passing = _ask(path, restore)
        if not problem:
            break
        if isinstance(answer, Restored):  # it differs: no store that answers later changes that
            raise NotRestored(problem)
        left = deadline - time.monotonic()
        if mode == "continue":
            log.error("%s: not restored (%s); going on without it, as on_restore_failure: continue says", path, problem)
            return
        if not passing or left <= 0:
            raise NotRestored(
                f"{path}: {what} could not be restored ({problem}); nothing was begun, because it may hold finished work. Run "
                "again when the store can be read, or set on_restore_failure: continue to begin anew beside it"
            )
        log.warning("%s: not restored yet (%s); trying again in %.0f s, for %.0f s more", path, problem, min(wait, left), left)
        time.sleep(min(wait, left))
        wait = min(wait * 2, 60.0)
    if answer and path.exists():
        log.info("%s: %s is present, restored from the backup", path, what)
    elif answer:
        raise UsageError(f"{path}: restore_from_drive said that it is present, and it is not; pass keeper.ensure")


def _ask(path: Path, restore: RestoreFromDrive) -> tuple[bool | Restored, str, bool]:
    """Ask once: present now, what went wrong, and whether it may pass. An answer as it is where the store has another one."""
    try:
        answer = restore(path.absolute()) if takes_a_path(restore) else restore()
    except HoldfastError as error:
        return False, str(error), not isinstance(error, UsageError)
    except (OSError, TimeoutError) as error:
        return False, str(error) or type(error).__name__, True
    except Exception as error:  # noqa: BLE001 - a callback is somebody else's code; whatever it raises is no "absent"
        return False, f"restore_from_drive raised {type(error).__name__}: {error}", False
    if isinstance(answer, Restored) and answer.outcome is Outcome.FAILED:
        return False, answer.error, True
    if isinstance(answer, Restored) and answer.outcome is Outcome.DIFFERS:
        return answer, answer.error, False
    return (True, "", False) if answer else _told_more(path)


def _told_more(path: Path) -> tuple[bool | Restored, str, bool]:
    """What the attached keeper knows of an answer that was False, as the plan's functions say it for more than "absent"."""
    keeper = attached()
    if keeper is None or not keeper.enabled:
        return False, "", False
    try:
        differing = keeper.differing(path.absolute())
        failed = keeper.workspace.has_failed(keeper.workspace.key(path.absolute()))
    except UsageError:  # not below this keeper's outputs
        return False, "", False
    if differing is not None:
        return differing, differing.error, False
    return False, "its restore failed, and the line that was logged says why" if failed else "", True


class AttachedCopies(Copies):
    """The copies of checkpoints in the store of the attached keeper, asked for as patiently as the study's settings say."""

    def __init__(self, storage: StudyStorage) -> None:
        self._storage = storage

    def fetch(self, folder: Path, *, weights_only: bool = False, patient: bool = False) -> Fetched:
        """See `Copies`."""
        copies = _copies()
        answer = copies.fetch(folder, weights_only=weights_only)

        def ask(path: Path) -> bool:
            nonlocal answer
            answer = copies.fetch(path, weights_only=weights_only)
            if answer.unknown:
                raise NotRestored(answer.why)
            return not answer.why

        if patient and answer.unknown:
            bring_back(folder, ask, self._storage, "the checkpoint")
        return answer

    def set_aside(self, place: Path) -> Path:
        """See `Copies`."""
        return _copies().set_aside(place)


def _copies() -> Copies:
    keeper = attached()
    return Copies() if keeper is None else KeptCopies(keeper)
