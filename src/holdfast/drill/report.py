"""What a drill came to, as plain data and in words. Pure."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.drill.comparing import Difference
from holdfast.drill.going_on import GoingOn
from holdfast.drill.judging import Loss, Shown, is_within
from holdfast.drill.moments import Tempo, repeated
from holdfast.store.format.keys import printable
from holdfast.store.reporting.amounts import duration, many, size

#: So many paths are named of each kind; the rest is counted.
MOST_NAMED = 5


class Outcome(enum.Enum):
    """What a drill comes to, as its first word says it."""

    HELD = "HELD"
    ANEW = "EVERY START BEGINS ANEW"
    NOT_HELD = "NOT HELD"
    STUCK = "GETS NO FURTHER"
    NOT_REHEARSED = "NOT REHEARSED"


@dataclass(frozen=True)
class Traffic:
    """Bytes that went to the drive and came from it; None where nobody can count them."""

    sent: int | None = 0
    fetched: int | None = 0

    def __add__(self, other: Traffic) -> Traffic:
        def total(a: int | None, b: int | None) -> int | None:
            return None if a is None or b is None else a + b

        return Traffic(total(self.sent, other.sent), total(self.fetched, other.fetched))


@dataclass(frozen=True)
class Kill:
    """One machine that was taken away.

    Args:
        after: Seconds after the start of its run.
        loss: What did not come back.
        shown: What status had said.
        dropped: What was written to the drive and had not arrived; None where a drive has no such thing.
        trouble: Why not all that is in the store came back; empty where it did.
    """

    after: float
    loss: Loss
    shown: Shown
    dropped: int | None = None
    trouble: str = ""

    @property
    def within(self) -> bool:
        """Status had said so."""
        return is_within(self.loss, self.shown)


@dataclass(frozen=True)
class Report:
    """A drill that came to its end.

    Args:
        asked: Kills that were asked for.
        kills: Those that happened.
        tempo: The command without kills.
        runs: Seconds of every run with kills, the last one included.
        failures: Exit codes of starts that ended by themselves and were started again.
        traffic: Of all runs with kills.
        files: How many the uninterrupted run made and were compared.
        difference: How the outputs differ from those.
        left_in_store: So many of them the last machine did not need; they came back when asked for.
        restless: Files that a start with nothing to do changed, too.
        ending: What status said at the end.
        seed: To run the same again.
        going_on: Whether the last start went on with what had come back.
        names: What a start makes again under another name: the earlier name, the new one.
        local: Files in which the folder of the machine stands that made them.
        stuck: Why it got no further and was given up; empty where it came to its end.
        tail: The end of what it printed then.
    """

    asked: int
    kills: tuple[Kill, ...]
    tempo: Tempo
    runs: tuple[float, ...]
    failures: tuple[int, ...]
    traffic: Traffic
    files: int
    difference: Difference
    left_in_store: int
    restless: tuple[str, ...]
    ending: Shown
    seed: int
    going_on: GoingOn = field(default_factory=lambda: GoingOn(0.0))
    names: tuple[tuple[str, str], ...] = ()
    local: tuple[str, ...] = ()
    stuck: str = ""
    tail: str = ""

    @property
    def held(self) -> bool:
        """Something was killed, starts went on, no loss was larger than status had said, and the outputs are those without a kill.

        And all of them is kept: what status names at the end would not come back on a machine that is really another.
        """
        return self.outcome is Outcome.HELD

    @property
    def outcome(self) -> Outcome:
        """What it all comes to. The first that is true, from the worst on."""
        if self.stuck:
            return Outcome.STUCK
        if not self.kills:
            return Outcome.NOT_REHEARSED
        promise_broken = any(not k.within for k in self.kills)
        if self.going_on.anew and not (promise_broken and self.going_on.had_nothing):
            return Outcome.ANEW
        if promise_broken or self.difference or self.ending.named:
            return Outcome.NOT_HELD
        return Outcome.HELD if self.files else Outcome.NOT_REHEARSED

    @property
    def repeated(self) -> float:
        """Seconds of work that were done again."""
        return repeated(self.tempo, list(self.runs))

    @property
    def verdict(self) -> str:
        """The one line that is read first."""
        return f"{self.outcome.value}: {self._reason}"

    @property
    def _reason(self) -> str:
        match self.outcome:
            case Outcome.STUCK:
                return "; ".join([self.stuck, *([_paths(self.local)] if self.local else []), self.tail])
            case Outcome.NOT_REHEARSED if not self.kills:
                return "the command finished before its first kill, so nothing was shown; it is too short for a drill"
            case Outcome.NOT_REHEARSED:
                return "nothing was compared, for --varies names all that the command makes"
            case Outcome.ANEW:
                return "; ".join([self._begun_anew, *self._problems])
            case Outcome.NOT_HELD:
                return ", and ".join([*self._problems, *(["every start began anew"] if self.going_on.anew else [])])
        lost = [k for k in self.kills if k.loss]
        what = f"{len(lost)} lost work, no more than status had said" if lost else "nothing was lost"
        return f"killed {many(len(self.kills), 'time')}, {what}, and the outputs are those of an uninterrupted run"

    @property
    def _begun_anew(self) -> str:
        course = self.going_on
        worked = f"{seconds(course.worked)} of work in {many(len(self.kills), 'killed run')}"
        if course.had_nothing:
            return f"next to nothing of {worked} came back that it could go on with"
        where = f", in {self.names[0][0]} once and then in {self.names[0][1]}" if self.names else ""
        return f"{seconds(course.kept)} of {worked} came back, and the last start did it all again{where}"

    @property
    def _problems(self) -> list[str]:
        beyond = sum(not k.within for k in self.kills)
        problems = [f"{beyond} of {many(len(self.kills), 'kill')} lost more than status had said"] if beyond else []
        if self.difference:
            problems += [f"the outputs differ from those of an uninterrupted run: {_counts(self.difference)}"]
        if self.ending.named:
            problems += [f"{many(len(self.ending.named), 'path')} in outputs would not come back whole"]
        return problems


def lines(report: Report) -> list[str]:
    """The report for people, the verdict first."""
    said = [report.verdict]
    for number, kill in enumerate(report.kills, 1):
        said.append(f"  kill {number}  after {seconds(kill.after)}: {_lost(kill)}")
        said.append(f"          status had said{_bound(kill.shown)}: {printable(kill.shown.words)}")
        if kill.trouble:
            said.append(f"          a fresh machine was told: {printable(kill.trouble)}")
    if len(report.kills) < report.asked and not report.stuck:
        said.append(f"  {len(report.kills)} of {many(report.asked, 'kill')} happened: the command was done before the next one")
    if report.failures:
        codes = ", ".join(map(str, report.failures))
        said.append(f"  {many(len(report.failures), 'start')} failed without a kill, and was tried again (exit code {codes})")
    tempo, course, runs = report.tempo, report.going_on, many(len(report.runs), "run")
    idle = f"{seconds(tempo.idle)}{', for it makes again what is there' if tempo.lead is not None else ''}"
    said += [
        f"  time     {seconds(tempo.whole)} without a kill, {seconds(sum(report.runs))} in {runs} with them",
        f"  again    {seconds(report.repeated)} of work was repeated; a start with nothing to do takes {idle}",
        f"  drive    {_bytes(report.traffic.sent)} sent, {_bytes(report.traffic.fetched)} fetched",
    ]
    if not report.stuck:
        said.append(f"  went on  the last start did without {seconds(course.saved)} of {seconds(course.work)} of work")
    said += [f"  names    {printable(old)}, and at another start {printable(new)}" for old, new in report.names[:MOST_NAMED]]
    said += [f"  paths    {_paths(report.local)}"] if report.local else []
    said += _outputs(report)
    said += [f"  not kept {printable(text)}" for text in report.ending.named[:MOST_NAMED]]
    said += [f"  at last  {printable(report.ending.words)}", f"  seed     {report.seed}"]
    return said


def _outputs(report: Report) -> list[str]:
    """How they differ, and what changes by itself."""
    said = []
    if report.difference:
        named = (("differs", report.difference.differ), ("missing", report.difference.missing), ("extra", report.difference.extra))
        said += [f"  {word:8} {_named(paths)}" for word, paths in named if paths]
    elif not report.stuck:
        there = f"; {report.left_in_store} of them came from the store at the end" if report.left_in_store else ""
        said.append(f"  outputs  {many(report.files, 'file')}, as without a kill{there}")
    if restless := [p for p in report.restless if not any(p == n or p.startswith(f"{n}/") for pair in report.names for n in pair)]:
        said.append(f"  restless {_named(restless)}: a start with nothing to do changes that too; --ignore GLOB leaves it out")
    return said


def as_json(report: Report, root: str) -> dict[str, Any]:
    """The same for programs."""
    return {
        "path": root,
        "outcome": report.outcome.value,
        "generation": None,
        "error": None if report.held else report.verdict,
        "kills": [
            {
                "after": round(k.after, 3),
                "lost": list(k.loss.files),
                "lost_seconds": round(k.loss.seconds, 3),
                "bound_seconds": None if k.shown.seconds is None else round(k.shown.seconds, 3),
                "shown": k.shown.words,
                "within": k.within,
                "dropped": k.dropped,
                "error": k.trouble or None,
            }
            for k in report.kills
        ],
        "kills_asked": report.asked,
        "failed_starts": list(report.failures),
        "reference_seconds": round(report.tempo.whole, 3),
        "idle_seconds": round(report.tempo.idle, 3),
        "run_seconds": [round(s, 3) for s in report.runs],
        "repeated_seconds": round(report.repeated, 3),
        "begins_anew": report.going_on.anew,
        "work_seconds": round(report.going_on.work, 3),
        "saved_seconds": round(report.going_on.saved, 3),
        "gets_no_further": report.stuck or None,
        "new_names": [list(pair) for pair in report.names],
        "paths_of_machines": list(report.local),
        "bytes_sent": report.traffic.sent,
        "bytes_fetched": report.traffic.fetched,
        "files": report.files,
        "differ": list(report.difference.differ),
        "missing": list(report.difference.missing),
        "extra": list(report.difference.extra),
        "left_in_store": report.left_in_store,
        "restless": list(report.restless),
        "ending": report.ending.words,
        "not_kept": list(report.ending.named),
        "seed": report.seed,
    }


def seconds(value: float) -> str:
    """A time with a tenth of a second where that is worth saying."""
    return f"{value:.1f} s" if value < 100 else duration(value)


def _lost(kill: Kill) -> str:
    dropped = f"; {many(kill.dropped, 'change')} had not been uploaded" if kill.dropped else ""
    if not kill.loss:
        return f"nothing was lost{dropped}"
    verdict = "as status had said" if kill.within else "MORE THAN STATUS HAD SAID"
    what = f"{many(len(kill.loss.files), 'file')}, {seconds(kill.loss.seconds)} of work"
    return f"lost {what}, {verdict}: {_named(kill.loss.files)}{dropped}"


def _bound(shown: Shown) -> str:
    return "" if shown.safe or shown.seconds is None else f" at most {seconds(shown.seconds)}"


def _bytes(count: int | None) -> str:
    return "an unknown number of bytes" if count is None else size(count)


def _counts(found: Difference) -> str:
    words = ((found.differ, "differ"), (found.missing, "missing"), (found.extra, "extra"))
    return ", ".join(f"{len(paths)} {word}" for paths, word in words if paths)


def _paths(paths: Sequence[str]) -> str:
    holds = "holds" if len(paths) == 1 else "hold"
    return f"{_named(paths)} {holds} the path of the machine that wrote it, which leads nowhere on another"


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
    return ", ".join(printable(p) for p in paths[:MOST_NAMED]) + more
