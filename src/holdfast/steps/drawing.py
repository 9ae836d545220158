"""A graph of steps as SVG: boxes from left to right, a line from each to those that build on it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from holdfast.session.seeing.page import BACKGROUNDS, INK
from holdfast.session.seeing.sight import Tone

_WIDE, _HIGH, _APART, _BETWEEN, _EDGE = 190, 44, 50, 16, 8
#: So many letters fit into a box.
_LETTERS = 24

_TONES = {"NOTHING": Tone.SAFE, "FETCH": Tone.UPLOADING, "UNNEEDED": Tone.UNTOLD, "REFUSED": Tone.BAD}


def svg(boxes: Sequence[tuple[str, str, str, Sequence[str]]]) -> str:
    """The picture.

    Args:
        boxes: Name, words below it, state, and the names that it builds on; each after those.
    """
    column = columns({name: before for name, _, _, before in boxes})
    row: dict[int, int] = {}
    places: dict[str, tuple[int, int]] = {}
    for name, *_ in boxes:
        at = column[name]
        row[at] = row.get(at, -1) + 1
        places[name] = (_EDGE + at * (_WIDE + _APART), _EDGE + row[at] * (_HIGH + _BETWEEN))
    width = max((x for x, _ in places.values()), default=0) + _WIDE + _EDGE
    height = max((y for _, y in places.values()), default=0) + _HIGH + _EDGE
    lines = [_line(places[b], places[name]) for name, _, _, before in boxes for b in before if b in places]
    drawn = [_box(places[name], name, words, state) for name, words, state, _ in boxes]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="the steps" font-family="system-ui,sans-serif" font-size="13">{"".join(lines)}{"".join(drawn)}</svg>'
    )


def columns(before: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """How many steps at most lie before each, in a row. A step that is not there, or comes later, is none."""
    found: dict[str, int] = {}
    for name, others in before.items():
        found[name] = max((found[o] + 1 for o in others if o in found), default=0)
    return found


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    x, y, to_x, to_y = start[0] + _WIDE, start[1] + _HIGH // 2, end[0], end[1] + _HIGH // 2
    middle = (x + to_x) // 2
    return f'<path d="M{x} {y} C{middle} {y} {middle} {to_y} {to_x} {to_y}" fill="none" stroke="#808080" stroke-width="1.5"/>'


def _box(place: tuple[int, int], name: str, words: str, state: str) -> str:
    x, y = place
    shown = name if len(name) <= _LETTERS else name[: _LETTERS - 1] + "…"
    fill = BACKGROUNDS[_TONES.get(state, Tone.PLAIN)]
    return (
        f'<g><title>{escape(name)}</title><rect x="{x}" y="{y}" width="{_WIDE}" height="{_HIGH}" rx="6" fill="{fill}"/>'
        f'<text x="{x + 10}" y="{y + 18}" fill="{INK}" font-weight="600">{escape(shown)}</text>'
        f'<text x="{x + 10}" y="{y + 35}" fill="{INK}" font-size="12">{escape(words)}</text></g>'
    )
