"""The few words of HTML that the page is made of. Whatever comes from a file, a setting or a machine passes `safe`. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

#: Up to what joins parts of a name, or so many characters.
_PIECES = re.compile(r"[^\s_./-]{1,15}[\s_./-]*|[\s_./-]+")


def safe(text: object) -> str:
    """Text as HTML; what cannot be shown is a question mark in a box."""
    return html.escape(_CONTROL.sub("\ufffd", str(text)))


def breakable(text: object) -> str:
    """A name that may be broken where it is long: behind what joins its parts, and anywhere in a part that has no end."""
    return "<wbr>".join(safe(piece) for piece in _PIECES.findall(_CONTROL.sub("\ufffd", str(text))))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1, caption: str = "") -> str:
    """A table that scrolls by itself where it is too wide.

    Args:
        heads: Titles of the columns, as text.
        rows: Cells, as HTML.
        words: So many columns at the left are words, the others are numbers.
        caption: For who hears it; as text.
    """
    kinds = ["" if n < words else ' class="n"' for n in range(len(heads))]
    head = "".join(f'<th scope="col"{kind}>{breakable(text)}</th>' for kind, text in zip(kinds, heads, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>" for row in rows
    )
    said = f"<caption>{safe(caption)}</caption>" if caption else ""
    label = safe(caption or heads[0])
    inside = f"<table>{said}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide" tabindex="0" role="region" aria-label="{label}">{inside}</div>'


def section(anchor: str, title: str, *parts: str) -> str:
    """A part of the page with a heading; empty where there is nothing in it."""
    inside = "".join(p for p in parts if p)
    return f'<section id="{anchor}"><h2>{safe(title)}</h2>{inside}</section>' if inside else ""


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f"<p{f' class={kind}' if kind else ''}>{safe(text)}</p>" if text else ""


def figure(picture: str, text: str) -> str:
    """A picture with what it shows."""
    return f"<figure>{picture}<figcaption>{safe(text)}</figcaption></figure>" if picture else ""


def figures(*parts: str) -> str:
    """Pictures beside each other where there is room."""
    inside = "".join(parts)
    return f'<div class="figures">{inside}</div>' if inside else ""


def columns(*parts: str) -> str:
    """Small tables beside each other where there is room."""
    inside = "".join(parts)
    return f'<div class="columns">{inside}</div>' if inside else ""


def folded(title: str, inside: str) -> str:
    """What is shown when somebody asks for it."""
    return f"<details><summary>{safe(title)}</summary>{inside}</details>" if inside else ""
