"""`holdfast colab run`, `status`, `log` and `stop`: work on Colab with nobody there."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from holdfast.cli.codes import FAILED, OK
from holdfast.cli.options import Root
from holdfast.cli.show import out, say
from holdfast.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from holdfast.unattended.command import ColabCommand
    from holdfast.unattended.ledger import Ending
    from holdfast.unattended.place import Place
    from holdfast.unattended.reaching import Reaching
    from holdfast.unattended.shipping import Cargo
    from holdfast.unattended.supervisor import Supervisor
    from holdfast.unattended.wish import Patience, Wish

_SHOWN = 40

colab = typer.Typer(
    name="colab", help="Work on Colab with nobody there: machine after machine, until the work is done.", no_args_is_help=True
)
Program = Annotated[str | None, typer.Option("--colab", envvar="HOLDFAST_COLAB", metavar="PROGRAM", help="The colab command.")]
Auth = Annotated[str, typer.Option("--auth", metavar="oauth2|adc", help="How the colab command signs in.")]


@colab.command()
def run(
    words: Annotated[list[str], typer.Argument(metavar="CONFIG | -- COMMAND…", help="An experiment file, or any command.")],
    gpu: Annotated[str, typer.Option("--gpu", metavar="LIST", help="Accelerators in order of wish, such as T4,L4,none.")] = "none",
    fetch: Annotated[
        list[str] | None, typer.Option("--fetch", metavar="PATH", help="Bring this here at the end. Repeatable.")
    ] = None,
    include: Annotated[
        list[str] | None, typer.Option("--include", metavar="PATH", help="Send this too, whatever its name or size. Repeatable.")
    ] = None,
    budget: Annotated[float | None, typer.Option("--budget", min=0, metavar="UNITS", help="Compute units at most.")] = None,
    hours: Annotated[float | None, typer.Option("--hours", min=0, metavar="H", help="Hours at most.")] = None,
    machines: Annotated[int, typer.Option("--machines", min=1, metavar="N", help="Machines at most, one after the other.")] = 20,
    notify: Annotated[str | None, typer.Option("--notify", metavar="COMMAND", help="Is given each event as JSON.")] = None,
    abandon: Annotated[bool, typer.Option("--abandon", help="Give a machine back also where that loses something.")] = False,
    every: Annotated[float, typer.Option("--every", min=0.1, metavar="S", help="Seconds between two looks at the machine.")] = 20.0,
    retry: Annotated[
        float, typer.Option("--retry", min=0.1, metavar="S", help="Seconds until a machine is asked for again.")
    ] = 30.0,
    by: Annotated[str, typer.Option("--by", metavar="auto|mount|api", help="How Drive is reached.")] = "auto",
    take_over: Annotated[bool, typer.Option("--take-over", help="Also where another computer has claimed the project.")] = False,
    program: Program = None,
    auth: Auth = "oauth2",
    root: Root = None,
) -> None:
    """Take a machine, work on it, go on with the next when it is gone, and give the last one back when all is done and safe."""
    from holdfast.session.config import load_config
    from holdfast.unattended.reaching import look
    from holdfast.unattended.shipping import choose
    from holdfast.unattended.wish import Patience, Wish, accelerators_in

    here = _root(root)
    outputs = load_config(here).outputs
    command, extras, needed = _work(words, here, outputs)
    fetched, told = tuple(map(_fetched, fetch or ())), _notified(notify)
    wish = Wish(command, extras, accelerators_in(gpu), fetched, budget, hours, machines, abandon)
    cargo = choose(here, tuple(include or ()), outputs)
    for name in needed:
        if not any(file == name or file.startswith(f"{name}/") for file in cargo.files):
            raise UsageError(
                f"{name}: is not among the files that are sent ({cargo.by}); git add it, or name it with --include {name}"
            )
    _say_cargo(cargo)
    say(f"kept is what the work writes below {outputs}/; what it writes elsewhere goes with the machine")
    place, asked = _place(here), _command(program, auth, here)
    version, usage = asked.version(), asked.usage()
    has = "no word of its compute units" if usage is None else f"{usage[0]:.2f} compute units, {usage[1]:g} an hour are being spent"
    say(f"colab {version}; budget {_told(budget, 'compute units')}, {_told(hours, 'hours')}, {machines} machine(s) at most; {has}")
    reaching = look(place, by, say)
    _say_tokens()
    raise typer.Exit(_supervise(place, asked, wish, cargo, reaching, Patience(every, retry), told, take_over=take_over))


@colab.command()
def status(root: Root = None) -> None:
    """Tell what is known of the work: its machines, what became of each, and what was spent."""
    import time

    from holdfast.unattended import ledger

    place = _place(_root(root))
    found = ledger.read(place.ledger)
    if found is None:
        out("no work was begun here")
        return
    out(f"{' '.join(found.wish['command'])}: {found.ended or ('supervised' if place.supervised() else 'NOT supervised')}")
    for machine in found.machines:
        out(f"  {machine.endpoint or machine.name}  {machine.accelerator}  {machine.fate.value}")
    out(f"{found.taken()} machine(s), {found.spent(time.time()):.2f} compute units")
    if found.current is not None and not place.supervised():
        out("a machine costs money, and nobody watches it: `holdfast colab run` with the same words goes on, `… stop` ends it")


@colab.command()
def log(root: Root = None) -> None:
    """Print what the work printed, on all machines, as far as it was fetched."""
    for place in _place(_root(root)).logs():
        sys.stdout.write(place.read_bytes().decode(errors="replace"))
    sys.stdout.flush()


@colab.command()
def stop(
    abandon: Annotated[bool, typer.Option("--abandon", help="Give the machine back also where that loses something.")] = False,
    program: Program = None,
    auth: Auth = "oauth2",
    root: Root = None,
) -> None:
    """End the work, once what it made is safe, and give the machine back."""
    from holdfast.session.config import load_config
    from holdfast.unattended import ledger
    from holdfast.unattended.reaching import look
    from holdfast.unattended.shipping import Cargo
    from holdfast.unattended.wish import Patience, Wish

    here = _root(root)
    place = _place(here)
    found = ledger.read(place.ledger)
    if found is None or found.current is None:
        out("no machine is held")
        return
    place.ask_to_stop(abandon=abandon)
    if place.supervised():
        out("the supervisor is told; it ends when what was made is safe")
        return
    wish = Wish(tuple(found.wish["command"]), found.wish["extras"], fetch=tuple(found.wish["fetch"]), abandon=abandon)
    asked, reaching = _command(program, auth, here), look(place, "auto", lambda line: None)
    _supervise(place, asked, wish, Cargo(here, (), 0, "", load_config(here).outputs), reaching, Patience(), (), take_over=None)
    after = ledger.read(place.ledger)
    raise typer.Exit(FAILED if after is not None and after.current is not None else OK)


def _supervise(
    place: Place,
    command: ColabCommand,
    wish: Wish,
    cargo: Cargo,
    reaching: Reaching,
    patience: Patience,
    notify: tuple[str, ...],
    *,
    take_over: bool | None,
) -> int:
    from holdfast.unattended.cargo import Loading
    from holdfast.unattended.news import News
    from holdfast.unattended.supervisor import Supervisor

    def show(data: bytes) -> None:
        with _to_nobody(sys.stdout):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()

    def tell(line: str) -> None:
        with _to_nobody(sys.stderr):
            say(line)

    with place.alone(), _claimed(place, reaching, take_over):
        news = News(tell, place.lines, notify)
        supervisor = Supervisor(
            command,
            place,
            wish,
            Loading(cargo, wish, show),
            news,
            patience,
            person=sys.stdin.isatty() and sys.stdout.isatty(),
            reaching=reaching,
        )
        ending = _until_signal(supervisor)
        units = f"{ending.machines} machine(s), {ending.spent:.2f} compute units"
        news.event("done" if ending.code == OK else "failed", f"{ending.why}; {units}", code=ending.code)
    return ending.code


@contextlib.contextmanager
def _to_nobody(stream: TextIO) -> Iterator[None]:
    """Go on where nobody reads any more, as behind `| head`: a machine costs money, and all lines are in files too."""
    try:
        yield
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _fetched(path: str) -> str:
    """A path of `--fetch`, as the machine is asked for it."""
    from holdfast.store.format.keys import check_relative

    name = os.path.normpath(path)
    problem = check_relative(name)
    if problem is not None:
        raise UsageError(f"--fetch {path}: {problem}; name what lies below the project folder, such as outputs/run")
    return path


def _notified(command: str | None) -> tuple[str, ...]:
    """The words of `--notify`, which can be run."""
    try:
        words = tuple(shlex.split(command or ""))
    except ValueError as error:
        raise UsageError(f"--notify {command}: are its quotes in pairs? ({error})") from error
    if words and shutil.which(words[0]) is None:
        if os.path.isfile(words[0]):
            raise UsageError(f"--notify {words[0]}: may not be executed; chmod +x {words[0]}")
        raise UsageError(f"--notify {words[0]}: there is no such command")
    return words


@contextlib.contextmanager
def _claimed(place: Place, reaching: Reaching, over: bool | None) -> Iterator[None]:
    """Of two computers one supervises this project. The claim stays as long as a machine does.

    Args:
        place: The project.
        reaching: Has the claim.
        over: Take it over from another computer; None to end what is here whoever has it.

    Raises:
        UsageError: another computer was first.
    """
    from holdfast.unattended import ledger

    holder = "" if reaching.claim is None else reaching.claim.take(over=bool(over))
    if holder and over is not None:
        raise UsageError(
            f"{place.root}: another `holdfast colab run` has claimed this project, on the computer {holder}; end it there, or take "
            "it over with --take-over, if that computer is gone"
        )
    try:
        yield
    finally:
        left = ledger.read(place.ledger)
        if reaching.claim is not None and (left is None or left.current is None):
            reaching.claim.end()


def _until_signal(supervisor: Supervisor) -> Ending:
    def end(number: int, frame: FrameType | None) -> None:
        raise Interrupted(signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, end)
    try:
        return supervisor.run()
    except Interrupted as error:
        say(f"{error}: {supervisor.left()}")
        raise typer.Exit(128 + signal.Signals[str(error)].value) from error


def _work(words: list[str], root: Path, outputs: str) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """What is run on the machine, which extras it needs, and the files and folders that have to be there."""
    if words[0].endswith((".yaml", ".yml")):
        if len(words) > 1:
            raise UsageError(f"{words[1]}: an experiment file stands alone; a command stands behind --")
        config = Path(os.path.abspath(words[0]))
        if not config.is_relative_to(root):
            raise UsageError(f"{words[0]}: lies outside of the project folder {root}, so a machine would not have it")
        name = config.relative_to(root).as_posix()
        return ("python", "-m", "holdfast", "run", name), "[pipeline]", (name, *_check(config, root, outputs))
    if words == ["sample"]:
        return ("python", "-m", "holdfast", "run", "sample"), "[pipeline]", ()
    script = next((w for w in words[1:] if w.endswith(".py")), None) if words[0].startswith("python") else None
    return tuple(words), "", () if script is None else (Path(script).as_posix(),)


def _check(config: Path, root: Path, outputs: str) -> list[str]:
    """Refuse what a machine would refuse, before one is taken. Gives the data that the machine has to be sent."""
    try:
        import pydantic  # noqa: F401
    except ImportError:
        say("note: pydantic is not installed here, so settings and data are checked on the machine only")
        return []
    from holdfast.pipeline.experiment import load_experiment

    data, needed = load_experiment(str(config), []).data, []
    for field in ("folder", "train", "validation", "test"):
        place = getattr(data, field)
        if place is None or os.path.isabs(os.path.expanduser(place)):  # what lies on the machine or on Drive
            continue
        name = os.path.normpath(place)
        if name.split(os.sep)[0] == os.pardir:
            raise UsageError(f"data.{field}: {place}: lies outside of the project folder {root}, so a machine would not have it")
        if f"{name}/".startswith(f"{outputs}/"):
            continue
        if not (root / name).exists():
            raise UsageError(f"data.{field}: {place}: there is no such file or folder in {root}, so a machine has none")
        needed += [name] if name != os.curdir else []
    return needed


def _root(root: str | None) -> Path:
    from holdfast.cli.opening import refuse_no_folder
    from holdfast.session.config import find_root

    refuse_no_folder(root, None)
    place = find_root(Path.cwd()) if root is None else Path(root).absolute()
    if not place.is_dir():
        raise UsageError(f"{place}: the project folder does not exist")
    if root is None and not _place(place).ledger.exists():
        _refuse_below_a_machine(place)
    return place


def _refuse_below_a_machine(place: Path) -> None:
    """Refuse a folder inside of a project that has a machine: that one would be paid and not seen."""
    from holdfast.unattended import ledger

    for above in place.parents:
        found = None
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):  # none that can be read
            found = ledger.read(_place(above).ledger)
        if found is not None and found.current is not None:
            raise UsageError(
                f"{place}: no work was begun here, and {above} has a machine; go there, or give --root {above} "
                "(for work of this folder's own: --root .)"
            )


def _place(root: Path) -> Place:
    from holdfast.unattended.place import Place

    return Place(root)


def _command(program: str | None, auth: str, root: Path) -> ColabCommand:
    from holdfast.unattended.command import ColabCommand, find

    if auth not in ("oauth2", "adc"):
        raise UsageError(f"--auth: {auth!r} is neither oauth2 nor adc")
    place = _place(root)
    place.folder.mkdir(parents=True, exist_ok=True)
    return ColabCommand(find(program), place.records, auth)


def _say_cargo(cargo: Cargo) -> None:
    say(f"to be sent: {len(cargo.files)} file(s), {cargo.size / (1 << 20):.1f} MiB ({cargo.by})")
    for name in cargo.files[:_SHOWN]:
        say(f"  {name}")
    if len(cargo.files) > _SHOWN:
        say(f"  and {len(cargo.files) - _SHOWN} more")


def _say_tokens() -> None:
    place = Path.home() / ".config" / "colab-cli" / "colab.log"
    try:
        readable = place.stat().st_mode & 0o077
    except OSError:
        return
    if readable:
        say(f"note: {place}, a log of the colab command, has access tokens in it, and others may read it: chmod 600 {place}")


def _told(limit: float | None, unit: str) -> str:
    return f"no limit of {unit}" if limit is None else f"{limit:g} {unit}"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(colab)
