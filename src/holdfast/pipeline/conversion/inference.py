"""Running a model over windows, the same way with torch and with onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import BadData, UsageError
from holdfast.pipeline.data.encode import Window

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int64]


def predict_torch(model: Any, windows: Sequence[Window], *, batch_size: int, device: str) -> list[Floats]:
    """Logits of every window, in the order given.

    Args:
        model: A token classifier of `transformers`, in evaluation mode. It is moved to `device` and stays there.
        windows: What to run it on, in batches of windows of about the same length.
        batch_size: Windows in a batch.
        device: Such as `cpu` or `cuda`.

    Returns:
        For each window an array of shape [pieces, tags], float32.
    """
    model.to(device)
    return _predict(windows, batch_size, lambda ids, mask: forward_torch(model, ids, mask, device))


def predict_onnx(session: Any, windows: Sequence[Window], *, batch_size: int) -> list[Floats]:
    """As `predict_torch`, with an `onnxruntime.InferenceSession`, in the same batches."""
    return _predict(windows, batch_size, lambda ids, mask: forward_onnx(session, ids, mask))


def forward_torch(model: Any, input_ids: Ints, attention_mask: Ints, device: str) -> Floats:
    """Logits of one batch, [batch, length] to [batch, length, tags], float32, back on the host."""
    import torch

    with torch.inference_mode():
        ids, mask = torch.from_numpy(input_ids).to(device), torch.from_numpy(attention_mask).to(device)
        logits: Floats = model(input_ids=ids, attention_mask=mask).logits.float().cpu().numpy()
    return logits


def forward_onnx(session: Any, input_ids: Ints, attention_mask: Ints) -> Floats:
    """As `forward_torch`, with onnxruntime."""
    logits: Floats = session.run(["logits"], {"input_ids": input_ids, "attention_mask": attention_mask})[0]
    return logits


def open_session(place: Path) -> Any:
    """An `onnxruntime.InferenceSession` on the CPU.

    Raises:
        BadData: the file is not a model that onnxruntime can run.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    # Its threads wait for work asleep: what else this process does needs the cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(place), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's errors have no base of their own
        raise BadData(f"{place}: onnxruntime cannot load it: {' '.join(str(error).split())[:300]}") from error


def padded(rows: Sequence[Sequence[int]]) -> tuple[Ints, Ints]:
    """Input ids and attention mask of one batch, both int64 [batch, longest]. Padding is 0 in both: the mask hides it."""
    import numpy as np

    longest = max(len(row) for row in rows)
    ids = np.zeros((len(rows), longest), dtype=np.int64)
    mask = np.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = row
        mask[at, : len(row)] = 1
    return ids, mask


def _predict(windows: Sequence[Window], batch_size: int, run: Callable[[Ints, Ints], Floats]) -> list[Floats]:
    import numpy as np

    if batch_size < 1:
        raise UsageError(f"batch_size {batch_size}: at least 1")
    found: list[Any] = [None] * len(windows)
    for batch in _batches(windows, batch_size):
        logits = run(*padded([windows[i].input_ids for i in batch]))
        for row, index in enumerate(batch):
            # a copy, so that the padding of the batch is not kept alive by its windows
            found[index] = np.array(logits[row, : len(windows[index].input_ids)], dtype=np.float32)
    return found


def _batches(windows: Sequence[Window], batch_size: int) -> Iterator[list[int]]:
    """Indices of windows, longest first: the batch that needs the most memory comes first, so too little shows at once."""
    order = sorted(range(len(windows)), key=lambda i: (-len(windows[i].input_ids), i))
    for begin in range(0, len(order), batch_size):
        yield order[begin : begin + batch_size]
