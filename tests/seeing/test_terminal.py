"""A terminal shows the same: coloured where it has colours, plain where it is piped, and nothing cut off."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from holdfast.session.seeing import terminal
from tests.seeing.samples import STATUSES, WELCOMES

ALL = {**STATUSES, **{f"welcome-{name}": found for name, found in WELCOMES.items()}}


def shown(name: str, *, width: int = 120, tty: bool = True, encoding: str = "utf-8", **other: object) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding)
    terminal.show(ALL[name].sight, Console(file=file, width=width, force_terminal=tty, highlight=False, **other))  # type: ignore[arg-type]
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ALL)
def test_a_terminal_shows_all_of_it(name: str, width: int) -> None:
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown(name, width=width))
    assert max(map(len, text.splitlines())) <= width
    flat, sight = "".join(text.split()), ALL[name].sight
    for word in (sight.verdict.title, sight.verdict.text, sight.folded, *sight.advice, *(line.path for line in sight.lines)):
        assert "".join(word.split()) in flat
    for line in sight.lines:
        assert f"{line.tone.symbol} {line.safe}" in text


def test_paths_are_whole_at_80_columns() -> None:
    text = shown("not-safe", width=80)
    for line in STATUSES["not-safe"].sight.lines:
        assert line.path in text
        assert line.loss in text


def test_colours_are_only_where_a_terminal_has_them() -> None:
    assert "\x1b[" in shown("not-safe")
    assert "\x1b[" not in shown("not-safe", tty=False)
    assert "\x1b[31" not in shown("not-safe", no_color=True)


def test_piped_text_is_one_line_for_each_artifact_however_narrow() -> None:
    lines = shown("not-safe", width=40, tty=False).splitlines()
    assert lines[0].startswith("✘ NOT SAFE: 4 files not backed up")
    for line in STATUSES["not-safe"].sight.lines:
        (row,) = [text for text in lines if text.startswith(line.path + " ")]
        assert line.safe in row
        assert line.loss in row


@pytest.mark.parametrize("tty", [False, True])
def test_symbols_that_cannot_be_written_have_plain_ones_in_their_place(tty: bool) -> None:
    text = shown("not-safe", tty=tty, encoding="ascii")
    assert "X not backed up" in text
    assert "^ uploading" in text


def test_what_is_printed_is_the_plain_text() -> None:
    found = STATUSES["uploading"]
    assert str(found) == repr(found) == terminal.text(found.sight)
    assert "41 s" in str(found)
