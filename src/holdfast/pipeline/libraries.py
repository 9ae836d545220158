"""The libraries that the pipeline works with, looked for without loading them. Imports none."""

from __future__ import annotations

import importlib.util

from holdfast.errors import ConfigurationError

#: What a run needs beside pydantic, which reading an experiment needs already.
WORKING = ("accelerate", "onnx", "onnxruntime", "onnxscript", "optuna", "seqeval", "tokenizers", "torch", "transformers")


def need(*libraries: str) -> None:
    """Say now, not after minutes of work, that a library is missing.

    Raises:
        ConfigurationError: it is.
    """
    missing = [name for name in libraries if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"the pipeline needs {', '.join(missing)}, which is not installed; pip install 'holdfast[pipeline]'"
        )
