"""Charts as SVG: points, steps and lines over two axes, in colours that the page's own sheet gives. Pure.

Texts stand in the picture as text, so they can be read out and searched; numbers are rounded, so that a thousand points stay small.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

#: A picture is so wide and high in its own units; a phone shows it at about four fifths of that.
WIDTH, HEIGHT = 400, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 10, 40


@dataclass(frozen=True)
class Axis:
    """One axis.

    Args:
        title: What it shows.
        low: Smallest value.
        high: Largest value.
        by_magnitude: On a logarithmic scale.
        whole: Only whole numbers are told.
        names: Of values 0, 1, 2, … where they are no numbers.
    """

    title: str
    low: float
    high: float
    by_magnitude: bool = False
    whole: bool = False
    names: tuple[str, ...] = ()

    def share(self, value: float) -> float:
        """Where a value stands, from 0 to 1."""
        low, high, at = self.low, self.high, value
        if self.by_magnitude:
            low, high, at = math.log10(low), math.log10(high), math.log10(value)
        return 0.5 if high <= low else min(max((at - low) / (high - low), 0.0), 1.0)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Where a number stands, and how it is written."""
        if self.names:
            each = max(1, math.ceil(len(self.names) / 6))
            return [(float(n), _short(name)) for n, name in enumerate(self.names) if n % each == 0]
        if self.by_magnitude:
            least, most = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            found = [(10.0**p, f"1e{p}") for p in range(least, most + 1, max(1, math.ceil((most - least) / 5)))]
            inside = [t for t in found if self.low <= t[0] <= self.high]
            return inside if len(inside) > 1 else [(self.low, f"{self.low:.2g}"), (self.high, f"{self.high:.2g}")]
        step = _step((self.high - self.low) / 4)
        step = max(1.0, step) if self.whole else step
        places = max(0, -math.floor(math.log10(step))) if step < 1 else 0
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [(n * step, f"{n * step:,.{places}f}") for n in range(first, last + 1)]


def axis(title: str, values: Sequence[float], *, by_magnitude: bool = False, whole: bool = False) -> Axis:
    """An axis on which all of these values are seen, with a little room beside them.

    Args:
        title: What it shows.
        values: At least one.
        by_magnitude: On a logarithmic scale, where all of them are above zero.
        whole: They are counted.
    """
    low, high = min(values), max(values)
    if by_magnitude and low > 0:
        return Axis(title, low / 1.2, high * 1.2, by_magnitude=True)
    room = (high - low) * 0.05 or abs(high) * 0.05 or 0.5
    if whole:
        beside = max((high - low) * 0.03, 0.1)
        return Axis(title, low - beside, high + beside, whole=True)
    return Axis(title, low - room, high + room)


@dataclass(frozen=True)
class Points:
    """Points, each with a text that is shown where a pointer rests on it."""

    at: Sequence[tuple[float, float]]
    texts: Sequence[str] = ()
    kind: str = "points"


@dataclass(frozen=True)
class Path:
    """A line from point to point; as steps where a value holds until the next."""

    at: Sequence[tuple[float, float]]
    kind: str = "line"
    steps: bool = False


def chart(title: str, x: Axis, y: Axis, layers: Sequence[Points | Path]) -> str:
    """A picture. Its title is for who hears it."""
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">']
    for value, text in y.ticks:
        at = _y(y, value)
        parts.append(f'<path class="grid" d="M{_LEFT} {at}H{WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at}" dy="4" text-anchor="end">{html.escape(text)}</text>')
    for value, text in x.ticks:
        at = _x(x, value)
        parts.append(f'<path class="grid" d="M{at} {HEIGHT - _BOTTOM}v4"/>')
        parts.append(f'<text x="{at}" y="{HEIGHT - _BOTTOM + 16}" text-anchor="middle">{html.escape(text)}</text>')
    middle = (_LEFT + WIDTH - _RIGHT) // 2
    parts.append(f'<text class="axis" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{html.escape(_short(x.title, 48))}</text>')
    upright = (HEIGHT - _BOTTOM + _TOP) // 2
    turned = f'transform="rotate(-90 12 {upright})"'
    parts.append(f'<text class="axis" x="12" y="{upright}" {turned} text-anchor="middle">{html.escape(_short(y.title, 28))}</text>')
    parts += [_drawn(layer, x, y) for layer in layers]
    return "".join([*parts, "</svg>"])


def _drawn(layer: Points | Path, x: Axis, y: Axis) -> str:
    places = [(_x(x, a), _y(y, b)) for a, b in layer.at]
    if not places:
        return ""
    if isinstance(layer, Path):
        (a, b), rest = places[0], places[1:]
        line = "".join(f"H{p}V{q}" if layer.steps else f"L{p} {q}" for p, q in rest)
        return f'<path class="{layer.kind}" d="M{a} {b}{line}"/>'
    if not layer.texts:
        return f'<path class="{layer.kind}" d="{"".join(f"M{p} {q}h0" for p, q in places)}"/>'
    return (
        f'<g class="{layer.kind}">'
        + "".join(
            f'<circle cx="{p}" cy="{q}" r="3"><title>{html.escape(text)}</title></circle>'
            for (p, q), text in zip(places, layer.texts, strict=True)
        )
        + "</g>"
    )


def interval(low: float, value: float, high: float) -> str:
    """A score from 0 to 1 with its interval, as a small bar."""
    a, b, c = (round(200 * min(max(v, 0.0), 1.0), 1) for v in (low, value, high))
    words = f"{value:.3f}, between {low:.3f} and {high:.3f}"
    return (
        f'<svg class="span" viewBox="-4 0 208 14" role="img" aria-label="{words}"><path class="grid" d="M0 7H200"/>'
        f'<path class="range" d="M{a} 7H{c}"/><circle class="at" cx="{b}" cy="7" r="4"/></svg>'
    )


def _x(axis: Axis, value: float) -> float:
    return _plain(_LEFT + axis.share(value) * (WIDTH - _LEFT - _RIGHT))


def _y(axis: Axis, value: float) -> float:
    return _plain(HEIGHT - _BOTTOM - axis.share(value) * (HEIGHT - _BOTTOM - _TOP))


def _plain(value: float) -> float:
    rounded = round(value, 1)
    return int(rounded) if rounded == int(rounded) else rounded


def _step(wanted: float) -> float:
    """1, 2 or 5 times a power of ten, at least so much."""
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= wanted * 0.999)


def _short(text: str, longest: int = 10) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
