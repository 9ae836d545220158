"""`status` and `ensure`, which scripts call again and again: what they do, and their words as they are mostly given.

typer, with what it loads, takes five times as long as Python itself. So these two are called without it where every word is plain;
for anything else (help, a mistake, an option given in another way) typer is asked, and both understand the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from holdfast.cli import show
from holdfast.cli.codes import ABSENT, NOT_RESTORED, OK
from holdfast.cli.opening import open_from
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.store.reporting.outcomes import Restored

#: The options of each that take a value, beside `--json`, which takes none.
_OPTIONS = {"status": ("root", "drive"), "ensure": ("root", "drive", "prefer")}


def status(root: str | None, drive: str | None, *, as_json: bool) -> int:
    """`holdfast status`. Gives the exit code."""
    show.status(open_from(root, drive).status(), as_json=as_json)
    return OK


def ensure(paths: Sequence[str], prefer: str | None, root: str | None, drive: str | None, *, as_json: bool) -> int:
    """`holdfast ensure`. Gives the exit code."""
    if prefer is not None and prefer not in ("store", "local"):
        raise UsageError(f"--prefer: {prefer!r} is neither store nor local")
    keeper = open_from(root, drive)
    keys = [keeper.workspace.key(p) for p in paths]
    results = [keeper.ensure(k.value, prefer) for k in keys]
    show.restores(results, as_json=as_json)
    return restored_code(results)


def restored_code(results: Sequence[Restored]) -> int:
    """The exit code of what was restored, or was to be."""
    from holdfast.store.reporting.outcomes import Outcome

    outcomes = {r.outcome for r in results}
    return NOT_RESTORED if outcomes & {Outcome.FAILED, Outcome.DIFFERS} else ABSENT if Outcome.ABSENT in outcomes else OK


def asked(words: Sequence[str]) -> Callable[[], int] | None:
    """The call that plain words ask for, or None where typer has to look at them.

    Args:
        words: Of the command line, without the program's name.
    """
    command, given = (words[0], words[1:]) if words else ("", ())
    if command not in _OPTIONS or any(not w.isprintable() for w in given):
        return None
    values: dict[str, str] = {}
    paths: list[str] = []
    as_json, rest = False, iter(given)
    for word in rest:
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("-"):
            paths.append(word)
        elif word == "--json":
            as_json = True
        elif not word.startswith("--") or name not in _OPTIONS[command]:
            return None
        else:
            values[name] = value if equals else next(rest, "-")
            if values[name].startswith("-"):
                return None
    root, drive = values.get("root"), values.get("drive")
    if command == "status":
        return None if paths else functools.partial(status, root, drive, as_json=as_json)
    return functools.partial(ensure, paths, values.get("prefer"), root, drive, as_json=as_json) if paths else None
