"""Where a Lightning training stands beyond what the library's checkpoints hold: random states, and what an epoch has gathered.

The library's checkpoint holds weights, optimizers, schedules, counters, and what callbacks say of themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch.utils.data import IterableDataset

from holdfast.integrations import hf_random as generators

FILE = "holdfast-lightning.pt"


def save(place: Path, what: Mapping[str, Any]) -> None:
    """Write plain data."""
    torch.save(dict(what), place)


def load(place: Path) -> Mapping[str, Any] | None:
    """What `save` wrote; None where there is nothing."""
    if not place.is_file():
        return None
    found: Mapping[str, Any] = torch.load(place, weights_only=True, map_location="cpu")
    return found


# -- random states ---------------------------------------------------------------------------------------------------------


def random_now(loaders: list[Any]) -> dict[str, Any]:
    """All random states, those of the loaders' generators and samplers included."""
    samplers = {name: one.state_dict() for name, one in _stateful_samplers(loaders)}
    return {**generators.take(SimpleNamespace(datasets=loaders)), "samplers": samplers}


def put_random(state: Mapping[str, Any], loaders: list[Any]) -> None:
    """Make them those that were taken."""
    generators.put(state, SimpleNamespace(datasets=loaders))
    for name, one in _stateful_samplers(loaders):
        if name in state["samplers"]:
            one.load_state_dict(state["samplers"][name])


def _stateful_samplers(loaders: list[Any]) -> Iterator[tuple[str, Any]]:
    for number, loader in enumerate(loaders):
        for name in ("sampler", "batch_sampler"):
            one = getattr(loader, name, None)
            if callable(getattr(one, "state_dict", None)) and callable(getattr(one, "load_state_dict", None)):
                yield f"{number}.{name}", one


# -- the loaders -------------------------------------------------------------------------------------------------------------


def set_epoch(loaders: list[Any], epoch: int) -> None:
    """Tell whatever draws by epoch which one it is, before an iterator is made: the library does so after that."""
    for loader in loaders:
        batches = getattr(loader, "batch_sampler", None)
        for one in (getattr(loader, "sampler", None), batches, getattr(batches, "sampler", None), getattr(loader, "dataset", None)):
            if callable(told := getattr(one, "set_epoch", None)):
                told(epoch)


def streamed(loaders: list[Any]) -> bool:
    """Whether one of them gives what comes, instead of looking it up."""
    return any(isinstance(getattr(one, "dataset", None), IterableDataset) for one in loaders)


def let_workers_go(loaders: list[Any]) -> None:
    """The next iterator is a first one again: it draws a seed for workers that stay, and later ones do not."""
    for loader in loaders:
        if getattr(loader, "persistent_workers", False) and getattr(loader, "_iterator", None) is not None:
            loader._iterator = None


# -- what an epoch has gathered ------------------------------------------------------------------------------------------------


def gathered(trainer: Any, module: Any) -> dict[str, Any]:
    """What was logged so far, of each mean over the epoch its sum, and of each metric of the model its state."""
    loop, logged = trainer.fit_loop.epoch_loop, trainer._logger_connector
    sums = {
        key: {name: _copy(getattr(one, name)) for name in ("value", "cumulated_batch_size") if hasattr(one, name)}
        for key, one in loop._results.items()
        if one.is_tensor
    }
    found = {
        "sums": sums,
        "callback_metrics": _tensors(logged._callback_metrics),
        "logged_metrics": _tensors(logged._logged_metrics),
        "metrics": {name: _state_of(one) for name, one in _metrics(module)},
    }
    if not module.automatic_optimization or loop._should_accumulate():
        found["gradients"] = {name: _copy(p.grad) for name, p in module.named_parameters() if p.grad is not None}
    return found


def put_gathered(what: Mapping[str, Any], trainer: Any, module: Any) -> None:
    """Put it back. A sum is put back when its name is logged again, as nobody knows of it before."""
    results, logged = trainer.fit_loop.epoch_loop._results, trainer._logger_connector
    sums, update = dict(what["sums"]), results.update_metrics

    def update_metrics(key: str, value: Any, batch_size: int) -> None:
        for name, kept in (sums.pop(key, None) or {}).items():
            setattr(results[key], name, kept.to(value.device))
        if not sums:
            vars(results).pop("update_metrics", None)
        update(key, value, batch_size)

    if sums:
        results.update_metrics = update_metrics
    logged._callback_metrics.update(what["callback_metrics"])
    logged._logged_metrics.update(what["logged_metrics"])
    for name, one in _metrics(module):
        if name in what["metrics"]:
            _put_state(one, what["metrics"][name])
    named = dict(module.named_parameters())
    for name, gradient in what.get("gradients", {}).items():
        named[name].grad = gradient.to(named[name].device)


def _metrics(module: Any) -> Iterator[tuple[str, Any]]:
    for name, one in module.named_modules():
        if hasattr(one, "_defaults") and hasattr(one, "_update_count"):  # torchmetrics.Metric
            yield name, one


def _state_of(metric: Any) -> dict[str, Any]:
    values = {name: getattr(metric, name) for name in metric._defaults}
    kept = {name: [_copy(v) for v in one] if isinstance(one, list) else _copy(one) for name, one in values.items()}
    return {"values": kept, "count": metric._update_count}


def _put_state(metric: Any, state: Mapping[str, Any]) -> None:
    for name, kept in state["values"].items():
        device = metric.device
        setattr(metric, name, [v.to(device) for v in kept] if isinstance(kept, list) else kept.to(device))
    metric._update_count = state["count"]
    metric._computed = None


def _tensors(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _copy(value) for name, value in values.items() if isinstance(value, torch.Tensor)}


def _copy(value: Any) -> Any:
    return value.detach().cpu().clone()
