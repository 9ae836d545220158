"""A converted model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from holdfast.pipeline.conversion.convert import convert
from holdfast.pipeline.data.documents import Document


@pytest.fixture(scope="package")
def converted_once(made_once: Path, documents: Sequence[Document], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conversion of the checkpoint; read only."""
    output = tmp_path_factory.mktemp("onnx") / "converted"
    convert(made_once, output, documents[:4])
    return output
