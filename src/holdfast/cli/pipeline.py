"""`holdfast run`, `plan`, `predict`, `serve` and `data`. The pipeline loads when one is called, and torch only when it must."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.codes import FAILED, OK, USAGE
from holdfast.cli.opening import open_from
from holdfast.cli.options import Drive, Json, Root
from holdfast.errors import UsageError

Config = Annotated[str, typer.Argument(metavar="CONFIG", help="An experiment file, or the name of a built-in one: sample.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, such as hpo.trials=5. May be repeated.")
]


def run(
    config: Config,
    fork: Annotated[
        bool, typer.Option("--fork", help="Keep outputs made under other settings, and make others beside them.")
    ] = False,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="STAGE", help="Run this stage only. May be repeated.")] = None,
    overrides: Overrides = None,
    stop_after: Annotated[
        str | None, typer.Option("--stop-after", metavar="TIME", help="Save and stop after this long, such as 5h or 90min.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Work also where another live session does; what both make is kept, as a fork.")
    ] = False,
    root: Root = None,
    drive: Drive = None,
    as_json: Json = False,
) -> None:
    """Run a whole pipeline: what is done is recognised, what is missing comes back, what is left is made and backed up."""
    from holdfast.cli import show_pipeline
    from holdfast.pipeline.libraries import WORKING, need

    need("pydantic", *WORKING)
    from holdfast.flow.narration import Quiet, Screen
    from holdfast.pipeline.experiment import load_experiment
    from holdfast.pipeline.runner import Runner
    from holdfast.session.background.exit import EXIT_SECONDS

    seconds = None if stop_after is None else _seconds(stop_after)
    keeper = open_from(root, drive, background=True, force=force)
    experiment = load_experiment(config, overrides or [])
    narration = Quiet() if as_json else Screen()
    show_pipeline.opening(keeper, experiment, narration)
    runner = Runner(keeper, experiment, fork=fork, only=only or [], stop_after=seconds, narration=narration)
    try:
        summary = runner.run()
    finally:  # also where a stage failed, or somebody interrupted it
        keeper.settle(EXIT_SECONDS)
        keeper.close()
    show_pipeline.ending(keeper, experiment, summary, as_json=as_json)
    raise typer.Exit(FAILED if summary.safe == "NOT BACKED UP" else OK)


def plan(config: Config, overrides: Overrides = None, root: Root = None, drive: Drive = None, as_json: Json = False) -> None:
    """Tell for each stage whether it is done, here or in the store, or to do, and why; and the space that a run needs.

    Data that is still to be read is read, so that all that is wrong with it is told before anything is spent.
    """
    from holdfast.cli import show_pipeline
    from holdfast.pipeline.libraries import need

    need("pydantic")
    from holdfast.flow.examination import Examiner
    from holdfast.flow.found import State
    from holdfast.pipeline.data.dataset import problems_of
    from holdfast.pipeline.data.reading import refuse_all
    from holdfast.pipeline.data.sources import asked_of
    from holdfast.pipeline.experiment import load_experiment
    from holdfast.pipeline.runner import open_pipeline
    from holdfast.pipeline.space import estimate

    keeper = open_from(root, drive)
    experiment = load_experiment(config, overrides or [])
    settings = experiment.run.model_copy(update={"on_restore_failure": "stop"})  # who asks does not want to wait
    pipeline = open_pipeline(keeper, experiment)
    found = Examiner(keeper, pipeline, settings).all()
    show_pipeline.planned(keeper, pipeline, found, estimate(keeper, experiment, found), as_json=as_json)
    if any(f.name == "data" and f.state is not State.DONE for f in found):
        refuse_all(problems_of(pipeline.sources.values(), experiment.data.labels, asked_of(experiment.data)))


def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The folder of a converted model, or a .onnx file in it.")],
    given: Annotated[
        list[str], typer.Argument(metavar="TEXT|FILE...", help="One text, or - for standard input; or files: text, .jsonl, .csv.")
    ],
    column: Annotated[str, typer.Option("--column", metavar="NAME", help="Where .jsonl and .csv have the text.")] = "text",
    to: Annotated[
        tuple[str, str] | None,
        typer.Option("--to", metavar="KIND FILE", help="Of files: jsonl, csv, conll or doccano, and where; - is standard output."),
    ] = None,
    root: Root = None,
    drive: Drive = None,
    as_json: Json = False,
) -> None:
    """Find entities with a converted model, in a text or in files. Needs onnxruntime, and no torch."""
    from holdfast.cli import show_pipeline
    from holdfast.pipeline.conversion.predict import Predictor
    from holdfast.pipeline.conversion.predict_files import files_among, predict_files

    files = files_among(given, to, as_json=as_json)
    place = model_place(model, root, drive)
    if files:
        told = predict_files(Predictor(place), files, column=column, kind=(to or ("jsonl", "-"))[0], output=(to or ("", "-"))[1])
        if to is not None and to[1] != "-":
            show_pipeline.predicted(to[1], told)
        return
    raw = sys.stdin.buffer.read() if given[0] == "-" else os.fsencode(given[0])
    show_pipeline.entities(Predictor(place).entities(_decoded(raw)), as_json=as_json)


def serve(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The folder of a converted model, or a .onnx file in it.")],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Where it listens; 0 takes any that is free.")] = 8000,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Default: this machine alone. 0.0.0.0 lets every machine ask.")
    ] = "127.0.0.1",
    root: Root = None,
    drive: Drive = None,
) -> None:
    """Serve a converted model until Ctrl-C: a page to paste text into, and JSON for programs. Needs no torch."""
    from holdfast.cli.show import out, say
    from holdfast.pipeline.conversion.predict import Predictor
    from holdfast.pipeline.serving import server

    server.need()
    predictor = Predictor(model_place(model, root, drive))
    if not server.is_loopback(host):
        say(f"note: whoever reaches {host} may use it: there is no password")
    server.serve(predictor, model, host, port, lambda address: out(f"{model} answers at {address}  (Ctrl-C ends it)"))


def model_place(model: str, root: str | None, drive: str | None) -> Path:
    """Where a converted model lies, brought back from the store if it is not here."""
    place = Path(model)
    if not place.exists():
        place = open_from(root, drive).require(model)
    return place / "onnx" if (place / "onnx").is_dir() else place


def data(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A data file, or a folder of them.")],
    to: Annotated[
        tuple[str, str] | None,
        typer.Option("--to", metavar="KIND FILE", help="Write what is read: conll, jsonl or spacy, and where."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="How to read, such as data.columns={token: 2, tag: 3}. May be repeated."),
    ] = None,
    root: Root = None,
    drive: Drive = None,
    as_json: Json = False,
) -> None:
    """Show what would be read of data files: what they are, labels, marked sentences, and all problems."""
    from holdfast.cli import show_pipeline
    from holdfast.pipeline.libraries import need

    need("pydantic")
    from holdfast.pipeline.data.looking import asked_in, check_kind, look, write_as

    del drive  # taken as every command takes it; data is read where it lies
    if to is not None:
        check_kind(to[0])
    found = look(Path(root or ".") / path, asked_in(overrides or []))
    show_pipeline.data(found, as_json=as_json)
    if to is not None:
        if not found.problems:
            write_as(to[0], Path(to[1]), found.documents)
        if not as_json:
            show_pipeline.written(to[1], found)
    raise typer.Exit(USAGE if found.problems else OK)


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"the text is not UTF-8 (byte {error.start} is 0x{raw[error.start]:02x}); convert it first, for example with "
            "iconv -f LATIN1 -t UTF-8"
        ) from error


def _seconds(text: str) -> float:
    from holdfast.pipeline.settings import seconds

    try:
        value = float(seconds(text))
    except ValueError as error:
        raise UsageError(f"--stop-after {text}: give a time such as 5h, 90min or 300s") from error
    if not value > 0:
        raise UsageError(f"--stop-after {text}: give a time above zero")
    return value


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (run, plan, predict, serve, data):
        app.command()(command)
