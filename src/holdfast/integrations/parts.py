"""What a training loop is made of: models, optimizers, schedules and whatever else has a state; kept, held against, loaded."""

from __future__ import annotations

import inspect
import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from holdfast.errors import ConfigurationError, MadeOtherwise
from holdfast.integrations.plain_state import back, keepable

_COMPILED = "_orig_mod."


class Parts:
    """The parts that were handed in, by the names that they were given.

    Args:
        given: What has `state_dict` and `load_state_dict`; None is nothing.
        what: The training, for the lines of errors.

    Raises:
        ConfigurationError: one of them has no state, or one that cannot be kept.
    """

    def __init__(self, given: Mapping[str, Any], what: str) -> None:
        self._what = what
        accelerated = [name for name, part in given.items() if _is_of_accelerate(part, "AcceleratedOptimizer")]
        self._parts = {name: _bare(part) for name, part in given.items() if part is not None}
        if not self._parts:
            raise ConfigurationError(f"{what}: nothing is to be kept; hand in model=, optimizer= and whatever else changes")
        for name, part in self._parts.items():
            if not callable(getattr(part, "state_dict", None)) or not callable(getattr(part, "load_state_dict", None)):
                raise ConfigurationError(f"{what}: {name}= ({type(part).__qualname__}) has no state_dict and load_state_dict")
            if type(part).__name__ in ("ZeroRedundancyOptimizer", "FullyShardedDataParallel") or any(
                hasattr(value, "placements") for value in _parameters(part).values()
            ):
                raise ConfigurationError(
                    f"{what}: {name}= ({type(part).__qualname__}) is spread over the ranks, which keep.training does not keep; "
                    "torch.distributed.checkpoint does"
                )
        counted = any(isinstance(part, _Accelerator) for part in self._parts.values())
        if not counted and any(given[name].gradient_state.num_steps > 1 for name in accelerated):
            raise ConfigurationError(
                f"{what}: accelerate counts the batches of an accumulation, which would begin anew after every start; give "
                "accelerator="
            )
        self.stepped = False
        self._hooks = [
            part.register_step_post_hook(self._has_stepped) for part in self._parts.values() if isinstance(part, Optimizer)
        ]
        self.state()

    def settings(self) -> dict[str, Any]:
        """What of them decides the weights, before anything is loaded."""
        return {name: self._said(part) for name, part in self._parts.items()}

    def refuse_what_is_missing(self) -> None:
        """A schedule that changes a learning rate and was not handed in would begin anew after every start.

        Raises:
            ConfigurationError: there is one.
        """
        known = {id(getattr(part, "optimizer", None)) for part in self._parts.values()}
        for name, part in self._parts.items():
            if isinstance(part, Optimizer) and id(part) not in known and any("initial_lr" in g for g in part.param_groups):
                others = [n for n, p in self._parts.items() if not isinstance(p, Optimizer | nn.Module)]
                if not others:
                    raise ConfigurationError(
                        f"{self._what}: {name}= has a schedule that was not handed in, so it would begin anew after every start; "
                        "build it before and give scheduler="
                    )

    def state(self) -> dict[str, Any]:
        """All of them, as plain containers and tensors."""
        return {name: self._state_of(name, part) for name, part in self._parts.items()}

    def own(self) -> dict[str, Any]:
        """What each rank has for itself: buffers, and gradients that no step has used yet."""
        modules = self._modules()
        buffers = {name: {k: v for k, v in _state(part).items() if k not in _parameters(part)} for name, part in modules.items()}
        grads = {
            name: {k: p.grad for k, p in _parameters(part).items() if getattr(p, "grad", None) is not None}
            for name, part in modules.items()
        }
        kept: dict[str, Any] = keepable({"buffers": buffers, "grads": {} if self.stepped else grads}, self._what)
        return kept

    def load(self, state: Mapping[str, Any], own: Mapping[str, Any], *, buffers: bool) -> None:
        """Put everything back: models first, optimizers last, as building a schedule changes their learning rate.

        Args:
            state: What `state` gave.
            own: What `own` gave.
            buffers: Put the rank's own buffers back.

        Raises:
            MadeOtherwise: a part does not take its state.
        """
        ordered = sorted(self._parts.items(), key=lambda item: (not isinstance(item[1], nn.Module), isinstance(item[1], Optimizer)))
        for name, part in ordered:
            try:
                self._load(part, back(state[name]))
            except (KeyError, ValueError, RuntimeError, TypeError, IndexError, AttributeError, AssertionError) as error:
                why = " ".join(str(error).split()) or type(error).__name__
                raise MadeOtherwise(
                    f"{self._what}: {name}= does not take the state that its checkpoint has ({why[:200]}); make it as it was, "
                    f"train in another folder, or begin anew: holdfast drop {self._what}"
                ) from error
        for name, part in self._modules().items():
            if buffers:
                _fill(part, own["buffers"].get(name, {}))
            parameters = _parameters(part)
            for key, grad in own["grads"].get(name, {}).items():
                parameters[key].grad = grad.to(device=parameters[key].device)

    def let_go(self) -> None:
        """Nothing of them is followed any more."""
        for hook in self._hooks:
            hook.remove()

    def _has_stepped(self, *_: Any) -> None:
        self.stepped = True

    def _modules(self) -> dict[str, nn.Module]:
        return {name: part for name, part in self._parts.items() if isinstance(part, nn.Module)}

    def _state_of(self, name: str, part: Any) -> Any:
        what = f"{self._what}: {name}="
        if not isinstance(part, nn.Module):
            return keepable(part.state_dict(), what)
        named = [(_plain_name(n), m) for n, m in part.named_modules()]
        return {
            "state": keepable(_state(part), what),
            "evaluating": [n for n, module in named if not module.training],
            "frozen": [n for n, p in _parameters(part).items() if not p.requires_grad],
        }

    @staticmethod
    def _load(part: Any, state: Any) -> None:
        if not isinstance(part, nn.Module):
            part.load_state_dict(state)
            return
        inner = state["state"]
        names = OrderedDict((key, _plain_name(key)) for key in part.state_dict())
        renamed = OrderedDict((key, inner[name]) for key, name in names.items() if name in inner)
        renamed.update((key, value) for key, value in inner.items() if key not in set(names.values()))
        if hasattr(inner, "_metadata") and not any(key != name for key, name in names.items()):
            renamed._metadata = inner._metadata  # type: ignore[attr-defined]  # the versions of its modules
        part.load_state_dict(renamed)
        evaluating, frozen = set(state["evaluating"]), set(state["frozen"])
        for name, module in part.named_modules():
            module.training = _plain_name(name) not in evaluating
        for name, parameter in _parameters(part).items():
            parameter.requires_grad_(name not in frozen)

    def _said(self, part: Any) -> dict[str, Any]:
        if isinstance(part, nn.Module):
            shapes = {k: f"{str(v.dtype).removeprefix('torch.')}{list(v.shape)}" for k, v in _parameters(part).items()}
            said: dict[str, Any] = {"parameters": shapes}
            for name in ("avg_fn", "multi_avg_fn"):  # an average keeps neither in its state
                if (function := getattr(part, name, None)) is not None:
                    said[name] = _function(function)
            if hasattr(part, "use_buffers"):
                said["use_buffers"] = bool(part.use_buffers)
            return said
        if isinstance(part, Optimizer):
            groups = [{k: _plain(v) for k, v in group.items() if k != "params"} for group in part.param_groups]
            return {"type": type(part).__qualname__, "groups": {str(i): group for i, group in enumerate(groups)}}
        return {"type": type(part).__qualname__, "begins": _plain(part.state_dict())}


class _Accelerator:
    """What accelerate's `Accelerator` counts: the batches since gradients were last used. It keeps that in no state."""

    def __init__(self, accelerator: Any) -> None:
        self._accelerator = accelerator

    def state_dict(self) -> dict[str, Any]:
        """The count, and the scaler of mixed precision."""
        scaler = self._accelerator.scaler
        return {"step": int(self._accelerator.step), **({} if scaler is None else {"scaler": scaler.state_dict()})}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As it was."""
        self._accelerator.step = state["step"]
        if self._accelerator.scaler is not None:
            self._accelerator.scaler.load_state_dict(state["scaler"])


def _is_of_accelerate(part: Any, name: str) -> bool:
    return any(kind.__name__ == name and kind.__module__.startswith("accelerate.") for kind in type(part).__mro__)


def _bare(part: Any) -> Any:
    """The module below what only runs it: compiled, or over several ranks; and what accelerate has wrapped."""
    if _is_of_accelerate(part, "Accelerator"):
        return _Accelerator(part)
    if _is_of_accelerate(part, "AcceleratedOptimizer"):
        return part.optimizer
    if _is_of_accelerate(part, "AcceleratedScheduler"):
        return part.scheduler
    while True:
        if isinstance(part, nn.parallel.DistributedDataParallel | nn.DataParallel):
            part = part.module
        elif isinstance(part, nn.Module) and isinstance(inner := getattr(part, "_orig_mod", None), nn.Module):
            part = inner
        else:
            return part


def _plain_name(name: str) -> str:
    return f"{name}.".replace(_COMPILED, "").removesuffix(".")


def _parameters(part: Any) -> dict[str, nn.Parameter]:
    return {_plain_name(name): p for name, p in part.named_parameters()} if isinstance(part, nn.Module) else {}


def _state(part: nn.Module) -> Any:
    """Its state under the names that it has without compiling."""
    state = part.state_dict()
    if not any(_COMPILED in name for name in state):
        return state
    return OrderedDict((_plain_name(name), value) for name, value in state.items())


def _fill(part: nn.Module, values: Mapping[str, Any]) -> None:
    for name, value in part.state_dict().items():
        if isinstance(value, torch.Tensor) and isinstance(kept := values.get(_plain_name(name)), torch.Tensor):
            value.copy_(kept)


def _plain(value: Any) -> Any:
    """A value as JSON has it; what is no value by the name of its type."""
    if isinstance(value, torch.Tensor) or hasattr(value, "dtype"):
        return _plain(value.item()) if getattr(value, "size", None) is not None and _elements(value) == 1 else type(value).__name__
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return _function(value) if callable(value) else type(value).__qualname__


def _elements(value: Any) -> int:
    return int(value.numel()) if isinstance(value, torch.Tensor) else int(value.size)


def _function(value: Any) -> str:
    """A function by its name and the plain values that it was made with, as 0.999 of a moving average."""
    value = inspect.unwrap(value)
    cells = [cell.cell_contents for cell in getattr(value, "__closure__", None) or ()]
    given = [repr(one) for one in cells if one is None or isinstance(one, bool | int | float | str)]
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"{name}({', '.join(given)})" if given else str(name)
