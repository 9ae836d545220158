"""A page as a browser shows it: headless Chromium, with a notebook's background, and what it made of the page."""

from __future__ import annotations

import re
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from tests.chromium import FLAGS, PROGRAM

#: Background and text of Colab's output in both themes.
THEMES = {"light": ("#ffffff", "#212121"), "dark": ("#383838", "#d5d5d5")}
#: Says how wide the page would like to be. The notebook's own part has no script.
_MEASURE = "<script>document.body.dataset.wants = document.documentElement.scrollWidth</script>"


def page(part: str, theme: str) -> str:
    """A page as a notebook makes one of the HTML of an output."""
    background, ink = THEMES[theme]
    style = f"background:{background};color:{ink};margin:8px;font-family:sans-serif"
    return f'<!doctype html><html><head><meta charset="utf-8"></head><body style="{style}">{part}{_MEASURE}</body></html>'


def _run(*words: str) -> str:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        done = subprocess.run(
            [PROGRAM, *FLAGS, f"--user-data-dir={profile}", *words], capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def dom(folder: Path, content: str, width: int = 1000) -> str:
    """The page after Chromium has laid it out, as HTML."""
    place = folder / "page.html"
    place.write_text(content, encoding="utf-8")
    return _run(f"--window-size={width},900", "--dump-dom", place.as_uri())


def picture(folder: Path, content: str, name: str, width: int = 1000, height: int = 640) -> Path:
    """The page as a PNG."""
    place, image = folder / f"{name}.html", folder / f"{name}.png"
    place.write_text(content, encoding="utf-8")
    _run(f"--window-size={width},{height}", f"--screenshot={image}", place.as_uri())
    return image


def dimensions(image: Path) -> tuple[int, int]:
    """Width and height of a PNG in pixels."""
    head = image.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def wanted_width(laid_out: str) -> int:
    """How wide the page would have to be to show everything."""
    found = re.search(r'data-wants="(\d+)"', laid_out)
    assert found is not None
    return int(found[1])


# -- contrast, as WCAG 2 counts it -----------------------------------------------------------------------------------------

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Painted:
    """Some text with the colours that it is shown in."""

    text: str
    ink: Colour
    background: Colour

    @property
    def contrast(self) -> float:
        lighter, darker = sorted((_luminance(self.ink), _luminance(self.background)), reverse=True)
        return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Colour) -> float:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


class _Painter(HTMLParser):
    """Follows inline colours from outside in."""

    _EMPTY = frozenset({"meta", "wbr", "br"})

    def __init__(self) -> None:
        super().__init__()
        self._stack: list[tuple[Colour, Colour]] = [((0, 0, 0), (255, 255, 255))]
        self._hidden = 0
        self.painted: list[Painted] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in self._EMPTY:
            return
        ink, background = self._stack[-1]
        for declaration in (dict(attributes).get("style") or "").split(";"):
            name, _, value = declaration.partition(":")
            if name.strip() == "color":
                ink = _over(value.strip(), ink, background)
            if name.strip() == "background":
                background = _over(value.strip(), background, background)
        self._stack.append((ink, background))
        self._hidden += tag == "script"

    def handle_endtag(self, tag: str) -> None:
        if tag not in self._EMPTY:
            self._stack.pop()
            self._hidden -= tag == "script"

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._hidden:
            self.painted.append(Painted(data.strip(), *self._stack[-1]))


def _over(value: str, kept: Colour, below: Colour) -> Colour:
    if value in ("inherit", "transparent"):
        return kept
    if value.startswith("#"):
        return (int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16))
    found = re.fullmatch(r"rgba\((\d+),(\d+),(\d+),([\d.]+)\)", value)
    assert found is not None, value
    alpha = float(found[4])
    red, green, blue = (alpha * int(c) + (1 - alpha) * b for c, b in zip(found.groups()[:3], below, strict=True))
    return (red, green, blue)


def painted(content: str) -> list[Painted]:
    """Every piece of text of a page with its colours."""
    painter = _Painter()
    painter.feed(content)
    painter.close()
    return painter.painted
