"""The faults of the mount as one frozen value, changeable while mounted."""

from __future__ import annotations

import dataclasses
import enum
import errno
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Death(enum.Enum):
    """How a mount whose DriveFS died answers (ct#5970, ct#3874)."""

    ALIVE = "alive"
    ENOTCONN = "enotconn"  #: every call fails with 107
    ENOENT = "enoent"  #: every call says that there is no such thing, for what exists too


class Spared(enum.Enum):
    """What still answers when everything else says ENOENT."""

    NOTHING = "nothing"
    MOUNTPOINT = "mountpoint"
    MY_DRIVE = "my-drive"  #: the mountpoint and `My Drive` itself


class Attributes(enum.Enum):
    """The extended attributes `user.drive.*`."""

    PRESENT = "present"
    ABSENT = "absent"  #: ENODATA, as for any name that is not there
    UNSUPPORTED = "unsupported"  #: EOPNOTSUPP
    LYING = "lying"  #: a cloud id and "0" uncommitted, whatever is true


class Full(enum.Enum):
    """What happens when the quota is used up."""

    SILENT = "silent"  #: writing works, the upload never happens (ct#5325)
    EMPTY = "empty"  #: writing works, 0 bytes arrive (ct#2607)
    ENOSPC = "enospc"
    EDQUOT = "edquot"


class Listings(enum.Enum):
    """What a folder shows."""

    FRESH = "fresh"
    STALE = "stale"  #: the names of the moment when the weather turned
    INCOMPLETE = "incomplete"  #: some names are left out, the same ones every time


@dataclass(frozen=True)
class Trouble:
    """Calls that fail with an error.

    Args:
        pattern: Glob over paths below `My Drive` (`proj/*.json`; `*` crosses `/`). The mountpoint's own path is `/`.
        operations: Names as in `conditions.OPERATIONS`; empty for all.
        error: Name of the errno, as `EIO`.
        share: How many of the matching calls fail, drawn by seed.
    """

    pattern: str = "*"
    operations: tuple[str, ...] = ()
    error: str = "EIO"
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.error not in errno.errorcode.values():
            raise ValueError(f"no errno is called {self.error!r}")


@dataclass(frozen=True)
class Hang:
    """Calls that do not return until the hangs are released, or the weather changes (ct#5877)."""

    pattern: str = "*"
    operations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Latency:
    """How long reading takes, in virtual seconds and bytes per virtual second.

    A small cold file takes 0.4 to 1 s, warm ones go at about 300 a second, a large one at 65 MB/s at the best.
    """

    on: bool = True
    cold_low: float = 0.4
    cold_high: float = 1.0
    warm: float = 1 / 300
    listing: float = 0.3  # (assumed)
    bytes_per_second: float = 65e6


@dataclass(frozen=True)
class Weather:
    """Everything that can be wrong, and everything that takes time, at one moment.

    Args:
        death: Whether, and how, the mount is dead.
        spared: With `Death.ENOENT`: what still answers.
        dies_after_bytes: So many more bytes can be read; then the mount dies as `dies_as`, in the middle of a read.
        dies_as: How.
        troubles: Calls that fail.
        hangs: Calls that block.
        short_reads: Share of the reads that return less than they could.
        listings: Fresh, stale or incomplete.
        left_out: With `Listings.INCOMPLETE`: share of the names that are left out.
        attributes: Present, absent or lying.
        full: What happens when the quota is used up.
        burst: So many files can be created on this machine; more are refused as over quota (EDQUOT), however empty Drive is.
        big_folder: A folder with more names than this answers EIO when it is listed.
        latency: How long reading takes.
        readonly: Every change is refused with EROFS.
        foreign_delay: Virtual seconds, from and to, until another machine's change is seen; None: at the next mount.
    """

    death: Death = Death.ALIVE
    spared: Spared = Spared.NOTHING
    dies_after_bytes: int | None = None
    dies_as: Death = Death.ENOTCONN
    troubles: tuple[Trouble, ...] = ()
    hangs: tuple[Hang, ...] = ()
    short_reads: float = 0.0
    listings: Listings = Listings.FRESH
    left_out: float = 0.5
    attributes: Attributes = Attributes.PRESENT
    full: Full = Full.SILENT
    burst: int | None = None
    big_folder: int | None = None
    latency: Latency = Latency()
    readonly: bool = False
    foreign_delay: tuple[float, float] | None = (5.0, 120.0)

    def changed(self, fields: Mapping[str, Any]) -> Weather:
        """The same weather with some fields changed, given as Python values or as `to_json` writes them.

        Raises:
            ValueError: a field or a value that is unknown.
        """
        known = {field.name for field in dataclasses.fields(self)}
        if unknown := set(fields) - known:
            raise ValueError(f"no such weather: {', '.join(sorted(unknown))}; there is {', '.join(sorted(known))}")
        return dataclasses.replace(self, **{name: _read(name, value) for name, value in fields.items()})


_ENUMS: dict[str, type[enum.Enum]] = {
    "death": Death,
    "dies_as": Death,
    "spared": Spared,
    "listings": Listings,
    "attributes": Attributes,
    "full": Full,
}


def _read(name: str, value: Any) -> Any:
    if name in _ENUMS:
        return _ENUMS[name](value)
    if name in ("troubles", "hangs"):
        kind = Trouble if name == "troubles" else Hang
        return tuple(v if isinstance(v, kind) else kind(**{**v, "operations": tuple(v.get("operations", ()))}) for v in value)
    if name == "latency":
        return value if isinstance(value, Latency) else Latency(**value)
    if name == "foreign_delay" and value is not None:
        low, high = value
        return (float(low), float(high))
    return value


def to_json(value: Any) -> Any:
    """Weather, or any part of it, in plain JSON values."""
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [to_json(v) for v in value]
    if isinstance(value, Mapping):
        return {key: to_json(v) for key, v in value.items()}
    return value
