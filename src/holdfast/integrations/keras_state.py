"""What a Keras training is at an instant: its variables, the random states, its history, and what other callbacks remember."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch

from holdfast.errors import MadeOtherwise
from holdfast.integrations.keras_data import random_now

STATE = "keras.pt"

#: What Keras' own callbacks remember, and others under the same names: a best score, and how long ago it was.
_REMEMBERED = (
    "best",
    "best_epoch",
    "wait",
    "stopped_epoch",
    "cooldown_counter",
    "_ema_weights_in_model",
    "_batches_seen_since_last_saving",
    "_last_batch_seen",
)


def variables(model: Any) -> dict[str, list[Any]]:
    """All variables that a step changes, in an order that follows from how the model was made."""
    optimizer = model.optimizer
    return {
        "model": list(model.variables),  # with the seed states of layers, which no weights file has
        "optimizer": [] if optimizer is None else list(optimizer.variables),
        "metrics": list(model.metrics_variables),
    }


def copies(held: Iterable[Any]) -> list[torch.Tensor]:
    """The values, on the CPU, apart from the variables."""
    return [v.value.detach().cpu().clone() for v in held]


def put_back(held: Sequence[Any], values: Sequence[torch.Tensor], what: str) -> None:
    """Set variables, bit for bit.

    Raises:
        MadeOtherwise: there are others than were saved.
    """
    if [tuple(v.shape) for v in held] != [tuple(t.shape) for t in values]:
        raise MadeOtherwise(f"the variables of the {what} are others than those of the checkpoint; put back how it is made")
    with torch.no_grad():
        for variable, value in zip(held, values, strict=True):
            variable.value.copy_(value)


def captured(model: Any, callbacks: Sequence[Any], **place: Any) -> dict[str, Any]:
    """All of it, as `torch.load` takes it back without running code. `place` says where the training is."""
    return {
        **place,
        **{name: copies(held) for name, held in variables(model).items()},
        "random": random_now(),
        "callbacks": remembered(callbacks),
        "history": history_of(callbacks),
    }


def restore_variables(model: Any, state: dict[str, Any], *, metrics: bool) -> None:
    """Weights, seed states and the optimizer are as they were; in mid-epoch the metrics too."""
    held = variables(model)
    put_back(held["model"], state["model"], "model")
    put_back(held["optimizer"], state["optimizer"], "optimizer")
    if metrics:
        put_back(held["metrics"], state["metrics"], "metrics")


# -- other callbacks -------------------------------------------------------------------------------------------------------


def remembered(callbacks: Sequence[Any]) -> list[tuple[str, dict[str, Any], list[torch.Tensor] | None]]:
    """What each callback remembers: its class, its scores and counts, its best weights."""
    found = []
    for callback in callbacks:
        said = {name: vars(callback)[name] for name in _REMEMBERED if name in vars(callback)}
        weights = vars(callback).get("best_weights")
        tensors = None if weights is None else [torch.from_numpy(np.array(_exact(w))) for w in weights]
        found.append((type(callback).__name__, {name: _scalar(v) for name, v in said.items() if _is_scalar(v)}, tensors))
    return found


def remind(callbacks: Sequence[Any], saved: Sequence[Any]) -> None:
    """Each callback remembers what that of its class remembered, the first of a class what the first did."""
    waiting = list(saved)
    for callback in callbacks:
        mine = next((one for one in waiting if one[0] == type(callback).__name__), None)
        if mine is None:
            continue
        waiting.remove(mine)
        vars(callback).update(mine[1])
        if mine[2] is not None:
            callback.best_weights = [t.numpy().copy() for t in mine[2]]


def history_of(callbacks: Sequence[Any]) -> dict[str, Any]:
    """The scores of the epochs so far."""
    held = next((c for c in callbacks if isinstance(c, keras.callbacks.History)), None)
    if held is None:
        return {"epoch": [], "history": {}}
    return {"epoch": list(held.epoch), "history": {k: [_scalar(v) for v in row] for k, row in held.history.items()}}


def put_back_history(callbacks: Sequence[Any], saved: dict[str, Any]) -> None:
    """What `fit` gives has the epochs before too."""
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.History):
            callback.epoch = list(saved["epoch"])
            callback.history = {k: list(row) for k, row in saved["history"].items()}


def best_files(callbacks: Sequence[Any], root: Path) -> list[tuple[str, Path]]:
    """The files that `ModelCheckpoint(save_best_only=True)` overwrites, with the names that their copies have.

    Only those below the project folder: another place is nobody's on another machine. A name with the epoch in it is not
    overwritten, and is not copied.
    """
    found: list[tuple[str, Path]] = []
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.ModelCheckpoint) and callback.save_best_only and "{" not in callback.filepath:
            place = Path(callback.filepath)
            if place.absolute().is_relative_to(root):
                found.append((f"best-{len(found)}{place.suffix}", place))
    return found


def keep_best(callbacks: Sequence[Any], root: Path, folder: Path) -> None:
    """The best model so far, as the file has it, stands in the checkpoint that remembers its score."""
    for name, place in best_files(callbacks, root):
        if place.is_file():
            shutil.copyfile(place, folder / name)


def put_back_best(callbacks: Sequence[Any], root: Path, folder: Path) -> None:
    """The file has the model whose score is remembered."""
    for name, place in best_files(callbacks, root):
        kept = folder / name
        if kept.is_file() and not (place.is_file() and place.read_bytes() == kept.read_bytes()):
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(kept, place)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | np.number | np.bool_) or getattr(value, "shape", None) == ()


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str) or type(value) is float:
        return value
    return value.item() if callable(getattr(value, "item", None)) else float(value)


def _exact(array: Any) -> Any:
    """NumPy has no bfloat16 of its own; every value of it is one of float32."""
    return array.astype(np.float32) if "bfloat16" in str(array.dtype) else array


# -- what it is made from --------------------------------------------------------------------------------------------------


def described(model: Any, sgd: dict[str, Any], data: dict[str, Any], seed: int | None) -> dict[str, Any]:
    """What decides the weights: variables, layers, optimizer, loss, data, and the seed. No name that counts up."""
    return {
        "library": "keras",
        "seed": seed,
        "data": data,
        "optimizer": sgd,
        "loss": {"is": described_value(getattr(model, "loss", None)), "weights": _loss_weights(model)},
        "layers": {f"{i:03}": _layer(layer) for i, layer in enumerate(_leaves(model))},
        "variables": {f"{i:04}": f"{_plain_name(v.path)} {tuple(v.shape)} {v.dtype}" for i, v in enumerate(model.variables)},
    }


def described_value(value: Any) -> Any:
    """As plain data, without the names that Keras counts up."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, dict):
        return {str(k): described_value(v) for k, v in value.items() if k not in ("name", "registered_name", "build_config")}
    if isinstance(value, list | tuple):
        return [described_value(v) for v in value]
    if callable(getattr(value, "get_config", None)):
        return {"class": type(value).__name__, **described_value(_config(value))}
    if isinstance(value, np.ndarray | np.number):
        return value.tolist()
    return getattr(value, "__qualname__", type(value).__qualname__)


#: A longer text in a layer's settings is data, such as a module of PyTorch with its weights.
_LONG = 200


def _config(value: Any) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():  # Keras' own, of its variables under NumPy 2
            warnings.simplefilter("ignore")
            return dict(value.get_config())
    except (NotImplementedError, AttributeError, TypeError, ValueError):  # a class of one's own need not have one
        return {}


def _loss_weights(model: Any) -> Any:
    config = getattr(model, "_compile_config", None)
    held = getattr(config, "config", None) or {}
    return described_value(held.get("loss_weights"))


def _leaves(model: Any) -> list[Any]:
    flat: Callable[..., Iterable[Any]] = model._flatten_layers
    return [layer for layer in flat(include_self=False) if not layer._layers]


def _layer(layer: Any) -> str:
    said = {k: v for k, v in _config(layer).items() if k != "name" and (v is None or isinstance(v, str | int | float | bool))}
    said = {k: v for k, v in said.items() if not isinstance(v, str) or len(v) < _LONG}
    said["dtype"] = getattr(getattr(layer, "dtype_policy", None), "name", None)
    return " ".join([type(layer).__name__, *(f"{k}={v!r}" for k, v in sorted(said.items()))])


def _plain_name(path: str) -> str:
    """Without the numbers by which Keras tells a second layer of a kind, made in the same process, from the first."""
    parts = []
    for part in path.split("/"):
        head, _, number = part.rpartition("_")
        parts.append(head if head and number.isdecimal() else part)
    return "/".join(parts)
