"""What decides the weights that a Trainer comes to, read from the library's own objects; and what cannot be kept, by name."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from blake3 import blake3

from holdfast.errors import ConfigurationError

#: Of `TrainingArguments`: whatever of these a version has. Optimizers' own numbers are read from the optimizer.
_ARGUMENTS = (
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "lr_scheduler_type",
    "lr_scheduler_kwargs",
    "warmup_steps",
    "warmup_ratio",
    "max_grad_norm",
    "seed",
    "data_seed",
    "bf16",
    "fp16",
    "label_smoothing_factor",
    "train_sampling_strategy",
    "group_by_length",
    "dataloader_drop_last",
    "neftune_noise_alpha",
    "world_size",
)

#: Of a model's configuration and of an adapter's: where it came from and how it is run, not what it is.
_NOT_THE_MODEL = frozenset(
    {
        "_name_or_path",
        "name_or_path",
        "transformers_version",
        "peft_version",
        "architectures",
        "use_cache",
        "base_model_name_or_path",
        "revision",
        "inference_mode",
        "auto_mapping",
        "_attn_implementation_autoset",
        "_experts_implementation_internal",
        "_attn_implementation_internal",
    }
)

#: Of each frozen weight so many values stand for all.
_SAMPLED = 64

#: Plans of the learning rate that do not look at how long a training is.
_WITHOUT_END = frozenset({"constant", "constant_with_warmup"})

_TOLD = 3


def refuse(args: Any, state: Any) -> None:
    """What no checkpoint could be gone on with exactly.

    Raises:
        ConfigurationError: it is asked for.
    """
    if args.save_only_model:
        raise ConfigurationError("save_only_model: nobody could go on with such checkpoints; leave it out")
    if args.ignore_data_skip:
        raise ConfigurationError("ignore_data_skip: after a resume the first samples of an epoch would be seen again; leave it out")
    if args.auto_find_batch_size:
        raise ConfigurationError("auto_find_batch_size: the batch size would be looked for anew; set per_device_train_batch_size")
    if getattr(state, "is_hyper_param_search", False):
        raise ConfigurationError("hyperparameter_search: each trial needs a folder of its own; use keep.trials of holdfast")


def settings(args: Any, state: Any, model: Any, loader: Any, optimizer: Any, stops: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the weights, by name, as plain data."""
    found: dict[str, Any] = {"model": _model(model), "optimizer": _optimizer(optimizer)}
    found["arguments"] = {name: _plain(value) for name in _ARGUMENTS if (value := getattr(args, name, None)) is not None}
    if str(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type)) not in _WITHOUT_END:
        found["steps the learning rate is planned over"] = state.max_steps
    with contextlib.suppress(TypeError, NotImplementedError, AttributeError):  # a stream has no length
        found["samples"] = len(loader.dataset)
    if stops:
        found["stops"] = _plain(stops)
    return found


def shapes(model: Any) -> str:
    """How many weights under which names and shapes, in one line."""
    names = [f"{name} {tuple(p.shape)}" for name, p in sorted(model.named_parameters())]
    values = sum(p.numel() for p in model.parameters())
    return f"{values} in {len(names)} tensors, {blake3(chr(10).join(names).encode()).hexdigest(length=8)}"


def _model(model: Any) -> dict[str, Any]:
    kinds = [f"{name} {p.dtype} {p.requires_grad}" for name, p in sorted(model.named_parameters())]
    digest = blake3("\n".join(kinds).encode()).hexdigest(length=8)
    found: dict[str, Any] = {"class": type(model).__name__, "weights": shapes(model), "types, and which are trained": digest}
    config = getattr(model, "config", None)
    if config is not None and callable(getattr(config, "to_dict", None)):
        found["config"] = _chosen(config.to_dict())
    adapters = getattr(model, "peft_config", None)
    if adapters and callable(getattr(model, "get_base_model", None)):
        _refuse_unkept(model)
        found["adapters"] = {name: _chosen(adapter.to_dict()) for name, adapter in sorted(adapters.items())}
        found["base model"] = _frozen(model)
    return found


def _chosen(document: Mapping[str, Any]) -> Any:
    return _plain({k: v for k, v in document.items() if k not in _NOT_THE_MODEL and v is not None})


def _optimizer(optimizer: Any) -> dict[str, Any]:
    inner = getattr(optimizer, "optimizer", optimizer)
    defaults = {k: _plain(v) for k, v in getattr(inner, "defaults", {}).items() if isinstance(v, bool | int | float | str | tuple)}
    return {"class": type(inner).__name__, **defaults}


def _frozen(model: Any) -> str:
    """A digest of some values of each weight that is not trained: the checkpoint does not hold them."""
    hasher = blake3()
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if weight.requires_grad:
                continue
            flat = weight.detach().reshape(-1)
            some = flat[:: max(flat.numel() // _SAMPLED, 1)].contiguous()
            hasher.update(f"{name} {tuple(weight.shape)} {weight.dtype};".encode())
            hasher.update(some.view(torch.uint8).cpu().numpy().tobytes() if some.numel() else b"")
    return hasher.hexdigest(length=8)


def _refuse_unkept(model: Any) -> None:
    """The checkpoint of a model with adapters holds the adapters only.

    Raises:
        ConfigurationError: other weights are trained too, or two adapters at once.
    """
    from peft import get_peft_model_state_dict

    kept: dict[str, set[int]] = {
        name: {
            weight.data_ptr()
            for weight in get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False).values()
            if isinstance(weight, torch.Tensor)
        }
        for name in model.peft_config
    }
    trained = {name: weight.data_ptr() for name, weight in model.named_parameters() if weight.requires_grad}
    lost = [name for name, at in trained.items() if not any(at in held for held in kept.values())]
    if lost:
        more = f" and {len(lost) - _TOLD} more" if len(lost) > _TOLD else ""
        raise ConfigurationError(
            f"{', '.join(lost[:_TOLD])}{more}: trained beside the adapter and in no checkpoint, so a resume would lose them; "
            "name them in modules_to_save of the adapter's configuration"
        )
    at_once = [name for name, held in kept.items() if held & set(trained.values())]
    if len(at_once) > 1:
        raise ConfigurationError(
            f"adapters {', '.join(at_once)} are trained at once: the Trainer cannot go on with that; train one"
        )


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, sort_keys=False, default=_as_text, allow_nan=True).replace("NaN", "null"))


def _as_text(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    if hasattr(value, "value"):
        return value.value
    if callable(getattr(value, "to_dict", None)):
        return value.to_dict()
    return str(value)
