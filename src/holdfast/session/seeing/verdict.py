"""What status says in words. Pure: from data to a `Sight`, with the time as data too."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from holdfast.session.background.waiting import Queue
from holdfast.session.finding.safety import time_of
from holdfast.session.finding.status import ArtifactStatus
from holdfast.session.running import Running
from holdfast.session.seeing.sight import Fact, Line, Sight, Tone, Verdict
from holdfast.store.backends.backend import Space
from holdfast.store.backends.mounts import DRIVE, OTHER
from holdfast.store.format.keys import printable
from holdfast.store.reporting.amounts import ago, duration, many, size
from holdfast.store.reporting.durability import Durability

#: So many artifacts are shown one by one where all are safe. One that is not safe is always shown.
MOST_LINES = 20
#: So many artifacts get a line of advice each, of one kind.
MOST_ADVICE = 5
#: Room is short below this share of all, unless so many bytes are left anyway.
SHORT_SHARE, SHORT_BYTES = 0.05, 1 << 30

_WORDS = {Tone.BAD: "not backed up", Tone.UPLOADING: "uploading", Tone.UNTOLD: "cannot tell", Tone.SAFE: "confirmed"}
_WRITTEN, _UNKNOWN = Durability.WRITTEN.value, Durability.UNKNOWN.value


def see(
    rows: Sequence[ArtifactStatus],
    *,
    root: str,
    environment: str,
    place: str | None,
    on_drive: bool,
    space: Space | None,
    now: float,
    queue: Queue | None = None,
    told: str = "",
    running: Sequence[Running] = (),
) -> Sight:
    """Everything that status shows.

    Args:
        rows: The artifacts.
        root: The project folder.
        environment: What machine this is.
        place: Where the store is, None where there is none.
        on_drive: The store lies on Drive, and is called so.
        space: Room there, None where it is not known.
        now: Unix seconds.
        queue: What waits to be sent.
        told: When what is written there arrives, and what to do to have it safe; for a person.
        running: What runs now.
    """
    store = "Drive" if on_drive else "the store"
    verdict = decide(rows, store=None if place is None else store, free=None if space is None else space.free)
    verdict = beside(verdict, queue or Queue())
    facts = [
        Fact("project", f"{root} ({environment})"),
        Fact("store", place or "none: work is kept on this machine only"),
        *room(space, store, waiting=waiting_bytes(rows)),
        *queued(queue or Queue(), now),
        *(Fact("running", printable(str(r))) for r in running),
        *not_kept(rows),
    ]
    shown, folded = fold(rows)
    return Sight(
        verdict,
        tuple(facts),
        heads=("path", "here", f"on {store}" if on_drive else "in the store", "safe?", "last backup", "would be lost now"),
        lines=tuple(line(r, has_store=place is not None, now=now) for r in shown),
        folded=folded,
        advice=tuple(advise(rows, store=None if place is None else store, space=space, told=told)),
    )


def queued(queue: Queue, now: float) -> list[Fact]:
    """What is sent in the background, and what went wrong with it."""
    facts = []
    if queue.waiting:
        since = f"{many(len(queue.waiting), 'backup')}, the oldest since {duration(max(0.0, now - queue.since))}{_taking(queue)}"
        why = f"; nothing can be sent now, and it is tried again: {queue.trouble}" if queue.trouble else ""
        facts.append(Fact("to be sent", since + why, Tone.BAD if queue.trouble else Tone.UPLOADING))
    facts += [
        Fact("not sent yet", f"{text}; it is tried again, and the others are sent meanwhile", Tone.BAD)
        for _, text in queue.troubles
    ]
    return facts + [Fact("failed", text, Tone.BAD) for _, text in queue.errors]


def not_kept(rows: Sequence[ArtifactStatus]) -> list[Fact]:
    """What would not come back, and what need not."""
    named = [text for r in rows for text in r.named]
    accepted = [str(r.key.join(path)) for r in rows for path in r.accepted]
    left_out = [str(r.key.join(path)) for r in rows for path in r.left_out]
    facts = [Fact("not kept", listed(named, MOST_ADVICE), Tone.BAD)] if named else []
    facts += [Fact("accepted", f"{listed(accepted)}: not kept, by drive.accept")] if accepted else []
    return facts + ([Fact("left out", f"{listed(left_out)}: not kept, by pattern")] if left_out else [])


def _taking(queue: Queue) -> str:
    """What the copies that wait take of this disk."""
    own = f"{size(queue.size)} of copies here" if queue.size else ""
    linked = f"{size(queue.linked)} shared with outputs" if queue.linked else ""
    return f"; {' and '.join(filter(None, (own, linked)))}" if own or linked else ""


# -- one artifact --------------------------------------------------------------------------------------------------------


def tone(row: ArtifactStatus) -> Tone:
    """How safe an artifact is: the worst of what is known of it."""
    if row.here != "no" and (row.unsaved or row.named):
        return Tone.BAD
    if row.only_left_out:
        return Tone.SAFE
    if not row.generation:
        return Tone.ATTENTION
    pending = {row.durability, row.here_durability if row.unconfirmed else ""}
    if _WRITTEN in pending:
        return Tone.UPLOADING
    if _UNKNOWN in pending or row.unconfirmed:
        return Tone.UNTOLD
    return Tone.ATTENTION if row.stale or row.forks or row.damaged else Tone.SAFE


def state(row: ArtifactStatus) -> str:
    """What an artifact is, in the words that `holdfast status --json` has as its outcome."""
    if row.only_left_out:
        return "left out"
    if not row.generation:
        return "NOT BACKED UP"
    if row.named:
        return f"NOT SAFE: {listed(row.named)}"
    if row.dropped and not row.unsaved:
        return "dropped"
    if row.unsaved:
        return f"{row.unsaved} file(s) changed since the last backup"
    if row.stale:
        return "stale: the store has a newer generation"
    if row.here != "yes":
        return "in the store, not all here"
    words = {Durability.CONFIRMED.value: "safe", _WRITTEN: "written, not uploaded yet"}
    return words.get(row.durability, "written, unknown whether safe")


def _word(row: ArtifactStatus, worth: Tone, *, has_store: bool) -> str:
    word = "left out" if row.only_left_out else _WORDS.get(worth, "")
    if worth is Tone.BAD and not row.unsaved:
        word = "not kept" if row.refused else "torn"
    if worth is not Tone.SAFE and not row.generation and worth is not Tone.BAD:
        word = "no store" if not has_store else "never arrived" if row.debris else "gone"
    marks = ["stale"] * row.stale + ["forked"] * bool(row.forks) + ["damaged"] * bool(row.damaged)
    return ", ".join([word, *marks] if word else marks)


def _loss(row: ArtifactStatus, worth: Tone) -> str:
    if worth is Tone.BAD:
        if not row.unsaved:
            return f"{many(len(row.named), 'path')} (below)"
        return f"at most {duration(max(row.unsaved_seconds, row.loss_seconds))} ({many(row.unsaved, 'file')})"
    if worth is Tone.UPLOADING:
        return f"at most {duration(row.loss_seconds)}" if row.unconfirmed else "the backup" if row.here != "yes" else "nothing"
    if worth is Tone.UNTOLD:
        return f"unknown, up to {duration(row.loss_seconds)}" if row.unconfirmed else "unknown"
    return "nothing" if row.generation else "-"


def line(row: ArtifactStatus, *, has_store: bool, now: float) -> Line:
    """One artifact in words."""
    worth, written = tone(row), time_of(row.time)
    return Line(
        path=str(row.key),
        here=row.here,
        held="dropped" if row.dropped else f"#{row.sequence}, {size(row.size)}" if row.generation else "nothing",
        tone=worth,
        safe=_word(row, worth, has_store=has_store),
        age="never" if not row.generation else "-" if written is None else ago(now - written),
        loss=_loss(row, worth),
    )


def fold(rows: Sequence[ArtifactStatus], most: int = MOST_LINES) -> tuple[list[ArtifactStatus], str]:
    """The artifacts to show one by one, worst first, and in words those that are left out, all of which are safe."""
    ordered = sorted(rows, key=lambda r: (-tone(r).rank, r.key))
    wanting = sum(tone(r) is not Tone.SAFE for r in ordered)
    kept = max(wanting, most)
    left = ordered[kept:]
    return ordered[:kept], f"and {len(left)} more, all safe ({size(sum(r.size for r in left))})" if left else ""


# -- all of them ---------------------------------------------------------------------------------------------------------


def waiting_bytes(rows: Sequence[ArtifactStatus]) -> int:
    """Bytes of what is not uploaded yet, at the most."""
    return sum(r.size for r in rows if r.durability == _WRITTEN)


def decide(rows: Sequence[ArtifactStatus], *, store: str | None, free: int | None) -> Verdict:
    """The one line: the worst that holds of any artifact, with the work that is at stake.

    Args:
        rows: The artifacts.
        store: What the store is called, None where there is none.
        free: Bytes free there, None where it is not known.
    """
    if not rows:
        return Verdict(Tone.PLAIN, "NOTHING YET", "nothing is in outputs or in the store yet")
    of = {t: [r for r in rows if tone(r) is t] for t in Tone}
    waiting = of[Tone.UPLOADING] + [r for r in of[Tone.BAD] if r.unconfirmed and _WRITTEN in (r.durability, r.here_durability)]
    stuck = bool(waiting) and free is not None and waiting_bytes(rows) > free
    if of[Tone.BAD] or stuck:
        unsaved, named = sum(r.unsaved for r in of[Tone.BAD]), [text for r in of[Tone.BAD] for text in r.named]
        parts = [f"{many(unsaved, 'file')} not backed up"] if unsaved else []
        parts += [f"{many(len(named), 'path')} that would not come back whole"] if named else []
        parts += [_uploading(waiting)] if waiting else []
        parts += [_untold(of[Tone.UNTOLD])] if of[Tone.UNTOLD] else []
        why = f" ({store} is full, so what is written may never arrive)" if stuck else "" if store else " (there is no store)"
        return Verdict(Tone.BAD, "NOT SAFE", f"{_listed(parts)}{why}: {_at_stake(of[Tone.BAD] + waiting + of[Tone.UNTOLD])}")
    if waiting:
        parts = [_uploading(waiting), *([_untold(of[Tone.UNTOLD])] if of[Tone.UNTOLD] else [])]
        return Verdict(Tone.UPLOADING, "UPLOADING", f"{_listed(parts)}: {_at_stake(waiting + of[Tone.UNTOLD])}")
    if of[Tone.UNTOLD]:
        files = sum(r.unconfirmed for r in of[Tone.UNTOLD])
        worst = max(r.loss_seconds for r in of[Tone.UNTOLD])
        if not files:
            return Verdict(Tone.UNTOLD, "CANNOT TELL", "everything is written; this place cannot tell whether it arrived")
        text = f"{many(files, 'file')} written, and this place cannot tell whether they arrived"
        return Verdict(Tone.UNTOLD, "CANNOT TELL", f"{text}: if none did, you would lose at most {duration(worst)} of work")
    held = [r for r in rows if r.generation or r.only_left_out]
    if store is None and any(r.here != "no" for r in rows):
        return Verdict(Tone.ATTENTION, "LOCAL ONLY", "no drive folder is given, so nobody can tell what of this is backed up")
    if not held:
        return Verdict(Tone.ATTENTION, "NOTHING HERE", "nothing is here, and nothing is in the store whole")
    where = store if store == "Drive" else "in the store"
    text = f"everything is backed up and confirmed {'on ' if store == 'Drive' else ''}{where}"
    extra = _decisions(of[Tone.ATTENTION])
    return Verdict(Tone.SAFE, "SAFE", f"{text}: {many(len(held), 'artifact')}, {size(sum(r.size for r in held))}{extra}")


def beside(verdict: Verdict, queue: Queue) -> Verdict:
    """The verdict, no better than what waits and what failed in the background."""
    if queue.errors and verdict.tone is not Tone.BAD:
        return Verdict(Tone.BAD, "NOT SAFE", f"{many(len(queue.errors), 'backup')} came to nothing (below)")
    if queue.files and verdict.tone in (Tone.PLAIN, Tone.SAFE, Tone.ATTENTION):
        text = f"{many(queue.files, 'file')} in copies that wait to be sent: keep this machine until they have arrived"
        return Verdict(Tone.UPLOADING, "UPLOADING", text)
    return verdict


def _uploading(rows: Sequence[ArtifactStatus]) -> str:
    files = sum(r.unconfirmed for r in rows)
    return f"{many(files, 'file') if files else many(len(rows), 'backup')} still uploading"


def _untold(rows: Sequence[ArtifactStatus]) -> str:
    return f"{many(sum(r.unconfirmed for r in rows) or len(rows), 'file')} that may not have arrived"


def _listed(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]


def listed(named: Sequence[str], most: int = 3) -> str:
    """The first of several lines, and how many more there are."""
    more = f"; and {len(named) - most} more" if len(named) > most else ""
    return printable("; ".join(named[:most])) + more


def _at_stake(rows: Sequence[ArtifactStatus]) -> str:
    if not any(r.unsaved or r.unconfirmed for r in rows) and any(r.named for r in rows):
        return listed([text for r in rows for text in r.named])
    if not any(r.unsaved or r.unconfirmed for r in rows):
        return "keep this machine until they have arrived"
    worst = max(max(r.unsaved_seconds if r.unsaved else 0.0, r.loss_seconds) for r in rows)
    return f"if this machine vanished now, you would lose at most {duration(worst)} of work"


def _decisions(rows: Sequence[ArtifactStatus]) -> str:
    counts = {
        "stale": sum(r.stale for r in rows),
        "forked": sum(bool(r.forks) for r in rows),
        "damaged": sum(bool(r.damaged) for r in rows),
        "not there whole": sum(not r.generation for r in rows),
    }
    found = [f"{number} {what}" for what, number in counts.items() if number]
    return f"; {', '.join(found)} (below)" if found else ""


def room(space: Space | None, store: str, *, waiting: int = 0) -> list[Fact]:
    """Room in the store, with a warning where it is full or nearly so."""
    if space is None:
        return []
    text = f"{size(space.free)} free of {size(space.total)}"
    if is_full(space, waiting):
        text += f": FULL, what is written may never arrive on {store}" if store == "Drive" else ": FULL"
        return [Fact("space", text, Tone.BAD)]
    return [Fact("space", f"{text}: nearly full", Tone.ATTENTION) if is_short(space) else Fact("space", text)]


def is_full(space: Space, waiting: int = 0) -> bool:
    """True where nothing more fits, or less than what waits for its upload."""
    return space.free <= 0 or waiting > space.free


def is_short(space: Space) -> bool:
    """True where little is left."""
    return space.free < min(SHORT_SHARE * space.total, SHORT_BYTES)


# -- what to do next -----------------------------------------------------------------------------------------------------


def advise(rows: Sequence[ArtifactStatus], *, store: str | None, space: Space | None, told: str = "") -> list[str]:
    """What to do next where something is not in order, most urgent first."""
    lines = []
    if store is None:
        return ["there is no store: give holdfast.attach(drive=...), --drive DIR or HOLDFAST_DRIVE"] if rows else []
    if space is not None and (is_full(space, waiting_bytes(rows)) or is_short(space)):
        trash = "empty its trash, which counts too, or " if store == "Drive" else ""
        lines.append(f"free room on {store}: {trash}delete what is not needed")
    lines += _each(
        [r for r in rows if tone(r) is Tone.BAD and r.unsaved],
        lambda path: f"not backed up: `holdfast backup {path}`",
    )
    if any(r.refused for r in rows):
        lines.append(
            "not kept: in config/paths.yaml, drive.follow keeps what a link leads to, drive.accept says that it may be lost; "
            ".holdfastignore leaves it out"
        )
    if any(r.torn for r in rows):
        lines.append("torn: write it again whole (close the file, or write beside it and move it in), and back up again")
    lines += _each(
        [r for r in rows if r.stale],
        lambda path: f"stale, {store} has a newer one: `holdfast restore {path}` takes it",
    )
    lines += _each(
        [r for r in rows if r.forks],
        lambda path: f"forked, nothing is lost: `holdfast history {path}` shows the lines to choose from",
    )
    lines += _each(
        [r for r in rows if r.damaged],
        lambda path: f"damaged in the store: `holdfast verify {path}` names it, `holdfast backup {path}` replaces it if it is here",
    )
    lines += _each(
        [r for r in rows if r.debris and r.generation],
        lambda path: f"a backup did not arrive whole, and the one before it serves: `holdfast history {path}`",
    )
    lines += _each(
        [r for r in rows if not r.generation and tone(r) not in (Tone.BAD, Tone.SAFE)],
        lambda path: f"neither here nor whole in the store: make it again, or see `holdfast history {path}`",
    )
    if any(tone(r) is Tone.UPLOADING for r in rows):
        lines.append("uploading: keep this machine until status says SAFE; keep.confirm(wait=600) waits for it")
    if any(tone(r) is Tone.UNTOLD for r in rows):
        lines.append(f"cannot tell: {told or (DRIVE.told if store == 'Drive' else OTHER.told)}")
    return lines


def _each(rows: Sequence[ArtifactStatus], say: Callable[[str], str]) -> list[str]:
    """One line for each artifact, up to `MOST_ADVICE`, with the path as a shell takes it."""
    import shlex

    lines = [f"{r.key}: {say(shlex.quote(str(r.key)))}" for r in rows[:MOST_ADVICE]]
    left = len(rows) - MOST_ADVICE
    return [*lines, f"the same for {many(left, 'more artifact')}"] if left > 0 else lines
