"""The checkpoints of an unfinished training: which are whole, which is the newest, which may go.

The Trainer writes a checkpoint file by file, so a kill leaves half of one. Here a checkpoint counts only once a marker, written
last, names every file with size and hash, and all of them agree.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from holdfast.session.files import file_identity, write_json

log = logging.getLogger(__name__)

MARKER = "holdfast-checkpoint.json"
_NAME = re.compile(r"checkpoint-(\d+)")
#: The newest, and the one before it in case the newest is damaged.
KEEP_NEWEST = 2


@dataclass(frozen=True)
class SavedCheckpoint:
    """A whole checkpoint.

    Args:
        folder: Where it lies.
        step: Optimizer steps done.
        best_step: The step whose weights scored best so far, or None where nothing was scored.
        over: Training has nothing left to do after it.
        made_from: Fingerprint of what it is a checkpoint of.
    """

    folder: Path
    step: int
    best_step: int | None
    over: bool
    made_from: str


def seal(folder: Path, *, step: int, best_step: int | None, over: bool, made_from: str) -> None:
    """Declare a checkpoint whole. Paths of this machine are taken out of the Trainer's state first."""
    state = folder / "trainer_state.json"
    document = json.loads(state.read_text(encoding="utf-8"))
    document["best_model_checkpoint"] = None  # an absolute path; `best_step` says it for every machine
    write_json(state, document)
    files = {p.name: {"size": p.stat().st_size, "blake3": file_identity(p)} for p in sorted(folder.iterdir()) if p.name != MARKER}
    write_json(folder / MARKER, {"step": step, "best_step": best_step, "over": over, "made_from": made_from, "files": files})


def whole(folder: Path) -> SavedCheckpoint | None:
    """The checkpoint in a folder; None where it is not whole, read to its last byte."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        for name, expected in marker["files"].items():
            place = folder / name
            if place.stat().st_size != expected["size"] or file_identity(place) != expected["blake3"]:
                return None
        return SavedCheckpoint(folder, int(marker["step"]), marker["best_step"], marker["over"] is True, str(marker["made_from"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def newest(folder: Path) -> SavedCheckpoint | None:
    """The newest whole checkpoint whose best weights are there too; what is not whole is passed over, aloud."""
    for step in sorted(_steps(folder), reverse=True):
        place = folder / f"checkpoint-{step}"
        found = whole(place)
        if found is None:
            log.warning("%s: not whole, so the checkpoint before it is taken", place)
        elif found.best_step is not None and found.best_step != step and whole(folder / f"checkpoint-{found.best_step}") is None:
            log.warning("%s: its best weights (step %d) are missing, so the checkpoint before it is taken", place, found.best_step)
        else:
            return found
    return None


def rotate(folder: Path, best_step: int | None) -> None:
    """Delete every checkpoint but the newest two and the best."""
    steps = sorted(_steps(folder), reverse=True)
    for step in steps[KEEP_NEWEST:]:
        if step != best_step:
            shutil.rmtree(folder / f"checkpoint-{step}")


def discard_after(folder: Path, step: int) -> None:
    """Delete what was saved after a step that training goes back to: it will be made again."""
    for later in _steps(folder):
        if later > step:
            shutil.rmtree(folder / f"checkpoint-{later}")


def _steps(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return [int(m[1]) for p in folder.iterdir() if p.is_dir() and (m := _NAME.fullmatch(p.name))]
