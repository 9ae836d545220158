"""Exit codes, the options that every command has, and opening the keeper that they name."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.apart import APART
from holdfast.errors import UsageError
from holdfast.session.attach import open_keeper
from holdfast.session.keeper import Keeper

OK, FAILED, USAGE, ABSENT, NOT_RESTORED, NOT_CONFIRMED, MADE_OTHERWISE = 0, 1, 2, 3, 4, 5, 6

Root = Annotated[
    str | None,
    typer.Option(
        "--root", metavar="DIR", help="The project folder. Default: the nearest one above that has config/paths.yaml, else here."
    ),
]
Drive = Annotated[
    str | None,
    typer.Option("--drive", envvar="HOLDFAST_DRIVE", metavar="DIR", help="The existing folder in which the store lies."),
]
Json = Annotated[bool, typer.Option("--json", help="Print a list of objects instead of text.")]


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
