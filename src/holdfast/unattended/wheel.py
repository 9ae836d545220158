"""The wheel of the version that supervises, packed from what is installed here: a machine gets this one and no other."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import zipfile
from pathlib import Path

import holdfast
from holdfast._version import __version__
from holdfast.errors import UsageError

_WHEEL = "Wheel-Version: 1.0\nGenerator: holdfast\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_POINTS = "[console_scripts]\nholdfast = holdfast.cli:main\n"
_TIME = (2020, 1, 1, 0, 0, 0)


def pack_wheel(folder: Path) -> Path:
    """Pack the wheel into a folder.

    Raises:
        UsageError: this Holdfast was not installed by an installer, so what it needs is not known.
    """
    try:
        metadata = importlib.metadata.distribution("holdfast").read_text("METADATA")
    except importlib.metadata.PackageNotFoundError:
        metadata = None
    if not metadata:
        raise UsageError("this Holdfast is not installed as a package, so it cannot be sent to a machine; pip install it first")
    source = Path(holdfast.__file__).parent
    info = f"holdfast-{__version__}.dist-info"
    files = {
        f"holdfast/{place.relative_to(source).as_posix()}": place.read_bytes()
        for place in sorted(source.rglob("*"))
        if place.is_file() and "__pycache__" not in place.parts
    }
    files |= {f"{info}/METADATA": metadata.encode(), f"{info}/WHEEL": _WHEEL.encode(), f"{info}/entry_points.txt": _POINTS.encode()}
    rows = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    target = folder / f"holdfast-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in files.items():
            wheel.writestr(zipfile.ZipInfo(name, _TIME), data, zipfile.ZIP_DEFLATED)
    return target


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
