"""The documentation as a site: built with warnings as errors, and every link inside it leads somewhere."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.pages import REPOSITORY
from tests.once import once

SITE = REPOSITORY / "build" / "docs" / "site"


class Page(HTMLParser):
    """What a page links to, and the anchors that it has."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()
        self.feed(place.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value for name, value in attrs if value is not None}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in ("script", "img", "link") and found.get("rel") != "canonical":
            self.fetched += [found[name] for name in ("src", "href") if name in found]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    """Every page of the site, built anew: once in a run, because all build it in one place."""

    def build(_: Path) -> None:
        built = subprocess.run([sys.executable, "docs/site/build.py"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stdout + built.stderr

    once(tmp_path_factory, "site", build)
    return {place: Page(place) for place in SITE.rglob("*.html") if place.name != "404.html"}


def test_every_link_inside_the_site_leads_somewhere(site: dict[Path, Page]) -> None:
    nowhere = []
    for place, page in site.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (place.parent / unquote(parts.path)).resolve() if parts.path else place
            target = target / "index.html" if target.is_dir() else target
            there = target.is_file() and (
                not parts.fragment or target not in site or unquote(parts.fragment) in site[target].anchors
            )
            if not there and parts.fragment != "__skip":
                nowhere.append(f"{place.relative_to(SITE)}: {link}")
    assert nowhere == []


def test_the_site_fetches_nothing_from_elsewhere(site: dict[Path, Page]) -> None:
    assert [link for page in site.values() for link in page.fetched if urlsplit(link).netloc] == []


def test_the_reference_has_every_verb_of_a_keeper(site: dict[Path, Page]) -> None:
    anchors = site[SITE / "docs" / "site" / "api.html"].anchors
    verbs = ("ensure", "backup", "restore", "status", "flush", "finish", "drop", "claim", "verify", "prune", "history")
    assert {f"holdfast.keeper.Keeper.{verb}" for verb in verbs} <= anchors
