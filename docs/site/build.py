"""Builds the documentation as a site, offline: `python docs/site/build.py`. A link that leads nowhere is an error."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
PAGES = REPOSITORY / "build" / "docs" / "pages"
COPIED = (
    "*.md",
    "docs/*.md",
    "docs/site/*.md",
    "docs/images/*",
    "benchmarks/*.md",
    "benchmarks/*.svg",
    "benchmarks/*.png",
    "findings/README.md",
)
#: A link to what is no page of the site: the source, a test, an example.
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)")


def main() -> int:
    """Copy the pages as they lie, and build."""
    shutil.rmtree(PAGES.parent, ignore_errors=True)
    for pattern in COPIED:
        for place in sorted(REPOSITORY.glob(pattern)):
            target = PAGES / place.relative_to(REPOSITORY)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place, target)
    for place in PAGES.rglob("*.md"):
        place.write_text(LINK.sub(functools.partial(_link, place), place.read_text(encoding="utf-8")), encoding="utf-8")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-f", str(HERE / "mkdocs.yml")]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=REPOSITORY, check=False, env=quiet).returncode


def _link(page: Path, link: re.Match[str]) -> str:
    """The same link; of one to a file of the repository that is no page, its words."""
    target = (page.parent / link[2]).resolve()
    beside = REPOSITORY / target.relative_to(PAGES)
    return link[1] if beside.exists() and not target.exists() else link[0]  # what is nowhere the build will say


if __name__ == "__main__":
    sys.exit(main())
