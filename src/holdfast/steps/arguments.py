"""The arguments of a call: bound as Python binds them, and as plain values that count."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Mapping
from inspect import BoundArguments, Signature
from pathlib import PurePath
from typing import Any

from holdfast.errors import UsageError
from holdfast.steps.values import MOST_BYTES, named

#: Parameters of these names, without a default, are given the paths. They count by what they hold.
PATHS = ("inputs", "outputs")


def signature_of(function: Any) -> Signature:
    """How a step is called: as the function is, without the paths that it is given."""
    found = whole_signature(function)
    return found.replace(parameters=[p for n, p in found.parameters.items() if n not in given_paths(found)])


def whole_signature(function: Any) -> Signature:
    """How the function itself is called."""
    return inspect.signature(function)


def given_paths(signature: Signature) -> tuple[str, ...]:
    """Which of `inputs` and `outputs` a function asks for."""
    simple = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    asked = signature.parameters
    return tuple(n for n in PATHS if n in asked and asked[n].default is asked[n].empty and asked[n].kind in simple)


def bound(name: str, signature: Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> BoundArguments:
    """A call with every default filled in.

    Raises:
        UsageError: the function cannot be called so.
    """
    try:
        found = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise UsageError(f"{name}: cannot be called so: {error}") from error
    found.apply_defaults()
    return found


def counted(name: str, call: BoundArguments) -> dict[str, Any]:
    """Each argument as it counts, by its name.

    Raises:
        UsageError: one is no plain value.
    """
    return {key: _plain(name, key, value, [MOST_BYTES]) for key, value in call.arguments.items()}


def whole(function: Any, call: BoundArguments, paths: Mapping[str, Any]) -> BoundArguments:
    """The call as the function wants it, paths and all."""
    signature = whole_signature(function)
    given = {**call.arguments, **paths}
    return BoundArguments(signature, {n: given[n] for n in signature.parameters if n in given})


def _plain(name: str, key: str, value: Any, left: list[int]) -> Any:
    left[0] -= 1 + (len(value) if isinstance(value, str) else 0)
    if left[0] < 0:
        raise UsageError(f"{name}: {key} is more than 1 MiB; an argument of that size is data: give it as a file in inputs")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, list | tuple):
        return [_plain(name, key, v, left) for v in value]
    if isinstance(value, dict) and all(isinstance(k, str) for k in value):
        return {k: _plain(name, f"{key}.{k}", v, left) for k, v in value.items()}
    try:
        return operator.index(value)
    except TypeError:
        raise UsageError(
            f"{name}: {key} is {named(value)}, which cannot be counted; an argument is a number, a text, a path, or a list or dict "
            "of those. Anything else goes by a file in inputs"
        ) from None
