"""Opening the keeper that a command's options name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.cli.apart import APART
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.session.keeper import Keeper


def open_from(root: str | None, drive: str | None, *, background: bool = False, force: bool = False) -> Keeper:
    """The keeper that the options name. Where its drive may hang, the command steps aside.

    Args:
        root: The option.
        drive: The option.
        background: Backups are sent in the background.
        force: Write also where another live session works.

    Raises:
        UsageError: an option names no folder.
    """
    from holdfast.session.attach import open_keeper

    refuse_no_folder(root, drive)
    keeper = open_keeper(root, drive, mount=False, background=background, force=force)
    if keeper.may_hang:
        APART.step_aside()
    return keeper


def refuse_no_folder(root: str | None, drive: str | None) -> None:
    """Refuse options that cannot name a folder.

    Raises:
        UsageError: one of them.
    """
    for option, given in (("--root", root), ("--drive", drive)):
        if given is not None and (not given or "\0" in given):
            raise UsageError(f"{option}: {given!r} is not a folder")
