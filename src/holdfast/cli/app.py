"""The commands as typer has them: their words, options and help. `entry` is where a process begins."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from holdfast._version import __version__
from holdfast.cli import colab, drill, often, pipeline, report, show
from holdfast.cli.codes import ABSENT, FAILED, NOT_CONFIRMED, OK
from holdfast.cli.opening import open_from
from holdfast.cli.options import Drive, Json, Root
from holdfast.errors import UsageError

app = typer.Typer(
    name="holdfast",
    help="Keep the outputs of a machine-learning pipeline safe on a drive, and bring them back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Paths = Annotated[list[str], typer.Argument(help="Paths below outputs, from the project folder.")]
OptionalPaths = Annotated[list[str] | None, typer.Argument(help="Paths below outputs. Default: everything.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"holdfast {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    pass


@app.command()
def backup(
    paths: Paths,
    wait: Annotated[float | None, typer.Option("--wait", metavar="S", help="Seconds to wait for confirmation.")] = None,
    progress: Annotated[float | None, typer.Option("--progress", help="What you count, such as finished trials.")] = None,
    root: Root = None,
    drive: Drive = None,
    as_json: Json = False,
) -> None:
    """Back up files or directories as a new generation each. Nothing in the store is ever overwritten."""
    from holdfast.session.numbers import countable
    from holdfast.store.reporting.durability import Durability

    if progress is not None:
        try:
            countable(progress)
        except ValueError as error:
            raise UsageError(f"--progress {progress}: {error}; give a number that can be compared") from error
    done = open_from(root, drive).backup(*paths, progress=progress, wait=wait)
    show.backups(done, as_json=as_json)
    if not done:
        raise typer.Exit(FAILED)
    if any(r.durability is Durability.WRITTEN for r in done.results):
        raise typer.Exit(NOT_CONFIRMED)


@app.command()
def ensure(
    paths: Paths,
    prefer: Annotated[
        str | None,
        typer.Option("--prefer", metavar="store|local", help="Which side counts where a database or checkpoint differs."),
    ] = None,
    root: Root = None,
    drive: Drive = None,
    as_json: Json = False,
) -> None:
    """Make paths present: they are here, come back from the store, are proven absent, differ, or fail."""
    raise typer.Exit(often.ensure(paths, prefer, root, drive, as_json=as_json))


@app.command()
def restore(
    paths: Paths,
    generation: Annotated[str | None, typer.Option("--generation", metavar="ID", help="Which one; see `history`.")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="DIR", help="Restore below this folder, outputs stay.")] = None,
    unverified: Annotated[bool, typer.Option("--unverified", help="Take plain files that no manifest vouches for.")] = False,
    root: Root = None,
    drive: Drive = None,
    as_json: Json = False,
) -> None:
    """Bring paths back from the store. What is here is moved aside, never deleted."""
    keeper = open_from(root, drive)
    if to is not None and (unverified or not to):
        raise UsageError("--to needs a folder, and does not go with --unverified; restore without --to")
    keys = [keeper.workspace.key(p) for p in paths]
    place = None if to is None else Path(to)
    results = [keeper.restore(k.value, generation=generation, to=place, unverified=unverified) for k in keys]
    show.restores(results, as_json=as_json)
    raise typer.Exit(often.restored_code(results))


@app.command()
def verify(paths: OptionalPaths = None, root: Root = None, drive: Drive = None, as_json: Json = False) -> None:
    """Read everything in the store back, and name what is damaged."""
    damages = open_from(root, drive).verify(*(paths or []))
    show.damages(damages, as_json=as_json)
    raise typer.Exit(FAILED if damages else OK)


@app.command()
def history(
    path: Annotated[str, typer.Argument(help="A path below outputs.")],
    root: Root = None,
    drive: Drive = None,
    as_json: Json = False,
) -> None:
    """List the generations of a path, forks included."""
    entries = open_from(root, drive).history(path)
    show.history(entries, as_json=as_json)
    raise typer.Exit(OK if entries else ABSENT)


@app.command()
def status(root: Root = None, drive: Drive = None, as_json: Json = False) -> None:
    """Tell what is here, what is in the store, and what would be lost if this machine vanished now."""
    raise typer.Exit(often.status(root, drive, as_json=as_json))


@app.command()
def drop(
    path: Annotated[str, typer.Argument(help="An artifact, or a folder above some.")],
    keep_here: Annotated[bool, typer.Option("--keep-here", help="What is here stays, and is what comes after.")] = False,
    root: Root = None,
    drive: Drive = None,
    as_json: Json = False,
) -> None:
    """Begin a path anew on purpose: what the store has of it is over, for every machine. Nothing is deleted."""
    done = open_from(root, drive).drop(path, keep_here=keep_here)
    show.backups(done, as_json=as_json)
    raise typer.Exit(OK if done else FAILED)


@app.command()
def prune(
    paths: OptionalPaths = None,
    orphans: Annotated[
        bool, typer.Option("--orphans", help="Also remove leftovers of interrupted backups that are recent.")
    ] = False,
    forks: Annotated[bool, typer.Option("--forks", help="Also remove every fork but the default one.")] = False,
    dropped: Annotated[bool, typer.Option("--dropped", help="Also remove what was dropped or removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing, tell what would be.")] = False,
    root: Root = None,
    drive: Drive = None,
    as_json: Json = False,
) -> None:
    """Remove what newer generations make needless."""
    keeper = open_from(root, drive)
    chosen = tuple(paths or [])
    if (orphans or forks or dropped) and not yes and not dry_run:
        preview = keeper.prune(*chosen, orphans=orphans, forks=forks, dropped=dropped, dry_run=True)
        show.pruned(preview, as_json=False, would=True, to=sys.stderr)
        if not typer.confirm("Remove this for good?", default=False, err=True):
            raise typer.Exit(OK)
    result = keeper.prune(*chosen, orphans=orphans, forks=forks, dropped=dropped, dry_run=dry_run)
    show.pruned(result, as_json=as_json, would=dry_run)


@app.command()
def doctor(
    upload: Annotated[
        float, typer.Option("--upload", metavar="S", min=0, help="Watch a small file being uploaded, for up to S seconds.")
    ] = 0.0,
    root: Root = None,
    drive: Drive = None,
    as_json: Json = False,
) -> None:
    """Probe what the drive folder really offers, and print a report to paste."""
    from holdfast.session.doctor import examine

    if upload:
        show.say(f"watching the upload of one small file, for up to {upload:g} s")
    found = examine(open_from(root, drive), upload_wait=upload)
    show.report(found, as_json=as_json)
    raise typer.Exit(FAILED if any(f.level == "bad" for f in found) else OK)


pipeline.register(app)
report.register(app)
drill.register(app)
colab.register(app)
