"""Where a command begins, and what it ends with. Exit codes are a contract (docs/command.md, "Exit codes")."""

from __future__ import annotations

import gc
import logging
import sys

from holdfast.cli import often, show
from holdfast.cli.apart import APART
from holdfast.cli.codes import FAILED, MADE_OTHERWISE, NOT_RESTORED, OK, USAGE
from holdfast.errors import BadData, HoldfastError, MadeOtherwise, NotRestored, UsageError


class _Lines(logging.Handler):
    """Warnings, and what is worth a note, as one line each on standard error.

    What a command did is printed with its results; `run` does many things. What a drill meets is in its report.
    """

    def emit(self, record: logging.LogRecord) -> None:
        if _command() == "drill":
            return
        if not record.name.startswith("holdfast.session") or _command() == "run":
            word = "note" if getattr(record, "news", False) else record.levelname.lower()
            show.say(f"{word}: {record.getMessage()}")


def main() -> None:
    """Run the command. Every expected error is one line; a traceback is a bug."""
    logger = logging.getLogger("holdfast")
    if not any(isinstance(h, _Lines) for h in logger.handlers):
        logger.addHandler(_Lines(logging.WARNING))
    logger.propagate = False
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    APART.run(_run)


def _run() -> int:
    try:
        call = often.asked(sys.argv[1:])
        if call is not None:
            gc.set_threshold(100_000)  # while modules are loaded there is little to collect, and looking for it takes a tenth
            return call()
        from holdfast.cli.app import app

        app()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except MadeOtherwise as error:
        show.say(str(error))
        return MADE_OTHERWISE
    except UsageError as error:
        for line in str(error).split("\n") if isinstance(error, BadData) else [str(error)]:
            show.say(line)
        return USAGE
    except HoldfastError as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        place = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        show.say(f"{place}{text}")
        restoring = _command() in ("ensure", "restore", "plan", "report") or isinstance(error, NotRestored)
        return NOT_RESTORED if restoring else FAILED
    except KeyboardInterrupt:
        show.say("interrupted; what was backed up before is safe")
        return 130
    return OK


def _command() -> str:
    return sys.argv[1] if len(sys.argv) > 1 else ""
