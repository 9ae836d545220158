"""The first screen of a session: where this is, what is here, what will come back. Words are decided here, and shown elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.session.finding.overview import Counted, Overview
from holdfast.session.seeing import page, terminal
from holdfast.session.seeing.sight import Fact, Sight, Tone, Verdict
from holdfast.session.seeing.verdict import is_full, is_short, room
from holdfast.store.backends.backend import Space
from holdfast.store.looking.view import Presence
from holdfast.store.reporting.amounts import many, size

#: So many artifacts are named one by one.
MOST_NAMED = 3


@dataclass(frozen=True, repr=False)
class Welcome:
    """What `keep.welcome()` gives: shows itself in a notebook, and as text where it is printed.

    Args:
        found: What there is; None where it could not be told.
        root: The project folder.
        environment: What machine this is, in words.
        place: Where the store is, None where there is none.
        on_drive: The store lies below the place where Drive is mounted.
        space: Room there, None where it is not known.
        problem: Why it could not be told, in one line.
    """

    found: Overview | None
    root: str
    environment: str
    place: str | None
    on_drive: bool
    space: Space | None = None
    problem: str = ""

    @property
    def sight(self) -> Sight:
        """The same in words."""
        store = "Drive" if self.on_drive else "the store"
        facts = [Fact("project", f"{self.root} ({self.environment})")]
        if self.found is None:
            facts.append(Fact("store", self.place or "none"))
            return Sight(
                _unread(store, self.problem), tuple(facts), advice=("`holdfast doctor` says what is wrong and what to do",)
            )
        facts.append(Fact("store", _place(self.found, self.place)))
        facts.append(Fact("here", _here(self.found)))
        if self.found.presence is not None:
            facts.append(Fact("on Drive" if self.on_drive else "in the store", _stored(self.found)))
        facts += room(self.space, store)
        return Sight(_verdict(self.found, store), tuple(facts), advice=tuple(_advice(self.found, store, self.space)))

    def __repr__(self) -> str:
        return terminal.text(self.sight)

    def _repr_html_(self) -> str:
        return page.html(self.sight)


def _unread(store: str, problem: str) -> Verdict:
    text = f"{store} cannot be read now: {problem}. While that is so nothing counts as absent, and no backup is lost by it"
    return Verdict(Tone.BAD, "NOT READABLE", text)


def _place(found: Overview, place: str | None) -> str:
    if place is None:
        return "none: work is kept on this machine only"
    return place if found.presence is Presence.STORE else f"no store yet: a new one will be created at {place} by the first backup"


def _here(found: Overview) -> str:
    parts = [f"{many(found.here, 'artifact')}{f', {found.part} of them in part' if found.part else ''}"] if found.here else []
    parts += [f"{many(found.loose, 'path')} never backed up"] if found.loose else []
    return "; ".join(parts) or "nothing yet"


def _stored(found: Overview) -> str:
    return many(found.stored, "artifact") if found.stored else "nothing yet"


def _verdict(found: Overview, store: str) -> Verdict:
    if found.presence is None:
        return Verdict(Tone.ATTENTION, "LOCAL ONLY", "no drive folder is given, so nothing is backed up and nothing comes back")
    if not found.stored:
        return Verdict(Tone.PLAIN, "READY", "nothing is backed up yet; from the first backup on, it comes back after a disconnect")
    if found.broken:
        text = f"of {many(len(found.broken), 'artifact')} nothing whole has arrived on {store}"
        return Verdict(Tone.ATTENTION, "WELCOME BACK", f"{_what_happens(found)}; {text}")
    return Verdict(Tone.ATTENTION if found.loose else Tone.SAFE, "WELCOME BACK", _what_happens(found))


def _what_happens(found: Overview) -> str:
    parts = []
    if found.coming:
        least = "at least " if found.unread else ""
        parts.append(f"{many(found.coming, 'artifact')} will come back when needed ({least}{size(found.coming_bytes)})")
    else:
        parts.append("everything that was backed up is here")
    parts += _goes_on([c for c in found.counted if c.is_study], "study", "studies", "from trial")
    parts += _goes_on([c for c in found.counted if not c.is_study], "artifact", "artifacts", "from")
    return "; ".join([*parts, "nothing is trained twice"])


def _goes_on(counted: list[Counted], one: str, more: str, word: str) -> list[str]:
    """Whatever is counted in whole numbers goes on; a fraction marks what is finished."""
    open_ = [c for c in counted if c.progress > 0 and c.progress == int(c.progress)]
    if not open_:
        return []
    at = ", ".join(f"{int(c.progress)}" for c in open_[:MOST_NAMED]) + (", ..." if len(open_) > MOST_NAMED else "")
    return [f"{len(open_)} {one} goes on {word} {at}" if len(open_) == 1 else f"{len(open_)} {more} go on {word} {at}"]


def _advice(found: Overview, store: str, space: Space | None) -> list[str]:
    lines = []
    if space is not None and (is_full(space) or is_short(space)):
        lines.append(f"free room on {store}: empty its trash, which counts too, or delete what is not needed")
    if found.presence is None:
        lines.append("to keep work safe: holdfast.attach(drive=...), --drive DIR or HOLDFAST_DRIVE")
    elif found.loose:
        lines.append("`holdfast status` lists what is not backed up")
    lines += [f"{k}: nothing whole is in the store; it is made again where it is needed" for k in found.broken[:MOST_NAMED]]
    return lines
