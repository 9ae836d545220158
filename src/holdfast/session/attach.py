"""Attaching: find the project, the machine and the drive, and open the keeper."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from holdfast.errors import ConfigurationError
from holdfast.platform import file_system, host_name, real_path
from holdfast.session.config import MY_DRIVE, Config, find_root, load_config
from holdfast.session.drive_api import DriveFolder, need_api, second_way
from holdfast.session.environment import Environment, detect
from holdfast.session.keeper import Keeper
from holdfast.session.progress import Bar
from holdfast.session.which_backend import backend_at
from holdfast.store.apart.reading import Reader
from holdfast.store.backends.backend import Backend
from holdfast.store.backends.backoff import ONCE, Backoff
from holdfast.store.backends.mounts import DISK, DRIVE, DRIVE_API, contradiction, kind_of
from holdfast.store.local.workspace import Workspace
from holdfast.store.looking.memory import Memory
from holdfast.store.store import Store, wrote
from holdfast.store.transfer.progress import Progress

if TYPE_CHECKING:
    from holdfast.store.apart.job import Apart

log = logging.getLogger(__name__)

#: Seconds between attempts on a file system that may be a network: four attempts within 20 s, give or take, ride out a hiccup.
RETRY_WAITS = (1.0, 4.0, 15.0)
#: Set by `holdfast drill` for what it runs: the folder of the machine that it may lose.
DRILL_VARIABLE = "HOLDFAST_DRILL"


def open_keeper(
    root: str | PurePath | None = None,
    drive: str | PurePath | None = None,
    *,
    mount: bool = True,
    progress: Progress | None = None,
    before: Keeper | None = None,
    background: bool = False,
    force: bool = False,
    kind: type[Keeper] = Keeper,
) -> Keeper:
    """Open the keeper of a project. On Colab mounts Drive first; elsewhere works locally unless a drive folder is given.

    Args:
        root: The project folder; default the nearest one at or above here that has `config/paths.yaml`, else here.
        drive: The folder in which the store folder lies, or `gdrive:Folder/Sub` for one that is reached by Drive's API; default
            `HOLDFAST_DRIVE`, else Drive where it is mounted. In a drill always `HOLDFAST_DRIVE`.
        mount: On Colab, mount Drive if it is not, and anew where it is dead; where only Drive's API is used, ask the user to sign
            in. Only a notebook cell can; a command passes False.
        progress: Told about transfers; default a bar for what takes over a second.
        before: The keeper that was attached until now, if any; it knows best what a dead mount may never have uploaded, and
            what it has in its queue is sent on.
        background: Backups are sent in the background.
        force: Write also where another live session works; else this one, which came later, writes nothing there. Both lines are
            kept, as a fork.
        kind: What is opened: the keeper, or one with more verbs.

    Raises:
        ConfigurationError: `config/paths.yaml` cannot be used, outputs lies on the drive, or a drill runs and this is not its copy.
        StoreUnreachable: Drive could not be mounted.
        Interrupted: nobody consented, and the wait was interrupted.
    """
    try:
        place = find_root(Path.cwd()) if root is None else Path(root).absolute()
    except FileNotFoundError as error:
        raise ConfigurationError("the current folder has been deleted; change to one that exists") from error
    if not place.is_dir():
        raise ConfigurationError(f"{place}: the project folder does not exist")
    if (rehearsed := os.environ.get(DRILL_VARIABLE)) is not None:
        _refuse_outside_of_drill(Path(rehearsed), place)
        drive = None  # that of the drill, whatever a script names
    config = load_config(place)
    environment = detect()
    workspace = open_workspace(config, reader=_apart() if background else None)
    folder = _drive_folder(config, environment, drive)
    on_mount = isinstance(folder, Path) and folder.is_relative_to(config.mount_point)
    if mount and environment is Environment.COLAB and on_mount:
        from holdfast.session.colab import mount_drive

        at_stake = before.awaited if before is not None and before.root == place else functools.partial(_backed_up, workspace)
        if mount_drive(config.mount_point, seconds=config.timeout, at_stake=at_stake):
            workspace.forget_unsafe_stores()
    _refuse_outputs_on_drive(workspace, config, folder)
    if folder is None:
        return kind(config, None, workspace, environment, progress or Bar())
    keeper = keeper_at(
        config,
        folder,
        environment=environment,
        workspace=workspace,
        progress=progress,
        background=background,
        force=force,
        kind=kind,
        ask=mount and environment is Environment.COLAB,
    )
    if before is not None and background:
        keeper.take_over(before)
    return keeper


def keeper_at(
    config: Config,
    folder: Path | DriveFolder,
    *,
    environment: Environment = Environment.ELSEWHERE,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
    background: bool = False,
    force: bool = False,
    kind: type[Keeper] = Keeper,
    ask: bool = False,
) -> Keeper:
    """The keeper of a project whose configuration and drive folder are known.

    Args:
        config: The project.
        folder: The folder in which the store folder lies.
        environment: What machine this is.
        workspace: The local side; default a new look at it.
        progress: As in `open_keeper`, and so are the others.
        background: Backups are sent in the background.
        force: Write also where another live session works.
        kind: What is opened.
        ask: In a cell of Colab, ask the user to sign in where only Drive's API is used.
    """
    workspace = workspace or open_workspace(config, reader=_apart() if background else None)
    opening: Callable[[], Store]
    if isinstance(folder, DriveFolder):
        opening = functools.partial(_open_api_store, config, folder, workspace, ask=ask)
    else:
        opening = functools.partial(_open_store, config, folder, workspace)
    return kind(
        config,
        opening(),
        workspace,
        environment,
        progress or Bar(),
        may_hang=isinstance(folder, Path) and (file_system(folder) or "").startswith("fuse"),
        opening=opening,
        background=background,
        force=force,
    )


@functools.cache
def _apart() -> Apart:
    """A job may have files of outputs open, and locked; a command has nothing of them."""
    from holdfast.store.apart.job import Apart

    return Apart()


def open_workspace(config: Config, reader: Reader | None = None) -> Workspace:
    """The local side of a project, with all that its settings say of what is kept. Makes nothing."""
    return Workspace(config.root, config.outputs, ignore=config.ignore, follow=config.follow, accept=config.accept, reader=reader)


def _refuse_outside_of_drill(machine: Path, root: Path) -> None:
    """A script that is rehearsed never works in the project that its machine is a copy of."""
    if not real_path(root).is_relative_to(real_path(machine)):
        raise ConfigurationError(
            f"{root}: a drill rehearses on a copy of the project, and this is not in it; leave root out, or give it from the "
            "current folder"
        )


def _drive_folder(config: Config, environment: Environment, given: str | PurePath | None) -> Path | DriveFolder | None:
    found = _given_folder(config, environment, given)
    if config.api == "only" and isinstance(found, Path):
        return DriveFolder.below_mount(found, config.mount_point) or found
    return found


def _given_folder(config: Config, environment: Environment, given: str | PurePath | None) -> Path | DriveFolder | None:
    text = os.environ.get("HOLDFAST_DRIVE") if given is None else os.fspath(given)
    if text:
        if (by_api := DriveFolder.parse(text)) is not None:
            return by_api
        try:
            return Path(text).expanduser().absolute()
        except RuntimeError as error:
            raise ConfigurationError(f"{text}: {error}") from error
    from holdfast.session.colab import is_mounted

    on_drive = environment is Environment.COLAB or is_mounted(config.mount_point)
    return config.mount_point / MY_DRIVE if on_drive else None


def _backed_up(workspace: Workspace) -> list[str]:
    """Every artifact whose newest generation this machine wrote itself, in whatever process: it may be on its way still."""
    bases = {k.value: workspace.record(k).base for k in workspace.known_keys()}
    return sorted(k for k, base in bases.items() if base is not None and wrote(base, host_name()))


def _open_api_store(config: Config, folder: DriveFolder, workspace: Workspace, *, ask: bool) -> Store:
    kind = DRIVE_API
    return Store(
        need_api(config, folder, workspace.drive_api, ask=ask),
        expected_id=config.store_id,
        parallel=config.parallel,
        backoff=Backoff(RETRY_WAITS),
        memory=Memory(kind.remembers if config.remembers is None else config.remembers, name=kind.name),
        same_as=folder.store_on_mount(config),
    )


def _open_store(config: Config, folder: Path, workspace: Workspace) -> Store:
    kind = kind_of(folder)
    backoff = ONCE if kind is DISK else Backoff(RETRY_WAITS)
    if text := contradiction(kind, config.durable):
        log.warning("%s", text)
    seconds = kind.remembers if config.remembers is None else config.remembers
    by_api = DriveFolder.below_mount(folder, config.mount_point) if kind is DRIVE else None

    def left() -> None:
        workspace.forget_unsafe_stores()
        store.abandon()

    store = Store(
        _patient_backend(config, folder, backoff, workspace, left),
        expected_id=config.store_id,
        parallel=config.parallel,
        backoff=backoff,
        memory=Memory(seconds, kind.shows_made, kind.name, kind.quick),
        has_twins=kind is DRIVE,
        same_as=None if by_api is None else by_api.store_by_api(config),
    )
    return store


def _refuse_outputs_on_drive(workspace: Workspace, config: Config, folder: Path | DriveFolder | None) -> None:
    outputs = real_path(workspace.local(workspace.outputs))
    for drive in (config.mount_point, folder):
        if not isinstance(drive, Path):
            continue
        place = real_path(drive)
        if place.is_relative_to(outputs):
            raise ConfigurationError(f"{drive}: the drive folder lies inside outputs, and would back itself up; give another")
        if outputs.is_relative_to(place):
            raise ConfigurationError(
                f"{outputs}: the outputs folder lies on the drive {drive}, where what is written may never arrive; "
                "put the project on the local disk, Holdfast copies to the drive"
            )


def _patient_backend(config: Config, folder: Path, backoff: Backoff, workspace: Workspace, left: Callable[[], None]) -> Backend:
    """The folder; with bounded waits and retries where a call can hang or hiccup, which a local disk does not.

    Args:
        config: The project.
        folder: The folder in which the store folder lies.
        backoff: How often is tried again.
        workspace: Where what is done to Drive is noted.
        left: Called when its mount is dead, and its API takes over.
    """
    kind = kind_of(folder)
    second = second_way(config, folder, workspace.drive_api) if kind is DRIVE else None
    plain = backend_at(folder, config.project, kind, mount_point=config.mount_point, durable=config.durable, second=second)
    if kind is DISK:
        return plain
    from holdfast.store.backends.wrappers import Bounded, Retrying

    patient: Backend = Bounded(plain, config.timeout)
    if second is not None:
        from holdfast.store.backends.two_ways import LOOK_AGAIN_SECONDS, TwoWays

        again = min(LOOK_AGAIN_SECONDS, config.timeout)
        patient = TwoWays(patient, second, again=again, taken_over=left)
    return Retrying(patient, backoff)
