"""A page in headless Chromium: what its texts look like, whether it fits, what it asks the network for, what its console says."""

from __future__ import annotations

import html
import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chromium import FLAGS, PROGRAM

_FLAGS = (*FLAGS, "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND")

#: Looks into the frame from outside, so that the page itself is as it is. A wide table scrolls by itself, the page must not.
_LOOK = """
const frame = document.getElementById("page"), seen = frame.contentWindow, page = frame.contentDocument;
for (const one of page.querySelectorAll("details")) one.open = true;
const paper = node => {
  for (let at = node; at; at = at.parentElement) {
    const colour = seen.getComputedStyle(at).backgroundColor;
    if (colour !== "rgba(0, 0, 0, 0)") return colour;
  }
  return "rgb(255, 255, 255)";
};
const texts = {}, walk = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const node = walk.currentNode.parentElement, style = seen.getComputedStyle(node);
  if (!walk.currentNode.data.trim() || node.closest("title,style,caption")) continue;
  const svg = node.ownerSVGElement !== null && node.ownerSVGElement !== undefined;
  const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && parseInt(style.fontWeight) >= 700);
  texts[JSON.stringify([svg ? style.fill : style.color, paper(node), large])] = walk.currentNode.data.trim().slice(0, 60);
}
const told = {texts: Object.entries(texts), wide: page.documentElement.scrollWidth, view: seen.innerWidth,
  dark: seen.matchMedia("(prefers-color-scheme: dark)").matches, pictures: page.querySelectorAll("svg.chart").length,
  images: page.querySelectorAll("img").length, handlers: page.querySelectorAll("[onerror]").length};
frame.remove();
document.body.dataset.told = JSON.stringify(told);
"""


@dataclass(frozen=True)
class Seen:
    """A page as Chromium shows it.

    Args:
        texts: For each pair of colours some text in them: ink, paper, whether it is large, the text.
        told: What else was seen.
        requests: Addresses that the network was asked for.
        console: What the console says.
    """

    texts: tuple[tuple[str, str, bool, str], ...]
    told: dict[str, Any]
    requests: tuple[str, ...]
    console: tuple[str, ...]


def look(folder: Path, content: str, *, width: int, dark: bool) -> Seen:
    """Show a page in a frame of this width."""
    frame = f'<iframe id="page" srcdoc="{html.escape(content)}" style="border:0;width:{width}px;height:800px"></iframe>'
    outer = folder / "outer.html"
    script = f'<script>addEventListener("load", () => {{{_LOOK}}})</script>'
    head = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">'
    outer.write_text(f"{head}<body>{frame}{script}", encoding="utf-8")
    log = folder / "network.json"
    done = _run(f"--log-net-log={log}", f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--dump-dom", outer.as_uri())
    found = re.search(r'data-told="([^"]*)"', done.stdout)
    assert found is not None, done.stderr[-2000:]
    told = json.loads(html.unescape(found[1]))
    texts = tuple((*json.loads(key), text) for key, text in told.pop("texts"))
    console = tuple(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return Seen(texts, told, _requests(log), console)


def picture(folder: Path, content: str, name: str, *, width: int, height: int, dark: bool) -> Path:
    """The page as a PNG, for people."""
    place, image = folder / f"{name}.html", folder / f"{name}.png"
    frame = f'<iframe srcdoc="{html.escape(content)}" style="border:0;width:{width}px;height:{height}px"></iframe>'
    place.write_text(f'<!doctype html><meta charset="utf-8"><body style="margin:0">{frame}', encoding="utf-8")
    theme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    _run(theme, f"--window-size={width},{height}", f"--screenshot={image}", place.as_uri())
    return image


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        done = subprocess.run(
            [PROGRAM, *_FLAGS, f"--user-data-dir={profile}", *words], capture_output=True, text=True, timeout=180, check=False
        )
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def _requests(log: Path) -> tuple[str, ...]:
    """Every address that a page asked for. What the browser asks for by itself has no page that began it."""
    found = set()
    for line in log.read_text(encoding="utf-8").splitlines():
        url, by = re.search(r'"url":"([^"]*)"', line), re.search(r'"initiator":"([^"]*)"', line)
        if url is not None and by is not None and by[1] != "not an origin":
            found.add(url[1])
    return tuple(sorted(u for u in found if not u.startswith(("file:", "data:"))))


def contrast(ink: str, paper: str) -> float:
    """As WCAG 2 counts it."""
    lighter, darker = sorted((_luminance(ink), _luminance(paper)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    found = re.fullmatch(r"rgb\((\d+), (\d+), (\d+)\)", colour)
    assert found is not None, colour
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (int(v) / 255 for v in found.groups()))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
