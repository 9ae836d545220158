"""What outputs were made from: one fingerprint, and a difference that people can read."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from holdfast.flow.fingerprint import differences, fingerprint
from holdfast.flow.record import Record, read_record, write_record
from holdfast.pipeline.benchmark import read_benchmark_record

NAMES = st.text("abc", min_size=1, max_size=3)
PLAIN = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text("xy", max_size=2)
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6)
MADE_FROM = st.dictionaries(NAMES, JSON, max_size=3)


@given(MADE_FROM)
def test_the_same_has_one_fingerprint_whatever_the_order(made_from: dict[str, object]) -> None:
    backwards = dict(reversed(list(made_from.items())))
    assert fingerprint(made_from) == fingerprint(backwards)
    assert differences(made_from, backwards) == []


@given(MADE_FROM, MADE_FROM)
def test_another_fingerprint_has_a_difference_and_the_same_has_none(then: dict[str, object], now: dict[str, object]) -> None:
    assert (fingerprint(then) == fingerprint(now)) == (differences(then, now) == [])


def test_a_difference_names_key_then_and_now() -> None:
    then = {"hpo": {"learning_rate": {"high": 0.01}}, "seed": 1, "labels": ("A", "B")}
    now = {"hpo": {"learning_rate": {"high": 0.02}}, "labels": ["A", "B"], "new": None}
    assert differences(then, now) == [
        "hpo.learning_rate.high: 0.01 then, 0.02 now",
        "new: not set then, null now",
        "seed: 1 then, not set now",
    ]


def test_one_and_true_and_one_point_zero_are_three_things() -> None:
    assert differences({"a": 1, "b": 1}, {"a": True, "b": 1.0}) == ["a: 1 then, true now", "b: 1 then, 1.0 now"]


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    record = Record(
        "hpo/tiny", {"seed": 1}, True, {"trials": 3, "timeout": None}, "ab", {"study.db": ""}, {"trials": 3}, {"device": "cpu"}
    )
    write_record(tmp_path / "deep" / "stage.json", record)
    assert read_record(tmp_path / "deep" / "stage.json") == record
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["stage.json"]


def test_what_is_no_record_is_none(tmp_path: Path) -> None:
    place = tmp_path / "stage.json"
    for content in (None, "", "{", "[]", "{}", '{"stage": "x"}', '{"stage": "x", "made_from": 3}'):
        if content is not None:
            place.write_text(content)
        assert read_record(place) is None
        assert read_benchmark_record(place, "benchmark/x") is None
