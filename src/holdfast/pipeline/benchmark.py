"""How fast a checkpoint is on this machine, and how much memory it takes. Measured once, then read.

What is measured, and on which batches, says `measuring.py`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from holdfast.errors import BadData, MadeOtherwise, UsageError
from holdfast.flow.fingerprint import differences, fingerprint, plain
from holdfast.flow.record import Record
from holdfast.pipeline.data.encode import encode
from holdfast.pipeline.data.reading import read_documents
from holdfast.pipeline.measuring import SEED, TIMED, environment, measure
from holdfast.pipeline.quiet import quiet
from holdfast.pipeline.training.checkpoint import (
    CheckpointInfo,
    check_whole,
    load_tokenizer,
    load_torch,
    read_info,
    weight_files,
    weights_identity,
)
from holdfast.session.files import file_identity, set_aside, write_json

log = logging.getLogger(__name__)

BENCHMARK_FILENAME = "benchmark.json"

FORMAT = 1

#: What decides whether a benchmark that is there answers the question asked now.
_DECIDING = ("checkpoint", "data", "device_type", "settings")


def run_benchmarking_local(
    checkpoint_dir: Path,
    test_data_path: Path,
    output_path: Path,
    *,
    batch_sizes: Sequence[int] = (1, 8, 16),
    iterations: int = 20,
    warmup_iterations: int = 3,
    max_length: int | None = None,
    device: str | None = None,
    made_from: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Measure latency, throughput and peak memory of a checkpoint, or read them where they were measured before.

    Where `output_path` holds a benchmark of the same weights, data, settings and type of device, nothing is measured. A
    file there that is no benchmark (cut short by a kill) is moved aside.

    Args:
        checkpoint_dir: A checkpoint, see `checkpoint.py`.
        test_data_path: Documents, see `reading.py`.
        output_path: The JSON file to write; a folder means `benchmark.json` in it.
        batch_sizes: Windows in a batch; each is measured by itself.
        iterations: Batches timed for each size.
        warmup_iterations: Batches before them that are not timed.
        max_length: The most pieces in a window; the checkpoint's own where None.
        device: Such as `cpu` or `cuda`; the best there is where None.
        made_from: Written into the file as it is, for those who build on it. It decides nothing here: where only this
            differs, the file gets the new one, and keeps its measurements.

    Returns:
        The file's content.

    Raises:
        MadeOtherwise: a benchmark of other weights, data, settings or device is there. It stays.
        NotRestored, BadData: checkpoint or data are missing or damaged.
        UsageError: the settings cannot be served.
    """
    _check_settings(batch_sizes, iterations, warmup_iterations)
    place = output_path / BENCHMARK_FILENAME if output_path.is_dir() else output_path
    check_whole(checkpoint_dir)
    if not test_data_path.is_file():
        raise BadData(f"{test_data_path}: there is no such file")
    info = read_info(checkpoint_dir)
    length, stride = _windows_of(info, max_length)
    device = _device(device)
    asked = {
        "checkpoint": weights_identity(checkpoint_dir),
        "data": file_identity(test_data_path),
        "device_type": device.partition(":")[0],
        "settings": {
            "batch_sizes": list(batch_sizes),
            "iterations": iterations,
            "warmup_iterations": warmup_iterations,
            "max_length": length,
            "stride": stride,
            "seed": SEED,
        },
    }
    existing = _existing(place)
    if existing is not None:
        if not matches(existing, asked):
            lines = differences(_shown(existing), _shown(asked))
            raise MadeOtherwise(f"{place}: made otherwise: {'; '.join(lines)}; move it away, or write to another file")
        if made_from is not None and existing.get("made_from") != plain(made_from):
            existing = {**existing, "made_from": plain(made_from)}
            write_json(place, existing)
        return existing
    documents = read_documents(test_data_path).documents
    tokenizer = load_tokenizer(checkpoint_dir)
    windows = encode(documents, tokenizer, max_length=length, stride=stride, tag_ids=None)
    if not windows:
        raise BadData(f"{test_data_path}: no document in it holds a word: nothing to measure")
    model = load_torch(checkpoint_dir)
    found = measure(
        model,
        len(documents),
        windows,
        batch_sizes=batch_sizes,
        iterations=iterations,
        warmup_iterations=warmup_iterations,
        device=device,
    )
    files = weight_files(checkpoint_dir)
    result = {
        "format": FORMAT,
        **asked,
        "made_from": {} if made_from is None else plain(made_from),
        "model": {
            "parameters": sum(int(p.numel()) for p in model.parameters()),
            "bytes": sum(file.stat().st_size for file in files),
        },
        "timed": TIMED,
        **found,
        "environment": environment(device),
    }
    write_json(place, result)
    return plain(result)  # type: ignore[no-any-return]


def matches(existing: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """True where a benchmark answers what is asked: the same weights, data, type of device and settings. Pure."""
    return plain(_deciding(existing)) == plain(_deciding(asked))  # type: ignore[no-any-return]


def _deciding(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: document.get(key) for key in _DECIDING}


def _shown(document: Mapping[str, Any]) -> dict[str, Any]:
    """As `_deciding`, with hashes short enough for a line."""
    return {key: value[:12] if isinstance(value, str) else value for key, value in _deciding(document).items()}


def _check_settings(batch_sizes: Sequence[int], iterations: int, warmup_iterations: int) -> None:
    if not batch_sizes or min(batch_sizes) < 1 or len(set(batch_sizes)) != len(batch_sizes):
        raise UsageError(f"batch_sizes {list(batch_sizes)}: give at least one, each at least 1, none twice")
    if iterations < 1 or warmup_iterations < 0:
        raise UsageError(f"iterations {iterations} must be at least 1 and warmup_iterations {warmup_iterations} at least 0")


def _windows_of(info: CheckpointInfo, max_length: int | None) -> tuple[int, int]:
    """Length and stride of windows: the checkpoint's own, or shorter ones that overlap by at most a quarter."""
    if max_length is None:
        return info.max_length, info.stride
    if not 0 < max_length <= info.max_length:
        raise UsageError(f"max_length {max_length}: this checkpoint takes from 1 to {info.max_length} pieces")
    return max_length, min(info.stride, max_length // 4)


def _device(asked: str | None) -> str:
    with quiet():
        import torch
    if asked is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if asked.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"device {asked}: this machine has no CUDA device that torch can use; use cpu")
    return asked


def _existing(place: Path) -> dict[str, Any] | None:
    """The benchmark in the file; None where there is none. What is no benchmark is moved aside, never overwritten."""
    try:
        document = json.loads(place.read_bytes())
        if isinstance(document, dict) and document.get("format") == FORMAT and isinstance(document.get("results"), list):
            return document
        reason = f"it is no benchmark of format {FORMAT}"
    except FileNotFoundError:
        return None
    except ValueError:
        reason = "it is not JSON, perhaps cut short"
    log.warning("%s: %s; moved to %s, measuring again", place, reason, set_aside(place, "unreadable").name)
    return None


def read_benchmark(place: Path) -> dict[str, Any] | None:
    """A benchmark that is there; None where there is none, or what is there is none."""
    try:
        document = json.loads(place.read_bytes())
        return document if isinstance(document, dict) and isinstance(document.get("results"), list) else None
    except (OSError, ValueError):
        return None


def read_benchmark_record(place: Path, stage: str) -> Record | None:
    """The record of a benchmark, whose one file says itself what it was made from. Its measurements are not read."""
    document = read_benchmark(place)
    if document is None or not isinstance(document.get("made_from"), dict):
        return None
    return Record(stage, document["made_from"], finished=True, result=fingerprint(document["made_from"]))
