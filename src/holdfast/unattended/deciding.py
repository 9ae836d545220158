"""What to do next, from what is known. Nothing here touches anything."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from holdfast.unattended.asking import Seen

#: Exit codes of Holdfast after which no other machine helps: what was asked for, and outputs made under other settings.
_HOPELESS = {
    2: "what was asked for is refused",
    6: "outputs were made under other settings",
    126: "it cannot be run",
    127: "there is no such command",
}
_MOST_FAILURES = 5
#: Seconds without a heartbeat after which the work counts as stuck.
STUCK_SECONDS = 600.0


class Reach(enum.Enum):
    """Whether the machine can be spoken with."""

    NONE = "there is none"
    ANSWERS = "it answers"
    SILENT = "it does not answer, and the service has it"
    UNKNOWN = "nobody answers"
    GONE = "the service has it no more"


class Do(enum.Enum):
    """What to do next."""

    TAKE = "take a machine"
    FORGET = "write down that it vanished"
    MOUNT = "mount Drive"
    SHIP = "send the project and start the work"
    START = "start the work again"
    WAIT = "wait"
    STOP_WORK = "have the work end"
    HAND = "hand over a token for Drive's API"
    SAVE = "have what there is made safe, without the work"
    FETCH = "fetch what is asked for, and give it back"
    GIVE_BACK = "give the machine back"
    LEAVE = "leave, and the machine with what is not safe"
    END = "end"


@dataclass(frozen=True)
class Situation:
    """All that a decision stands on.

    Args:
        reach: Of the machine that we have.
        seen: What the look at it showed, if it answers.
        work: The number of our work.
        over: Why nothing more may be spent, or what a person said; empty while it goes on.
        failures: Where the work failed before, in order.
        asked_to_stop: The work was told to end.
        abandon: A machine may be given back with what is not safe.
        spare: Whether another machine may be taken.
        waited_again: Waiting for all to be safe was tried a second time.
        settled: The work is over, and what was asked for is here.
        by_api: Drive is reached by its API, without a mount.
    """

    reach: Reach
    work: str
    seen: Seen | None = None
    over: str = ""
    failures: tuple[str, ...] = ()
    asked_to_stop: bool = False
    abandon: bool = False
    spare: bool = True
    waited_again: bool = True
    settled: bool = False
    by_api: bool = False


@dataclass(frozen=True)
class Decision:
    """What to do, and why."""

    do: Do
    why: str = ""


def decide(at: Situation) -> Decision:
    """The next step."""
    if at.reach is Reach.NONE:
        if at.over:
            return Decision(Do.END, at.over)
        return Decision(Do.TAKE) if at.spare else Decision(Do.END, "no more machines may be taken (--machines)")
    if at.reach is Reach.GONE:
        return Decision(Do.FORGET)
    if at.settled and at.reach is not Reach.UNKNOWN:
        return Decision(Do.GIVE_BACK, at.over)
    if at.reach is not Reach.ANSWERS or at.seen is None:
        return (
            Decision(Do.GIVE_BACK, at.over)
            if at.over and at.abandon and at.reach is Reach.SILENT
            else Decision(Do.WAIT, at.reach.value)
        )
    return _on_machine(at, at.seen)


def _on_machine(at: Situation, seen: Seen) -> Decision:
    ours = seen.work == at.work
    if seen.result is not None and ours:
        return _after(at, seen.result)
    if seen.running:
        if at.over and not at.asked_to_stop:
            return Decision(Do.STOP_WORK, at.over)
        if at.by_api and seen.wanted:
            return Decision(Do.HAND, seen.wanted)
        return Decision(Do.WAIT, f"no sign of life for {seen.silent:.0f} s" if seen.silent > STUCK_SECONDS else "")
    if at.over:
        return _without_work(at, begun=ours and seen.begun)
    if not (seen.mounted or at.by_api):
        return Decision(Do.MOUNT)
    if not ours:
        return Decision(Do.SHIP)
    if seen.begun and (why := hopeless("killed", at.failures)):
        return _without_work(at, begun=True, why=why)
    return Decision(Do.START, "the work was killed" if seen.begun else "")


def _without_work(at: Situation, *, begun: bool, why: str = "") -> Decision:
    """The machine is given back, but what was made on it is made safe before."""
    if not begun or at.abandon:
        return Decision(Do.GIVE_BACK, why or at.over)
    if len(at.failures) > _MOST_FAILURES:
        return Decision(Do.LEAVE, "what it made could not be made safe")
    return Decision(Do.SAVE, why or at.over)


def _after(at: Situation, result: dict[str, object]) -> Decision:
    code, safe = result.get("code"), bool(result.get("safe"))
    done = code == 0 and not result.get("stopped")
    if not safe and not at.abandon:
        full = str(result.get("full") or "")
        if not at.waited_again and not full:
            return Decision(Do.SAVE if at.over else Do.START, "not everything is known to be safe yet")
        return Decision(Do.LEAVE, _unsafe(result, full, "" if code == 0 else hopeless(code, at.failures)))
    if done:
        return Decision(Do.FETCH)
    why = at.over or hopeless(code, at.failures)
    if why:
        return Decision(Do.GIVE_BACK, why)
    return Decision(Do.START, f"it failed (exit code {code})")


def _unsafe(result: dict[str, object], full: str, failed: str) -> str:
    missing = result.get("missing")
    named = f" ({'; '.join(map(str, missing[:3]))})" if isinstance(missing, list) and missing else ""
    return "; ".join(filter(None, (failed, full, f"not everything is known to be safe{named}")))


def hopeless(code: object, failures: tuple[str, ...]) -> str:
    """Why another attempt would fail as well; empty where it may not.

    Args:
        code: Of the work.
        failures: Where it failed, this time included.
    """
    if isinstance(code, int) and code in _HOPELESS:
        return f"{_HOPELESS[code]} (exit code {code})"
    if len(failures) >= 2 and failures[-1] == failures[-2]:
        return f"it failed twice at the same point: {failures[-1]}"
    if len(failures) >= _MOST_FAILURES:
        return f"it failed {len(failures)} times"
    return ""


def point_of(lines: list[str], code: object) -> str:
    """Where the work failed: its last words, without the numbers that are another each time."""
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"exit code {code}: {re.sub(r'[0-9]+', '…', last)[:200]}"


def pause(refusals: int, least: float, most: float) -> float:
    """Seconds to wait after so many refusals in a row: longer each time."""
    seconds: float = min(most, least * 2.0 ** min(refusals, 20))
    return seconds


def over(*, spent: float, budget: float | None, hours: float, most_hours: float | None, stop: bool) -> str:
    """Why nothing more may be spent; empty while it may."""
    if stop:
        return "somebody said stop"
    if budget is not None and spent >= budget:
        return f"the budget is used up: {spent:.2f} of {budget:g} compute units"
    if most_hours is not None and hours >= most_hours:
        return f"the time is over: {hours:.{1 if most_hours >= 1 else 3}f} of {most_hours:g} hours"
    return ""
