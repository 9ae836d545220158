"""A notebook shows what is safe: in both themes, at any width, whatever a name holds."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.session.progress import Transfer
from holdfast.session.seeing.page import BACKGROUNDS, html
from holdfast.session.seeing.sight import Fact, Line, Sight, Tone, Verdict
from holdfast.store.format.keys import Key
from tests.seeing.browser import THEMES, dimensions, dom, page, painted, picture, wanted_width
from tests.seeing.samples import NEVER, SAFE, STATUSES, WELCOMES, status

ALL = {**STATUSES, **{f"welcome-{name}": found for name, found in WELCOMES.items()}}
HOSTILE = [
    '<script>alert("x")</script>',
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "&lt;b&gt; & <b>",
    "`<i>`",
    "a\nb\x1b[31m\u202egnp.exe",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_every_value_is_escaped(name: str) -> None:
    line = Line(name, name, name, Tone.BAD, name, name, name)
    sight = Sight(
        Verdict(Tone.BAD, name, name),
        (Fact(name, name), Fact(name, name, Tone.BAD)),
        (name,) * 6,
        (line,),
        name,
        (name, f"`{name}`"),
    )
    for content in (html(sight), Transfer(name, 1, 1)._repr_html_()):
        tags = set(re.findall(r"<\s*/?\s*([a-zA-Z]+)", content))
        assert tags <= {"div", "b", "span", "table", "thead", "tbody", "tr", "td", "th", "ul", "li", "code", "wbr"}
        assert all(a in ("class", "style", "colspan") for a in re.findall(r"<[^>]*?\s([a-z]+)=", content))
    shown = " ".join(p.text for p in painted(html(sight)))
    assert name.strip().replace("/", "") in shown.replace("/ ", "").replace("/", ""), "and it reads as it is"


def test_a_hostile_artifact_is_escaped_from_end_to_end() -> None:
    content = status(replace(NEVER, key=Key("outputs/<script>alert(1)<")), root="/content/<b>", place="/x/<i>")._repr_html_()
    assert "<script" not in content
    assert "<i>" not in content
    assert "&lt;script&gt;" in content


@pytest.mark.parametrize("shown", ALL, ids=str)
def test_the_output_is_self_contained(shown: str) -> None:
    content = ALL[shown]._repr_html_()
    for word in ("<script", "<link", "<style", "src=", "href=", "url(", "http", "@import"):
        assert word not in content


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("shown", ALL, ids=str)
def test_every_text_has_contrast_in_both_themes(shown: str, theme: str) -> None:
    for text in painted(page(ALL[shown]._repr_html_(), theme)):
        assert text.contrast >= 4.5, text


def test_a_bar_has_contrast_in_both_themes() -> None:
    for theme in THEMES:
        assert all(t.contrast >= 4.5 for t in painted(page(Transfer("restoring x", 3, 10, 5, 1, 2.0)._repr_html_(), theme)))


def test_tones_are_told_apart_without_colour() -> None:
    assert len({t.symbol for t in Tone}) == len({t.plain_symbol for t in Tone}) == len(set(BACKGROUNDS.values())) == len(Tone)


def test_a_browser_shows_every_verdict_and_its_picture(tmp_path: Path) -> None:
    """All of them on one page for each theme, because starting a browser takes a second."""
    for theme in THEMES:
        content = page("".join(found._repr_html_() for found in ALL.values()), theme)
        laid_out = dom(tmp_path, content)
        words = " ".join(t.text for t in painted(laid_out))
        for found in ALL.values():
            verdict = found.sight.verdict
            assert verdict.title in words
            assert verdict.text in words
            assert verdict.tone.symbol in words
        image = picture(tmp_path, content, theme, width=1000, height=900)
        assert dimensions(image) == (1000, 900)
        assert image.stat().st_size > 20_000, "an empty page is smaller"


@pytest.mark.parametrize("width", [700, 1000])
def test_nothing_is_cut_off_at_the_width_of_a_notebook(tmp_path: Path, width: int) -> None:
    long = status(*(replace(r, key=Key(f"{r.key}/with/a/long/path/that/goes/on/checkpoint-1200")) for r in (SAFE, NEVER)))
    content = page("".join(found._repr_html_() for found in (*ALL.values(), long)), "light")
    assert wanted_width(dom(tmp_path, content, width)) <= width
