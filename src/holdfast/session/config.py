"""`config/paths.yaml`: of it we read `base.outputs` and `drive.*`, and leave every other section alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import ConfigurationError, UsageError
from holdfast.store.format.keys import Key, printable

CONFIG_FILE = Path("config") / "paths.yaml"
DEFAULT_MOUNT_POINT = Path("/content/drive")
MY_DRIVE = "MyDrive"
#: Folders whose name says nothing of a project: Colab's notebooks start in the first, Kaggle's in the second.
_NAMELESS = (Path("/content"), Path("/kaggle/working"), Path("/"))
_NAMELESS_PROJECT = "holdfast"
_MOST = 100_000
_DRIVE_SETTINGS = {
    "mount_point",
    "backup_base_dir",
    "store_id",
    "parallel",
    "timeout",
    "durable",
    "remembers",
    "ignore",
    "follow",
    "accept",
    "api",
}
_DURABLE = ("fsync", "close")
_API = ("auto", "off", "only")


@dataclass(frozen=True)
class Config:
    """What Holdfast needs to know of a project.

    Args:
        root: The project folder.
        outputs: Path of the outputs folder below it.
        project: Path of the store folder below the drive folder.
        mount_point: Where Drive is mounted on Colab.
        store_id: Identity that the store must have, or None.
        parallel: Transfers at a time; Drive uploads ten at a time, and eight keep it busy.
        timeout: Seconds without progress after which a mount that may hang counts as dead.
        durable: What makes work safe on a mount that does not tell: `fsync`, `close`, or None where nothing is known to.
        remembers: For so many seconds the mount may show listings as they were; None for what its kind does.
        ignore: Patterns of what is left out, in gitignore's syntax, beside those of `.holdfastignore`.
        follow: Keys of symbolic links that are followed, wherever they lead.
        accept: Keys of what cannot be kept and may be lost, with all below it.
        api: Whether Drive's API is used beside its mount: `auto` where there is a token, `off`, or `only`, without the mount.
    """

    root: Path
    outputs: str
    project: str
    mount_point: Path
    store_id: str | None = None
    parallel: int = 8
    timeout: float = 120.0
    durable: str | None = None
    remembers: float | None = None
    ignore: tuple[str, ...] = ()
    follow: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()
    api: str = "auto"


def find_root(start: Path) -> Path:
    """The nearest folder at or above `start` that has `config/paths.yaml`, else `start` itself."""
    start = start.absolute()

    def has_config(folder: Path) -> bool:
        try:
            return (folder / CONFIG_FILE).is_file()
        except OSError:  # a folder that may not be looked into is nobody's project
            return False

    return next((f for f in (start, *start.parents) if has_config(f)), start)


def load_config(root: Path) -> Config:
    """Read the project's `config/paths.yaml`; every default where there is none.

    Raises:
        ConfigurationError: it is not YAML, or a value that we read cannot be used. Names file, setting and value.
    """
    place = root / CONFIG_FILE
    document = _document(place)
    base, drive = _section(place, document, "base"), _section(place, document, "drive")
    unknown = sorted(str(k) for k in drive if k not in _DRIVE_SETTINGS)
    if unknown:
        raise ConfigurationError(f"{place}: drive.{unknown[0]} is not a setting; known are {', '.join(sorted(_DRIVE_SETTINGS))}")
    store_id = drive.get("store_id")
    outputs = _path(place, "base.outputs", base.get("outputs", "outputs"))
    return Config(
        root=root,
        outputs=outputs,
        project=_path(place, "drive.backup_base_dir", drive.get("backup_base_dir", _default_project(root))),
        mount_point=Path(_text(place, "drive.mount_point", drive.get("mount_point", str(DEFAULT_MOUNT_POINT)))),
        store_id=None if store_id is None else _text(place, "drive.store_id", store_id),
        parallel=int(_number(place, "drive.parallel", drive.get("parallel", 8), least=1)),
        timeout=_number(place, "drive.timeout", drive.get("timeout", 120), least=0.001),
        durable=_one_of(place, "drive.durable", drive.get("durable"), _DURABLE),
        remembers=None if (kept := drive.get("remembers")) is None else _number(place, "drive.remembers", kept, least=0),
        ignore=_texts(place, "drive.ignore", drive.get("ignore")),
        follow=_keys(place, "drive.follow", drive.get("follow"), Key(outputs)),
        accept=_keys(place, "drive.accept", drive.get("accept"), Key(outputs)),
        # To YAML a bare `off` is false.
        api=_one_of(place, "drive.api", "off" if (api := drive.get("api", "auto")) is False else api, _API) or "auto",
    )


def _document(place: Path) -> Any:
    """What the file says. The library loads where there is one: it takes as long as Python itself to start."""
    try:
        text = place.read_text(encoding="utf-8") if place.is_file() else ""
    except (ValueError, OSError) as error:
        raise _unreadable(place, error) from error
    if not text:
        return {}
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _unreadable(place, error) from error


def _unreadable(place: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(f"{place}: cannot be read as YAML: {' '.join(str(error).split())}")


def _default_project(root: Path) -> str:
    """The folder's name; `holdfast` where that says nothing, as on Colab, whose notebooks start in /content."""
    return _NAMELESS_PROJECT if root in _NAMELESS else root.name


def _section(place: Path, document: Any, name: str) -> Mapping[Any, Any]:
    if document is None:
        return {}
    if not isinstance(document, Mapping):
        raise ConfigurationError(f"{place}: expected sections, got {type(document).__name__}")
    section = document.get(name)
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise ConfigurationError(f"{place}: {name} should be a section, got {section!r}")
    return section


def _text(place: Path, setting: str, value: Any) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ConfigurationError(f"{place}: {setting} should be text, got {value!r}")
    return value


def _one_of(place: Path, setting: str, value: Any, known: tuple[str, ...]) -> str | None:
    if value is not None and value not in known:
        raise ConfigurationError(f"{place}: {setting} should be {' or '.join(known)}, got {value!r}")
    return None if value is None else str(value)


def _texts(place: Path, setting: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ConfigurationError(f"{place}: {setting} should be a list of text, got {value!r}")
    return tuple(_text(place, f"each item of {setting}", item) for item in value)


def _keys(place: Path, setting: str, value: Any, outputs: Key) -> tuple[str, ...]:
    """Paths below outputs; outputs themselves are never meant as a whole."""
    found = tuple(_path(place, f"each item of {setting}", text) for text in _texts(place, setting, value))
    for text in found:
        if not outputs.covers(Key(text)) or Key(text) == outputs:
            raise ConfigurationError(f"{place}: each item of {setting} should lie below {outputs}/, got {text!r}")
    return found


def _path(place: Path, setting: str, value: Any) -> str:
    text = _text(place, setting, value).rstrip("/").removeprefix("./")
    try:
        return Key.parse(text).value
    except UsageError as error:
        raise ConfigurationError(
            f"{place}: {setting} should be a relative path below its folder: {printable(str(error))}"
        ) from error


def _number(place: Path, setting: str, value: Any, *, least: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= _MOST:
        raise ConfigurationError(f"{place}: {setting} should be a number from {least:g} to {_MOST}, got {value!r}")
    return float(value)
