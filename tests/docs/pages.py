"""The pages of the documentation, taken apart: fenced blocks with their lines and markers, headings as anchors, links."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

RUNNABLE = ("python", "sh")

_FENCE = re.compile(r"^( *)```(\w*)\s*$")
#: Stands alone on the line above a block that cannot run here: how much of it is checked, and why.
_MARKER = re.compile(r"^<!-- (checked, not run|not run): (.+) -->$")
_HEADING = re.compile(r"^#{1,6} (.+?)\s*$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        page: Its page, from the repository.
        line: Number of its first line of code.
        language: What stands behind the fence; may be empty.
        text: The code.
        marker: `checked, not run` or `not run`; empty where it runs.
        reason: Why it does not run.
    """

    page: str
    line: int
    language: str
    text: str
    marker: str = ""
    reason: str = ""

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """README.md and every page in docs/."""
    return ["README.md", *sorted(p.relative_to(REPOSITORY).as_posix() for p in (REPOSITORY / "docs").glob("*.md"))]


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found, before = [], ""
    lines = iter(enumerate((REPOSITORY / page).read_text(encoding="utf-8").splitlines(), 1))
    for number, line in lines:
        opened = _FENCE.match(line)
        if opened:
            inside = []
            for _, inner in lines:
                if inner.strip() == "```":
                    break
                inside.append(inner.removeprefix(opened[1]))
            else:
                raise AssertionError(f"{page}:{number}: the block does not end")
            marker = _MARKER.match(before)
            found.append(Block(page, number + 1, opened[2], "\n".join(inside) + "\n", *(marker.groups() if marker else ())))
        before = line or before
    return found


def examples(page: str) -> list[Block]:
    """The blocks of a page that are to be run, those with a marker included."""
    return [b for b in blocks(page) if b.language in RUNNABLE]


def commands(block: Block, program: str = "holdfast") -> list[str]:
    """The lines of a block that call a program, `!holdfast` of a notebook included; continued lines are joined, comments go."""
    text = block.text.replace("\\\n", " ")
    lines = [line.strip().removeprefix("!").partition("  #")[0].strip() for line in text.splitlines()]
    return [line for line in lines if line.split(" ")[0] == program]


def text_of(page: str) -> str:
    """The words of a page. Of a notebook those of its text cells."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    if not page.endswith(".ipynb"):
        return text
    return "\n\n".join("".join(c["source"]) for c in json.loads(text)["cells"] if c["cell_type"] == "markdown")


def anchors(page: str) -> set[str]:
    """What a link to a page may have behind `#`, by GitHub's rule: small letters, spaces as hyphens, other marks left out."""
    found: set[str] = set()
    fenced = False
    for line in text_of(page).splitlines():
        fenced ^= line.lstrip().startswith("```")
        heading = None if fenced else _HEADING.match(line)
        if heading:
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
            found.add(re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-"))
    return found


def links(page: str) -> list[str]:
    """What a page links to in this repository, as written."""
    text = re.sub(r"^ *```.*?^ *```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return [target for target in _LINK.findall(text) if "://" not in target]
