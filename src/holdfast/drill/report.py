"""What a drill came to, as plain data and in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.drill.comparing import Difference
from holdfast.drill.judging import Loss, Shown, is_within
from holdfast.drill.moments import Tempo, repeated
from holdfast.store.amounts import duration, many, size
from holdfast.store.keys import printable

#: So many paths are named of each kind; the rest is counted.
MOST_NAMED = 5


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

    @property
    def held(self) -> bool:
        """Something was killed, no loss was larger than status had said, and the outputs are those of an uninterrupted run.

        And all of them is kept: what status names at the end would not come back on a machine that is really another.
        """
        return bool(self.kills) and all(k.within for k in self.kills) and not self.difference and not self.ending.named

    @property
    def repeated(self) -> float:
        """Seconds of work that were done again."""
        return repeated(self.tempo, list(self.runs))

    @property
    def verdict(self) -> str:
        """The one line that is read first."""
        if not self.kills:
            return "NOT REHEARSED: the command finished before its first kill, so nothing was shown; it is too short for a drill"
        beyond = sum(not k.within for k in self.kills)
        problems = [f"{beyond} of {many(len(self.kills), 'kill')} lost more than status had said"] if beyond else []
        problems += (
            [f"the outputs differ from those of an uninterrupted run: {_counts(self.difference)}"] if self.difference else []
        )
        problems += [f"{many(len(self.ending.named), 'path')} in outputs would not come back whole"] if self.ending.named else []
        if problems:
            return f"NOT HELD: {', and '.join(problems)}"
        lost = [k for k in self.kills if k.loss]
        what = f"{len(lost)} lost work, no more than status had said" if lost else "nothing was lost"
        return f"HELD: killed {many(len(self.kills), 'time')}, {what}, and the outputs are those of an uninterrupted run"


def lines(report: Report) -> list[str]:
    """The report for people, the verdict first."""
    said = [report.verdict]
    for number, kill in enumerate(report.kills, 1):
        said.append(f"  kill {number}  after {seconds(kill.after)}: {_lost(kill)}")
        said.append(f"          status had said{_bound(kill.shown)}: {printable(kill.shown.words)}")
        if kill.trouble:
            said.append(f"          a fresh machine was told: {printable(kill.trouble)}")
    if len(report.kills) < report.asked:
        said.append(f"  {len(report.kills)} of {many(report.asked, 'kill')} happened: the command was done before the next one")
    if report.failures:
        codes = ", ".join(map(str, report.failures))
        said.append(f"  {many(len(report.failures), 'start')} failed without a kill, and was tried again (exit code {codes})")
    tempo, runs = report.tempo, many(len(report.runs), "run")
    said += [
        f"  time     {seconds(tempo.whole)} without a kill, {seconds(sum(report.runs))} in {runs} with them",
        f"  again    {seconds(report.repeated)} of work was repeated; a start with nothing to do takes {seconds(tempo.idle)}",
        f"  drive    {_bytes(report.traffic.sent)} sent, {_bytes(report.traffic.fetched)} fetched",
    ]
    if report.difference:
        named = (("differs", report.difference.differ), ("missing", report.difference.missing), ("extra", report.difference.extra))
        said += [f"  {word:8} {_named(paths)}" for word, paths in named if paths]
    else:
        there = f"; {report.left_in_store} of them came from the store at the end" if report.left_in_store else ""
        said.append(f"  outputs  {many(report.files, 'file')}, as without a kill{there}")
    if report.restless:
        said.append(
            f"  restless {_named(report.restless)}: a start with nothing to do changes that too; --ignore GLOB leaves it out"
        )
    said += [f"  not kept {printable(text)}" for text in report.ending.named[:MOST_NAMED]]
    said += [f"  at last  {printable(report.ending.words)}", f"  seed     {report.seed}"]
    return said


def as_json(report: Report, root: str) -> dict[str, Any]:
    """The same for programs."""
    return {
        "path": root,
        "outcome": "HELD" if report.held else "NOT HELD" if report.kills else "NOT REHEARSED",
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


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
    return ", ".join(printable(p) for p in paths[:MOST_NAMED]) + more
