"""`holdfast report`: the page of a run, opened; of one that is not over, made."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.opening import open_from
from holdfast.cli.options import Drive, Json, Root
from holdfast.cli.pipeline import Config, Overrides


def report(
    config: Config,
    overrides: Overrides = None,
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Only say where it is. Else a browser shows it where there is a screen.")
    ] = False,
    root: Root = None,
    drive: Drive = None,
    as_json: Json = False,
) -> None:
    """Show the report of a run: a page on what was made, how good it is, and what became of the run. Also while it runs."""
    from holdfast.cli.show import out, print_json
    from holdfast.pipeline.libraries import WORKING, need

    need("pydantic", *WORKING)
    from holdfast.pipeline.experiment import load_experiment
    from holdfast.pipeline.report.opening import open_report

    keeper = open_from(root, drive)
    found = open_report(keeper, load_experiment(config, overrides or []))
    if as_json:
        row = {"path": str(found.place), "outcome": "DONE" if found.over else "BEGUN", "generation": None, "error": None}
        print_json([row])
    else:
        out(f"{found.place}{'' if found.over else '  (the run is not over: as far as it is now)'}")
    if not no_open and not as_json and sys.stdout.isatty() and _has_screen():
        _show(found.place)


def _has_screen() -> bool:
    return sys.platform in {"darwin", "win32"} or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _show(place: Path) -> None:
    import webbrowser

    webbrowser.open(place.absolute().as_uri())


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(report)
