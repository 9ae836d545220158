"""What a person asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from holdfast.errors import UsageError
from holdfast.unattended.told import GPUS, NONE, TPUS


@dataclass(frozen=True)
class Wish:
    """Some work on Colab, and what it may cost.

    Args:
        command: What is run on the machine, in the project.
        extras: Of the wheel, such as `[pipeline]`.
        accelerators: In order of wish; `none` is a machine without.
        fetch: Paths of the project to bring here at the end.
        budget: Compute units; None for no limit of ours.
        hours: From the beginning of the run; None for no limit.
        machines: At most so many, one after the other.
        abandon: Give a machine back also where that loses something.
    """

    command: tuple[str, ...]
    extras: str = ""
    accelerators: tuple[str, ...] = (NONE,)
    fetch: tuple[str, ...] = ()
    budget: float | None = None
    hours: float | None = None
    machines: int = 20
    abandon: bool = False


def accelerators_in(text: str) -> tuple[str, ...]:
    """The accelerators of `--gpu T4,L4,none`, as the command spells them.

    Raises:
        UsageError: one that it does not know. It would take an A100 for it.
    """
    known = {name.lower(): name for name in (*GPUS, *TPUS, NONE)}
    found = []
    for word in text.split(","):
        name = known.get(word.strip().lower())
        if name is None:
            raise UsageError(f"--gpu {word.strip()}: no such accelerator; known are {', '.join(known.values())}")
        found.append(name)
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Patience:
    """How long is waited, in seconds.

    Args:
        look: Between two looks at a machine.
        least, most: Between two requests for a machine, the first and the longest.
        safe: On the machine, for uploads at the end.
    """

    look: float = 20.0
    least: float = 30.0
    most: float = 900.0
    safe: float = 3600.0


def asked_of(wish: Wish) -> dict[str, Any]:
    """What makes a work the same work."""
    return {"command": list(wish.command), "extras": wish.extras, "fetch": list(wish.fetch)}
