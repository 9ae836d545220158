"""`holdfast drill`. What it needs loads when it is called."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.codes import FAILED, OK
from holdfast.cli.opening import refuse_no_folder
from holdfast.cli.options import Drive, Json, Root
from holdfast.cli.show import out, print_json
from holdfast.errors import ConfigurationError


def drill(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="What to rehearse, with its arguments.")],
    kills: Annotated[int, typer.Option("--kills", metavar="N", min=1, help="How often its machine is taken away.")] = 5,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="S", help="Kill at the moments of an earlier drill, which has it in its report.")
    ] = None,
    simulate_drive: Annotated[
        bool, typer.Option("--simulate-drive", help="On a simulated Drive, where what is not uploaded yet is lost too.")
    ] = False,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="GLOB", help="Leave out outputs that nobody needs, such as logs.")
    ] = None,
    varies: Annotated[
        list[str] | None,
        typer.Option("--varies", metavar="GLOB", help="Do not compare outputs that hold times, but count their loss."),
    ] = None,
    copy_limit: Annotated[
        float, typer.Option("--copy-limit", metavar="MIB", min=0, help="Most that is copied of the project.")
    ] = 1024.0,
    root: Root = None,
    drive: Drive = None,
    as_json: Json = False,
) -> None:
    """Rehearse the disconnect on a command: kill it with its machine again and again, and see what is lost.

    It runs in a copy of the project, on a drive of its own. Your outputs and your drive are left alone.
    """
    from holdfast.drill.rehearsal import Wish, rehearse
    from holdfast.drill.report import as_json as report_as_json
    from holdfast.drill.report import lines
    from holdfast.drill.telling import telling
    from holdfast.session.config import find_root, load_config

    refuse_no_folder(root, drive)
    at = Path.cwd()
    place = find_root(at) if root is None else Path(os.path.abspath(root))
    if not place.is_dir():
        raise ConfigurationError(f"{place}: the project folder does not exist")
    wish = Wish(
        tuple(command),
        kills=kills,
        seed=secrets.randbelow(1_000_000) if seed is None else seed,
        simulate=simulate_drive,
        ignored=tuple(ignore or ()),
        varying=tuple(varies or ()),
        copy_limit=int(copy_limit * (1 << 20)),
    )
    report = rehearse(
        load_config(place),
        wish,
        drive=None if drive is None else Path(os.path.abspath(os.path.expanduser(drive))),
        at=at,
        environment=os.environ,
        telling=telling(sys.stderr),
    )
    if as_json:
        print_json([report_as_json(report, str(place))])
    else:
        for line in lines(report):
            out(line)
    raise typer.Exit(OK if report.held else FAILED)


def register(app: typer.Typer) -> None:
    """Add the command. What stands behind it is not ours, options included."""
    app.command(context_settings={"allow_interspersed_args": False})(drill)
