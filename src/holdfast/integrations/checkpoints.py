"""The checkpoints of an unfinished training: which are whole, what is wrong with one that is not, which may go.

The Trainer writes a checkpoint file by file, so a kill leaves half of one. Here a checkpoint counts only once a marker, written
last, names every file with size and hash, and all of them agree. Of a checkpoint that is kept for its weights, because it is the
best, only those have to.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from holdfast.session.files import file_identity, write_json

MARKER = "holdfast-checkpoint.json"
STATE = "trainer_state.json"  #: what the Trainer writes last
#: The newest, and the one before it in case the newest is damaged. Each with the best that it speaks of.
KEEP_NEWEST = 2

_NAME = re.compile(r"checkpoint-(\d+)")
#: What going on needs and the weights do not. Source: `Trainer._save_checkpoint` of transformers 5.
_GOING_ON = re.compile(
    r"(optimizer|scheduler|scaler|training_args|rng_state).*\.(pt|pth|bin)|holdfast-random.*|(trainer_state|tracking)\.json"
)
#: A file that came later is looked at only where a library might read it in place of those that were saved.
_MAY_BE_READ = frozenset({".json", ".safetensors", ".bin", ".pt", ".pth"})


@dataclass(frozen=True)
class SavedCheckpoint:
    """A checkpoint as its marker has it.

    Args:
        folder: Where it lies.
        step: Optimizer steps done.
        best_step: The step whose weights scored best so far, or None where nothing was scored.
        over: Training has nothing left to do after it.
        made_from: Fingerprint of what it is a checkpoint of.
        files: Size in bytes and BLAKE3 of each file, by path below the folder.
        total: Optimizer steps that the training will have, 0 where it is not known.
        epochs: Passes over the data that are done and that there will be, where it is known.
        seconds: Of work until it was saved, where it is known.
        entry: What a library is given to go on with, below the folder; empty for the folder itself.
        settings: What it was made from, where that was said: model and settings, by name.
        drawn: What the guard says of the batches before it, and digests of the random states.
    """

    folder: Path
    step: int
    best_step: int | None
    over: bool
    made_from: str
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    total: int = 0
    epochs: tuple[float, float] | None = None
    seconds: float | None = None
    entry: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    drawn: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> Path:
        """What a library is given to go on with."""
        return self.folder / self.entry if self.entry else self.folder


@dataclass(frozen=True)
class Damage:
    """What is wrong with one file of a checkpoint.

    Args:
        name: Path below the folder.
        what: As a sentence goes on.
        extra: It came after the marker; without it the checkpoint is as it was.
    """

    name: str
    what: str
    extra: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.what}"


def seal(
    folder: Path,
    *,
    step: int,
    best_step: int | None,
    over: bool,
    made_from: str,
    total: int = 0,
    epochs: tuple[float, float] | None = None,
    seconds: float | None = None,
    entry: str = "",
    settings: Mapping[str, Any] | None = None,
    drawn: Mapping[str, Any] | None = None,
) -> None:
    """Declare a checkpoint whole. Paths of this machine are taken out of the Trainer's state first. See `SavedCheckpoint`."""
    state = folder / STATE
    if state.exists():
        document = json.loads(state.read_text(encoding="utf-8"))
        document["best_model_checkpoint"] = None  # an absolute path; `best_step` says it for every machine
        write_json(state, document)
    files = {name: {"size": place.stat().st_size, "blake3": file_identity(place)} for name, place in _files(folder).items()}
    marker = {"step": step, "best_step": best_step, "over": over, "made_from": made_from, "files": files}
    more = {"total": total, "epochs": epochs, "seconds": seconds}
    said = {"entry": entry, "settings": dict(settings or {}), "drawn": dict(drawn or {})}
    write_json(folder / MARKER, {**marker, **more, **{name: value for name, value in said.items() if value}})


def sealed(folder: Path) -> SavedCheckpoint | None:
    """What the marker says, its files not looked at. None where there is none, or it is damaged, or that of another step."""
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        files = {name: (int(f["size"]), str(f["blake3"])) for name, f in marker["files"].items()}
        best, epochs, seconds = marker["best_step"], marker.get("epochs"), marker.get("seconds")
        entry = str(marker.get("entry") or "")
        named = [*files, *([entry] if entry else [])]
        inside = not any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in named)
        found = SavedCheckpoint(
            folder,
            int(marker["step"]),
            None if best is None else int(best),
            marker["over"] is True,
            str(marker["made_from"]),
            files,
            int(marker.get("total") or 0),
            None if epochs is None else (float(epochs[0]), float(epochs[1])),
            None if seconds is None else float(seconds),
            entry,
            dict(marker.get("settings") or {}),
            dict(marker.get("drawn") or {}),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None
    return found if inside and files and found.step == step_of(folder) else None


def why_unsealed(folder: Path) -> str:
    """Why a folder does not count, as a sentence goes on."""
    if not folder.is_dir():
        return "is gone"
    if not (folder / MARKER).is_file():
        return "was cut off while it was saved" if is_cut_off(folder) else "has no marker"
    try:
        step = json.loads((folder / MARKER).read_bytes())["step"]
    except (OSError, ValueError, KeyError, TypeError):
        return "has a damaged marker"
    return "has a damaged marker" if step == step_of(folder) else f"has the marker of step {step}"


def is_cut_off(folder: Path) -> bool:
    """The Trainer never came to its end: nothing but a kill leaves that, and nobody could go on with it."""
    return not (folder / MARKER).exists() and not (folder / STATE).exists()


def damage(saved: SavedCheckpoint, *, weights_only: bool = False) -> tuple[Damage, ...]:
    """What is not as it was saved, read to the last byte; nothing where it is whole.

    Args:
        saved: The checkpoint.
        weights_only: Of what only going on needs, nothing counts.
    """
    found = []
    for name, (size, digest) in saved.files.items():
        if not (weights_only and _GOING_ON.fullmatch(PurePosixPath(name).name)):
            what = _wrong(saved.folder / name, size, digest)
            found += [Damage(name, what)] if what else []
    for name in sorted(_files(saved.folder).keys() - saved.files.keys()):
        needless = weights_only and _GOING_ON.fullmatch(PurePosixPath(name).name)
        if PurePosixPath(name).suffix in _MAY_BE_READ and not needless:
            found.append(Damage(name, "came after it was saved", extra=True))
    return tuple(found)


def _wrong(place: Path, size: int, digest: str) -> str:
    try:
        now = place.stat().st_size
        if now != size:
            return f"has {now} of {size} bytes" if now else "is empty"
        return "" if file_identity(place) == digest else "is not what was saved"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"


def newest_sealed(folder: Path) -> SavedCheckpoint | None:
    """The newest with a marker of its own. Its files are not looked at."""
    return next((found for step in steps(folder) if (found := sealed(folder / f"checkpoint-{step}")) is not None), None)


def rotate(folder: Path, step: int) -> None:
    """Once this step is sealed: delete what was saved before it, but the one before it and the best that either speaks of.

    What has no marker stays: whoever goes on moves it aside. So does what has a higher number.
    """
    ours = [found for s in steps(folder) if s <= step and (found := sealed(folder / f"checkpoint-{s}")) is not None]
    kept = {s for found in ours[:KEEP_NEWEST] for s in (found.step, found.best_step)}
    for found in ours:
        if found.step not in kept:
            remove(found.folder)


def remove(folder: Path) -> None:
    """Delete a checkpoint, its marker last: what a kill leaves of it is known as ours, and as damaged."""
    for place in folder.iterdir():
        if place.name == MARKER:
            continue
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()
    shutil.rmtree(folder)


def steps(folder: Path) -> list[int]:
    """The numbers of the checkpoints in a folder, the highest first. Whether they can be used is another thing."""
    if not folder.is_dir():
        return []
    return sorted((step for p in folder.iterdir() if p.is_dir() and (step := step_of(p)) is not None), reverse=True)


def step_of(folder: Path) -> int | None:
    """The number in a checkpoint's name, None where it has none, or one that the Trainer would not write."""
    found = _NAME.fullmatch(folder.name)
    return int(found[1]) if found and found[1] == str(int(found[1])) else None


def _files(folder: Path) -> dict[str, Path]:
    return {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file() and p != folder / MARKER}
