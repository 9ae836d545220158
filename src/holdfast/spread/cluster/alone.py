"""A cluster of this machine alone, started for one run by the process that holds Ray.

It listens on this machine only, to those who know a word that is in no file, and writes into a folder of its own, so that no other
program joins it by accident. Its processes end with the one that started it: see `store.apart.child`, which ends its whole session.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from holdfast.spread.cluster.scratch import scratch
from holdfast.spread.environment import places_of_modules

#: In place of an address: none is joined, and one is started. Ray's own word.
HERE = "local"
_PREFIX = "hf-ray-"
#: The names of Ray's sockets are so much longer than this that a longer one would be too long for the system.
_LONGEST = 40


@contextlib.contextmanager
def to_start() -> Iterator[Mapping[str, Any]]:
    """What `ray.init` is called with to start one. This process's environment is changed, which Ray's processes have from it."""
    os.environ |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_prestart_worker_first_driver": "0",  # a process for each CPU, without the environment that attempts have
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on Linux too: nobody joins, so it listens on 127.0.0.1
        "PYTHONPATH": os.pathsep.join(places_of_modules()),
    }
    with scratch(_above(), _PREFIX, secrets.token_hex(4)) as place:
        yield {"_temp_dir": str(place), "include_dashboard": False}


def _above() -> Path:
    """The folder for temporary files, as Ray takes it."""
    place = os.path.abspath(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    return Path(place if len(place) <= _LONGEST else "/tmp")  # noqa: S108 - a folder of a random name is made in it
