"""Runs on the machine when the work is over: waits until everything is safe, and says what is not, and why waiting would not help.

python -m holdfast.unattended.safe SECONDS FILE
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError, StoreError
from holdfast.session.doctor.diagnosis import NO_ROOM
from holdfast.session.doctor.rules import EMPTY_TRASH

if TYPE_CHECKING:
    from holdfast.store.backends.backend import Backend, Space

_FIRST_SECONDS = 60.0
_UNSAFE = 5


def no_room(space: Space | None) -> str:
    """Why no upload would end; empty where it may, or nobody tells."""
    return f"Drive is full: {EMPTY_TRASH}" if space is not None and space.free < NO_ROOM else ""


def _space(backend: Backend) -> Space | None:
    try:
        return backend.space()
    except StoreError:  # `missing` says so
        return None


def main(wait: float, place: Path) -> int:
    """Wait until everything is safe, but not for a Drive that is full. Returns the exit code: 0 where all is.

    Args:
        wait: Seconds at most.
        place: Where to write what is `missing`, and that it is `full`.
    """
    import holdfast

    keep = holdfast.attach()
    with contextlib.suppress(HoldfastError):  # what stands in the way is said below
        if left_out := [str(row.key) for row in keep.status() if row.unsaved and row.here != "no"]:  # as most scripts end
            keep.backup(*left_out)
    end, full = time.monotonic() + wait, ""
    done = keep.finish(wait=min(_FIRST_SECONDS, wait))
    if not done and keep.store is not None:
        full = no_room(_space(keep.store.backend))
        if not full and (left := end - time.monotonic()) > 0:
            done = keep.finish(wait=left)
    place.write_text(json.dumps({"missing": list(done.missing), "full": full}), encoding="utf-8")
    return 0 if done else _UNSAFE


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), Path(sys.argv[2])))
