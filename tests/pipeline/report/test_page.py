"""The page as a browser shows it: to read on a phone and at a desk, in light and dark, asking nobody for anything."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from holdfast.pipeline.report.framed import MOST, Framed
from holdfast.pipeline.report.markdown import _study as markdown_study
from holdfast.pipeline.report.page import page
from tests.pipeline.report.browser import contrast, look
from tests.pipeline.report.samples import HOSTILE, folded, just_begun, long_run, trials


@pytest.fixture(scope="module")
def long() -> str:
    return page(long_run())


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_can_be_read_fits_and_asks_for_nothing(long: str, tmp_path: Path, width: int, dark: bool) -> None:
    seen = look(tmp_path, long, width=width, dark=dark)
    assert seen.told["dark"] is dark
    assert (seen.told["view"], seen.told["wide"]) == (width, width)
    assert seen.told["pictures"] >= 8
    assert (seen.told["images"], seen.told["handlers"]) == (0, 0)
    assert len(seen.texts) > 10
    pale = [(text, ink, paper) for ink, paper, large, text in seen.texts if contrast(ink, paper) < (3.0 if large else 4.5)]
    assert not pale
    assert not seen.requests
    assert not seen.console


def test_what_the_browser_is_asked_would_notice(tmp_path: Path) -> None:
    """A request, an error and grey letters are seen where there are some."""
    bad = '<p style="color:#aaaaaa">pale</p><img src="http://192.0.2.1/x.png"><script>undefined.x</script>'
    seen = look(tmp_path, bad, width=360, dark=False)
    assert seen.requests == ("http://192.0.2.1/x.png",)
    assert any("Cannot read properties" in line for line in seen.console)
    assert [text for ink, paper, _, text in seen.texts if contrast(ink, paper) < 4.5] == ["pale"]


def test_a_study_of_a_thousand_trials_makes_a_page_of_5_mib_at_most(long: str) -> None:
    assert len(long.encode()) <= 5 << 20
    assert long.count("<circle") > 700


def test_everything_that_the_run_says_of_itself_is_on_it(long: str) -> None:
    for part in (
        "What was made, and from what",
        "Study of large",
        "What decides the score",
        "Latency against quality",
        "Scores on test",
        "0.840\N{EN DASH}0.910",
        "Learning curves of the final training",
        "Confusion",
        "Errors by kind",
        "boundary: 12",
        "type: ",
        "missed: ",
        "invented: ",
        "fp32 against int8",
        "The int8 model is not kept: it loses 0.8800 of entity F1, and may lose 0.02",
        "3 of 60 test documents are also in the training data",
        "hpo/large: 6 sessions, 4 disconnects.",
        "went on 28 min after it; about 5 min of work at most was done again",
        "What is safe where",
    ):
        assert part in long, part


class _Names(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attributes}


def test_scores_of_folds_stand_beside_their_mean_on_the_page_and_in_the_markdown(long: str) -> None:
    best = max((t for t in folded(trials(1000)[:5]) if t.value is not None), key=lambda t: t.value or 0.0)
    mean = f"{best.value:.4f} \N{PLUS-MINUS SIGN} 0.0100"
    section = long[long.index("Study of folded") :]
    assert "Each score is the mean of 3 folds, with its standard deviation." in section
    assert f"Best: trial {best.number} with {mean}" in section
    assert all(f"{score:.4f}" in section[section.index("best trials") :] for score in best.folds)
    assert "Mean of the folds so far" in section
    summary = {"trials": 5, "states": {"COMPLETE": 5}, "best_value": 0.5, "best_trial": 2}
    line = markdown_study("folded", {**summary, "best_folds": [0.4, 0.6], "best_deviation": 0.1414})
    assert line.endswith("best 0.5000 (trial 2); mean of 2 folds, standard deviation 0.1414: 0.4000, 0.6000")
    assert markdown_study("plain", summary).endswith("best 0.5000 (trial 2)")


def test_nothing_from_a_file_becomes_a_part_of_it(long: str) -> None:
    names = _Names()
    names.feed(long)
    assert not names.tags & {"img", "script", "iframe", "object"}
    assert not {name for name in names.names if name.startswith("on")}
    assert HOSTILE[:20] not in long
    long.encode()  # a half character would have no bytes


def test_of_a_run_that_has_just_begun_it_says_so() -> None:
    begun = page(just_begun())
    assert "This run is not over" in begun
    assert "Study of" not in begun
    assert "Scores on test" not in begun


def test_in_a_notebook_it_is_in_a_frame_where_no_script_runs_and_a_huge_one_is_named_only(long: str) -> None:
    shown = Framed(long, Path("outputs/report/report.html"))._repr_html_()
    assert shown.startswith("<iframe sandbox ")
    assert "<script" not in shown
    assert "<h1" not in shown
    assert (
        "download <code>outputs/report/report.html</code>"
        in Framed("x" * (MOST + 1), Path("outputs/report/report.html"))._repr_html_()
    )
