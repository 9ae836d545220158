"""What the `colab` command's words mean. Its exit status proves nothing, so its words are read, and nothing else."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

#: What the command knows; it takes an A100 for any other word, silently.
GPUS = ("T4", "L4", "G4", "H100", "A100")
TPUS = ("v5e1", "v6e1")
NONE = "none"


class Outcome(enum.Enum):
    """How a call went."""

    DONE = "done"
    NO_MACHINE = "no machine is free"
    NO_RIGHT = "this account has no right to it"
    SIGNED_OUT = "not signed in"
    NO_CONSENT = "Drive was not allowed"
    LOST = "the machine does not answer as it should"
    BROKEN = "the command itself does not work"
    FAILED = "failed"


@dataclass(frozen=True)
class Told:
    """What one call of the command told.

    Args:
        outcome: How it went.
        text: What it printed.
        line: The one line of it that says most.
    """

    outcome: Outcome
    text: str = ""
    line: str = ""


@dataclass(frozen=True)
class Assigned:
    """A machine that the service says this account has.

    Args:
        endpoint: Its name there.
        hardware: `CPU`, `T4`.
        name: What our records call it; None where they have forgotten it, or it is somebody else's.
    """

    endpoint: str
    hardware: str
    name: str | None


_SIGNED_OUT = ("authorization code", "No valid default credentials", "invalid_grant", "RefreshError", "DefaultCredentialsError")
_ASSIGNED = re.compile(r"^\[([^\]]+)\] (\S+) \| Hardware: (\S+)", re.MULTILINE)
_LINK = re.compile(r"https://\S+")
#: The last line of a traceback, as Python or rich prints it: the kind of error, and what it says.
_RAISED = re.compile(r"^(?:[a-z_]\w*\.)*([A-Z]\w*(?:Error|Exception|NotFound))(?:: .*)?$", re.MULTILINE)
#: What no network does: a program that is not whole, too new for its packages, or for what the service answers.
_OWN = frozenset(
    (
        "ImportError", "ModuleNotFoundError", "PackageNotFoundError", "DistributionNotFound", "SyntaxError", "IndentationError",
        "AttributeError", "TypeError", "NameError", "UnboundLocalError", "KeyError", "IndexError", "NotImplementedError",
        "AssertionError", "RecursionError", "ZeroDivisionError", "MemoryError", "PermissionError", "FileNotFoundError",
        "NotADirectoryError", "IsADirectoryError", "UnicodeDecodeError", "UnicodeEncodeError", "ValidationError",
    )
)  # fmt: skip
#: Statuses of a shell and of typer: it cannot be run, is not there, or does not know the words.
_NOT_RUN = (126, 127, 2)


def of_any(text: str, *, in_time: bool, status: int | None, proof: str) -> Told:
    """How a call went.

    Args:
        text: All that it printed.
        in_time: It ended by itself.
        status: Its exit status; only ever used against it.
        proof: Words that it prints when it has done it.
    """
    line = said(text)
    if any(words in text for words in _SIGNED_OUT) or "Unauthorized" in text:
        return Told(Outcome.SIGNED_OUT, text, line)
    if "Drive Authorization needed" in text:
        link = _LINK.search(text.partition("Drive Authorization needed")[2])
        return Told(Outcome.NO_CONSENT, text, link[0] if link else line)
    if "precondition failed" in text:
        return Told(Outcome.NO_MACHINE, text, "Colab gives no machine now (412)")
    if "rejected accelerator" in text:
        return Told(Outcome.NO_RIGHT, text, line)
    if "appears to be lost" in text or "not found." in text:
        return Told(Outcome.LOST, text, line)
    if proof in text and (status == 0 or not in_time):
        return Told(Outcome.DONE, text, line)
    if in_time and status != 0 and (fault := own_fault(text, status)):
        return Told(Outcome.BROKEN, text, fault)
    return Told(Outcome.FAILED, text, line if in_time else f"no answer in time{f' ({line})' if line else ''}")


def own_fault(text: str, status: int | None) -> str:
    """What is wrong with the command itself, in its own words; empty where it may be the network or the service."""
    if status in _NOT_RUN:
        return said(text) or f"exit code {status}"
    if status is not None and status < 0:
        return f"killed by signal {-status}"
    raised = list(_RAISED.finditer(text))
    return raised[-1][0][:300] if raised and raised[-1][1] in _OWN else ""


def said(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def assigned_in(text: str) -> list[Assigned] | None:
    """The machines that `colab sessions` printed, or None where it did not get to print them."""
    found = [Assigned(endpoint, hardware, None if name == "?" else name) for name, endpoint, hardware in _ASSIGNED.findall(text)]
    return found if found or "No active sessions found on server" in text else None


def balance_in(text: str) -> tuple[float, float] | None:
    """Compute units, and units an hour, that `colab usage` printed."""
    balance, rate = re.search(r"balance: (-?[\d.]+)", text), re.search(r"rate: ([\d.]+)/hr", text)
    return (float(balance[1]), float(rate[1])) if balance and rate else None


def hardware_of(accelerator: str) -> str:
    """What the service calls it."""
    return "CPU" if accelerator == NONE else accelerator.upper()
