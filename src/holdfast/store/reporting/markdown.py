"""Markdown that is made by code, wrapped as the pages are that people write."""

from __future__ import annotations

import re
import textwrap

_COLUMNS = 100
_LIST = re.compile(r"\s*(?:[-*+]|\d+\.)\s+")
_AS_IT_IS = ("|", "#", "!", "<", "    ")


def wrapped(page: str) -> str:
    """The page with paragraphs and list items of at most 100 columns; tables, headings and blocks stay as they are."""
    lines: list[str] = []
    paragraph: list[str] = []
    fenced = False

    def flush() -> None:
        if paragraph:
            item = _LIST.match(paragraph[0])
            indent = " " * len(item[0]) if item else ""
            text = " ".join(line.strip() for line in paragraph)
            lines.extend(textwrap.wrap(text, _COLUMNS, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False))
            paragraph.clear()

    for line in page.split("\n"):
        is_fence = line.startswith("```")
        if is_fence or fenced or not line.strip() or line.startswith(_AS_IT_IS):
            flush()
            fenced ^= is_fence
            lines.append(line)
            continue
        if _LIST.match(line):
            flush()
        paragraph.append(line)
    flush()
    return "\n".join(lines)
