"""Nothing that git keeps is left out, held against git itself; and no pattern is an error or runs away."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from holdfast.store.deciding.ignore import Rules, Unread
from tests.store.deciding.asking_git import Case, left_out_by_git
from tests.store.deciding.hard_pairs import hard_cases
from tests.store.deciding.making import made

NAMED = ("alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit")


def compare(cases: Sequence[Case], folder: Path) -> tuple[int, list[str], list[str]]:
    """How many pairs, which of them we leave out and git keeps, and the reverse."""
    lost: list[str] = []
    kept: list[str] = []
    count = 0
    for case, answers in zip(cases, left_out_by_git(cases, folder), strict=True):
        rules = Rules.parse(case.file)
        for (path, is_folder), by_git in zip(case.pairs(), answers, strict=True):
            count += 1
            ours = rules.leaves_out_below(path, is_folder=is_folder)
            if ours != by_git:
                (lost if ours else kept).append(f"{case.file!r} {path!r} {'folder' if is_folder else ''}")
    return count, lost, kept


def test_nothing_that_git_keeps_is_left_out_on_hard_pairs(tmp_path: Path) -> None:
    count, lost, kept = compare(hard_cases(), tmp_path)
    assert count >= 700
    assert lost == []
    # git before 2.52 reads `a**/b` more widely than the newer ones, and what only some leave out is kept.
    assert len(kept) <= 4, kept


def test_nothing_that_git_keeps_is_left_out_on_pairs_made_by_chance(tmp_path: Path, seeded: Callable[[int], random.Random]) -> None:
    count, lost, kept = compare(made(seeded(20261128), 400), tmp_path)
    assert count >= 2000
    assert lost == []
    assert len(kept) <= count // 500, kept


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(10))
def test_nothing_that_git_keeps_is_left_out_on_many_pairs(
    tmp_path: Path, seeded: Callable[[int], random.Random], seed: int
) -> None:
    count, lost, kept = compare(made(seeded(seed), 4000), tmp_path)
    assert lost == []
    assert len(kept) <= count // 500, kept


@pytest.mark.parametrize("path", ["ab", "ax/y/b"])
def test_where_versions_of_git_differ_it_is_kept(path: str) -> None:
    """Before 2.52 `a**/b` matched both, and now neither."""
    assert not Rules.parse(b"a**/b").leaves_out(path, is_folder=False)
    assert not Rules.parse(b"*\n!a**/b").leaves_out(path, is_folder=False)


def test_every_byte_is_in_the_classes_that_git_has_it_in(tmp_path: Path) -> None:
    names = tuple(b"x%c" % byte for byte in range(1, 256) if byte != ord("/"))
    cases = [Case(b"x[[:%s:]]" % name.encode(), names) for name in NAMED]
    cases += [Case(pattern, names) for pattern in (b"x?", b"x[!a]", b"x[\x80-\xff]", b"x[ -~]", b"x[^[:print:]]", b"x*")]
    _, lost, kept = compare(cases, tmp_path)
    assert lost + kept == []


def test_a_walk_that_enters_what_is_kept_finds_the_same_as_asking_from_the_side() -> None:
    for case in [*made(random.Random(5), 200), *hard_cases()]:
        rules = Rules.parse(case.file)
        for path, is_folder in case.pairs():
            steps = [path[:at] for at, sign in enumerate(path) if sign == "/"]
            walked = any(rules.leaves_out(step, is_folder=True) for step in steps) or rules.leaves_out(path, is_folder=is_folder)
            assert rules.leaves_out_below(path, is_folder=is_folder) == walked


def test_patterns_from_the_settings_come_after_the_file() -> None:
    rules = Rules.parse(b"*.log\n", ["!best.log", "tmp/"])
    assert rules.leaves_out("a.log", is_folder=False)
    assert not rules.leaves_out("best.log", is_folder=False)
    assert rules.leaves_out("runs/tmp", is_folder=True)
    assert not rules.leaves_out("runs/tmp", is_folder=False)


def test_a_setting_of_several_lines_is_read_as_the_file_would_be() -> None:
    rules = Rules.parse(extra=["*.log\n# why\n!best.log\n"])
    assert rules.unread == ()
    assert rules.leaves_out("a.log", is_folder=False)
    assert not rules.leaves_out("best.log", is_folder=False)


@pytest.mark.parametrize(
    ("file", "any_rule"),
    [(b"", False), (b"# note\n\n \n\r\n", False), (b"/\n", False), (b"a", True), (b"!a", True), (b"\xef\xbb\xbf", False)],
)
def test_whether_there_is_any_rule(file: bytes, any_rule: bool) -> None:
    assert bool(Rules.parse(file)) == any_rule


def test_what_cannot_be_understood_is_skipped_and_told_by_line() -> None:
    file = b"*.log\n[a\n!\n/\nx\\\n[[:nope:]]\na[/]b\n# [\n\xff[\na\0b\n!best.log\n"
    rules = Rules.parse(file, ["[b", "ok"])
    assert [(line.number, line.text) for line in rules.unread] == [
        (2, "[a"),
        (3, "!"),
        (4, "/"),
        (5, "x\\"),
        (6, "[[:nope:]]"),
        (7, "a[/]b"),
        (9, "\\xff["),
        (10, "a\\x00b"),
        (0, "[b"),
    ]
    assert all(line.why and line.why.isprintable() for line in rules.unread)
    assert rules.unread[0] == Unread(2, "[a", "has a `[` without its `]`")
    assert rules.leaves_out("a.log", is_folder=False)
    assert not rules.leaves_out("best.log", is_folder=False)
    assert rules.leaves_out("ok", is_folder=False)


def test_any_bytes_are_read_without_an_error(seeded: Callable[[int], random.Random]) -> None:
    rng = seeded(7)
    signs = b"ab*?[]!^-\\/: \t\r\n\0#\xff\xc3\xa9"
    for _ in range(2000):
        rules = Rules.parse(bytes(rng.choices(signs, k=rng.randint(0, 40))), [os.fsdecode(bytes(rng.choices(signs, k=5)))])
        rules.leaves_out(os.fsdecode(bytes(rng.choices(signs, k=6))), is_folder=rng.random() < 0.5)
    assert not Rules.parse(extra=["\ud800"]).leaves_out("a\udbff", is_folder=False)


@pytest.mark.parametrize(
    ("pattern", "path", "but"),
    [
        ("*a" * 500 + "b", "a" * 3000, "b"),
        ("*" * 20_000 + "b", "a" * 3000, "b"),
        ("*?" * 500 + "b", "a" * 3000, "b"),
        ("*" + "a" * 500 + "b", "a" * 3000, "b"),
        ("*[a-y]" * 300 + "z", "a" * 3000, "z"),
        ("**/a/" * 300 + "b", "a/" * 1000, "b"),
        ("**/" * 500 + "b", "a/" * 1000, "b"),
        ("**\\/" * 300 + "b", "a/" * 1000, "b"),
        ("**/*a*a*a*a/*a*a/" * 50 + "b", "aaaaaaaa/" * 200, "b"),
        ("**/" + "*a*a*/" * 50 + "b", "aaaaaaaa/" * 200, "b"),
        ("!x**/" + "*a/" * 100 + "b", "x/" + "aa/" * 200, "b"),
    ],
)
def test_no_pattern_runs_away(pattern: str, path: str, but: str) -> None:
    """Where every way to match were tried, none of these would ever end."""
    rules = Rules.parse(pattern.encode())
    keeps = pattern.startswith("!")
    both = Rules.parse(b"*\n" + pattern.encode()) if keeps else rules
    assert both.leaves_out(path + "c", is_folder=False) == keeps
    assert both.leaves_out(path + but, is_folder=False) != keeps


@pytest.mark.parametrize(
    "pattern", [b"[" * 50_000, b"[[:" * 20_000, b"[[:" * 20_000 + b"]", b"\\" * 50_001, b"a" + b" " * 50_000 + b"\\"]
)
def test_a_long_line_is_read_once(pattern: bytes) -> None:
    assert len(Rules.parse(pattern).unread) == 1
