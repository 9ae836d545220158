"""The page of messages cannot rot: what it quotes is in the source, and what the source says is on the page."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.docs.messages import LOUD, TELLING, Text, every_text, fragments, logged, modules, raised, texts_of
from tests.docs.pages import text_of

PAGE = "docs/messages.md"

#: Log calls that pass on the text of an error or of a result: those texts are looked for where they are made.
PASSING_ON = {
    ("integrations/trials.py", "line"): 1,
    ("integrations/watching.py", "line"): 1,
    ("session/attach.py", "text"): 1,
    ("session/background/exit.py", "error"): 1,
    ("session/background/sender.py", "text"): 3,
    ("session/background/worker.py", "result.error"): 1,
    ("session/functions.py", "error"): 2,
    ("session/backing_up.py", "result.error"): 1,
    ("session/backing_up.py", "result.problem()"): 1,
    ("session/restoring.py", "result.error"): 1,
    ("store/deciding/choose.py", "text"): 1,
    ("store/copies/guard.py", "line"): 1,
    ("steps/bringing.py", "error.line"): 1,
    ("steps/bringing.py", "text"): 1,
}

#: Packages whose warnings and errors a person sees in a log.
_SAYING = ("session", "store", "flow", "integrations", "pipeline", "drill", "steps", "spread", "unattended", "doctor")

#: Texts of errors that no person sees as they are, by their longest fragment, with the reason.
NOT_SHOWN = {
    "given up on": "ends the source of a thread that nobody waits for",
    " does not lie below ": "a bug, and never the user's",
    " is not the code of a key": "caught where names are read",
    "no extended attributes on this system": "an absent signal",
    ": damaged": "stands in the brackets of `what was remembered of it is damaged (...)`",
    "a record names no manifest": "the same",
    "a record that names changes names no generation": "the same",
    "a record and what changed in it do not fit together": "the same",
    ", and ": "two texts that are on the page, joined",
    "; got ": "behind a text that is on the page",
    "only a part of a kind that grows is worth something, not of ": "a bug, and never the user's",
    "Python does not know where its own program lies": "stands in the brackets of `no process could be started (...)`",
    "no regular file": "an absent lease",
    "this system has no leases": "the same",
    "no such mappings here": "an absent proof",
    "it has more or less than was sent": "ends a session of an upload, and another one begins",
    "it has less than was confirmed": "the same",
    "sealed for another key, or changed": "passed over: a line for a job before this one",
    "no file resource: ": "stands for `Drive answered with something that is no file`",
    "the name is taken": "a name is written once, and the next one is taken",
}

#: A manifest's own troubles stand in the brackets of `torn or damaged manifest (...)`, those of the tar of a sparse file behind
#: `not the tar of a sparse file (...)`, for whoever looks into the file; those of a pattern behind `the pattern ...`; what a number
#: lacks behind `progress is ...`.
INSIDE = re.compile(
    r"^(store/(format/manifest_reading|format/entries|format/holes|format/sparse|format/sparse_reading|deciding/ignore)|session/numbers)\.py:"
)

#: A quote has at least so much of what is always the same in a text.
SHARE = 0.25

#: Modules of the pipeline whose errors are about keeping and restoring. The others say what is wrong with settings and data.
KEEPING = (
    "pipeline/study/storage.py",
    "flow/examination.py",
    "pipeline/runner.py",
    "flow/runner.py",
    "pipeline/stages.py",
    "pipeline/hpo.py",
    "pipeline/notebook.py",
    "pipeline/libraries.py",
    "pipeline/study/trial.py",
    "pipeline/study/trials.py",
    "pipeline/steps/model.py",
)


@cache
def quotes() -> tuple[str, ...]:
    """The messages in the first column of the page's tables, as written there."""
    found: list[str] = []
    for line in text_of(PAGE).splitlines():
        if line.startswith("| `"):
            first = line.split(" | ")[0]
            found += [a or b for a, b in re.findall(r"``(.+?)``|`([^`]+)`", first)]
    return tuple(found)


def parts(quote: str) -> list[str]:
    return [p for p in (p.strip() for p in quote.split("…")) if p]


def fits(quote: str, text: Text) -> bool:
    """Whether a quote is of this text: its parts stand in it, in their order."""
    at = iter(text.fragments)
    rest = next(at, "")
    for part in parts(quote):
        while part not in rest:
            found = next(at, None)
            if found is None:
                return False
            rest = found
        rest = rest[rest.index(part) + len(part) :]
    return True


def on_the_page(text: Text) -> bool:
    """Whether a quote is of this text, and has enough of it to tell it from others."""
    return any(len("".join(parts(q))) >= max(TELLING, SHARE * len("".join(text.fragments))) and fits(q, text) for q in quotes())


def test_there_are_as_many_messages_as_a_person_would_expect() -> None:
    assert len(quotes()) > 180
    assert len(set(quotes())) == len(quotes())


@pytest.mark.parametrize("quote", quotes())
def test_a_message_on_the_page_is_in_the_source(quote: str) -> None:
    assert any(fits(quote, text) for text in _texts()), f"{quote}: nothing says so"


@cache
def _texts() -> list[Text]:
    return every_text()


def test_every_warning_and_error_that_is_logged_is_on_the_page() -> None:
    passing: dict[tuple[str, str], int] = {}
    lacking, count = [], 0
    for where, call, function in logged(*_SAYING):
        count += 1
        texts = texts_of(where, call, function)
        if not texts:
            given = where.partition(":")[0], ast.unparse(call.args[1])
            passing[given] = passing.get(given, 0) + 1
        lacking += [f"{t.where}: {'…'.join(t.fragments)}" for t in texts if not on_the_page(t)]
    assert lacking == []
    assert passing == PASSING_ON
    assert count > 40


def test_a_log_method_that_is_handed_on_is_only_the_one_that_says_that_there_is_no_store() -> None:
    found = []
    for path, tree in modules(*_SAYING):
        called = {id(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
        named = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and ast.unparse(n) in LOUD]
        found += [path for n in named if id(n) not in called]
    assert sorted(found) == [*["session/backing_up.py"] * 2, "session/claiming.py"]
    (said,) = [tree for path, tree in modules("session") if path == "session/environment.py"]
    returned = [Text("session/environment.py", fragments(n.value)) for n in ast.walk(said) if isinstance(n, ast.Return) and n.value]
    texts = [t for t in returned if len(t.telling) >= TELLING]
    assert len(texts) == 2
    assert all(on_the_page(t) for t in texts)


def test_every_error_of_session_and_store_is_on_the_page() -> None:
    texts = [t for t in raised("session", "store", "platform.py") if t.telling not in NOT_SHOWN and not INSIDE.match(t.where)]
    assert len(texts) > 90
    assert [f"{t.where}: {'…'.join(t.fragments)}" for t in texts if not on_the_page(t)] == []


def test_every_error_of_the_pipeline_that_is_about_keeping_is_on_the_page() -> None:
    texts = [t for t in raised("flow", "pipeline") if t.where.startswith(KEEPING) and t.telling not in NOT_SHOWN]
    assert len(texts) > 15
    assert [f"{t.where}: {'…'.join(t.fragments)}" for t in texts if not on_the_page(t)] == []


def test_every_error_of_the_drill_is_on_the_page() -> None:
    texts = raised("drill")
    assert len(texts) > 6
    assert [f"{t.where}: {'…'.join(t.fragments)}" for t in texts if not on_the_page(t)] == []


def test_every_error_of_trials_on_several_machines_and_of_colab_with_nobody_there_is_on_the_page() -> None:
    texts = [t for t in raised("spread", "unattended", "cli/colab.py") if t.telling not in NOT_SHOWN]
    assert len(texts) > 20
    assert [f"{t.where}: {'…'.join(t.fragments)}" for t in texts if not on_the_page(t)] == []


def test_every_error_of_steps_and_of_trainings_and_studies_of_ones_own_is_on_the_page() -> None:
    texts = [t for t in raised("steps", "integrations") if t.telling not in NOT_SHOWN]
    assert len(texts) > 100
    assert [f"{t.where}: {'…'.join(t.fragments)}" for t in texts if not on_the_page(t)] == []


def test_what_is_left_out_is_still_there_to_be_left_out() -> None:
    folders = ("session", "store", "flow", "pipeline", "platform.py", "unattended", "spread", "steps", "integrations")
    there = {t.telling for t in raised(*folders)}
    assert sorted(NOT_SHOWN.keys() - there) == []
