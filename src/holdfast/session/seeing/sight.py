"""What is to be shown, as plain data: a verdict, facts, a table, and what to do next."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypedDict


class Tone(enum.Enum):
    """How good something is. Each has a symbol, so that it is told apart without colour too. From best to worst."""

    PLAIN = "PLAIN"  #: neither good nor bad
    SAFE = "SAFE"  #: known to be safe
    ATTENTION = "ATTENTION"  #: safe, and somebody should look
    UNTOLD = "UNTOLD"  #: nobody can tell whether it is safe
    UPLOADING = "UPLOADING"  #: known not to be safe yet, and on its way
    BAD = "BAD"  #: not safe, and nothing makes it so by itself

    @property
    def symbol(self) -> str:
        """One character that says the same."""
        return _SYMBOLS[self]

    @property
    def plain_symbol(self) -> str:
        """The same where only ASCII can be written."""
        return _ASCII[self]

    @property
    def rank(self) -> int:
        """The worse, the higher."""
        return list(Tone).index(self)


#: Nothing is lost with these, so their loss is not stressed.
QUIET = frozenset({Tone.PLAIN, Tone.SAFE, Tone.ATTENTION})

_SYMBOLS = {
    Tone.PLAIN: "\N{MIDDLE DOT}",
    Tone.SAFE: "\N{HEAVY CHECK MARK}",
    Tone.ATTENTION: "!",
    Tone.UNTOLD: "?",
    Tone.UPLOADING: "\N{UPWARDS ARROW}",
    Tone.BAD: "\N{HEAVY BALLOT X}",
}
_ASCII = {
    Tone.PLAIN: "-",
    Tone.SAFE: "+",
    Tone.ATTENTION: "!",
    Tone.UNTOLD: "?",
    Tone.UPLOADING: "^",
    Tone.BAD: "X",
}


@dataclass(frozen=True)
class Verdict:
    """The one line that is read first. The title says it all; the text says why."""

    tone: Tone
    title: str
    text: str


@dataclass(frozen=True)
class Fact:
    """One line of what is so."""

    name: str
    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True)
class Line:
    """One artifact in a table.

    Args:
        path: Its key.
        here: `yes`, `part` or `no`.
        held: Its newest generation, and how large that is.
        tone: How good `safe` is.
        safe: Whether it is safe, in a word or two.
        age: How long ago its newest generation was written.
        loss: What would be lost now.
    """

    path: str
    here: str
    held: str
    tone: Tone
    safe: str
    age: str
    loss: str


@dataclass(frozen=True)
class Sight:
    """All that is shown.

    Args:
        verdict: Read first.
        facts: One line each.
        heads: The titles of the columns, in the order of `Line`; empty where there is no table.
        lines: The table, worst first.
        folded: What the table leaves out, in words; empty where it leaves out nothing.
        advice: What to do next, one line each.
    """

    verdict: Verdict
    facts: tuple[Fact, ...] = ()
    heads: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    folded: str = ""
    advice: tuple[str, ...] = ()


class Where(TypedDict):
    """Where this is: the project folder, the machine in words, the store (None where there is none), and whether it is Drive."""

    root: str
    environment: str
    place: str | None
    on_drive: bool
