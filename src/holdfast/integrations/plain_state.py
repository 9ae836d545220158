"""States as plain containers and tensors, so that a checkpoint is read without running code that a file brings."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Any

import torch

from holdfast.errors import ConfigurationError

_ARRAY = "holdfast: array"
_AS_IT_IS = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device)


def keepable(value: Any, what: str) -> Any:
    """The same as plain containers and tensors. `back` gives it back.

    Raises:
        ConfigurationError: something in it is an object of another kind, which only code could make anew.
    """
    if type(value) in _AS_IT_IS:
        return value
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, Counter):
        return value
    if isinstance(value, OrderedDict):
        ordered = OrderedDict((key, keepable(one, what)) for key, one in value.items())
        ordered.__dict__.update(value.__dict__)  # a module's version numbers
        return ordered
    if isinstance(value, Mapping):
        return {keepable(key, what): keepable(one, what) for key, one in value.items()}
    if isinstance(value, list):
        return [keepable(one, what) for one in value]
    if type(value) in (tuple, torch.Size):
        return tuple(keepable(one, what) for one in value)
    if isinstance(value, set | frozenset):
        return {keepable(one, what) for one in value}
    if hasattr(value, "__array__") and hasattr(value, "dtype"):
        return _of_array(value, what)
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    raise ConfigurationError(
        f"{what}: its state holds a {type(value).__qualname__}, which a checkpoint does not keep; its state_dict() should hold "
        "numbers, text, containers and tensors only"
    )


def back(value: Any) -> Any:
    """What `keepable` was given."""
    if isinstance(value, dict) and not isinstance(value, OrderedDict | Counter):
        if _ARRAY in value:
            import numpy as np

            return value[_ARRAY].numpy().astype(np.dtype(value["dtype"]))
        return {key: back(one) for key, one in value.items()}
    if isinstance(value, list):
        return [back(one) for one in value]
    if type(value) is tuple:
        return tuple(back(one) for one in value)
    return value


def _of_array(value: Any, what: str) -> Any:
    import numpy as np

    if value.dtype == object:
        raise ConfigurationError(f"{what}: its state holds an array of objects, which a checkpoint does not keep")
    if isinstance(value, np.generic):
        return value.item()
    array = np.asarray(value)
    wide = array.astype(np.int64) if array.dtype.kind == "u" and array.dtype.itemsize < 8 else array
    return {_ARRAY: torch.from_numpy(np.ascontiguousarray(wide).copy()), "dtype": array.dtype.str}
