"""A benchmark is measured once for what it was asked of, and never overwritten by one of something else."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import BadData, MadeOtherwise, NotRestored, UsageError
from holdfast.pipeline import benchmark
from holdfast.pipeline.benchmark import BENCHMARK_FILENAME, matches, run_benchmarking_local
from holdfast.pipeline.data.documents import Document
from holdfast.pipeline.training.checkpoint import weights_identity
from tests.pipeline.conftest import write_documents

ASKED = {
    "checkpoint": "a" * 64,
    "data": "b" * 64,
    "device_type": "cpu",
    "settings": {"batch_sizes": [1, 8], "iterations": 20, "warmup_iterations": 3, "max_length": 128, "stride": 32, "seed": 0},
}


def run(checkpoint: Path, data: Path, place: Path, **changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"batch_sizes": (1, 4), "iterations": 5, "warmup_iterations": 1, "device": "cpu", **changes}
    return run_benchmarking_local(checkpoint, data, place, **settings)


@pytest.fixture
def no_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(benchmark, "measure", refuse)
    monkeypatch.setattr(benchmark, "load_torch", refuse)


def test_what_was_measured_is_in_the_file_and_is_returned(
    checkpoint: Path, data: Path, tmp_path: Path, documents: Sequence[Document], capfd: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "new" / BENCHMARK_FILENAME
    found = run(checkpoint, data, place, made_from={"stage": "hpo", "trial": (1, 2)})
    assert found == json.loads(place.read_bytes())
    assert [row["batch_size"] for row in found["results"]] == [1, 4]
    for row in found["results"]:
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]
        assert row["windows_per_second"] == pytest.approx(row["batch_size"] * 1000 / row["mean_ms"])
        assert row["documents_per_second"] == pytest.approx(row["windows_per_second"] * found["documents"] / found["windows"])
        assert row["peak_memory_bytes"] > found["model"]["bytes"]
    assert found["memory_measured_by"].startswith("VmHWM")
    assert found["documents"] == len(documents) < found["windows"]
    assert found["checkpoint"] == weights_identity(checkpoint)
    assert found["model"]["bytes"] == (checkpoint / "model.safetensors").stat().st_size
    assert found["model"]["parameters"] * 4 == pytest.approx(found["model"]["bytes"], rel=0.1)
    assert found["environment"]["threads"] >= 1
    assert found["made_from"] == {"stage": "hpo", "trial": [1, 2]}
    assert [p.name for p in place.parent.iterdir()] == [BENCHMARK_FILENAME]
    assert capfd.readouterr() == ("", "")


def test_the_same_question_is_not_measured_twice(
    checkpoint: Path, data: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    found = run(checkpoint, data, tmp_path)
    before = (tmp_path / BENCHMARK_FILENAME).stat()
    request.getfixturevalue("no_measuring")
    moved = data.rename(tmp_path / "elsewhere.jsonl")
    assert run(checkpoint, moved, tmp_path / BENCHMARK_FILENAME) == found
    assert (tmp_path / BENCHMARK_FILENAME).stat().st_mtime_ns == before.st_mtime_ns


def test_measurements_stay_where_only_what_it_was_made_from_differs(
    checkpoint: Path, data: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    place = tmp_path / BENCHMARK_FILENAME
    found = run(checkpoint, data, place, made_from={"a": 1})
    request.getfixturevalue("no_measuring")
    assert run(checkpoint, data, place, made_from={"a": 2}) == {**found, "made_from": {"a": 2}}
    assert json.loads(place.read_bytes())["made_from"] == {"a": 2}


def test_a_benchmark_of_other_data_is_refused_and_stays(
    checkpoint: Path, data: Path, tmp_path: Path, documents: Sequence[Document]
) -> None:
    place = tmp_path / BENCHMARK_FILENAME
    run(checkpoint, data, place)
    before = place.read_bytes()
    write_documents(data, documents[:-1])
    with pytest.raises(MadeOtherwise, match=r'made otherwise: data: "[0-9a-f]{12}" then, "[0-9a-f]{12}" now;') as caught:
        run(checkpoint, data, place)
    assert "\n" not in str(caught.value)
    assert place.read_bytes() == before


def test_a_benchmark_of_other_settings_is_refused_and_stays(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    place = tmp_path / BENCHMARK_FILENAME
    run(checkpoint, data, place)
    before = place.read_bytes()
    with pytest.raises(MadeOtherwise, match=r"settings.iterations: 5 then, 6 now"):
        run(checkpoint, data, place, iterations=6)
    with pytest.raises(MadeOtherwise, match=r"settings.max_length: 24 then, 12 now; settings.stride: 6 then, 3 now"):
        run(checkpoint, data, place, max_length=12)
    assert place.read_bytes() == before
    place.rename(tmp_path / "before.json")
    assert run(checkpoint, data, place, iterations=6)["settings"]["iterations"] == 6
    assert (tmp_path / "before.json").read_bytes() == before


@pytest.mark.parametrize("torn", [b"", b'{"format": 1, "resu', b"[1]", b'{"format": 1}', b"\xff\xfe"])
def test_a_torn_file_is_moved_aside_with_a_warning(
    checkpoint: Path, data: Path, tmp_path: Path, torn: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / BENCHMARK_FILENAME
    place.write_bytes(torn)
    (tmp_path / f"{BENCHMARK_FILENAME}.unreadable-1").write_bytes(b"of the time before")
    with caplog.at_level(logging.WARNING, "holdfast"):
        found = run(checkpoint, data, place, batch_sizes=(1,), iterations=1, warmup_iterations=0)
    assert json.loads(place.read_bytes()) == found
    assert (tmp_path / f"{BENCHMARK_FILENAME}.unreadable-1").read_bytes() == b"of the time before"
    assert (tmp_path / f"{BENCHMARK_FILENAME}.unreadable-2").read_bytes() == torn
    assert [r.levelname for r in caplog.records] == ["WARNING"]


def test_a_partial_checkpoint_is_recognised_first(checkpoint: Path, data: Path, tmp_path: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(BadData, match=r"model.safetensors is missing"):
        run(checkpoint, data, tmp_path / "b.json")
    with pytest.raises(NotRestored):
        run(tmp_path / "nothing", data, tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()


def test_data_that_is_missing_or_empty_is_told(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(BadData, match="no such file"):
        run(checkpoint, tmp_path / "no.jsonl", tmp_path / "b.json")
    (tmp_path / "blank.jsonl").write_text('{"text": "   ", "annotations": []}\n')
    with pytest.raises(BadData, match="is empty"):
        run(checkpoint, tmp_path / "blank.jsonl", tmp_path / "b.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_sizes": ()},
        {"batch_sizes": (0,)},
        {"batch_sizes": (2, 2)},
        {"iterations": 0},
        {"warmup_iterations": -1},
        {"max_length": 25},
    ],
)
def test_settings_that_cannot_be_are_refused(checkpoint: Path, data: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(changes))):
        run(checkpoint, data, tmp_path / "b.json", **changes)


def test_what_was_refused_is_measured_with_other_numbers_and_documents_with_words(
    checkpoint: Path, data: Path, tmp_path: Path
) -> None:
    place, blank = tmp_path / "b.json", tmp_path / "blank.jsonl"
    refused: list[tuple[Path, dict[str, Any], str]] = [
        (tmp_path / "no.jsonl", {}, "there is no such file"),
        (data, {"batch_sizes": ()}, "give at least one, each at least 1, none twice"),
        (data, {"iterations": 0}, "must be at least 1 and warmup_iterations"),
        (data, {"max_length": 10**6}, "this checkpoint takes from 1 to"),
        (blank, {}, "no document in it holds a word|is empty"),
    ]
    blank.write_text('{"text": "   ", "annotations": []}\n')
    for documents, changes, text in refused:
        with pytest.raises((BadData, UsageError), match=text):
            run(checkpoint, documents, place, **changes)
    assert run(checkpoint, data, place)["results"]


def test_what_matches_is_decided_by_weights_data_device_and_settings_alone() -> None:
    assert matches({**ASKED, "results": [], "made_from": {"x": 1}}, ASKED)
    assert matches({**ASKED, "settings": {**ASKED["settings"], "batch_sizes": (1, 8)}}, ASKED)  # type: ignore[dict-item]
    for key in ASKED:
        assert not matches({**ASKED, key: "other"}, ASKED)
        assert not matches({k: v for k, v in ASKED.items() if k != key}, ASKED)
    for key in ASKED["settings"]:
        assert not matches({**ASKED, "settings": {**ASKED["settings"], key: 99}}, ASKED)  # type: ignore[dict-item]
