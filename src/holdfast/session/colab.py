"""The one adapter that imports `google.colab`."""

from __future__ import annotations

from pathlib import Path

from holdfast.errors import StoreUnreachable


def mount_drive(mount_point: Path) -> None:
    """Mount Drive at `mount_point`; returns at once where it is mounted already. Only a notebook cell can do this.

    Raises:
        StoreUnreachable: it could not be mounted, with what to do.
    """
    try:
        from google.colab import drive
    except ImportError as error:
        raise StoreUnreachable(
            0, "this Python is not a Colab notebook, so Drive cannot be mounted from it", str(mount_point)
        ) from error
    try:
        drive.mount(str(mount_point))
    except Exception as error:
        raise StoreUnreachable(
            0,
            f"Drive could not be mounted ({type(error).__name__}: {error}); run the cell again and give consent",
            str(mount_point),
        ) from error
