"""Where am I? Decided from the environment that is passed in, so that tests need no patching."""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping


class Environment(enum.Enum):
    """The kinds of machine that differ in how Drive can be reached."""

    COLAB = "Colab"
    COLAB_ENTERPRISE = "Colab Enterprise"  #: no Drive
    KAGGLE = "Kaggle"  #: no Drive
    ELSEWHERE = "elsewhere"


def without_store(environment: Environment) -> str:
    """What to know where there is no place for backups: one line, with what to do about it."""
    give = "set HOLDFAST_DRIVE to a folder that outlives the machine"
    if environment in (Environment.COLAB_ENTERPRISE, Environment.KAGGLE):
        return f"{environment.value} has no Drive: nothing is backed up, and work stays on this machine; to keep it, {give}"
    return f"no drive folder is attached: nothing is backed up, and work stays on this machine; to keep it, {give}"


def detect(variables: Mapping[str, str] | None = None) -> Environment:
    """Tell the environment by the variables that each sets (subprocesses inherit them).

    Sources: `COLAB_RELEASE_TAG` is set by Colab's image, `VERTEX_PRODUCT=COLAB_ENTERPRISE` by Colab Enterprise (whose
    image sets the former too), `KAGGLE_KERNEL_RUN_TYPE` by Kaggle.
    """
    env = os.environ if variables is None else variables
    if env.get("VERTEX_PRODUCT") == "COLAB_ENTERPRISE":
        return Environment.COLAB_ENTERPRISE
    if env.get("COLAB_RELEASE_TAG"):
        return Environment.COLAB
    if env.get("KAGGLE_KERNEL_RUN_TYPE"):
        return Environment.KAGGLE
    return Environment.ELSEWHERE
