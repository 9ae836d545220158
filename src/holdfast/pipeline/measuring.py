"""Latency, throughput and memory of a model on this machine.

A batch is that many windows of the data. Windows are shuffled with a fixed seed; the first call takes the first of them,
the next call those after, from the beginning again at the end. So every run measures the same batches, and the percentiles
show how the texts of the data spread, not the noise of one text repeated.
"""

from __future__ import annotations

import contextlib
import platform
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.pipeline.conversion.inference import forward_torch, padded
from holdfast.pipeline.data.encode import Window

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SEED = 0

#: What a latency covers, for those who read the file.
TIMED = "one forward pass of a padded batch, from ids in host memory to logits in host memory; tokenizing is not included"

_PERCENTILES = (50, 95, 99)
_CUDA_PEAK = "torch.cuda.max_memory_allocated: tensors on the device, with the model"
_CPU_PEAK = "VmHWM of /proc/self/status: resident memory of the whole process, with libraries and the model"


def measure(
    model: Any,
    documents: int,
    windows: Sequence[Window],
    *,
    batch_sizes: Sequence[int],
    iterations: int,
    warmup_iterations: int,
    device: str,
) -> dict[str, Any]:
    """Time a model that is already loaded, as the head of this module says. It is moved to `device`.

    Args:
        model: A token classifier of `transformers`, in evaluation mode.
        documents: Number of documents that the windows come from.
        windows: At least one.
        batch_sizes: Windows in a batch; each is measured by itself.
        iterations: Batches timed for each size.
        warmup_iterations: Batches before them that are not timed.
        device: Such as `cpu` or `cuda`.

    Returns:
        `results`, one row for each batch size: latencies of a batch in milliseconds (percentiles interpolated linearly),
        windows and documents a second, and the highest memory in use in bytes; `memory_measured_by`; `documents`, `windows`.
    """
    model.to(device)
    order = list(range(len(windows)))
    random.Random(SEED).shuffle(order)  # noqa: S311 - a fixed choice, nothing secret
    rows: list[dict[str, Any]] = []
    measured_by = ""
    for size in batch_sizes:
        batches = [
            padded([windows[order[(n * size + i) % len(order)]].input_ids for i in range(size)])
            for n in range(warmup_iterations + iterations)
        ]
        _forget_peak(device)
        times = _times(model, batches, device)[warmup_iterations:]
        peak, measured_by = _peak(device)
        rows.append({"batch_size": size, **_figures(times, size, documents / len(windows)), "peak_memory_bytes": peak})
    return {
        "documents": documents,
        "windows": len(windows),
        "results": rows,
        "memory_measured_by": measured_by,
    }


def _times(model: Any, batches: Sequence[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]], device: str) -> list[float]:
    """Seconds of each batch. The copy of the logits to the host ends only when the device is done."""
    times = []
    for ids, mask in batches:
        begin = time.perf_counter()
        forward_torch(model, ids, mask, device)
        times.append(time.perf_counter() - begin)
    return times


def _figures(seconds: Sequence[float], size: int, documents_per_window: float) -> dict[str, Any]:
    import numpy as np

    milliseconds = np.asarray(seconds) * 1000
    a_second = size * len(seconds) / sum(seconds)
    return {
        "mean_ms": float(milliseconds.mean()),
        **{f"p{p}_ms": float(np.percentile(milliseconds, p)) for p in _PERCENTILES},
        "windows_per_second": a_second,
        "documents_per_second": a_second * documents_per_window,
    }


def _forget_peak(device: str) -> None:
    """Let the highest memory in use be counted from now on."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):  # where it is denied, the peak is that of the process so far: an upper bound
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5): 5 resets the peak resident set size


def _peak(device: str) -> tuple[int | None, str]:
    """The highest memory in use in bytes, or None where it is not known, and how it was measured."""
    if device.startswith("cuda"):
        import torch

        return int(
            torch.cuda.max_memory_allocated(device)
        ), "torch.cuda.max_memory_allocated: tensors on the device, with the model"
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        kibibytes = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    except (OSError, StopIteration, ValueError):
        return None, "not measured: this system has no /proc/self/status"
    return kibibytes * 1024, _CPU_PEAK


def environment(device: str) -> dict[str, Any]:
    """Device, threads and versions that the measurements hold for."""
    import torch
    import transformers

    processor = _processor()
    return {
        "device": device,
        "device_name": torch.cuda.get_device_name(device) if device.startswith("cuda") else processor,
        "processor": processor,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "transformers": str(transformers.__version__),
    }


def _processor() -> str:
    """The processor's name as Linux tells it; `platform` knows only the architecture there."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
