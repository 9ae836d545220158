"""Small sealed checkpoints with the files that a Trainer writes, and ways to damage them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from holdfast.integrations import checkpoints
from tests.support import Machine

FOLDER = "outputs/run/checkpoints"
MADE_FROM = "abc"
TOTAL = 20
#: Step and the best step then. The first two epochs end at 5 and 10, and each is a new best.
HISTORY = ((4, None), (5, 5), (8, 5), (10, 10))

Harm = Callable[[Path], None]


def save(folder: Path, step: int, best: int | None, *, over: bool = False, made_from: str = MADE_FROM) -> Path:
    """A checkpoint as the Trainer leaves it, sealed; then older ones go."""
    place = write(folder, step)
    checkpoints.seal(
        place,
        step=step,
        best_step=best,
        over=over,
        made_from=made_from,
        total=TOTAL,
        epochs=(step / 5, TOTAL / 5),
        seconds=60.0 * step,
    )
    checkpoints.rotate(folder, step)
    return place


def write(folder: Path, step: int) -> Path:
    """The same, cut off right before it is sealed."""
    place = folder / f"checkpoint-{step}"
    place.mkdir(parents=True)
    save_file({"layer": torch.full((4, 3), float(step))}, place / "model.safetensors")
    (place / "config.json").write_text(json.dumps({"model_type": "none"}))
    torch.save({"state": {0: torch.full((4, 3), step / 7)}}, place / "optimizer.pt")
    torch.save({"last_epoch": step}, place / "scheduler.pt")
    torch.save({"cpu": torch.tensor([step])}, place / "rng_state.pth")
    torch.save({"output_dir": "here"}, place / "training_args.bin")
    (place / "trainer_state.json").write_text(json.dumps({"global_step": step, "best_model_checkpoint": str(place)}))
    return place


def trained(machine: Machine, *, kept: bool = True) -> Path:
    """A training that has come to step 10, each checkpoint in a generation of its own, or with no backup at all."""
    folder = machine.root / FOLDER
    for step, best in HISTORY:
        save(folder, step, best)
        if kept:
            assert machine.keep.backup("outputs/run", progress=float(step))
    return folder


def emptied(step: int, name: str) -> Harm:
    return lambda folder: (folder / f"checkpoint-{step}" / name).write_bytes(b"") and None


def truncated(step: int, name: str) -> Harm:
    def harm(folder: Path) -> None:
        place = folder / f"checkpoint-{step}" / name
        place.write_bytes(place.read_bytes()[:-5])

    return harm


def flipped(step: int, name: str) -> Harm:
    def harm(folder: Path) -> None:
        place = folder / f"checkpoint-{step}" / name
        content = bytearray(place.read_bytes())
        content[-1] ^= 1
        place.write_bytes(bytes(content))

    return harm


def gone(step: int, name: str) -> Harm:
    return lambda folder: (folder / f"checkpoint-{step}" / name).unlink()


def added(step: int, name: str) -> Harm:
    return lambda folder: (folder / f"checkpoint-{step}" / name).write_text("{}") and None


def lost(step: int) -> Harm:
    return lambda folder: shutil.rmtree(folder / f"checkpoint-{step}")


def copied(step: int, to: int) -> Harm:
    return lambda folder: shutil.copytree(folder / f"checkpoint-{step}", folder / f"checkpoint-{to}") and None


def cut_off(step: int, *names: str) -> Harm:
    """A kill while this one was being saved."""

    def harm(folder: Path) -> None:
        place = write(folder, step)
        for each in place.iterdir():
            if each.name not in names:
                each.unlink()

    return harm


def all_of(*harms: Harm) -> Harm:
    def harm(folder: Path) -> None:
        for each in harms:
            each(folder)

    return harm
