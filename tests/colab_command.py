"""The real `colab` command in an environment of its own: made once, found again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from holdfast.simulator.colab_service import ColabService
from tests.once import once

VERSION = "0.7.5"
#: The path of a `colab` that is there already; nothing is built then.
VARIABLE = "HOLDFAST_COLAB_COMMAND"


def _python() -> str:
    """A Python that the command runs on: 3.12 or newer."""
    places = [shutil.which(name) for name in ("python3.13", "python3.12", "python3")]
    beside = (Path(sys.base_prefix).parent, Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions")
    places += [str(p) for versions in beside for p in sorted(versions.glob("3.1[2-9]*/bin/python"), reverse=True)]
    for place in filter(None, places):
        ask = [place, "-c", "import sys; print(sys.version_info >= (3, 12))"]
        if subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip() == "True":
            return place
    raise AssertionError("the colab command needs Python 3.12 or newer on this machine")


def _build(folder: Path) -> None:
    subprocess.run([_python(), "-m", "venv", folder / "venv"], check=True)
    install = [folder / "venv/bin/python", "-m", "pip", "install", "-q", "--no-compile", "--disable-pip-version-check"]
    subprocess.run([*install, f"google-colab-cli=={VERSION}"], check=True)


@pytest.fixture(scope="session")
def colab_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command itself."""
    given = os.environ.get(VARIABLE)
    return Path(given) if given else once(tmp_path_factory, "colab-command", _build) / "venv" / "bin" / "colab"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ColabService]:
    """The service that it is led to."""
    with ColabService(tmp_path / "service") as service:
        yield service


def compiling() -> dict[str, str]:
    """Our environment, in which the command may keep what Python compiled of it: else each call compiles all of it anew."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def outside(service: ColabService) -> Mapping[str, str]:
    """The environment of somebody who uses the command with this service."""
    return {**{k: v for k, v in compiling().items() if k != "PYTHONPATH"}, **service.environment}
