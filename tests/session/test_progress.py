"""Long work says how far it is; quick work says nothing."""

from __future__ import annotations

import io

from rich.console import Console

from holdfast.session.progress import Bar


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def drawn(seconds: float, *, terminal: bool = True) -> str:
    screen, clock = io.StringIO(), Clock()
    bar = Bar(clock, Console(file=screen, force_terminal=terminal, width=160))
    bar.begin("backing up", "outputs/study", files=3, size=3_000_000)
    for _ in range(3):
        clock.now += seconds / 3
        bar.advance(1_000_000)
        bar.file_done()
    bar.end()
    return screen.getvalue()


def test_what_takes_over_a_second_shows_bytes_files_and_time_left() -> None:
    text = drawn(6)
    assert "backing up outputs/study" in text
    assert "3/3 files" in text
    assert "3.0/3.0 MB" in text
    assert "0:00:00" in text


def test_quick_work_shows_nothing() -> None:
    assert drawn(0.5) == ""


def test_where_nobody_looks_nothing_is_drawn() -> None:
    assert drawn(6, terminal=False).strip() == ""
