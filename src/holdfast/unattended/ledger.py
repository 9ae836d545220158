"""What is written down before it is done: which machines this work took, and what became of them. A killed supervisor reads it."""

from __future__ import annotations

import enum
import json
import os
import secrets
import time
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from holdfast.errors import UsageError


class Fate(enum.Enum):
    """What became of a machine."""

    ASKED = "asked for"  #: it may be there, and what it is called is not known yet
    HELD = "held"
    GIVEN_BACK = "given back"
    VANISHED = "vanished"
    REFUSED = "refused"
    LEFT = "left"  #: it could not be given back, and the user was told


@dataclass(frozen=True)
class Taken:
    """One machine.

    Args:
        name: What we call it.
        accelerator: What was asked for.
        asked: Unix seconds.
        endpoint: What the service calls it; empty until it is known.
        fate: What became of it.
        ended: Unix seconds.
        rate: Compute units an hour, as the service told; None where it did not.
        others: Machines that the account had when it was asked for, by endpoint.
        before: Compute units an hour that the account spent when it was asked for.
        balance: Its compute units at that moment; None where they were not asked for, or not told.
    """

    name: str
    accelerator: str
    asked: float
    endpoint: str = ""
    fate: Fate = Fate.ASKED
    ended: float | None = None
    rate: float | None = None
    others: tuple[str, ...] = ()
    before: float | None = None
    balance: float | None = None


@dataclass(frozen=True)
class Ledger:
    """All that a supervisor has to know after its own death.

    Args:
        work: The number of this work; a machine that has another's is not ours.
        began: Unix seconds.
        wish: What was asked for, as plain data; what is asked anew must be the same, else it is another work.
        machines: Oldest first.
        failures: Where the work failed, in order.
        counted: Which end of the work was counted last.
        by_api: Drive is reached by its API, because the mount was not allowed.
        sent: What the files were that the newest machine was sent, as a hash; empty where none was.
        code: Of the work, once it is over and what was asked for is here: the machine is only to be given back.
        why: In words, with the code.
        ended: Why it is over; empty while it goes on, or was left with a machine.
    """

    work: str
    began: float
    wish: dict[str, Any] = field(default_factory=dict)
    machines: tuple[Taken, ...] = ()
    failures: tuple[str, ...] = ()
    counted: str = ""
    code: int | None = None
    why: str = ""
    ended: str = ""
    by_api: bool = False
    sent: str = ""

    @property
    def current(self) -> Taken | None:
        """The machine that we have, or may have."""
        last = self.machines[-1] if self.machines else None
        return last if last is not None and last.fate in (Fate.ASKED, Fate.HELD) else None

    def with_current(self, **fields: Any) -> Ledger:
        """The same with something changed of the newest machine."""
        return replace(self, machines=(*self.machines[:-1], replace(self.machines[-1], **fields)))

    def taken(self) -> int:
        """How many machines were had."""
        return sum(m.fate not in (Fate.ASKED, Fate.REFUSED) for m in self.machines)

    def spent(self, now: float) -> float:
        """Compute units until now, as far as the service told what a machine costs."""
        return sum(
            max(0.0, (m.ended or now) - m.asked) / 3600 * (m.rate or 0.0)
            for m in self.machines
            if m.fate not in (Fate.ASKED, Fate.REFUSED)
        )


@dataclass(frozen=True)
class Ending:
    """How it ended.

    Args:
        code: Of the work; 1 where it did not come to its end.
        why: In words.
        spent: Compute units, as far as the service told.
        machines: How many were had.
    """

    code: int
    why: str
    spent: float
    machines: int


def write(place: Path, ledger: Ledger) -> None:
    """Have it on the disk before anything else happens."""
    rows = [{**asdict(m), "fate": m.fate.value} for m in ledger.machines]
    fresh = place.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump({**asdict(ledger), "machines": rows}, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(place)


def read(place: Path) -> Ledger | None:
    """The one that was written, if there is one."""
    try:
        row = json.loads(place.read_bytes())
    except FileNotFoundError:
        return None
    machines = tuple(Taken(**{**m, "fate": Fate(m["fate"]), "others": tuple(m["others"])}) for m in row["machines"])
    known = {f.name for f in fields(Ledger)}  # a newer version may have written more
    return Ledger(**{**{k: v for k, v in row.items() if k in known}, "machines": machines, "failures": tuple(row["failures"])})


def opened(place: Path, wish: dict[str, Any]) -> Ledger:
    """The ledger of this work: the one that was left where it did not end, or a new one.

    Args:
        place: Its file.
        wish: What is asked for.

    Raises:
        UsageError: another work was left with a machine.
    """
    found = read(place)
    if found is not None and not found.ended:
        if found.wish == wish:
            return found
        if found.current is not None:
            raise UsageError(
                f"machine {found.current.endpoint or found.current.name} works on `{' '.join(found.wish['command'])}` and was not "
                f"given "
                "back; `holdfast colab stop` ends that, or give the same words to go on"
            )
    return Ledger(secrets.token_hex(4), time.time(), wish)
