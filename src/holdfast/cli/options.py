"""The options that every command has."""

from __future__ import annotations

from typing import Annotated

import typer

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
