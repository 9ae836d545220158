"""What the commands print: text for people, JSON for programs. Results on standard output, errors on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from holdfast.store.reporting.amounts import size

if TYPE_CHECKING:
    from holdfast.session.backing_up import Backup
    from holdfast.session.doctor import Finding
    from holdfast.session.finding.history import HistoryEntry
    from holdfast.session.seeing.status import Status
    from holdfast.store.cleanup import Pruned
    from holdfast.store.reporting.outcomes import Restored
    from holdfast.store.verify import Damage

#: With one of these rich shows colours where nobody is seen to look, too.
_COLOURED = ("FORCE_COLOR", "TTY_COMPATIBLE")


def say(text: str) -> None:
    """One line on standard error."""
    print(f"holdfast: {' '.join(text.split())}", file=sys.stderr)


def out(text: str, to: TextIO | None = None) -> None:
    """One line on standard output."""
    print(text, file=to or sys.stdout)


def print_json(rows: Sequence[dict[str, Any]]) -> None:
    """The same for programs."""
    print(json.dumps(list(rows), indent=2))


def backups(done: Backup, *, as_json: bool) -> None:
    """What `backup` came to."""
    for result in done.results:
        if result.problem():
            say(result.problem())
    if as_json:
        print_json(
            [
                {
                    "path": r.key.value,
                    "outcome": r.durability.value if r.durability and not r.error else "FAILED",
                    "generation": r.generation,
                    "sequence": r.sequence,
                    "unchanged": r.unchanged,
                    "forked": list(r.forked),
                    "refused": {r.key.join(p).value: why for p, why in r.refused.items()},
                    "files": r.files,
                    "size": r.size,
                    "error": r.problem() or None,
                }
                for r in done.results
            ]
        )
        return
    words = {
        "CONFIRMED": "safe",
        "WRITTEN": "written, not confirmed yet",
        "UNKNOWN": "written; this place cannot tell whether it is safe",
    }
    for r in done.results:
        if r.generation is not None and r.durability is not None:
            what = "unchanged since" if r.unchanged else f"{r.files} file(s), {size(r.size)} backed up as"
            more = ""
            if r.dropped:
                what, more = "nothing is left of it, says", f"; `holdfast history {r.key}` shows what was before"
            out(f"{r.key}: {what} generation {r.sequence:06d}-{r.generation} ({words[r.durability.value]}){more}")


def restores(results: Sequence[Restored], *, as_json: bool) -> None:
    """What `ensure` or `restore` came to."""
    for result in results:
        if result.error:
            say(result.error)
    if as_json:
        print_json(
            [
                {
                    "path": r.key.value,
                    "outcome": r.outcome.value,
                    "generation": r.generation,
                    "warnings": list(r.warnings),
                    "files": r.files,
                    "size": r.size,
                    "error": r.error or None,
                }
                for r in results
            ]
        )
        return
    from holdfast.store.reporting.outcomes import Outcome

    for r in results:
        text = {
            Outcome.LOCAL: "here",
            Outcome.RESTORED: f"restored from generation {r.generation} ({r.files} file(s), {size(r.size)})"
            if r.generation
            else f"restored, unverified ({r.files} file(s))",
            Outcome.MERGED: f"here; what was missing came from generation {r.generation} ({r.files} file(s), {size(r.size)})",
            Outcome.DIFFERS: f"DIFFERS from generation {r.generation}; nothing was touched",
            Outcome.ABSENT: "absent: neither here nor in the store" if not r.error else "absent from the store",
            Outcome.FAILED: "FAILED",
        }[r.outcome]
        out(f"{r.key}: {text}")


def damages(found: Sequence[Damage], *, as_json: bool) -> None:
    """What `verify` found."""
    if as_json:
        print_json(
            [
                {
                    "path": d.key.value if d.key else None,
                    "outcome": "DAMAGED",
                    "generation": d.generation.rpartition("-")[2] or None,
                    "file": d.file,
                    "error": d.problem,
                }
                for d in found
            ]
        )
        return
    for d in found:
        where = f"{d.key or 'the store'}" + (f" generation {d.generation}" if d.generation else "")
        say(f"damaged: {where}: {d.file}: {d.problem}")
    if not found:
        out("all good")


def history(entries: Sequence[HistoryEntry], *, as_json: bool) -> None:
    """The generations of an artifact."""
    if as_json:
        print_json(
            [
                {
                    "path": e.key.value,
                    "outcome": e.state.value,
                    "generation": e.generation,
                    "sequence": e.sequence,
                    "parent": e.parent,
                    "head": e.head,
                    "default": e.default,
                    "base": e.base,
                    "time": e.time,
                    "writer": e.writer,
                    "files": e.files,
                    "size": e.size,
                    "progress": e.progress,
                    "dropped": e.dropped,
                    "error": e.problem or None,
                }
                for e in entries
            ]
        )
        return
    from holdfast.store.format.keys import printable

    forked = {e.key for e in entries if e.head and not e.default}
    for e in entries:
        marks = [("default" if e.default else "fork") if e.head else "", "this workspace stands here" if e.base else ""]
        marks.append("dropped" if e.dropped else "")
        marks.append("" if e.state.value == "whole" else f"{e.state.value}: {e.problem}")
        progress = "" if e.progress is None else f"  progress {e.progress:g}"
        note = "; ".join(m for m in marks if m)
        out(
            f"{e.key}  {e.sequence:06d}-{e.generation}  from {e.parent or 'nothing':8}  {printable(e.time)[:32]:20}  "
            f"{e.files} file(s), {size(e.size)}{progress}{'  <- ' + note if note else ''}"
        )
    for key in sorted(forked):
        out(f"{key} is forked: `holdfast restore {key} --generation ID` chooses; nothing is merged, nothing is lost")
    if not entries:
        say("no generation of this path is in the store")


def status(found: Status, *, as_json: bool) -> None:
    """What is here, in the store, and safe."""
    from holdfast.session.seeing import terminal
    from holdfast.session.seeing.verdict import state

    if as_json:
        print_json(
            [
                {
                    "path": r.key.value,
                    "outcome": state(r),
                    "here": r.here,
                    "generation": r.generation or None,
                    "sequence": r.sequence,
                    "size": r.size,
                    "time": r.time,
                    "durability": r.durability or None,
                    "unsaved": r.unsaved,
                    "unsaved_seconds": r.unsaved_seconds,
                    "confirmed": r.confirmed or None,
                    "unconfirmed": r.unconfirmed,
                    "loss_seconds": r.loss_seconds,
                    "stale": r.stale,
                    "forks": list(r.forks),
                    "debris": r.debris,
                    "progress": r.progress,
                    "refused": dict(r.refused),
                    "torn": dict(r.torn),
                    "accepted": list(r.accepted),
                    "left_out": list(r.left_out),
                    "error": None,
                }
                for r in found
            ]
        )
        return
    if not sys.stdout.isatty() and os.environ.keys().isdisjoint(_COLOURED):
        out(terminal.text(found.sight, encoding=sys.stdout.encoding or "utf-8"))
        return
    from rich.console import Console

    terminal.show(found.sight, Console(highlight=False))


def pruned(result: Pruned, *, as_json: bool, would: bool, to: TextIO | None = None) -> None:
    """What `prune` removed, or would."""
    if as_json:
        rows = [("generation", p) for p in result.generations] + [("payload", p) for p in result.payloads]
        outcome = "WOULD REMOVE" if would else "REMOVED"
        print_json([{"path": p, "outcome": outcome, "generation": None, "kind": k, "error": None} for k, p in rows])
        return
    from holdfast.store.format.keys import printable

    verb = "would remove" if would else "removed"
    out(f"{verb} {len(result.generations)} generation(s) and {len(result.payloads)} payload file(s)", to)
    for path in (*result.generations, *result.payloads):
        out(f"  {printable(path)}", to)
    if result.left:
        total = size(sum(result.left.values()))
        out(f"{len(result.left)} recent leftover(s) of interrupted backups stay ({total}); --orphans removes them", to)


def report(findings: Sequence[Finding], *, as_json: bool) -> None:
    """What `doctor` found."""
    if as_json:
        print_json(
            [
                {
                    "path": f.topic,
                    "outcome": f.level.upper(),
                    "generation": None,
                    "text": f.text,
                    "error": f.text if f.level == "bad" else None,
                }
                for f in findings
            ]
        )
        return
    from holdfast.store.format.keys import printable

    out("holdfast doctor: paste all of this into a report")
    for f in findings:
        out(f"  {({'good': 'ok  ', 'note': 'note', 'bad': 'BAD '})[f.level]}  {f.topic:22} {printable(f.text)}")
