"""Which device trains, and what it is called in records."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from holdfast.errors import ConfigurationError

if TYPE_CHECKING:
    from holdfast.pipeline.settings import Hpo

#: On a CPU, work that is estimated to take longer is worth a second look for a GPU.
LONG_SECONDS = 1800.0


def resolve_device(wanted: str) -> str:
    """`cuda` or `cpu`.

    Raises:
        ConfigurationError: a GPU is asked for and there is none.
    """
    if wanted == "cpu":
        return "cpu"
    if _has_gpu():
        return "cuda"
    if wanted == "cuda":
        raise ConfigurationError(
            "run.device: cuda is asked for, and this machine has no GPU; in Colab: Runtime, Change runtime type"
        )
    return "cpu"


def trial_device(wanted: str, hpo: Hpo) -> str:
    """Where the trials of a study train: as `resolve_device` says; on a cluster on the GPUs that each is given there, if it is any.

    Raises:
        ConfigurationError: a GPU is asked for, and there is none, or none is given.
    """
    if hpo.engine == "local":
        return resolve_device(wanted)
    if wanted == "cuda" and not hpo.resources.gpus:
        raise ConfigurationError(
            "run.device: cuda is asked for, and hpo.resources.gpus is 0, which gives a trial on a cluster no GPU; say how many "
            "each needs, such as 1 or 0.5"
        )
    return "cuda" if hpo.resources.gpus and wanted != "cpu" else "cpu"


def resolve_precision(wanted: str, device: str) -> str:
    """The number format that training really uses: `fp32`, `fp16` or `bf16`.

    Raises:
        ConfigurationError: fp16 without a GPU, where it has no speed and no gradient scaler; a GPU that does not have it; auto for
            a GPU of another machine.
    """
    if device == "cuda" and not _has_gpu():
        if wanted == "auto":
            raise ConfigurationError(
                "training.precision: auto goes by the GPU, and this machine, which drives the cluster, has none to go by; set bf16 "
                "where all nodes' GPUs have it, else fp16 or fp32"
            )
        return wanted
    if wanted == "fp16" and device == "cpu":
        raise ConfigurationError("training.precision: fp16 needs a GPU; use auto, fp32 or bf16")
    if wanted == "bf16" and device == "cuda":
        import torch

        if not torch.cuda.is_bf16_supported(including_emulation=False):
            raise ConfigurationError("training.precision: this GPU has no bf16; use auto, fp16 or fp32")
    if wanted != "auto":
        return wanted
    if device == "cpu":
        return "fp32"
    import torch

    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def resume_precision(begun: str | None, wanted: str, device: str) -> None:
    """Check that what was begun with one number format can go on here.

    Raises:
        ConfigurationError: this device does not have it.
    """
    if begun is None or wanted != "auto":
        return
    try:
        resolve_precision(begun, device)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"this was begun with {begun}, which this {device} does not have, and does not change half-way: go on on a device "
            "like the first, or begin another with --fork and --set training.precision=fp32"
        ) from error


def share_cores() -> None:
    """Have the threads of OpenMP sleep while they wait for each other, where the user says nothing else.

    On a machine that does other work too, threads that spin while they wait take the cores from those that they wait for. The
    result is the same. It has to be set before torch is loaded, and does nothing afterwards.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextlib.contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Have torch choose algorithms that give the same bits every time, and leave its switches as they were.

    pytorch.org/docs/stable/notes/randomness.html: cuBLAS wants its variable set before it is first used. An operation that has
    no such algorithm warns and runs all the same.
    """
    if not wanted:
        yield
        return
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    cudnn = torch.backends.cudnn
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    before_cudnn = cudnn.deterministic, cudnn.benchmark
    torch.use_deterministic_algorithms(True, warn_only=True)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.deterministic, cudnn.benchmark = before_cudnn


def describe_device(device: str) -> dict[str, Any]:
    """Type, name and memory in bytes of a device."""
    if device == "cuda":
        import torch

        properties = torch.cuda.get_device_properties(0)
        return {"type": "cuda", "name": properties.name, "memory": int(properties.total_memory)}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"type": "cpu", "name": platform.machine(), "memory": int(memory)}


def describe_environment(device: str, precision: str) -> dict[str, Any]:
    """What decides whether two trainings can be equal bit for bit: device type, precision and versions."""
    import torch
    import transformers

    return {
        "device": device,
        "precision": precision,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
