"""Drive's API as a place for a store: what is given for it on the command line, and opening it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from blake3 import blake3

from holdfast.errors import ConfigurationError
from holdfast.session.config import MY_DRIVE, Config
from holdfast.store.backends.mounts import GDRIVE
from holdfast.store.backends.second_way import SecondWay
from holdfast.store.format.keys import printable

if TYPE_CHECKING:
    from holdfast.store.backends.api.backend import ApiBackend

_BY_ID = "id:"
_MY_DRIVE_ID = "root"


@dataclass(frozen=True)
class DriveFolder:
    """A folder of Drive, as the API is asked for it.

    Args:
        path: Below `base`; empty for that itself.
        base: Id of a folder, of a shared one or of a shared drive too; `root` is My Drive.
    """

    path: str
    base: str = _MY_DRIVE_ID

    @classmethod
    def parse(cls, text: str) -> DriveFolder | None:
        """From `gdrive:Folder/Sub` or `gdrive:id:ID/Sub`; None where it is neither.

        Raises:
            ConfigurationError: it is meant as one of them, and cannot be.
        """
        if not text.startswith(GDRIVE):
            return None
        rest = text.removeprefix(GDRIVE).strip("/")
        base = _MY_DRIVE_ID
        if rest.startswith(_BY_ID):
            base, _, rest = rest.removeprefix(_BY_ID).partition("/")
        parts = rest.split("/") if rest else []
        if not base or any(part in ("", ".", "..") for part in parts):
            raise ConfigurationError(f"{text}: give a folder of Drive as gdrive:Folder/Sub, or gdrive:id:ID/Sub")
        return cls("/".join(parts), base)

    @classmethod
    def below_mount(cls, folder: Path, mount_point: Path) -> DriveFolder | None:
        """What a folder below Drive's mount is to the API; None for what is not in My Drive."""
        try:
            return cls(folder.relative_to(mount_point / MY_DRIVE).as_posix().removeprefix("."))
        except ValueError:
            return None

    def store_by_api(self, config: Config) -> str:
        """Where the store in it lies by the API, as `Store.location` shows it."""
        return printable(f"{GDRIVE}{PurePosixPath(self.path, config.project)}")

    def store_on_mount(self, config: Config) -> str | None:
        """The same on Drive's mount; None for what is not in My Drive."""
        place = config.mount_point.absolute() / MY_DRIVE / self.path / config.project
        return printable(str(place)) if self.base == _MY_DRIVE_ID else None


def open_api(config: Config, place: DriveFolder, state: Path, *, ask: bool = False, hurried: bool = False) -> ApiBackend | None:
    """The store at a folder of Drive, by the API; None where nothing gives a token.

    Args:
        config: The project.
        place: The folder in which the store folder lies.
        state: Where the workspace notes what it does to Drive.
        ask: In a cell of Colab, ask the user to sign in.
        hurried: Somebody waits for a second opinion only: give up soon.

    Raises:
        ConfigurationError, StoreUnreachable: as `find_token`.
    """
    from holdfast.session.drive_tokens import find_token

    token = find_token(ask=ask, thorough=not hurried)
    if token is None:
        return None
    from holdfast.store.backends.api.backend import ApiBackend
    from holdfast.store.backends.api.notes import Notes
    from holdfast.store.backends.api.transport import Transport, Waits

    transport = Transport(token, waits=Waits((0.5, 1.0, 2.0)) if hurried else None)
    notes = Notes(notes_of(config, place, state))
    return ApiBackend(transport, place.path, config.project, base=place.base, notes=notes)


def need_api(config: Config, place: DriveFolder, state: Path, *, ask: bool) -> ApiBackend:
    """The same, where there is no other way.

    Raises:
        ConfigurationError: nothing gives a token, or it was switched off.
    """
    if config.api == "off":
        raise ConfigurationError(f"{GDRIVE}{place.path}: it is reached by Drive's API, and drive.api is off in config/paths.yaml")
    found = open_api(config, place, state, ask=ask)
    if found is None:
        from holdfast.session.drive_tokens import need_packages, token_place

        need_packages()
        raise ConfigurationError(
            f"{GDRIVE}{place.path}: nothing here gives a token for Drive's API: put one into {token_place()}, or sign in "
            "(docs/drive-api.md says how)"
        )
    return found


def second_way(config: Config, folder: Path, state: Path) -> SecondWay | None:
    """The API beside a mount; None where it was switched off, or the folder is not in My Drive."""
    place = None if config.api == "off" else DriveFolder.below_mount(folder, config.mount_point)
    if place is None:
        return None
    notes = notes_of(config, place, state)
    opening = functools.partial(open_api, config, place, state, hurried=True)
    return SecondWay(opening, notes / "given", sent_before=(notes / "made").exists())


def notes_of(config: Config, place: DriveFolder, state: Path) -> Path:
    """Where this machine notes what it does to one store."""
    name = blake3(f"{place.base}/{place.path}/{config.project}".encode()).hexdigest(length=8)
    return state / name
